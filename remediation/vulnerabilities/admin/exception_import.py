"""The page where a register of exceptions is imported: the file, what it would ask for, and only then the request."""

import zlib
from collections.abc import Sequence
from typing import Any, Final, cast

from django import forms
from django.contrib.admin import ModelAdmin
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.exceptions import Refusal
from portal.access.scoped_admin import actor_of
from portal.api.csv_import import decode_csv
from remediation.vulnerabilities.exceptions.importing import (
    LARGEST,
    MOST_LINES,
    LineResult,
    import_register,
    preview_register,
)
from remediation.vulnerabilities.exceptions.requesting import LONGEST_DAYS
from remediation.vulnerabilities.exceptions.telling import scope_in_words
from remediation.vulnerabilities.states import Justification

SHOWN_FOR_SECONDS: Final = 24 * 60 * 60
"""How long after a preview the file it showed can be sent."""


class RegisterForm(forms.Form):
    """A file from a spreadsheet."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("CSV in UTF-8: at most %(lines)s lines and %(size)d MB.")
        % {"lines": f"{MOST_LINES:,}", "size": LARGEST // 1024**2},
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        error_messages={"required": gettext_lazy("Choose the file."), "empty": gettext_lazy("The file is empty.")},
    )

    def clean_file(self) -> Any:
        """Refuse what is too large before it is read."""
        file = self.cleaned_data["file"]
        if file.size > LARGEST:
            words = _("The file is too large: at most %(size)d MB. Send it in parts.")
            raise ValidationError(words % {"size": LARGEST // 1024**2})
        return file


def import_page(pages: ModelAdmin, request: HttpRequest) -> TemplateResponse:
    """Return the page: asking for a file, with what it would do, or with what it did."""
    if request.method == "POST" and "previewed" in request.POST:
        return _send(pages, request)
    form = RegisterForm(request.POST, request.FILES) if request.method == "POST" else RegisterForm()
    if form.is_bound and form.is_valid():
        return _preview(pages, request, form)
    return _page(pages, request, form)


def _preview(pages: ModelAdmin, request: HttpRequest, form: RegisterForm) -> TemplateResponse:
    file = form.cleaned_data["file"]
    try:
        text = decode_csv(file.read())
        results = preview_register(text, name=file.name, actor=actor_of(request))
    except Refusal as refusal:
        form.add_error("file", str(refusal))
        return _page(pages, request, form)
    previewed = signing.dumps([file.name, text], salt=_salt(request), compress=True)
    return _page(pages, request, form, results=_shown(results), previewed=previewed, file_name=file.name)


def _send(pages: ModelAdmin, request: HttpRequest) -> TemplateResponse:
    """Ask for what was previewed by this very person: the file travels with the page, signed."""
    form = RegisterForm()
    try:
        name, text = signing.loads(request.POST["previewed"], salt=_salt(request), max_age=SHOWN_FOR_SECONDS)
        results = import_register(text, name=name, actor=actor_of(request))
    except (signing.BadSignature, zlib.error):
        refusal = _("What was shown is too old, or not yours. Choose the file again; nothing was asked for.")
        return _page(pages, request, form, refusal=refusal)
    except Refusal as refused:
        return _page(pages, request, form, refusal=str(refused))
    return _page(pages, request, form, results=_shown(results), file_name=name, is_done=True)


def _salt(request: HttpRequest) -> str:
    return f"exceptions-register:{actor_of(request).id}"


def _shown(results: Sequence[LineResult]) -> dict[str, Any]:
    """Return the lines for the page: those refused first, since somebody has to look at them."""
    asked = [(result, scope_in_words(cast(Any, result.exception))) for result in results if result.exception]
    return {
        "refused": [result for result in results if result.exception is None],
        "asked": asked,
    }


def _page(pages: ModelAdmin, request: HttpRequest, form: RegisterForm, **shown: Any) -> TemplateResponse:
    context = {
        **pages.admin_site.each_context(request),
        "title": _("Import a register"),
        "opts": pages.opts,
        "form": form,
        "justifications": list(Justification),
        "longest_days": LONGEST_DAYS,
        **shown,
    }
    return TemplateResponse(request, "vulnerabilities/exception_import.html", context)
