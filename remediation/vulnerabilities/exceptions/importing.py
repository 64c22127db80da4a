"""Importing a register of exceptions from CSV: each line asks for one, and waits for a second person like any other.

No API of Microsoft gives the exceptions that were made in Defender (facts 5.4), so they come by a file.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _

from connectors.outbound.telling import tell
from investigations.models import DeviceGroup
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden, Refusal
from portal.access.roles import Capability
from portal.api.csv_import import Line, read_csv
from portal.api.fields import NOT_YOURS
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for, current_scope, viewing
from remediation.vulnerabilities.exceptions import telling
from remediation.vulnerabilities.exceptions.reading import Entry, quoted, read_entry, require_columns, split_names
from remediation.vulnerabilities.exceptions.requesting import (
    Reach,
    Subject,
    justifications_for,
    last_day,
    place_request,
    subject_of_cve,
)
from remediation.vulnerabilities.models import Recommendation, RecommendationException
from remediation.vulnerabilities.states import ExceptionKind, Justification

MOST_LINES: Final = 1000
LARGEST: Final = 2 * 1024 * 1024
"""Bytes of UTF-8: 1,000 lines with as long a context as may be."""

OLDER_JUSTIFICATIONS: Final = (
    Justification.COMPENSATING_CONTROL,
    Justification.BUSINESS_NEED,
    Justification.ACCEPT_RISK,
    Justification.OTHER,
)
"""Microsoft's set of 2020 (facts 5.4), accepted here and nowhere else."""


class _TakenBack(Exception):
    """Ends a preview, so that nothing of it stays."""


@dataclass(frozen=True, slots=True)
class LineResult:
    """What came of a line: the exception asked for, or the `reason` why there is none.

    `subject` and `tenant_name` are what the file says, for whoever looks for the line there.
    """

    line: int
    tenant_name: str
    subject: str
    exception: RecommendationException | None = None
    reason: str = ""

    @property
    def outcome(self) -> str:
        """`requested` or `refused`."""
        return "refused" if self.exception is None else "requested"


@dataclass(frozen=True)
class _Customer:
    """A tenant, with what lines of a register name in it."""

    tenant: Tenant

    @cached_property
    def groups(self) -> dict[str, UUID]:
        """Its device groups by name."""
        return dict(DeviceGroup.objects.filter(tenant_id=self.tenant.pk).values_list("name", "pk"))

    @cached_property
    def recommendations(self) -> dict[str, Recommendation]:
        """Its recommendations by Microsoft's id."""
        rows = Recommendation.objects.filter(tenant_id=self.tenant.pk).only("tenant_id", "recommendation_id", "name")
        return {row.recommendation_id: row for row in rows}

    def subject(self, entry: Entry) -> Subject:
        """Return what a line is about. Raises BadRequest, Conflict."""
        if entry.cve:
            return subject_of_cve(self.tenant.pk, quoted(entry.cve))
        recommendation = self.recommendations.get(entry.recommendation_id)
        if recommendation is None:
            raise Conflict(
                _("Microsoft lists no recommendation “%(id)s” for this tenant. Check how it is written.")
                % {"id": quoted(entry.recommendation_id)}
            )
        return Subject(self.tenant.pk, recommendation)

    def reach(self, entry: Entry) -> Reach:
        """Return whom a line applies to. Raises BadRequest for a device group that is none of the tenant's."""
        names = split_names(entry.groups, self.groups)
        unknown = [quoted(name) for name in names if name not in self.groups]
        if unknown:
            raise BadRequest(
                _("This tenant has no device group “%(groups)s”. Check how it is written.")
                % {"groups": "”, “".join(unknown)}
            )
        return Reach(entry.is_global, frozenset(self.groups[name] for name in names))


def import_register(text: str, *, name: str, actor: Actor) -> list[LineResult]:
    """Ask for what each line of a register names, in its own tenant's scope, and return what came of each in order.

    Nothing takes effect: each waits for a second person. Lines that are refused do not keep the others, and of what is
    open already, such as a file imported before, nothing is made twice. `name` is the file's, for the record. The IT
    admins of a tenant are told once. Raises Forbidden for who may ask for exceptions nowhere, BadRequest for a file
    that is too large or no register.
    """
    _require_right(actor)
    content = text.encode()
    if len(content) > LARGEST:
        raise BadRequest(
            _("The file is too large: at most %(lines)d lines and %(size)d MB. Send it in parts.")
            % {"lines": MOST_LINES, "size": LARGEST // 1024**2}
        )
    headers, lines = read_csv(text, most=MOST_LINES)
    require_columns(headers)
    source = {"file": name[:255], "sha256": hashlib.sha256(content).hexdigest()}
    results = []
    by_tenant, nobodys = _by_tenant(lines)
    for tenant in sorted(by_tenant, key=lambda found: found.pk):  # by id: two imports never wait for each other
        results += _ask_in(_Customer(tenant), by_tenant[tenant], source, actor)
    return sorted([*results, *nobodys], key=lambda result: result.line)


def preview_register(text: str, *, name: str, actor: Actor) -> list[LineResult]:
    """Return what `import_register` would say now, by doing it and taking everything back. Raises what it raises."""
    _require_right(actor)
    results: list[LineResult] = []
    try:
        with viewing(current_scope().tenant_ids):
            results = import_register(text, name=name, actor=actor)
            raise _TakenBack
    except _TakenBack:
        return results


def _require_right(actor: Actor) -> None:
    if not actor.may_anywhere(Capability.HANDLE_REMEDIATION):
        raise Forbidden(_("You may ask for exceptions nowhere; it takes somebody who handles remediation."))


def _by_tenant(lines: Iterable[Line]) -> tuple[dict[Tenant, list[Line]], list[LineResult]]:
    """Return the lines by whom they are for, and refusals of those that name no tenant in scope."""
    found: dict[str, list[Tenant]] = {}
    for tenant in Tenant.objects.filter(is_active=True).exclude(pk=PROVIDER_TENANT_ID):
        for word in {tenant.name.casefold(), tenant.slug.casefold(), str(tenant.pk)}:
            found.setdefault(word, []).append(tenant)
    by_tenant: dict[Tenant, list[Line]] = {}
    nobodys = []
    for line in lines:
        named = found.get(line.cells.get("tenant", "").casefold(), [])
        if len(named) == 1:
            by_tenant.setdefault(named[0], []).append(line)
        else:
            several = (
                _("Several of your tenants are called so; write the id, which the address of its page has.")
                if named
                else str(NOT_YOURS)
            )
            nobodys.append(_refused(line, line.fault or several))
    return by_tenant, nobodys


def _ask_in(customer: _Customer, lines: Iterable[Line], source: Mapping[str, Any], actor: Actor) -> list[LineResult]:
    """Ask for what the lines of one tenant name. A refusal comes before anything of its line was written."""
    results = []
    with acting_for(customer.tenant.pk):
        for line in lines:
            try:
                made = _ask(customer, line, source, actor)
            except Refusal as refusal:
                results.append(_refused(line, str(refusal)))
            else:
                results.append(LineResult(line.number, customer.tenant.name, str(made), made))
        _tell([result.exception for result in results if result.exception is not None], actor)
    return results


def _ask(customer: _Customer, line: Line, source: Mapping[str, Any], actor: Actor) -> RecommendationException:
    entry = read_entry(line.cells)
    subject = customer.subject(entry)
    return place_request(
        subject,
        customer.reach(entry),
        justification=entry.justification,
        context=entry.context,
        expires_on=last_day(None, entry.last_day),
        actor=actor,
        accepted=accepted_for(subject.kind),
        source={**source, "line": line.number},
    )


def source_of(exception: RecommendationException) -> Mapping[str, Any] | None:
    """Return the `file`, its `sha256` and the `line` an exception was imported from, as its history says; else None."""
    asked = AuditEvent.objects.filter(object_id=exception.pk, verb="exception.requested").order_by("seq").first()
    source: Mapping[str, Any] | None = asked.data["after"].get("imported_from") if asked else None
    return source


def accepted_for(kind: ExceptionKind) -> list[Justification]:
    """Return what justifies an imported exception of this kind: Microsoft's current set and the older one."""
    return [*justifications_for(kind), *OLDER_JUSTIFICATIONS]


def _tell(made: list[RecommendationException], actor: Actor) -> None:
    if made:
        notice = telling.imported(made, by=actor.label) if len(made) > 1 else telling.requested(made[0], by=actor.label)
        tell(made[0].tenant_id, notice, key=f"exception-requested:{made[0].pk}")


def _refused(line: Line, reason: str) -> LineResult:
    cells = line.cells
    subject = cells.get("cve") or cells.get("recommendation") or cells.get("recommendation_id") or ""
    return LineResult(line.number, quoted(cells.get("tenant", "")), quoted(subject), reason=reason)
