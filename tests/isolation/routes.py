"""The table of what each route's path names.

A new route fails the matrix until it has its line here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount

from connectors.models import Connection
from connectors.outbound.models import Channel, Delivery
from investigations.models import Alert, Device, DeviceGroup, Evidence, Investigation
from portal.access.models import ApiKey, ProviderMembership, ServiceAccount, TenantMembership, User
from portal.access.sign_in.models import IdentityProvider
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant, TenantGroup
from remediation.actions.models import HistoryAction, PendingAction, RemediationAction
from remediation.hunting.models import Hunt, MailSearch
from remediation.retention.models import LegalHold, Purge, RetentionRule
from remediation.safeguards.models import ApprovalRule, BreakGlass, Freeze, GuardedChange, HourlyCap, ProtectedDevice
from remediation.vulnerabilities.models import (
    BurnDownDay,
    IntuneConnection,
    KnownExploitedVulnerability,
    ManagedDevice,
    Recommendation,
    RecommendationException,
    RemediationActivity,
    SecurityTask,
)
from tests.isolation.world import Model


@dataclass(frozen=True, slots=True)
class Place:
    """A route as the matrix asks for it: `path` with {id} where a row is named, and which kind of row that is.

    `body` is what a POST there takes, so that it gets as far as it can.
    """

    path: str
    kind: Model | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> Model:
        """The kind of row it names; only where it names one."""
        assert self.kind is not None
        return self.kind

    def at(self, identifier: object) -> str:
        """Return the path for one row."""
        return "/" + self.path.replace("{id}", str(identifier))


REASON = {"reason": "Because the matrix asks."}

REVIEW = {"review": "We looked at what was done and why, and found it right."}

REMEDIATION = "admin/vulnerabilities/remediationactivity/"

REQUEST = {"option": "attention_required", "reach": "all", "priority": "low", "all_tenants": "on", "confirmed": "1"}

ADMIN_PAGES: dict[str, Model] = {
    "access/apikey": ApiKey,
    "access/providermembership": ProviderMembership,
    "access/serviceaccount": ServiceAccount,
    "access/tenantmembership": TenantMembership,
    "access/user": User,
    "actions/historyaction": HistoryAction,
    "actions/pendingaction": PendingAction,
    "audit/auditevent": AuditEvent,
    "connectors/connection": Connection,
    "hunting/hunt": Hunt,
    "hunting/mailsearch": MailSearch,
    "investigations/alert": Alert,
    "investigations/device": Device,
    "investigations/devicegroup": DeviceGroup,
    "investigations/investigation": Investigation,
    "outbound/channel": Channel,
    "outbound/delivery": Delivery,
    "retention/legalhold": LegalHold,
    "retention/purge": Purge,
    "retention/retentionrule": RetentionRule,
    "safeguards/approvalrule": ApprovalRule,
    "safeguards/breakglass": BreakGlass,
    "safeguards/freeze": Freeze,
    "safeguards/guardedchange": GuardedChange,
    "safeguards/hourlycap": HourlyCap,
    "safeguards/protecteddevice": ProtectedDevice,
    "sign_in/identityprovider": IdentityProvider,
    "tenancy/tenant": Tenant,
    "tenancy/tenantgroup": TenantGroup,
    "vulnerabilities/intuneconnection": IntuneConnection,
    "vulnerabilities/manageddevice": ManagedDevice,
    "vulnerabilities/securitytask": SecurityTask,
    "vulnerabilities/recommendation": Recommendation,
    "vulnerabilities/remediationactivity": RemediationActivity,
    "vulnerabilities/recommendationexception": RecommendationException,
}
"""Admin pages by app and model, each with Django's stock routes."""

ADMIN_VERBS = (
    "access/apikey/<path:object_id>/revoke",
    "access/apikey/<path:object_id>/rotate",
    "access/serviceaccount/<path:object_id>/deactivate",
    "access/serviceaccount/<path:object_id>/reactivate",
    "access/user/<path:object_id>/deactivate",
    "access/user/<path:object_id>/invite",
    "access/user/<path:object_id>/reactivate",
    "connectors/connection/<path:object_id>/ask-for-consent",
    "connectors/connection/<path:object_id>/check",
    "outbound/channel/<path:object_id>/renew-signing-secret",
    "outbound/channel/<path:object_id>/test",
    "outbound/delivery/<path:object_id>/replay",
    "tenancy/tenant/<path:object_id>/deactivate",
    "tenancy/tenant/<path:object_id>/reactivate",
)
"""Pages where a verb about one row is confirmed."""

ROWS: dict[str, Model] = {
    "actions": RemediationAction,
    "alerts": Alert,
    "api-keys": ApiKey,
    "approval-rules": Tenant,
    "audit-events": AuditEvent,
    "break-glass": BreakGlass,
    "connections": Connection,
    "deliveries": Delivery,
    "device-groups": DeviceGroup,
    "devices": Device,
    "evidence": Evidence,
    "exceptions": RecommendationException,
    "freezes": Freeze,
    "guarded-changes": GuardedChange,
    "hourly-limits": HourlyCap,
    "hunts": Hunt,
    "identity-providers": IdentityProvider,
    "intune-connections": IntuneConnection,
    "investigations": Investigation,
    "legal-holds": LegalHold,
    "managed-devices": ManagedDevice,
    "members": TenantMembership,
    "notification-channels": Channel,
    "protected-devices": ProtectedDevice,
    "provider-memberships": ProviderMembership,
    "purges": Purge,
    "recommendations": Recommendation,
    "retention-rules": RetentionRule,
    "security-tasks": SecurityTask,
    "remediation-activities": RemediationActivity,
    "service-accounts": ServiceAccount,
    "tenant-groups": TenantGroup,
    "tenants": Tenant,
    "users": User,
}
"""API resources with a list and a page for each row."""

LISTS: dict[str, Model] = {
    "burn-down": BurnDownDay,
    "known-exploited": KnownExploitedVulnerability,
    "remediation-campaigns": RemediationActivity,
}
"""API resources with a list whose rows are found by no id, or by another, and what they show."""

VERBS: dict[str, Mapping[str, Any]] = {
    "actions/<uuid:pk>/approve": REASON,
    "actions/<uuid:pk>/break-glass": REASON,
    "actions/<uuid:pk>/cancel": REASON,
    "actions/<uuid:pk>/reject": REASON,
    "actions/<uuid:pk>/resolve": {**REASON, "outcome": "succeeded"},
    "actions/<uuid:pk>/result": {},
    "actions/<uuid:pk>/undo": REASON,
    "api-keys/<uuid:pk>/revoke": {},
    "api-keys/<uuid:pk>/rotate": {"days": 1},
    "break-glass/<uuid:pk>/review": REVIEW,
    "connections/<uuid:pk>/ask-for-consent": {},
    "connections/<uuid:pk>/check": {},
    "connections/<uuid:pk>/set-client-certificate": {"client_certificate": "not-a-certificate"},
    "connections/<uuid:pk>/set-client-secret": {"client_secret": "not-a-secret"},
    "deliveries/<uuid:pk>/replay": {},
    "exceptions/<uuid:pk>/approve": REASON,
    "exceptions/<uuid:pk>/cancel": REASON,
    "exceptions/<uuid:pk>/reject": REASON,
    "guarded-changes/<uuid:pk>/confirm": REASON,
    "guarded-changes/<uuid:pk>/reject": REASON,
    "guarded-changes/<uuid:pk>/withdraw": REASON,
    "hunts/<uuid:pk>/actions": {**REASON, "type": "run_antivirus_scan", "rows": [0]},
    "investigations/<uuid:pk>/stop": REASON,
    "legal-holds/<uuid:pk>/keep": REASON,
    "legal-holds/<uuid:pk>/lift": REASON,
    "notification-channels/<uuid:pk>/renew-signing-secret": {},
    "notification-channels/<uuid:pk>/test": {},
    "security-tasks/<uuid:pk>/accept": {"note": "Because."},
    "security-tasks/<uuid:pk>/complete": {"note": "Because."},
    "security-tasks/<uuid:pk>/reject": {"note": "Because."},
    "security-tasks/<uuid:pk>/send-again": {},
    "remediation-activities/<uuid:pk>/complete": {"note": "Because."},
    "remediation-activities/<uuid:pk>/notes": {"notes": "New."},
    "service-accounts/<uuid:pk>/deactivate": {},
    "service-accounts/<uuid:pk>/reactivate": {},
    "tenant-groups/<uuid:pk>/add-tenants": {},
    "tenant-groups/<uuid:pk>/remove-tenants": {},
    "tenants/<uuid:pk>/deactivate": {},
    "tenants/<uuid:pk>/reactivate": {},
    "users/<uuid:pk>/deactivate": {},
    "users/<uuid:pk>/invite": {},
    "users/<uuid:pk>/reactivate": {},
}
"""Verbs of API resources, with a body each accepts."""

ACCOUNT_PAGES = (
    "2fa/",
    "2fa/app/activate/",
    "2fa/app/deactivate/",
    "2fa/authenticate/",
    "2fa/keys/",
    "2fa/keys/add/",
    "2fa/keys/reauthenticate/",
    "2fa/reauthenticate/",
    "2fa/recovery-codes/",
    "2fa/recovery-codes/download/",
    "2fa/recovery-codes/generate/",
    "login/",
    "logout/",
    "logout/everywhere/",
    "organisation/",
    "organisations/",
    "password/change/",
    "password/reset/",
    "password/reset/done/",
    "password/reset/sent/",
    "reauthenticate/",
)
"""Pages under accounts/ that name no row."""

STOCK = ("", "add/", "<path:object_id>/history/", "<path:object_id>/delete/", "<path:object_id>/change/")

OTHERS: dict[str, Place] = {
    "": Place(""),
    "accounts/2fa/keys/<int:pk>/edit/": Place("accounts/2fa/keys/{id}/edit/", Authenticator, {"name": "Matrix"}),
    "accounts/2fa/keys/<int:pk>/remove/": Place("accounts/2fa/keys/{id}/remove/", Authenticator),
    "accounts/organisation/<slug:provider_id>/callback/": Place("accounts/organisation/nobody/callback/"),
    "accounts/organisations/<int:key>/unlink/": Place("accounts/organisations/{id}/unlink/", SocialAccount),
    "accounts/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[0-9A-Za-z-]+)/": Place("accounts/password/reset/1-a/"),
    "accounts/welcome/<str:token>/": Place("accounts/welcome/no-such-token/"),
    "admin/": Place("admin/"),
    "admin/login/": Place("admin/login/"),
    "admin/logout/": Place("admin/logout/"),
    "admin/password_change/": Place("admin/password_change/"),
    "admin/autocomplete/": Place("admin/autocomplete/"),
    "admin/jsi18n/": Place("admin/jsi18n/"),
    "admin/(?P<app_label>)/": Place("admin/investigations/"),
    "admin/(?P<url>.*)": Place("admin/no/such/page/"),
    "admin/actions/historyaction/decide/<str:verb_name>/": Place(
        "admin/actions/historyaction/decide/undo/?id={id}", HistoryAction
    ),
    "admin/actions/historyaction/<uuid:object_id>/result/": Place(
        "admin/actions/historyaction/{id}/result/", HistoryAction
    ),
    "admin/actions/pendingaction/ask/": Place("admin/actions/pendingaction/ask/?device={id}", Device, REASON),
    "admin/actions/pendingaction/decide/<str:verb_name>/": Place(
        "admin/actions/pendingaction/decide/approve/?id={id}", PendingAction
    ),
    "admin/connectors/connection/consent/": Place("admin/connectors/connection/consent/"),
    "admin/actions/pendingaction/groups/": Place("admin/actions/pendingaction/groups/"),
    "admin/actions/pendingaction/groups/one/": Place(
        "admin/actions/pendingaction/groups/one/?type=isolate_device&entity=device:none"
    ),
    "admin/actions/pendingaction/groups/decide/<slug:answer>/": Place(
        "admin/actions/pendingaction/groups/decide/reject/?type=isolate_device&entity=device:none"
        "&as_of=2026-11-20T10:00:00Z&count=1",
        body=REASON,
    ),
    "admin/actions/historyaction/correct/<slug:mistake>/": Place(
        "admin/actions/historyaction/correct/false_positive/?action={id}",
        HistoryAction,
        {**REASON, "verdict": "falsePositive/notMalicious"},
    ),
    "admin/actions/historyaction/undo-all/<slug:reach>/": Place(
        "admin/actions/historyaction/undo-all/investigation/?investigation={id}", Investigation, REASON
    ),
    "admin/investigations/device/<uuid:object_id>/protect/": Place(
        "admin/investigations/device/{id}/protect/", Device, REASON
    ),
    "admin/investigations/investigation/<path:object_id>/stop/": Place(
        "admin/investigations/investigation/{id}/stop/", Investigation, REASON
    ),
    "admin/safeguards/approvalrule/<uuid:tenant_id>/<slug:action_type>/ask/": Place(
        "admin/safeguards/approvalrule/{id}/isolate_device/ask/", Tenant, {**REASON, "approvers": 2}
    ),
    "admin/retention/retentionrule/<uuid:tenant_id>/<slug:kind_name>/set/": Place(
        "admin/retention/retentionrule/{id}/actions/set/", Tenant, {**REASON, "days": 500}
    ),
    "admin/retention/legalhold/<uuid:object_id>/<slug:verb_name>/decide/": Place(
        "admin/retention/legalhold/{id}/ask/decide/", LegalHold, REASON
    ),
    "admin/safeguards/breakglass/<uuid:object_id>/review/": Place(
        "admin/safeguards/breakglass/{id}/review/", BreakGlass, REVIEW
    ),
    "admin/safeguards/freeze/<uuid:object_id>/lift/": Place("admin/safeguards/freeze/{id}/lift/", Freeze, REASON),
    "admin/safeguards/guardedchange/<uuid:object_id>/<slug:verb_name>/decide/": Place(
        "admin/safeguards/guardedchange/{id}/confirm/decide/", GuardedChange, REASON
    ),
    "admin/safeguards/hourlycap/<uuid:tenant_id>/<slug:action_type>/ask/": Place(
        "admin/safeguards/hourlycap/{id}/isolate_device/ask/", Tenant, {**REASON, "cap": 2}
    ),
    "admin/safeguards/protecteddevice/<uuid:object_id>/unprotect/": Place(
        "admin/safeguards/protecteddevice/{id}/unprotect/", ProtectedDevice, REASON
    ),
    **{
        f"admin/hunting/{page}/{tail}": Place(f"admin/hunting/{page}/{path}", kind, body)
        for page, kind in (("hunt", Hunt), ("mailsearch", MailSearch))
        for tail, path, body in (
            ("<uuid:object_id>/act/", "{id}/act/", {**REASON, "type": "run_antivirus_scan", "row": ["0"]}),
            ("batch/<uuid:batch>/", "batch/{id}/", {}),
        )
    },
    "admin/hunting/hunt/<uuid:object_id>/look-up/": Place("admin/hunting/hunt/{id}/look-up/", Hunt, {"any": "thing"}),
    **{
        f"{REMEDIATION}{tail}": Place(f"{REMEDIATION}{path}", kind, body)
        for tail, path, kind, body in (
            ("burn-down/", "burn-down/", None, {}),
            ("csv/", "csv/", None, {}),
            ("campaign/<uuid:campaign>/", "campaign/{id}/", RemediationActivity, {}),
            ("request/<uuid:recommendation_id>/", "request/{id}/", Recommendation, REQUEST),
            ("request-many/<uuid:recommendation_id>/", "request-many/{id}/", Recommendation, REQUEST),
            ("<uuid:object_id>/complete/", "{id}/complete/", RemediationActivity, {"note": "Because."}),
            ("<uuid:object_id>/notes/", "{id}/notes/", RemediationActivity, {"notes": "New."}),
            ("<uuid:object_id>/csv/", "{id}/csv/", RemediationActivity, {}),
        )
    },
    "admin/vulnerabilities/recommendationexception/csv/": Place("admin/vulnerabilities/recommendationexception/csv/"),
    "admin/vulnerabilities/recommendationexception/import/": Place(
        "admin/vulnerabilities/recommendationexception/import/"
    ),
    "admin/vulnerabilities/recommendationexception/decide/<slug:answer>/": Place(
        "admin/vulnerabilities/recommendationexception/decide/approve/?id={id}", RecommendationException, REASON
    ),
    "admin/vulnerabilities/recommendationexception/<uuid:object_id>/<slug:verb_name>/decide/": Place(
        "admin/vulnerabilities/recommendationexception/{id}/approve/decide/", RecommendationException, REASON
    ),
    "admin/vulnerabilities/securitytask/<uuid:object_id>/<slug:verb_name>/decide/": Place(
        "admin/vulnerabilities/securitytask/{id}/accept/decide/", SecurityTask, {"note": "Because."}
    ),
    "admin/vulnerabilities/securitytask/<uuid:object_id>/send-again/": Place(
        "admin/vulnerabilities/securitytask/{id}/send-again/", SecurityTask, {}
    ),
    "api/v1/security-tasks/<uuid:pk>/devices/": Place("api/v1/security-tasks/{id}/devices/", SecurityTask),
    "api/v1/exceptions/<uuid:pk>/devices/": Place("api/v1/exceptions/{id}/devices/", RecommendationException),
    **{
        f"admin/vulnerabilities/knownexploitedvulnerability/{tail}": Place(
            f"admin/vulnerabilities/knownexploitedvulnerability/{tail.replace('<path:object_id>', 'CVE-2021-44228')}"
        )
        for tail in (*STOCK, "<path:object_id>/")
    },
    "admin/vulnerabilities/recommendation/customers/": Place("admin/vulnerabilities/recommendation/customers/?cve=z"),
    "api/v1/exceptions/decide/": Place("api/v1/exceptions/decide/"),
    "api/v1/exceptions/export/": Place("api/v1/exceptions/export/"),
    "api/v1/exceptions/import/": Place("api/v1/exceptions/import/"),
    "api/v1/exceptions/import/preview/": Place("api/v1/exceptions/import/preview/"),
    "api/v1/exceptions/preview/": Place("api/v1/exceptions/preview/"),
    "api/v1/mail-searches/": Place("api/v1/mail-searches/"),
    "api/v1/purges/preview/": Place("api/v1/purges/preview/"),
    "api/v1/known-exploited/": Place("api/v1/known-exploited/"),
    "api/v1/known-exploited/feed/": Place("api/v1/known-exploited/feed/"),
    "api/v1/recommendations/customers/": Place("api/v1/recommendations/customers/?product=zip"),
    "api/v1/recommendations/customers/never-read/": Place("api/v1/recommendations/customers/never-read/"),
    **{
        f"api/v1/recommendations/<uuid:pk>/{part}/": Place(f"api/v1/recommendations/{{id}}/{part}/", Recommendation)
        for part in ("devices", "history", "options")
    },
    "api/v1/burn-down/": Place("api/v1/burn-down/"),
    "api/v1/remediation-activities/export/": Place("api/v1/remediation-activities/export/"),
    **{
        f"api/v1/remediation-activities/<uuid:pk>/{part}/": Place(
            f"api/v1/remediation-activities/{{id}}/{part}/", RemediationActivity
        )
        for part in ("devices", "devices/export")
    },
    "api/v1/remediation-campaigns/": Place("api/v1/remediation-campaigns/"),
    "api/v1/remediation-campaigns/<uuid:campaign>/": Place("api/v1/remediation-campaigns/{id}/", RemediationActivity),
    "api/v1/schema/": Place("api/v1/schema/"),
    "api/v1/me/": Place("api/v1/me/"),
    "api/v1/action-types/": Place("api/v1/action-types/"),
    "api/v1/action-groups/": Place("api/v1/action-groups/"),
    "api/v1/action-groups/decide/": Place("api/v1/action-groups/decide/"),
    "api/v1/actions/decide/": Place("api/v1/actions/decide/"),
    "api/v1/corrections/": Place("api/v1/corrections/"),
    "api(/|)": Place("api/no/such/path/"),
}
"""Everything else, by pattern."""
