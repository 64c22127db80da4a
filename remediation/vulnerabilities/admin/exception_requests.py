"""The page where an exception is asked for: what it would change is shown before it is sent."""

from typing import Any
from uuid import UUID

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from portal.access.exceptions import BadRequest
from portal.access.roles import Capability
from portal.access.scoped_admin import actor_of
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for, has_scope
from remediation.vulnerabilities.admin.exception_forms import CveForm, ExceptionForm
from remediation.vulnerabilities.exceptions.preview import preview
from remediation.vulnerabilities.exceptions.requesting import Reach, Subject, request_exception, subject_of_cve
from remediation.vulnerabilities.models import Recommendation, RecommendationException
from remediation.vulnerabilities.states import Justification


def subject_from(request: HttpRequest) -> Subject | None:
    """Return what the address names: `?recommendation=`, or `?tenant=` with `?cve=`; None where it names nothing.

    Raises Http404 for rows that are not there or not the person's, PermissionDenied without the right, BadRequest for
    what is no CVE.
    """
    if not has_scope():
        raise PermissionDenied
    subject = _recommendation_from(request) if "recommendation" in request.GET else _cve_from(request)
    if subject is not None and not actor_of(request).may(Capability.HANDLE_REMEDIATION, subject.tenant_id):
        raise PermissionDenied
    return subject


def choose_page(pages: ModelAdmin, request: HttpRequest, refusal: str) -> TemplateResponse:
    """Return the page that asks for which CVE an exception is to be."""
    mine = actor_of(request).tenants_where(Capability.HANDLE_REMEDIATION)
    form = CveForm(initial=request.GET.dict())
    offered = Tenant.objects.filter(pk__in=mine, is_active=True).exclude(pk=PROVIDER_TENANT_ID).order_by("name")
    form.fields["tenant"].queryset = offered  # type: ignore[attr-defined]  # a field of rows, by its class
    context = {
        **pages.admin_site.each_context(request),
        "title": _("Request an exception"),
        "opts": pages.opts,
        "form": form,
        "refusal": refusal,
    }
    return TemplateResponse(request, "vulnerabilities/exception_choose.html", context)


def request_page(pages: ModelAdmin, request: HttpRequest, subject: Subject, form: ExceptionForm) -> TemplateResponse:
    """Return the form; once it is filled in, with what the exception would change and the button that sends it."""
    asked = form.cleaned_data if form.is_bound and form.is_valid() else None
    context = {
        **pages.admin_site.each_context(request),
        "title": _("Request an exception"),
        "opts": pages.opts,
        "subject": subject,
        "tenant": Tenant.objects.get(pk=subject.tenant_id),
        "form": form,
        "preview": preview(subject, asked["reach"]) if asked else None,
        "expires_on": asked["expires_on"] if asked else None,
        "previewed": _digest(asked) if asked else "",
        "is_cve": bool(subject.cve_id),
    }
    return TemplateResponse(request, "vulnerabilities/exception_request.html", context)


def is_to_be_sent(request: HttpRequest, form: ExceptionForm) -> bool:
    """Return whether the person saw what this very scope would change and until when, and sends it."""
    return request.POST.get("step") == "send" and request.POST.get("previewed") == _digest(form.cleaned_data)


def send(request: HttpRequest, subject: Subject, cleaned: dict[str, Any]) -> RecommendationException:
    """Ask for the exception. Raises a Refusal."""
    with acting_for(subject.tenant_id):
        return request_exception(
            subject,
            cleaned["reach"],
            justification=Justification(cleaned["justification"]),
            context=cleaned["context"],
            expires_on=cleaned["expires_on"],
            actor=actor_of(request),
        )


def _recommendation_from(request: HttpRequest) -> Subject:
    key = _uuid(request.GET["recommendation"])
    recommendation = Recommendation.objects.filter(pk=key).first() if key else None
    if recommendation is None:
        raise Http404
    return Subject(recommendation.tenant_id, recommendation)


def _cve_from(request: HttpRequest) -> Subject | None:
    if not {"tenant", "cve"} <= request.GET.keys():
        return None
    key = _uuid(request.GET["tenant"])
    if key is None or not Tenant.objects.filter(pk=key, is_active=True).exclude(pk=PROVIDER_TENANT_ID).exists():
        raise Http404
    subject = subject_of_cve(key, request.GET["cve"])
    if not subject.recommendations().exists():
        words = _("No recommendation of this tenant names %(cve)s. Check how it is written.")
        raise BadRequest(words % {"cve": subject.cve_id})
    return subject


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _digest(asked: dict[str, Any]) -> str:
    reach: Reach = asked["reach"]
    scope = "tenant" if reach.is_global else ",".join(sorted(str(key) for key in reach.group_ids))
    return f"{scope} {asked['expires_on']:%Y-%m-%d}"
