"""The page of security tasks in Intune: how each stands, which devices it names, and what people do to it from here."""

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.display import NOTHING, grouped, labelled, link_to, show_age
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of, events_of
from portal.access.verb_admin import Verb
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.admin.activity_columns import show_task_status
from remediation.vulnerabilities.intune.deciding import (
    LONGEST_NOTE,
    decide_task,
    may_decide_tasks,
    may_send_again,
    moves_of,
    send_again,
)
from remediation.vulnerabilities.models import SecurityTask
from remediation.vulnerabilities.states import Priority, TaskStatus

MOST_SHOWN: Final = 100
_PRIORITIES: Final = {"none": gettext_lazy("None"), **dict(Priority.choices)}
_DONE: Final = gettext_lazy("Intune is being asked. Load this page again in a few seconds.")


def _verb(name: str, button: Any, effect: Any, wanted: TaskStatus, tone: str) -> tuple[TaskStatus, Verb]:
    return wanted, Verb(
        name=name,
        button=button,
        effect=effect,
        done=_DONE,
        run=lambda row, actor: None,
        is_offered=lambda row: wanted in moves_of(row),
        tone=tone,
    )


VERBS: Final = dict(
    [
        _verb(
            "accept", gettext_lazy("Accept"),
            gettext_lazy("In Intune “%(row)s” becomes accepted, with your note. Nothing is changed on any device."),
            TaskStatus.ACTIVE, "approve",
        ),
        _verb(
            "reject", gettext_lazy("Reject"),
            gettext_lazy("In Intune “%(row)s” becomes rejected, with your note. It cannot be opened again."),
            TaskStatus.REJECTED, "reject",
        ),
        _verb(
            "complete", gettext_lazy("Complete"),
            gettext_lazy(
                "In Intune “%(row)s” becomes completed, with your note. That changes a label alone: devices count as "
                "fixed once they report it."
            ),
            TaskStatus.COMPLETED, "approve",
        ),
    ]
)  # fmt: skip


SEND_AGAIN: Final = Verb(
    name="send-again",
    button=gettext_lazy("Send again"),
    effect=gettext_lazy("“%(row)s” is sent to Intune once more. It was not made there, so it will not be there twice."),
    done=_DONE,
    run=lambda row, actor: send_again(row.pk, actor=actor),
    is_offered=may_send_again,
    tone="approve",
)


class TaskNoteForm(forms.Form):
    """A note that Intune keeps with the task."""

    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=LONGEST_NOTE,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text=gettext_lazy("It goes to Intune with the task, and on record with your name."),
    )


@admin.register(SecurityTask)
class SecurityTaskAdmin(ReadOnlyAdmin):
    """Security tasks, newest first."""

    menu_place = 17
    detail_template = "vulnerabilities/security_task.html"
    list_display = ("display_name", "status_badge", "tenant", "kind", "priority_label", "due", "devices_in_intune",
                    "ours")  # fmt: skip
    list_filter = (BY_TENANT, "status", "kind", ("activity", admin.EmptyFieldListFilter))
    list_select_related = ("tenant", "activity")
    search_fields = ("display_name", "creator")
    ordering = ("-id",)
    sortable_by = ("due",)
    empty_message = gettext_lazy("There are no security tasks, or no tenant's Intune is connected.")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the rows in scope, without what was received."""
        return super().get_queryset(request).defer("raw")

    def get_urls(self) -> list[URLPattern]:
        """Add the pages where a verb is confirmed."""
        decide, again = self.admin_site.admin_view(self.decide_view), self.admin_site.admin_view(self.again_view)
        return [
            path("<uuid:object_id>/<slug:verb_name>/decide/", decide, name="vulnerabilities_securitytask_decide"),
            path("<uuid:object_id>/send-again/", again, name="vulnerabilities_securitytask_again"),
            *super().get_urls(),
        ]

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def status_badge(self, row: SecurityTask) -> str:
        """Show the status."""
        return show_task_status(row.status)

    @admin.display(description=gettext_lazy("priority"))
    def priority_label(self, row: SecurityTask) -> str:
        """Show how urgent it is."""
        return labelled(_("Priority"), _show_priority(row))

    @admin.display(description=gettext_lazy("due"), ordering="due_at")
    def due(self, row: SecurityTask) -> str:
        """Show when it is due."""
        return labelled(_("Due"), show_age(row.due_at))

    @admin.display(description=gettext_lazy("devices"))
    def devices_in_intune(self, row: SecurityTask) -> str:
        """Show how many devices Intune says it names."""
        return labelled(_("Devices"), _show_count(row.managed_device_count))

    @admin.display(description=gettext_lazy("activity"))
    def ours(self, row: SecurityTask) -> str:
        """Link to the activity that asked for it."""
        return labelled(_("Activity"), _activity(row))

    def sections(self, request: HttpRequest, row: SecurityTask) -> Sequence[Section]:
        """Return what is asked, by whom, and what Intune says."""
        sent = row.activity.devices_sent if row.activity else None
        asked = [
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Kind"), row.get_kind_display()),
            (gettext_lazy("Activity"), _activity(row)),
            (gettext_lazy("Description"), row.description or NOTHING),
            (gettext_lazy("Priority"), _show_priority(row)),
            (gettext_lazy("Due"), show_age(row.due_at)),
            (gettext_lazy("Creator"), row.creator or NOTHING),
            (gettext_lazy("Creator's notes"), row.creator_notes or NOTHING),
            (gettext_lazy("Devices sent"), _show_count(sent)),
        ]
        said = [
            (gettext_lazy("Note of the IT admin"), row.admin_note or NOTHING),
            (gettext_lazy("Assigned to"), row.assigned_to or NOTHING),
            (gettext_lazy("Devices in Intune"), _show_count(row.managed_device_count)),
            (gettext_lazy("Created in Intune"), show_age(row.created_at_source)),
            (gettext_lazy("Last seen in Intune"), show_age(row.seen_at)),
        ]
        return [Section(gettext_lazy("What is asked"), asked), Section(gettext_lazy("What Intune says"), said)]

    def detail_context(self, request: HttpRequest, row: SecurityTask) -> dict[str, Any]:
        """Return what can be done about it, the devices it names, and its history."""
        wanted = TaskStatus(row.wanted_status) if row.wanted_status else None
        is_open = bool(moves_of(row))
        may = actor_of(request).may(Capability.HANDLE_REMEDIATION, row.tenant_id)
        is_allowed = is_open and may_decide_tasks(row.tenant_id)
        offered = [verb for status, verb in VERBS.items() if status in moves_of(row)] if may and is_allowed else []
        verbs = [(verb.button, _decide_url(row, verb.name), verb.tone) for verb in offered]
        if may and may_send_again(row):
            again_url = reverse("admin:vulnerabilities_securitytask_again", args=[row.pk])
            verbs.append((SEND_AGAIN.button, again_url, SEND_AGAIN.tone))
        return {
            "state": show_task_status(row.status),
            "wanted": wanted.label if wanted else "",
            "verbs": verbs,
            "is_elsewhere": is_open and not is_allowed,
            "devices": list(row.devices.order_by("name", "id")[:MOST_SHOWN]),
            "device_count": row.devices.count(),
            "events": events_of(row.pk),
        }

    def decide_view(self, request: HttpRequest, object_id: Any, verb_name: str) -> HttpResponse:
        """Ask for the note, then do the verb."""
        row = self._row_to_handle(request, object_id)
        found = next(((status, verb) for status, verb in VERBS.items() if verb.name == verb_name), None)
        if found is None:
            raise Http404
        form = TaskNoteForm(request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid() and self._decided(request, row, found[0], form):
            return HttpResponseRedirect(reverse("admin:vulnerabilities_securitytask_change", args=[row.pk]))
        return self._confirm_page(request, row, found[1], form)

    def again_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Say what sending it again brings about; when that was confirmed, do it."""
        row = self._row_to_handle(request, object_id)
        if request.method != "POST":
            return self._confirm_page(request, row, SEND_AGAIN, None)
        try:
            with acting_for(row.tenant_id):
                SEND_AGAIN.run(row, actor_of(request))
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(request, str(_DONE), messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:vulnerabilities_securitytask_change", args=[row.pk]))

    def _row_to_handle(self, request: HttpRequest, object_id: Any) -> SecurityTask:
        """Return the task, for who may handle remediation in its tenant. Raises PermissionDenied, Http404."""
        if not actor_of(request).may_anywhere(Capability.HANDLE_REMEDIATION):
            raise PermissionDenied
        row: SecurityTask | None = self.get_object(request, str(object_id))
        if row is None:
            raise Http404
        if not actor_of(request).may(Capability.HANDLE_REMEDIATION, row.tenant_id):
            raise PermissionDenied
        return row

    def _confirm_page(self, request: HttpRequest, row: SecurityTask, verb: Verb, form: Any) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": verb.button,
            "opts": self.opts,
            "original": row,
            "verb": verb,
            "effect": str(verb.effect) % {"row": row},
            "is_possible": verb.is_offered(row),
            "form": form,
        }
        return TemplateResponse(request, "admin/verb.html", context)

    def _decided(self, request: HttpRequest, row: SecurityTask, wanted: TaskStatus, form: TaskNoteForm) -> bool:
        try:
            with acting_for(row.tenant_id):
                decide_task(row.pk, wanted, words=form.cleaned_data["note"], actor=actor_of(request))
        except Refusal as refusal:
            form.add_error(None, str(refusal))
            return False
        self.message_user(request, str(_DONE), messages.SUCCESS)
        return True


def _show_priority(row: SecurityTask) -> str:
    """Show Intune's word, or ours for what was asked for; Intune knows no medium."""
    return str(_PRIORITIES.get(row.priority, row.priority)) or NOTHING


def _show_count(count: int | None) -> str:
    return NOTHING if count is None else grouped(count)


def _activity(row: SecurityTask) -> str:
    return link_to("vulnerabilities_remediationactivity", row.activity_id, row.activity)


def _decide_url(row: SecurityTask, verb_name: str) -> str:
    return reverse("admin:vulnerabilities_securitytask_decide", args=[row.pk, verb_name])
