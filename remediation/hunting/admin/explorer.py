"""The page of the explorer: a search form for mail, whose results can be moved to junk or deleted."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from remediation.hunting.admin.pages import HuntPages
from remediation.hunting.forms import SearchForm
from remediation.hunting.models import Hunt, MailSearch
from remediation.hunting.services import Batch, search_mail
from remediation.hunting.states import HuntSource
from remediation.hunting.timespans import between

CRITERIA = ("sender", "subject", "recipient", "url")


@admin.register(MailSearch)
class MailSearchAdmin(HuntPages):
    """Hunting by search form."""

    menu_place = 13
    form_class = SearchForm
    form_title = gettext_lazy("Search mail")
    button = gettext_lazy("Search")
    sources = (HuntSource.EXPLORER,)

    def ask(self, cleaned: dict[str, Any], tenant_ids: list[Any], request: HttpRequest) -> Batch:
        """Search in the tenants."""
        timespan = between(cleaned["received_after"], cleaned["received_before"])
        criteria = {name: cleaned[name] for name in CRITERIA}
        return search_mail(criteria, timespan, tenant_ids, actor=self.actor(request))

    def initial(self, again: Hunt | None, request: HttpRequest) -> dict[str, Any]:
        """Begin with what was searched for before, within the same times."""
        if again is None:
            return {}
        start, _slash, end = again.timespan.partition("/")
        times = {"received_after": _moment(start), "received_before": _moment(end)}
        return {**(again.criteria or {}), **times}


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
