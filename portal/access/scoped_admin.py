"""What every admin page has in common: rights by capability, rows by scope, strangers get 404, history is the audit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from portal.access.actors import Actor
from portal.access.admin_site import LAST_PLACE, Card
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.audit.models import AuditEvent
from portal.audit.recording import record
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import current_scope, has_scope, viewing

MOST_EVENTS = 200


class TenantFilter(admin.RelatedFieldListFilter):
    """Customers the person sees, without the provider's own reserved tenant."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin) -> Any:
        """Return the tenants to choose from."""
        return list(field.get_choices(include_blank=False, limit_choices_to={"is_active": True}))

    def has_output(self) -> bool:
        """A choice of one is none; but a filter that is set is never passed over."""
        return super().has_output() or bool(self.used_parameters)


BY_TENANT = ("tenant", TenantFilter)


class WordFilter(admin.SimpleListFilter):
    """By a column that holds one of Microsoft's words, offered without asking the whole table which occur."""

    words: ClassVar[Sequence[tuple[str, Any]]] = ()

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Sequence[tuple[str, Any]]:
        """Return the words to choose from."""
        return self.words

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        """Narrow the list."""
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


def actor_of(request: HttpRequest) -> Actor:
    """Return who asks. Raises PermissionDenied for nobody."""
    actor: Actor | None = request.actor  # type: ignore[attr-defined]
    if actor is None:
        raise PermissionDenied
    return actor


class ScopedAdmin(admin.ModelAdmin):
    """Stock lists and forms over the rows in scope, for people who hold the capabilities.

    An id that is another tenant's gets what an unknown id gets: 404. Nothing can be added, changed or deleted unless a
    subclass names the capability for it; what is saved here is recorded with its values before and after.
    """

    view_capability: ClassVar[Capability] = Capability.READ
    add_capability: ClassVar[Capability | None] = None
    change_capability: ClassVar[Capability | None] = None
    delete_capability: ClassVar[Capability | None] = None
    add_takes_second_factor: ClassVar[bool] = False
    menu_place: ClassVar[int] = LAST_PLACE
    empty_message: ClassVar[str | Promise] = _("There is nothing here yet.")
    recorded_fields: ClassVar[Sequence[str]] = ()
    add_label: ClassVar[str | Promise] = ""

    change_list_template = "admin/scoped_change_list.html"
    object_history_template = "admin/events_of_object.html"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    view_on_site = False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Return the rows in scope; a person without memberships has no scope and sees none."""
        return super().get_queryset(request) if has_scope() else self.model._default_manager.none()

    def tenant_id_of(self, row: Any) -> UUID | None:
        """Return whose row it is, None for the provider's own."""
        return getattr(row, "tenant_id", None)

    def _may(self, request: HttpRequest, capability: Capability | None, row: Any) -> bool:
        actor: Actor | None = request.actor  # type: ignore[attr-defined]
        if capability is None or actor is None:
            return False
        tenant_id = self.tenant_id_of(row) if row is not None else None
        return actor.may(capability, tenant_id) if tenant_id else actor.may_anywhere(capability)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person may see the row, or any."""
        return self._may(request, self.view_capability, obj)

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:
        """Return whether the person may add one somewhere; for which tenant is checked when it is saved."""
        return self._may(request, self.add_capability, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person may change the row, or any."""
        return self._may(request, self.change_capability, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person may delete the row, or any."""
        return self._may(request, self.delete_capability, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the page is in the person's menu."""
        return self.has_view_permission(request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out deleting many at once: what may be deleted is looked at first."""
        return {name: found for name, found in super().get_actions(request).items() if name != "delete_selected"}

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Return what this page has to say on the first one."""
        return ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list under its own name, with a sentence where it is empty."""
        context = {
            "title": capfirst(self.opts.verbose_name_plural),
            "empty_message": self.empty_message,
            "add_label": self.add_label,
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or save one row. A refusal takes back what was written, and is told above what was typed.

        Raises SecondFactorNeeded before anything is typed, where adding one would need it in the end.
        """
        if request.method == "GET" and object_id is None and self.add_takes_second_factor:
            if not self.has_add_permission(request):
                raise PermissionDenied
            actor_of(request).require_second_factor()
        try:
            return self._in_scope(
                lambda: super(ScopedAdmin, self).changeform_view(request, object_id, form_url, extra_context)
            )
        except Refusal as refusal:
            request.refusal = str(refusal)  # type: ignore[attr-defined]  # for `get_form`
            return self._in_scope(
                lambda: super(ScopedAdmin, self).changeform_view(request, object_id, form_url, extra_context)
            )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> type[ModelForm]:
        """Return the form; once it was refused, one that tells so and keeps what was typed."""
        form: type[ModelForm] = super().get_form(request, obj, change=change, **options)
        refusal = getattr(request, "refusal", "")

        class RefusedForm(form):  # type: ignore[valid-type, misc]  # the admin makes its forms at run time too
            def clean(self) -> None:
                raise ValidationError(refusal)

        return RefusedForm if refusal else form

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask, then delete one row. A refusal is told."""
        return self._or_told(request, lambda: super(ScopedAdmin, self).delete_view(request, object_id, extra_context))

    def _in_scope(self, view: Callable[[], HttpResponse]) -> HttpResponse:
        if not has_scope():
            raise PermissionDenied
        with viewing(current_scope().tenant_ids):
            return view()

    def _or_told(self, request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
        try:
            return self._in_scope(view)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what the audit knows of the row."""
        if not self.has_view_permission(request):
            raise PermissionDenied  # before looking: 404 for some ids alone would tell strangers which exist
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("History of %(name)s") % {"name": row},
            "opts": self.opts,
            "original": row,
            "events": events_of(row.pk),
        }
        return TemplateResponse(request, self.object_history_template, context)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        raise Http404

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer only rows in scope, and as tenants only customers; the only one is chosen already."""
        if db_field.name == "tenant":
            options["queryset"] = offered = self.tenants_to_choose(request)
            options["initial"] = offered[0] if len(offered[:2]) == 1 else None
        return super().formfield_for_foreignkey(db_field, request, **options)

    def tenants_to_choose(self, request: HttpRequest) -> models.QuerySet:
        """Return the tenants that something can be added for."""
        return Tenant.objects.filter(is_active=True).order_by("name", "pk")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer what there is, without shortcuts to making more of it: each thing has its own page."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        """Save the row and record what changed, in one transaction."""
        capability = self.change_capability if change else self.add_capability
        if not self._may(request, capability, obj):
            raise PermissionDenied
        before = self.model._base_manager.get(pk=obj.pk) if change else None
        super().save_model(request, obj, form, change)
        self._record(request, obj, "changed" if change else "added", before=before, after=obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete the row and record what it was, in one transaction."""
        self._record(request, obj, "deleted", before=obj, after=None)
        super().delete_model(request, obj)

    def _record(self, request: HttpRequest, row: Any, what: str, *, before: Any, after: Any) -> None:
        kind = self.opts.model_name
        record(
            self.tenant_id_of(row) or PROVIDER_TENANT_ID,
            f"{kind}.{what}",
            object_type=self.opts.verbose_name_raw,
            object_id=row.pk,
            actor=actor_of(request).stamp,
            data={"before": self._values(before), "after": self._values(after)},
        )

    def _values(self, row: Any) -> dict[str, str] | None:
        return {name: str(getattr(row, name)) for name in self.recorded_fields} if row is not None else None

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write no LogEntry: the audit is the one history."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write no LogEntry: the audit is the one history."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Write no LogEntry: the audit is the one history."""


@dataclass(frozen=True, slots=True)
class Section:
    """A titled block of facts on a page, each a label and a value."""

    title: str | Promise
    facts: Sequence[tuple[str | Promise, object]]


class ReadOnlyAdmin(ScopedAdmin):
    """Pages one only reads: the list, and per row its facts in sections instead of a form."""

    detail_template: ClassVar[str] = "admin/detail.html"

    def sections(self, request: HttpRequest, row: Any) -> Sequence[Section]:
        """Return the row's facts; each page has its own."""
        return ()

    def detail_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what the page shows besides facts."""
        return {}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the row's facts."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request, row):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": str(row),
            "kind": self.opts.verbose_name,
            "opts": self.opts,
            "original": row,
            "sections": self.sections(request, row),
            **self.detail_context(request, row),
        }
        return TemplateResponse(request, self.detail_template, context)


def events_of(object_id: UUID) -> list[AuditEvent]:
    """Return the newest of what the audit knows of one object, newest first."""
    return list(AuditEvent.objects.filter(object_id=object_id).order_by("-at", "-seq")[:MOST_EVENTS])
