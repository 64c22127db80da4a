"""The pages of groups and corrections: what will happen is told first, then what came of each."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from uuid_utils.compat import uuid7

from investigations.states import EvidenceKind
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.models import ActionEvidence, RemediationAction
from remediation.actions.states import State
from tests.factories import make_alert, make_device, make_evidence, make_investigation, make_pending_action
from tests.remediation.actions.test_corrections import SHA1, quarantined
from tests.remediation.actions.test_groups import ENTITY, QUARANTINE, quarantine, state_of

pytestmark = pytest.mark.django_db(transaction=True)

Browse = Callable[[User], Client]
ONE = {"type": QUARANTINE, "entity": ENTITY}
LISTS = reverse("admin:actions_groups")
GROUP = reverse("admin:actions_group")


def page(answer: Any) -> str:
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


def test_a_group_is_looked_at_decided_and_told_line_by_line(
    acme: Tenant, globex: Tenant, pia: User, browse: Browse
) -> None:
    actions, client = [*quarantine(acme, 2), *quarantine(globex)], browse(pia)
    make_pending_action(acme, make_device(acme))
    listed = page(client.get(LISTS))
    assert SHA1 in listed
    assert "Isolate device</td>" not in listed
    assert "Isolate device</td>" in page(client.get(LISTS, {"at_least": 1}))
    group = client.get(GROUP, ONE)
    assert "It can be undone by “Release from quarantine”" in page(group)
    url = group.context["approve_url"]
    confirm = page(client.get(url))
    assert "Stop and quarantine file: 3 actions in 2 tenants" in confirm
    assert "Acme (2), Globex (1)" in confirm
    assert "into quarantine" in confirm
    late = quarantine(acme)[0]
    assert "Give a reason" in page(client.post(url, {"reason": ""}))

    done = page(client.post(url, {"reason": "Known malware."}))
    assert done.count("badge-good") == 3
    assert f"File: {SHA1}</p>" in done
    assert "1 more arrived after you looked" in done
    assert {state_of(action) for action in actions} == {State.APPROVED}
    assert state_of(late) == State.PENDING_APPROVAL
    again = page(client.post(url, {"reason": "Known malware."}))
    assert again.count("no longer waits for approval: it is “Approved”") == 3


def test_a_group_that_has_gone_leads_back_to_the_list(acme: Tenant, bob: User, browse: Browse) -> None:
    answer = browse(bob).get(GROUP, ONE)
    assert (answer.status_code, answer["Location"]) == (302, LISTS)
    assert browse(bob).get(GROUP, {"type": "x", "entity": ENTITY}).status_code == 404


def test_approving_a_group_asks_for_a_second_factor_before_a_reason_is_typed(
    acme: Tenant, bob: User, browse: Browse
) -> None:
    quarantine(acme)
    client = browse(bob)
    url = client.get(GROUP, ONE).context["approve_url"]
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": 1}]
    session.save()
    assert "/2fa/" in client.get(url)["Location"]
    assert "/2fa/" in client.post(url, {"reason": "x"})["Location"]


def test_the_list_of_groups_takes_few_queries(acme: Tenant, bob: User, browse: Browse) -> None:
    client, counts = browse(bob), []
    for number in (1, 9):
        for name in range(number):
            make_pending_action(acme, make_device(acme, f"pc-{number}-{name}"))
        page(client.get(LISTS, {"at_least": 1}))
        with CaptureQueriesContext(connection) as queries:
            page(client.get(LISTS, {"at_least": 1}))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_a_correction_shows_what_will_happen_before_anything_does(acme: Tenant, bob: User, browse: Browse) -> None:
    alert = make_alert(acme, make_investigation(acme), raw={"alertWebUrl": "https://security.microsoft.com/a"})
    action, client = quarantined(alert), browse(bob)
    offered = page(client.get(reverse("admin:investigations_alert_change", args=[alert.pk])))
    url = f"{reverse('admin:actions_correct', args=['false_positive'])}?alert={alert.pk}"
    assert url in offered
    assert "Report a missed threat" in offered
    page(client.get(url))
    asked = {"verdict": "falsePositive/notMalicious", "undo": "this", "indicator_type": "FileSha1", "value": "xyz",
             "submit": "on", "reason": "Ours."}  # fmt: skip
    shown = page(client.post(url, asked))
    assert "It can be undone by" not in shown.split("Allow indicator")[1].split("</li>")[0]
    assert "Not possible: The parameter “value” must be a SHA-1" in shown
    assert "https://security.microsoft.com/a" in shown
    with acting_for(acme.pk):
        assert RemediationAction.objects.count() == 1
    done = page(client.post(url, {**asked, "value": SHA1, "confirmed": "yes", "shown": str(action.pk)}))
    assert (done.count("badge-good"), done.count("badge-waiting")) == (3, 1)
    assert "Undo of “Stop and quarantine file”: Release from quarantine</a>" in done
    with acting_for(acme.pk):
        assert RemediationAction.objects.get(undoes=action.pk).type == "release_from_quarantine"


def test_the_form_fills_in_the_one_thing_an_indicator_can_be_about(acme: Tenant, bob: User, browse: Browse) -> None:
    alert = make_alert(acme, make_investigation(acme))
    make_evidence(alert, make_device(acme), kind=EvidenceKind.DEVICE, sha1="")
    make_evidence(alert, sha1=SHA1)
    url = f"{reverse('admin:actions_correct', args=['false_positive'])}?alert={alert.pk}"
    form = browse(bob).get(url).context["form"]
    assert (form["indicator_type"].value(), form["value"].value()) == ("FileSha1", SHA1)

    make_evidence(alert, sha1="b" * 40)
    assert not browse(bob).get(url).context["form"]["value"].value()


def test_what_an_investigation_did_and_all_instances_are_undone_from_their_pages(
    acme: Tenant, bob: User, ada: User, browse: Browse
) -> None:
    case = make_investigation(acme)
    first = quarantined(make_alert(acme, case), make_device(acme, "pc-1"))
    second = quarantined(make_alert(acme, make_investigation(acme)), make_device(acme, "pc-2"))
    instances = f"{reverse('admin:actions_undo_all', args=['instances'])}?action={first.pk}"
    whole = f"{reverse('admin:actions_undo_all', args=['investigation'])}?investigation={case.pk}"
    client = browse(bob)
    assert instances in page(client.get(reverse("admin:actions_historyaction_change", args=[first.pk])))
    assert whole in page(client.get(reverse("admin:investigations_investigation_change", args=[case.pk])))
    assert page(client.get(whole)).count("Stop and quarantine file") == 1
    assert page(client.post(whole, {"reason": "Ours.", "shown": str(first.pk)})).count("badge-good") == 1
    done = page(client.post(instances, {"reason": "Ours.", "shown": [str(first.pk), str(second.pk)]}))
    assert (done.count("badge-good"), done.count("badge-neutral")) == (1, 1)
    with acting_for(acme.pk):
        undone = RemediationAction.objects.filter(undoes__isnull=False).values_list("undoes", flat=True)
        assert set(undone) == {first.pk, second.pk}
    assert browse(ada).get(whole).status_code == 403


def test_strangers_find_nothing(acme: Tenant, gil: User, browse: Browse) -> None:
    alert = make_alert(acme, make_investigation(acme))
    action = quarantined(alert)
    client = browse(gil)
    for url in (
        f"{reverse('admin:actions_correct', args=['false_positive'])}?alert={alert.pk}",
        f"{reverse('admin:actions_undo_all', args=['instances'])}?action={action.pk}",
    ):
        assert client.get(url).status_code == 404
    quarantine(acme)
    for query in ({**ONE, "tenant": str(acme.pk)}, {**ONE, "tenant": str(uuid7())}):
        assert client.get(GROUP, query)["Location"] == LISTS
    assert SHA1 not in page(client.get(LISTS, {"at_least": 1}))


def test_only_what_was_shown_is_undone_and_what_came_since_is_named(acme: Tenant, bob: User, browse: Browse) -> None:
    case = make_investigation(acme)
    alert = make_alert(acme, case)
    early, client = quarantined(alert, make_device(acme, "pc-1")), browse(bob)
    whole = f"{reverse('admin:actions_undo_all', args=['investigation'])}?investigation={case.pk}"
    correction = f"{reverse('admin:actions_correct', args=['false_positive'])}?alert={alert.pk}"
    asked = {"verdict": "falsePositive/notMalicious", "undo": "investigation", "reason": "Ours."}
    box = f'<input type="hidden" name="shown" value="{early.pk}">'
    assert box in page(client.get(whole))
    assert box in page(client.post(correction, asked))
    late = quarantined(alert, make_device(acme, "pc-2"))
    for url, sent in ((correction, {**asked, "confirmed": "yes"}), (whole, {"reason": "Ours."})):
        done = page(client.post(url, {**sent, "shown": [str(early.pk), "x"]}))
        assert ("pc-2" in done, done.count("not on the list that you confirmed")) == (True, 1)
        with acting_for(acme.pk):
            undone = RemediationAction.objects.filter(undoes__isnull=False).values_list("undoes", flat=True)
            assert set(undone) == {early.pk}, url
    assert late.pk != early.pk


def test_what_another_investigation_still_needs_is_listed_apart(acme: Tenant, bob: User, browse: Browse) -> None:
    case = make_investigation(acme)
    devices = make_device(acme, "pc-1"), make_device(acme, "pc-2")
    shared, alone = (quarantined(make_alert(acme, case), device) for device in devices)
    evidence = make_evidence(make_alert(acme, make_investigation(acme)), devices[0], sha1=SHA1)
    with acting_for(acme.pk):
        ActionEvidence.objects.create(tenant=acme, action=shared, evidence=evidence)
    whole = f"{reverse('admin:actions_undo_all', args=['investigation'])}?investigation={case.pk}"
    shown = page(browse(bob).get(whole))
    told, left_out = shown.split("Left out")
    assert ("pc-1" in told.split("<h2>")[1], "pc-1" in left_out, "another investigation" in left_out) == (
        False, True, True
    )  # fmt: skip
    done = page(browse(bob).post(whole, {"reason": "Ours.", "shown": [str(shared.pk), str(alone.pk)]}))
    assert (done.count("badge-good"), done.count("another investigation")) == (1, 1)


def test_the_list_of_what_is_undone_takes_few_queries(acme: Tenant, bob: User, browse: Browse) -> None:
    client, case, counts = browse(bob), make_investigation(acme), []
    whole = f"{reverse('admin:actions_undo_all', args=['investigation'])}?investigation={case.pk}"
    for number in (1, 7):
        for name in range(number):
            quarantined(make_alert(acme, case), make_device(acme, f"pc-{number}-{name}"))
        page(client.get(whole))
        with CaptureQueriesContext(connection) as queries:
            page(client.get(whole))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 15


def test_a_group_tells_each_effect_with_its_count(acme: Tenant, bob: User, browse: Browse) -> None:
    entity = f"device:{'f' * 40}"
    device = make_device(acme, machine_id="f" * 40)
    for isolation_type in ("Full", "Selective"):
        make_pending_action(acme, device, parameters={"isolation_type": isolation_type})
    group = browse(bob).get(GROUP, {"type": "isolate_device", "entity": entity})
    confirm = page(browse(bob).get(group.context["approve_url"]))
    for shown in (page(group), confirm):
        assert "except to Defender, Outlook, Teams and Skype, until it is released. (1)" in shown
        assert "except to Defender, until it is released. (1)" in shown


def test_a_group_tells_how_long_each_indicator_holds(acme: Tenant, bob: User, browse: Browse) -> None:
    about = {"indicator_type": "FileSha1", "value": SHA1}
    for device, days in enumerate((None, 30, 90)):
        parameters = {**about, "days": days} if days else about
        make_pending_action(acme, make_device(acme, f"pc-{device}"), type_name="allow_indicator", parameters=parameters)
    group = page(browse(bob).get(GROUP, {"type": "allow_indicator", "entity": f"indicator:filesha1:{SHA1}"}))
    assert [group.count(words) for words in ("acts on it. (1)", "for 30 days. (1)", "for 90 days. (1)")] == [1, 1, 1]
