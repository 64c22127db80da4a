"""The Pending tab: what waits for a person."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.admin_site import Card
from portal.access.display import labelled, show_age
from portal.access.scoped_admin import BY_TENANT
from portal.tenancy.scope import has_scope
from remediation.actions.admin.addresses import url_of
from remediation.actions.admin.asking import ask_view
from remediation.actions.admin.center import ActionCenterAdmin, TypeFilter
from remediation.actions.admin.groups import group_urls
from remediation.actions.models import PendingAction, RemediationAction


@admin.register(PendingAction)
class PendingActionAdmin(ActionCenterAdmin):
    """Actions that wait for approval, newest first."""

    menu_place = 10
    change_list_template = "actions/pending_list.html"
    list_display = (
        "action", "target_shown", "tenant", "why", "approvals", "waiting_since", "expires",
    )  # fmt: skip
    list_filter = (BY_TENANT, TypeFilter, "source")
    bulk_verbs = ("approve", "reject")
    sortable_by = ("action", "waiting_since")
    empty_message = gettext_lazy(
        "Nothing waits for you. When an alert's evidence needs a person's decision, the action appears here; "
        "what is decided is under History."
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return what waits."""
        return super().get_queryset(request).awaiting_approval().with_approvals() if has_scope() else _nothing()

    def get_urls(self) -> list[URLPattern]:
        """Add the pages where an action is asked for, and those of groups."""
        view = self.admin_site.admin_view(self.ask_view)
        return [path("ask/", view, name="actions_ask"), *group_urls(self), *super().get_urls()]

    def ask_view(self, request: HttpRequest) -> HttpResponse:
        """Let a person ask for an action."""
        if not (self.has_view_permission(request) and has_scope()):
            raise PermissionDenied
        return ask_view(self, request)

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count what waits."""
        count = PendingAction.objects.awaiting_approval().count() if has_scope() else 0
        yield Card(
            label=gettext_lazy("Pending approval"),
            count=count,
            url="admin:actions_pendingaction_changelist",
            hint=gettext_lazy("Each expires after 7 days without a decision, as if rejected."),
            tone="waiting" if count else "good",
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the action; a link to one that has been decided meanwhile leads on to History."""
        if has_scope() and (action := _find_decided(unquote(object_id))):
            return HttpResponseRedirect(url_of(action))
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.display(description=gettext_lazy("approvals"))
    def approvals(self, row: Any) -> str:
        """Show how many people have approved, of how many needed."""
        words = _("%(given)d of %(needed)d") % {"given": row.approvals_given, "needed": row.approvals_needed}
        return labelled(_("Approvals"), words)

    @admin.display(description=gettext_lazy("waiting since"), ordering="id")
    def waiting_since(self, row: PendingAction) -> str:
        """Show since when it waits."""
        return labelled(_("Waiting since"), show_age(row.created_at))

    @admin.display(description=gettext_lazy("expires"))
    def expires(self, row: PendingAction) -> str:
        """Show when it lapses."""
        return labelled(_("Expires"), show_age(row.approve_before))


def _nothing() -> models.QuerySet:
    return PendingAction.objects.none()


def _find_decided(text: str) -> RemediationAction | None:
    try:
        found: RemediationAction | None = RemediationAction.objects.decided().filter(pk=text).first()
    except ValidationError:
        return None
    return found
