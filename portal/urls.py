"""Every URL of the portal."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from connectors.api.connections import ConnectionViewSet
from connectors.outbound.api.channels import ChannelViewSet
from connectors.outbound.api.deliveries import DeliveryViewSet
from investigations.api.device_groups import DeviceGroupViewSet
from investigations.api.devices import DeviceViewSet
from investigations.api.evidence import EvidenceViewSet
from portal.access.invitations import welcome
from portal.api.errors import NoSuchRoute
from portal.api.resources.audit_events import AuditEventViewSet
from portal.api.resources.identity_providers import IdentityProviderViewSet
from portal.api.resources.me import MeView
from portal.api.resources.memberships import MemberViewSet, ProviderMembershipViewSet
from portal.api.resources.service_accounts import ApiKeyViewSet, ServiceAccountViewSet
from portal.api.resources.tenant_groups import TenantGroupViewSet
from portal.api.resources.tenants import TenantViewSet
from portal.api.resources.users import UserViewSet
from remediation.actions.api.action_types import ActionTypesView
from remediation.actions.api.actions import ActionViewSet
from remediation.actions.api.alerts import AlertIntakeViewSet
from remediation.actions.api.corrections import CorrectionsView
from remediation.actions.api.groups import DecideActionsView, DecideGroupView, GroupsView
from remediation.actions.api.investigations import StoppableInvestigationViewSet
from remediation.hunting.api.hunts import HuntViewSet
from remediation.hunting.api.mail_searches import MailSearchViewSet
from remediation.retention.api.legal_holds import LegalHoldViewSet
from remediation.retention.api.purges import PurgeViewSet
from remediation.retention.api.retention_rules import RetentionRuleViewSet
from remediation.safeguards.api.break_glass import BreakGlassViewSet
from remediation.safeguards.api.caps import HourlyLimitViewSet
from remediation.safeguards.api.changes import GuardedChangeViewSet
from remediation.safeguards.api.freezes import FreezeViewSet
from remediation.safeguards.api.protection import ProtectedDeviceViewSet
from remediation.safeguards.api.rules import ApprovalRuleViewSet
from remediation.vulnerabilities.api.activities import ActivityViewSet
from remediation.vulnerabilities.api.burn_down import BurnDownViewSet
from remediation.vulnerabilities.api.campaigns import CampaignViewSet
from remediation.vulnerabilities.api.exceptions import ExceptionViewSet
from remediation.vulnerabilities.api.intune import IntuneConnectionViewSet
from remediation.vulnerabilities.api.known_exploited import KnownExploitedViewSet
from remediation.vulnerabilities.api.managed_devices import ManagedDeviceViewSet
from remediation.vulnerabilities.api.recommendations import RecommendationViewSet
from remediation.vulnerabilities.api.security_tasks import SecurityTaskViewSet

router = SimpleRouter(use_regex_path=False)
router.register("tenants", TenantViewSet, "tenant")
router.register("tenant-groups", TenantGroupViewSet, "tenant-group")
router.register("users", UserViewSet, "user")
router.register("members", MemberViewSet, "member")
router.register("provider-memberships", ProviderMembershipViewSet, "provider-membership")
router.register("service-accounts", ServiceAccountViewSet, "service-account")
router.register("api-keys", ApiKeyViewSet, "api-key")
router.register("connections", ConnectionViewSet, "connection")
router.register("notification-channels", ChannelViewSet, "notification-channel")
router.register("deliveries", DeliveryViewSet, "delivery")
router.register("audit-events", AuditEventViewSet, "audit-event")
router.register("identity-providers", IdentityProviderViewSet, "identity-provider")
router.register("device-groups", DeviceGroupViewSet, "device-group")
router.register("devices", DeviceViewSet, "device")
router.register("alerts", AlertIntakeViewSet, "alert")
router.register("investigations", StoppableInvestigationViewSet, "investigation")
router.register("evidence", EvidenceViewSet, "evidence")
router.register("actions", ActionViewSet, "action")
router.register("hunts", HuntViewSet, "hunt")
router.register("mail-searches", MailSearchViewSet, "mail-search")
router.register("remediation-activities", ActivityViewSet, "remediation-activity")
router.register("remediation-campaigns", CampaignViewSet, "remediation-campaign")
router.register("burn-down", BurnDownViewSet, "burn-down")
router.register("recommendations", RecommendationViewSet, "recommendation")
router.register("known-exploited", KnownExploitedViewSet, "known-exploited")
router.register("intune-connections", IntuneConnectionViewSet, "intune-connection")
router.register("security-tasks", SecurityTaskViewSet, "security-task")
router.register("managed-devices", ManagedDeviceViewSet, "managed-device")
router.register("freezes", FreezeViewSet, "freeze")
router.register("hourly-limits", HourlyLimitViewSet, "hourly-limit")
router.register("protected-devices", ProtectedDeviceViewSet, "protected-device")
router.register("approval-rules", ApprovalRuleViewSet, "approval-rule")
router.register("guarded-changes", GuardedChangeViewSet, "guarded-change")
router.register("break-glass", BreakGlassViewSet, "break-glass")
router.register("exceptions", ExceptionViewSet, "exception")
router.register("retention-rules", RetentionRuleViewSet, "retention-rule")
router.register("legal-holds", LegalHoldViewSet, "legal-hold")
router.register("purges", PurgeViewSet, "purge")

api_v1: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("me/", MeView.as_view(), name="me"),
    path("action-types/", ActionTypesView.as_view(), name="action-types"),
    path("action-groups/", GroupsView.as_view(), name="action-groups"),
    path("action-groups/decide/", DecideGroupView.as_view(), name="action-groups-decide"),
    path("actions/decide/", DecideActionsView.as_view(), name="actions-decide"),
    path("corrections/", CorrectionsView.as_view(), name="corrections"),
    *router.urls,
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("accounts/", include("portal.access.sign_in.urls")),
    path("accounts/welcome/<str:token>/", welcome, name="welcome"),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api_v1)),
    re_path(r"^api(/|$)", NoSuchRoute.as_view()),
]

OPEN_API_VIEWS = frozenset({"portal.api.errors.NoSuchRoute"})
"""The views of the API that ask nobody who they are; `portal.api.default_deny` holds both lists at every start."""

OTHER_PAGES = frozenset(
    {
        # open to all: they lead to sign-in, or are part of it
        "home", "welcome", "admin:login", "admin:logout", "account_login", "account_logout", "mfa_authenticate",
        "organisation_login", "organisation_callback", "account_reset_password", "account_reset_password_done",
        "account_reset_password_from_key", "account_reset_password_from_key_done",
        # guarded by django-allauth or our own decorators: for the person who is signed in, about themselves
        "sign_out_everywhere", "account_reauthenticate", "account_change_password", "organisations",
        "organisation_unlink", "mfa_index", "mfa_reauthenticate", "mfa_activate_totp", "mfa_deactivate_totp",
        "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes", "mfa_list_webauthn",
        "mfa_add_webauthn", "mfa_reauthenticate_webauthn", "mfa_remove_webauthn", "mfa_edit_webauthn",
    }
)  # fmt: skip
"""Pages that neither the API's permissions nor the admin site's wrapper guard; listed once they guard themselves."""

handler429 = "portal.access.sign_in.views.too_many"
handler500 = "portal.api.errors.answer_crash"
