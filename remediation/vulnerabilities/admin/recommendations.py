"""The pages of security recommendations: the list over all tenants, one recommendation, and exposed customers."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.admin_site import Card
from portal.access.display import grouped
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section
from portal.tenancy.scope import has_scope
from remediation.vulnerabilities.admin import recommendation_filters as filters
from remediation.vulnerabilities.admin import recommendation_showing as showing
from remediation.vulnerabilities.models import (
    Exposure,
    ExposureDay,
    KnownExploitedFeed,
    KnownExploitedVulnerability,
    Recommendation,
    RecommendationException,
    RemediationActivity,
    VulnerabilitySync,
)
from remediation.vulnerabilities.querysets import today
from remediation.vulnerabilities.recommendations.customers import about, cve_trouble, exposed_customers, never_read
from remediation.vulnerabilities.recommendations.searching import search
from remediation.vulnerabilities.states import ActivityState

TREND_DAYS = 7
DEVICES_ON_PAGE = 100
DAYS_SHOWN = 90
MOST_ROWS = 50


@admin.register(Recommendation)
class RecommendationAdmin(ReadOnlyAdmin):
    """Security recommendations in Microsoft's columns. They come from Defender; what is done about them, from here."""

    menu_place = 14
    change_list_template = "vulnerabilities/recommendations.html"
    detail_template = "vulnerabilities/recommendation.html"
    list_display = ("recommendation", "tenant_shown", "weaknesses_shown", "threats", "exposed", "remediation", "impact",
                    "status_shown")  # fmt: skip
    list_filter = (
        BY_TENANT,
        filters.StatusFilter,
        filters.ExploitFilter,
        filters.RemediationTypeFilter,
        filters.CategoryFilter,
        filters.NamedFilter,
        filters.ListedFilter,
    )
    search_fields = ("name",)
    search_help_text = gettext_lazy("Recommendation, product, vendor, component or a CVE")
    ordering = ("-exposed_count", "-id")
    empty_message = gettext_lazy(
        "No security recommendations yet. They are read from Defender once a tenant's connection works and may read "
        "them (SecurityRecommendation.Read.All)."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Bring along what the list shows."""
        if not has_scope():
            return Recommendation.objects.none()
        open_ones = RemediationActivity.objects.filter(recommendation=OuterRef("pk"), state=ActivityState.ACTIVE)
        counted = open_ones.order_by().values("recommendation").annotate(count=Count("pk")).values("count")
        before = ExposureDay.objects.filter(
            tenant=OuterRef("tenant"), recommendation=OuterRef("pk"), day__lte=today() - timedelta(days=TREND_DAYS)
        )
        rows = (
            Recommendation.objects.select_related("tenant")
            .defer("raw")
            .annotate(
                open_activities=Coalesce(Subquery(counted), 0),
                exposed_before=Subquery(before.order_by("-day").values("exposed_count")[:1]),
            )
        )
        return rows.order_by(*self.get_ordering(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look into what one types here: names, or a CVE."""
        return (queryset.filter(search(search_term)) if search_term.strip() else queryset), False

    def get_urls(self) -> list[URLPattern]:
        """Add the page of exposed customers."""
        view = self.admin_site.admin_view(self.customers_view)
        return [path("customers/", view, name="vulnerabilities_recommendation_customers"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, with tenants whose reading stopped and how the known-exploited list is."""
        troubled: Iterable[VulnerabilitySync] = ()
        if has_scope():
            syncs = VulnerabilitySync.objects.exclude(detail="").select_related("tenant")
            troubled = syncs.order_by("tenant__name")[:MOST_ROWS]
        feed = KnownExploitedFeed.objects.first()
        context = {"troubled": troubled, "feed": showing.show_feed(feed) if feed else ""}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count the tenants whose last reading stopped, refused rows or is not done."""
        count = VulnerabilitySync.objects.exclude(detail="").count() if has_scope() else 0
        if count:
            yield Card(
                label=gettext_lazy("Tenants whose recommendations were not read whole"),
                count=count,
                url="admin:vulnerabilities_recommendation_changelist",
                hint=gettext_lazy("What was read before stays. The list says why, tenant by tenant."),
                tone="waiting",
            )

    def customers_view(self, request: HttpRequest) -> HttpResponse:
        """Say which customers are exposed to a CVE or a product."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = {name: request.GET.get(name, "").strip()[:200] for name in ("cve", "product", "vendor")}
        is_asked = any(asked.values())
        trouble = cve_trouble(asked["cve"])
        is_found = is_asked and has_scope() and not trouble
        context = {
            **self.admin_site.each_context(request),
            "title": _("Exposed customers"),
            "opts": self.opts,
            "asked": asked,
            "is_asked": is_asked,
            "trouble": trouble,
            "never_read": never_read() if is_found else [],
            "customers": showing.with_links(exposed_customers(about(**asked)), asked) if is_found else [],
        }
        return TemplateResponse(request, "vulnerabilities/exposed_customers.html", context)

    def sections(self, request: HttpRequest, row: Recommendation) -> Sequence[Section]:
        """Return the row's facts."""
        return showing.sections(row)

    def detail_context(self, request: HttpRequest, row: Recommendation) -> dict[str, Any]:
        """Return what can be done about it, its CVEs, devices, days, activities and exceptions."""
        known = KnownExploitedVulnerability.objects.filter(cve_id__in=row.cve_ids, removed_at=None).in_bulk()
        exposures = (
            Exposure.objects.filter(recommendation=row).select_related("device__group").order_by("device__name", "pk")
        )
        page = Paginator(exposures, DEVICES_ON_PAGE).get_page(request.GET.get("page"))
        days = list(ExposureDay.objects.filter(recommendation=row).order_by("-day")[:DAYS_SHOWN])
        return {
            "buttons": showing.buttons(request, row),
            "status": showing.show_status(row),
            "threat_marks": showing.show_threats(row),
            "cves": [(cve_id, known.get(cve_id)) for cve_id in row.cve_ids],
            "page": page,
            "days": days,
            "chart": showing.draw(days[::-1]) if len(days) > 1 else None,
            "activities": row.activities.order_by("-pk")[:MOST_ROWS],
            "exceptions": RecommendationException.objects.filter(
                Q(recommendation=row) | Q(tenant=row.tenant_id, cve_id__in=row.cve_ids)
            ).order_by("-pk")[:MOST_ROWS],
        }

    @admin.display(description=gettext_lazy("recommendation"), ordering="name")
    def recommendation(self, row: Recommendation) -> str:
        """Show what to do, and to what."""
        return showing.named(row)

    @admin.display(description=gettext_lazy("tenant"), ordering="tenant__name")
    def tenant_shown(self, row: Recommendation) -> str:
        """Show whose it is."""
        return showing.cell(_("Tenant"), row.tenant)

    @admin.display(description=gettext_lazy("weaknesses"), ordering="weaknesses")
    def weaknesses_shown(self, row: Recommendation) -> str:
        """Show how many vulnerabilities it would take away."""
        return showing.cell(_("Weaknesses"), grouped(row.weaknesses))

    @admin.display(description=gettext_lazy("threats"))
    def threats(self, row: Recommendation) -> str:
        """Show what is known of attacks."""
        return showing.show_threats(row)

    @admin.display(description=gettext_lazy("exposed devices"), ordering="exposed_count")
    def exposed(self, row: Any) -> str:
        """Show how many devices are exposed, of how many, outside of exceptions, and how that went within a week."""
        return showing.cell(_("Exposed devices"), showing.show_exposed(row, row.exposed_before))

    @admin.display(description=gettext_lazy("remediation type"), ordering="remediation_type")
    def remediation(self, row: Any) -> str:
        """Show Microsoft's word for what to do, and how many activities are open for it."""
        return showing.cell(_("Remediation type"), showing.show_remediation(row, row.open_activities))

    @admin.display(description=gettext_lazy("impact"), ordering="exposure_impact")
    def impact(self, row: Recommendation) -> str:
        """Show what it would do to the scores."""
        return showing.cell(_("Impact"), showing.show_impact(row))

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def status_shown(self, row: Recommendation) -> str:
        """Show what exceptions leave of it."""
        return showing.show_status(row)
