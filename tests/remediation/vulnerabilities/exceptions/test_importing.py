"""Importing a register: what each line comes to, what is refused and why, and that nothing takes effect by it."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connectors.outbound.models import Channel, Delivery
from connectors.outbound.services import create_channel
from portal.access.exceptions import BadRequest, Forbidden
from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.api.csv_import import decode_csv
from portal.api.fields import NOT_YOURS
from portal.audit.models import AuditEvent
from portal.secrets.secret_text import SecretText
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing
from remediation.vulnerabilities.exceptions import importing
from remediation.vulnerabilities.exceptions.deciding import approve, reject
from remediation.vulnerabilities.exceptions.importing import LineResult, import_register, preview_register
from remediation.vulnerabilities.exceptions.reading import JUSTIFICATIONS_BY_WORD, split_names
from remediation.vulnerabilities.models import Recommendation, RecommendationException
from remediation.vulnerabilities.states import ExceptionState, Justification
from tests.conftest import make_member
from tests.factories import make_device, make_group
from tests.remediation.vulnerabilities.exceptions.conftest import (
    CVE,
    Ask,
    Estate,
    actor,
    decide,
    make_recommendation,
)

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]
HEADERS = (
    "tenant", "recommendation_id", "cve", "device_groups", "whole_tenant", "justification", "context", "last_day",
)  # fmt: skip
HEAD = ",".join(HEADERS) + "\r\n"
BROWSER = "va-_-browser"


def line(estate: Estate, **cells: str) -> str:
    """A line of a register by hand: for the browser on Acme's servers, unless told otherwise."""
    usual = {
        "tenant": estate.tenant.name,
        "recommendation_id": "" if "cve" in cells else BROWSER,
        "device_groups": "" if cells.get("whole_tenant") else estate.servers.name,
        "justification": "Risk accepted",
        "context": "No newer one.",
        "last_day": (estate.today() + timedelta(days=30)).isoformat(),
    }
    return written([usual | cells])


def written(lines: Iterable[Mapping[str, str]], *, delimiter: str = ",") -> str:
    sheet = io.StringIO()
    writer = csv.DictWriter(sheet, HEADERS, restval="", delimiter=delimiter, lineterminator="\r\n")
    writer.writerows(lines)
    return sheet.getvalue()


def bring(text: str, by: User) -> list[LineResult]:
    """Import as this person, in the scope that their requests have."""
    asker = actor(by)
    with viewing(asker.capabilities.keys()):
        return import_register(text, name="register.csv", actor=asker)


def refusals(text: str, by: User) -> list[tuple[int, str]]:
    return [(result.line, result.reason) for result in bring(HEAD + text, by)]


def rows(tenant: Tenant) -> list[RecommendationException]:
    with acting_for(tenant.id):
        return list(RecommendationException.objects.select_related("recommendation").order_by("pk"))


def test_an_import_asks_and_nothing_takes_effect_before_a_second_person_says_so(
    estate: Estate, ada: User, bob: User
) -> None:
    (result,) = bring(HEAD + line(estate), ada)
    (made,) = rows(estate.tenant)
    assert (result.outcome, result.line, result.subject, result.exception) == ("requested", 2, "Update Browser", made)
    assert (made.state, made.group_names, made.justification) == ("requested", ["Servers"], "risk_accepted")
    assert estate.left() == ("active", 3)
    with pytest.raises(Forbidden, match="somebody else"):
        decide(estate.tenant, approve, made.pk, ada)
    assert decide(estate.tenant, approve, made.pk, bob).state == ExceptionState.IN_EFFECT
    with acting_for(estate.tenant.id):
        asked = AuditEvent.objects.get(object_id=made.pk, verb="exception.requested")
    source = asked.data["after"]["imported_from"]
    assert (asked.actor_id, source["file"], source["line"], len(source["sha256"])) == (ada.pk, "register.csv", 2, 64)


def test_the_same_file_twice_makes_nothing_twice(estate: Estate, ada: User) -> None:
    text = HEAD + line(estate) + line(estate, cve=CVE, whole_tenant="true") + line(estate)
    first = bring(text, ada)
    assert [result.outcome for result in first] == ["requested", "requested", "refused"]
    assert {result.outcome for result in bring(text, ada)} == {"refused"}
    assert len(rows(estate.tenant)) == 2
    assert "Excepted already, or asked for: Servers" in first[2].reason


def test_our_own_export_comes_back_whole(
    estate: Estate, ask: Ask, ada: User, bob: User, tess: User, browse: Browse
) -> None:
    """What a register holds in the worst case: formulas, a group with a semicolon in its name, lines in a context."""
    odd = make_group(estate.tenant, name="Kiosks; lobby")
    minus = make_group(estate.tenant, name="-Printers", rank=0)
    kept = ask(minus, estate.servers, odd)
    estate.age(kept, context='=1+1 said the vendor:\n- no newer one;@home;"=quoted"\n＝wide\n- none planned')
    ask(subject=estate.cve())
    for ended in (ask(estate.laptops), ask(estate.laptops, subject=estate.cve())):
        decide(estate.tenant, reject, ended.pk, tess)
    before = {told(row) for row in rows(estate.tenant) if row.state == "requested"}
    answer = browse(ada).get("/api/v1/exceptions/export/")
    exported = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert b"'-Printers" in exported
    with acting_for(estate.tenant.id):
        RecommendationException.objects.all().delete()

    results = bring(exported.decode(), bob)
    assert {told(row) for row in rows(estate.tenant)} == before
    assert [result.reason for result in results if result.outcome == "refused"] == [
        "In the register it comes from it is over (“rejected”), so it is not asked for anew."
    ] * 2


def told(row: RecommendationException) -> tuple[object, ...]:
    """What an exception is, whoever asked for it and when."""
    names = tuple(sorted(row.group_names))
    return (str(row), row.is_global, names, row.justification, row.context, row.expires_on)


def test_what_german_excel_writes_is_read(estate: Estate, ada: User) -> None:
    last = estate.today() + timedelta(days=60)
    cells = {
        "tenant": estate.tenant.slug.upper(),
        "recommendation_id": BROWSER,
        "device_groups": f"Servers; {estate.laptops.name}",
        "whole_tenant": "FALSCH",
        "justification": "PLANNED REMEDIATION (GRACE)",
        "context": "Für später; wirklich",
        "last_day": f"{last:%d.%m.%Y}",
    }
    text = HEAD.replace(",", ";") + written([cells], delimiter=";") + ";;;;;;;\r\n"
    assert [result.reason for result in bring(decode_csv(b"\xef\xbb\xbf" + text.encode()), ada)] == [""]
    (made,) = rows(estate.tenant)
    assert (made.expires_on, made.context, len(made.group_ids)) == (last, "Für später; wirklich", 2)
    with pytest.raises(BadRequest, match="CSV UTF-8"):
        decode_csv("Für".encode("cp1252"))


def test_both_of_microsofts_sets_are_accepted_and_one_is_for_cves_alone(estate: Estate, ada: User) -> None:
    assert set(JUSTIFICATIONS_BY_WORD.values()) == set(Justification)
    words = [str(item.label).upper() for item in Justification] + [item.value for item in Justification]
    for number, word in enumerate(words):
        group = make_group(estate.tenant, name=f"G{number}", rank=100 + number)
        thing = {"cve": CVE} if "PATCH" in word.upper() else {}
        assert refusals(line(estate, device_groups=group.name, justification=word, **thing), ada) == [(2, "")], word
    ((_line, reason),) = refusals(line(estate, justification="CVE with no patch"), ada)
    assert "does not justify" in reason


def test_a_line_that_is_refused_says_why_and_keeps_no_other(estate: Estate, globex: Tenant, ada: User) -> None:
    gone = make_recommendation(estate.tenant, "Gone", [], [])
    with acting_for(estate.tenant.id):
        Recommendation.objects.filter(pk=gone.pk).update(disappeared_at=timezone.now())
    wrong = {
        str(NOT_YOURS): {"tenant": globex.name},
        "no device group “Nobody's”": {"device_groups": "Servers; Nobody's"},
        "no recommendation “va-_-x”": {"recommendation_id": "va-_-x"},
        "no longer lists": {"recommendation_id": gone.recommendation_id},
        "is no CVE": {"cve": "CVE-1"},
        "No recommendation of this tenant names": {"cve": "CVE-1999-0001"},
        "one of the two": {"cve": CVE, "recommendation_id": BROWSER},
        "Choose device groups, or the whole tenant": {"device_groups": ""},
        "write true or false": {"whole_tenant": "perhaps"},
        "“Because” is no justification": {"justification": "Because"},
        "Say why in at most 2000": {"context": "x" * 2001},
        "write it like 2027-01-31": {"last_day": "12/31/2026"},
        "today or later": {"last_day": (estate.today() - timedelta(days=1)).isoformat()},
        "at most 365 days": {"last_day": (estate.today() + timedelta(days=366)).isoformat()},
        "no text may have": {"context": "a\x00b"},
    }
    bad = [line(estate, **cells) for cells in wrong.values()]
    malformed = ['"Acme"x,1\r\n', "Acme,1,2,3,4,5,6,7,8\r\n"]
    good = line(estate)
    found = refusals(
        "".join([good.replace("Servers", estate.laptops.name), *bad, *malformed, good, '"Acme,1\r\n']), ada
    )
    assert [number for number, _reason in found] == list(range(2, 2 + len(found)))
    words = ["", *wrong, "cannot be read as CSV", "more cells than there are columns", "", "cannot be read as CSV"]
    for (number, reason), expected in zip(found, words, strict=True):
        assert (expected in reason) == bool(expected or not reason), (number, expected, reason)
    assert len(rows(estate.tenant)) == 2


def test_a_foreign_tenant_and_an_unknown_one_are_the_same_and_of_two_alike_the_id_tells(
    estate: Estate, globex: Tenant, ada: User, pia: User, ren: User
) -> None:
    theirs = [
        refusals(line(estate, tenant=str(name)), ada) for name in (globex.name, globex.slug, globex.pk, "No one", "")
    ]
    assert theirs == [[(2, str(NOT_YOURS))]] * 5
    with acting_for(globex.id):
        Tenant.objects.filter(pk=globex.pk).update(name=estate.tenant.name)
    ((_line, reason),) = refusals(line(estate), pia)
    assert "write the id" in reason
    assert refusals(line(estate, tenant=str(estate.tenant.pk)), pia) == [(2, "")]
    assert rows(globex) == []
    with pytest.raises(Forbidden):
        bring(HEAD + line(estate), ren)


def test_tenants_in_one_file_are_each_done_in_their_own_scope_and_by_right(
    estate: Estate, globex: Tenant, ada: User
) -> None:
    """Ada may ask in Acme and only read in Globex, whose recommendation has the same id at Microsoft."""
    theirs = make_group(globex, name="Theirs")
    other = make_recommendation(globex, "Browser", [CVE], [make_device(globex, "pc-9", group=theirs)])
    grace = make_member("grace", globex, Role.ANALYST)
    with acting_for(globex.id):
        TenantMembership.objects.create(tenant=globex, user=ada, role=Role.READER)
    text = (
        line(estate, tenant=globex.name, device_groups="Theirs") + line(estate) + line(estate, device_groups="Theirs")
    )
    ((_two, refused), (_three, done), (_four, foreign)) = refusals(text, ada)
    assert ("permission" in refused, done, "no device group “Theirs”" in foreign) == (True, "", True)
    with acting_for(estate.tenant.id):
        TenantMembership.objects.create(tenant=estate.tenant, user=grace, role=Role.ANALYST)
    both = refusals(line(estate, tenant=globex.name, device_groups="Theirs") + line(estate, cve=CVE), grace)
    assert both == [(2, ""), (3, "")]
    assert [(row.recommendation_id, row.group_ids) for row in rows(globex)] == [(other.pk, [theirs.pk])]


def test_a_preview_says_the_same_and_leaves_nothing(estate: Estate, ada: User, tess: User) -> None:
    text = HEAD + line(estate) + line(estate, cve=CVE) + line(estate)
    wants_told(estate.tenant, tess)
    asker = actor(ada)
    with viewing(asker.capabilities.keys()):
        shown = preview_register(text, name="register.csv", actor=asker)
    with acting_for(estate.tenant.id):
        assert not Delivery.objects.exists()
        assert not AuditEvent.objects.filter(object_type="exception").exists()
    assert rows(estate.tenant) == []
    done = bring(text, ada)
    assert [(each.line, each.outcome, each.reason) for each in shown] == [
        (each.line, each.outcome, each.reason) for each in done
    ]
    with acting_for(estate.tenant.id):
        (message,) = Delivery.objects.all()
    assert message.subject == "2 imported exceptions wait for a second person"


def wants_told(tenant: Tenant, admin: User) -> None:
    """Give the tenant a channel for exceptions that are asked for."""
    channel = Channel(
        tenant=tenant, kind="email", name="IT", events=["exception_requested"], emails=["it@acme.example"]
    )
    with acting_for(tenant.id):
        create_channel(channel, url=SecretText(""), actor=actor(admin))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("tenant,cve\n", "missing: justification, context, last_day, device_groups / whole_tenant"),
        ("tenant,cve,CVE,whole_tenant,justification,context,last_day\n", "twice: cve"),
        ('"tenant"x,cve\n', "cannot be read"),
        (",".join(HEADERS) + "\n" + "Acme,,,,,,,\n" * 1001, "more than 1000 lines"),
        (",".join(HEADERS) + "\n" + "x" * importing.LARGEST, "too large"),
    ],
)
def test_what_is_no_register_is_refused_as_a_whole(estate: Estate, ada: User, text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        bring(text, ada)


def test_a_thousand_lines_are_as_many_as_go_and_cost_the_same_each(
    estate: Estate, ada: User, django_assert_max_num_queries: Any
) -> None:
    text = HEAD + "".join(
        line(estate, cve=CVE, device_groups=make_group(estate.tenant, f"G{n}", rank=50 + n).name) for n in range(40)
    )
    with django_assert_max_num_queries(20 + 40 * 7):
        assert {result.outcome for result in bring(text, ada)} == {"requested"}


def test_a_name_with_a_semicolon_is_one_name() -> None:
    known = {"A", "B; C", "B"}
    assert split_names("A;B; C", known) == ["A", "B; C"]
    assert split_names(" B ;C;", known) == ["B; C"]
    assert split_names("C; B", known) == ["C", "B"]
