"""Every URL of the portal."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from investigations.api.device_groups import DeviceGroupViewSet
from investigations.api.devices import DeviceViewSet
from investigations.api.evidence import EvidenceViewSet
from portal.api.errors import NoSuchRoute
from portal.api.resources.audit_events import AuditEventViewSet
from portal.api.resources.me import MeView
from portal.api.resources.tenants import TenantViewSet
from remediation.actions.api.action_types import ActionTypesView
from remediation.actions.api.actions import ActionViewSet
from remediation.actions.api.alerts import AlertIntakeViewSet
from remediation.actions.api.investigations import StoppableInvestigationViewSet

router = SimpleRouter(use_regex_path=False)
router.register("tenants", TenantViewSet, "tenant")
router.register("audit-events", AuditEventViewSet, "audit-event")
router.register("device-groups", DeviceGroupViewSet, "device-group")
router.register("devices", DeviceViewSet, "device")
router.register("alerts", AlertIntakeViewSet, "alert")
router.register("investigations", StoppableInvestigationViewSet, "investigation")
router.register("evidence", EvidenceViewSet, "evidence")
router.register("actions", ActionViewSet, "action")

api_v1: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("me/", MeView.as_view(), name="me"),
    path("action-types/", ActionTypesView.as_view(), name="action-types"),
    *router.urls,
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api_v1)),
    re_path(r"^api(/|$)", NoSuchRoute.as_view()),
]

handler500 = "portal.api.errors.answer_crash"
