"""/remediation-activities/, /remediation-campaigns/ and /burn-down/, as people and integrations use them."""

import csv
import io

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from uuid_utils.compat import uuid4

from portal.access.roles import Role
from portal.api.fields import NOT_YOURS
from portal.tenancy.scope import acting_for, viewing
from remediation.vulnerabilities.activities.completing import complete
from remediation.vulnerabilities.activities.requesting import request_campaign
from remediation.vulnerabilities.api.schema import leave_out_tickets
from remediation.vulnerabilities.models import RemediationActivity, SecurityTask
from tests.factories import connect_intune, make_device, make_group, make_key, make_recommendation
from tests.remediation.vulnerabilities.activities.conftest import (
    ATTENTION,
    SEVEN_ZIP,
    a_request,
    in_days,
    make_activity,
    read_devices,
)

ACTIVITIES = "/api/v1/remediation-activities/"
CAMPAIGNS = "/api/v1/remediation-campaigns/"


@pytest.fixture
def pcs(acme):
    """Two devices of Acme; a spreadsheet would run the name of one."""
    return [make_device(acme, "pc-1", last_seen_at="2026-01-01T00:00:00Z"), make_device(acme, "=cmd|' /C calc'!A0")]


@pytest.fixture
def seven_zip(acme, pcs):
    """The recommendation they are exposed to."""
    return make_recommendation(acme, *pcs)


def body_for(recommendation, **fields):
    """A request that fits."""
    return {
        "recommendation": str(recommendation.pk),
        "option": "software_update",
        "priority": "high",
        "due_on": in_days(7).isoformat(),
        **fields,
    }


def post(client, path, body, **headers):
    """POST JSON to the API."""
    return client.post(path, body, content_type="application/json", headers=headers)


def rows_of(answer):
    """What a CSV file holds."""
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))


def test_a_request_is_answered_with_its_activity(seven_zip, acme, ada, browse):
    answer = post(browse(ada), ACTIVITIES, body_for(seven_zip, notes="CHG-884", mitigation="warn"))

    assert answer.status_code == 201, answer.json()
    made = answer.json()
    assert made["progress"] == {
        "devices_at_start": 2, "fixed": 0, "exposed": 2, "gone": 0, "percent": 0, "as_of": None,
    }  # fmt: skip
    assert (made["title"], made["recommendation_id"], made["requested_by"]) == ("Update 7-zip", SEVEN_ZIP, ada.email)
    assert (made["state"], made["mitigation"], made["ticket"], made["is_overdue"]) == ("active", "warn", None, False)
    assert (made["tenant"], made["tenant_name"], made["due_on"]) == (str(acme.id), "Acme", in_days(7).isoformat())
    assert browse(ada).get(f"{ACTIVITIES}{made['id']}/").json() == made


def test_the_same_request_twice_makes_one_activity(seven_zip, acme, ada, browse):
    client = browse(ada)
    first = post(client, ACTIVITIES, body_for(seven_zip), **{"Idempotency-Key": "k1"})
    again = post(client, ACTIVITIES, body_for(seven_zip), **{"Idempotency-Key": "k1"})

    assert (again.status_code, again.json()) == (201, first.json())
    with acting_for(acme.id):
        assert RemediationActivity.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"due_on": in_days(-1).isoformat()}, "due_on"),
        ({"due_on": None}, "due_on"),
        ({"option": "attention_required"}, "due_on"),
        ({"option": "configuration_change"}, "option"),
        ({"open_ticket": True}, "open_ticket"),
        ({"notes": "a\x00b"}, "notes"),
        ({"device_groups": [str(uuid4())]}, "device_groups"),
    ],
)
def test_what_does_not_fit_is_named(fields, field, seven_zip, acme, ada, browse):
    answer = post(browse(ada), ACTIVITIES, body_for(seven_zip, **fields))

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    with acting_for(acme.id):
        assert not RemediationActivity.objects.exists()


def test_a_misspelt_field_does_not_ask_for_all_device_groups(seven_zip, acme, ada, browse):
    body = body_for(seven_zip, groups=[str(make_group(acme, "Servers").pk)])

    refused = post(browse(ada), ACTIVITIES, body)

    assert (refused.status_code, refused.json()["errors"]) == (
        400, [{"field": "groups", "message": "There is no such field."}],
    )  # fmt: skip
    with acting_for(acme.id):
        assert not RemediationActivity.objects.exists()


def test_rows_of_another_tenant_are_refused_in_the_words_for_unknown_ones(seven_zip, globex, ada, browse):
    foreign = make_recommendation(globex, make_device(globex))
    groups = [str(make_group(globex).pk)]
    for body in (body_for(foreign), body_for(seven_zip, device_groups=groups)):
        answer = post(browse(ada), ACTIVITIES, body)
        assert (answer.status_code, answer.json()["errors"][0]["message"]) == (400, str(NOT_YOURS))


def test_a_stranger_finds_nothing(seven_zip, ada, gil, as_actor, browse):
    made = make_activity(seven_zip, as_actor(ada))
    client = browse(gil)

    assert client.get(ACTIVITIES).json()["results"] == []
    for path in ("", "devices/", "devices/export/"):
        assert client.get(f"{ACTIVITIES}{made.pk}/{path}").status_code == 404
    for verb in ("complete", "notes"):
        assert post(client, f"{ACTIVITIES}{made.pk}/{verb}/", {"notes": "x"}).status_code == 404
    assert client.get(f"{CAMPAIGNS}{made.campaign}/").status_code == 404
    assert rows_of(client.get(f"{ACTIVITIES}export/")) == []


def test_attention_required_shows_no_progress(seven_zip, ada, as_actor, browse):
    made = make_activity(seven_zip, as_actor(ada), ATTENTION)
    shown = browse(ada).get(f"{ACTIVITIES}{made.pk}/").json()

    assert (shown["progress"], shown["due_on"], shown["ticket"]) == (None, None, None)


def test_the_newest_ticket_is_shown_with_the_admins_note(seven_zip, acme, ada, as_actor, browse):
    made = make_activity(seven_zip, as_actor(ada))
    with acting_for(acme.id):
        for status, note in (("rejected", "Not on Fridays."), ("pending", "")):
            SecurityTask.objects.create(
                tenant=acme, activity=made, kind="app", status=status, display_name="Update", admin_note=note
            )
    client = browse(ada)

    assert client.get(ACTIVITIES).json()["results"][0]["ticket"]["status"] == "pending"
    assert len(client.get(f"{ACTIVITIES}?ticket_status=pending").json()["results"]) == 1
    assert client.get(f"{ACTIVITIES}?ticket_status=rejected").json()["results"] == []


def test_the_list_takes_the_same_queries_for_one_and_for_many(seven_zip, acme, ada, as_actor, browse):
    client = browse(ada)
    client.get(ACTIVITIES)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(ACTIVITIES).status_code == 200
        return sum("vulnerabilities_" in query["sql"] for query in captured)

    for _number in range(3):
        made = make_activity(seven_zip, as_actor(ada))
        with acting_for(acme.id):
            SecurityTask.objects.create(tenant=acme, activity=made, kind="app", status="pending", display_name="Update")
        assert queries() == 1


def test_filters_find_what_is_late_whose_it_is_and_what_it_is_about(seven_zip, acme, ada, bob, as_actor, browse):
    late, soon = make_activity(seven_zip, as_actor(ada)), make_activity(seven_zip, as_actor(bob))
    look = make_activity(seven_zip, as_actor(ada), ATTENTION)
    with acting_for(acme.id):
        RemediationActivity.objects.filter(pk=late.pk).update(due_on=in_days(-1))
        RemediationActivity.objects.filter(pk=soon.pk).update(due_on=in_days(2), mitigation="block", notes="CHG-9")
        complete(look.pk, note="", actor=as_actor(ada))
    client = browse(ada)

    def found(query: str) -> set[str]:
        answer = client.get(f"{ACTIVITIES}?{query}")
        assert answer.status_code == 200, answer.json()
        return {row["id"] for row in answer.json()["results"]}

    assert found("due=overdue") == {str(late.pk)}
    assert found("due=soon") == {str(soon.pk)}
    assert found(f"requested_by={bob.pk}") == found("mitigation=block") == found("search=chg-9") == {str(soon.pk)}
    assert found("state=completed") == found("option=attention_required") == {str(look.pk)}
    assert found(f"campaign={late.campaign}") == {str(late.pk)}
    assert len(found("search=7-ZIP")) == len(found(f"recommendation={seven_zip.pk}")) == 3
    assert found(f"tenant={uuid4()}") == found("exposed_again=true") == found("origin=defender") == set()
    for path in ("", "export/"):
        assert client.get(f"{ACTIVITIES}{path}?misspelt=1").status_code == 400


def test_the_export_is_the_filtered_list(seven_zip, pcs, ada, as_actor, browse):
    made = make_activity(seven_zip, as_actor(ada), a_request(notes="=HYPERLINK(1)"))
    make_activity(seven_zip, as_actor(ada), ATTENTION)
    read_devices(seven_zip, pcs[0], seen=(pcs[1],))
    answer = browse(ada).get(f"{ACTIVITIES}export/?option=software_update")
    [row] = rows_of(answer)

    assert answer["Content-Disposition"] == 'attachment; filename="remediation-activities.csv"'
    assert (row["id"], row["activity"], row["tenant"], row["status"]) == (
        str(made.pk),
        "Update 7-zip",
        "Acme",
        "active",
    )
    assert (row["devices_at_start"], row["devices_fixed"], row["progress_percent"]) == ("2", "1", "50")
    assert (row["notes"], row["ticket_status"]) == ("'=HYPERLINK(1)", "")
    [look] = rows_of(browse(ada).get(f"{ACTIVITIES}export/?option=attention_required"))
    assert (look["progress_percent"], look["devices_still_exposed"], look["due_on"]) == ("", "", "")


def test_devices_are_listed_and_exported_so_that_no_spreadsheet_runs_them(seven_zip, pcs, ada, as_actor, browse):
    made = make_activity(seven_zip, as_actor(ada))
    read_devices(seven_zip, pcs[1], seen=(pcs[0],))
    client = browse(ada)

    listed = client.get(f"{ACTIVITIES}{made.pk}/devices/").json()["results"]
    assert {row["name"]: row["standing"] for row in listed} == {"pc-1": "fixed", "=cmd|' /C calc'!A0": "exposed"}
    fixed = client.get(f"{ACTIVITIES}{made.pk}/devices/?standing=fixed").json()["results"]
    assert [row["name"] for row in fixed] == ["pc-1"]
    exported = rows_of(client.get(f"{ACTIVITIES}{made.pk}/devices/export/"))
    assert [row["device"] for row in exported] == ["'=cmd|' /C calc'!A0", "pc-1"]
    assert [row["standing"] for row in exported] == ["exposed", "fixed"]


def test_a_person_completes_it_and_a_key_does_not(seven_zip, acme, ada, as_actor, browse, client):
    made = make_activity(seven_zip, as_actor(ada))
    path = f"{ACTIVITIES}{made.pk}/"
    key = {"Authorization": f"Api-Key {make_key(acme, Role.ANALYST)}"}

    refused = post(client, f"{path}complete/", {}, **key)
    assert (refused.status_code, "Sign in as a person" in refused.json()["detail"]) == (403, True)
    assert post(client, f"{path}notes/", {"notes": "By key."}, **key).json()["notes"] == "By key."
    done = post(browse(ada), f"{path}complete/", {"note": "Done."})
    assert (done.status_code, done.json()["completed_by"], done.json()["completion_note"]) == (200, ada.email, "Done.")
    assert post(browse(ada), f"{path}complete/", {}).status_code == 409


def test_the_schema_names_the_ticket_only_where_a_tenant_is_connected(acme, globex, pia, gil, browse):
    connect_intune(acme)

    def serves_it(person, query="") -> bool:
        schema = browse(person).get(f"/api/v1/schema/?format=json{query}").json()
        bodies = [schema["components"]["schemas"][f"{name}Request"] for name in
                  ("RequestRemediation", "RequestCampaign")]  # fmt: skip
        assert all("due_on" in body["properties"] for body in bodies)
        return all("open_ticket" in body["properties"] for body in bodies)

    def keeps_it(**query) -> bool:
        properties: dict[str, object] = {"open_ticket": {}}
        schema = {"components": {"schemas": {"Body": {"properties": properties}}}}
        with viewing([acme.id, globex.id]):
            leave_out_tickets(schema, None, Request(RequestFactory().get("/", query)), public=True)
        return "open_ticket" in properties

    assert serves_it(pia, f"&tenant={acme.id}")
    assert not serves_it(gil)
    assert keeps_it()
    assert keeps_it(tenant=str(acme.id))
    assert not keeps_it(tenant=str(globex.id))


def test_a_campaign_answers_for_each_tenant(seven_zip, acme, globex, pia, browse):
    nobodys = uuid4()
    body = {
        "recommendation_id": SEVEN_ZIP,
        "tenants": [str(acme.id), str(globex.id), str(nobodys)],
        "option": "software_update",
        "priority": "low",
        "due_on": in_days(30).isoformat(),
    }
    answer = post(browse(pia), CAMPAIGNS, body)

    assert answer.status_code == 201, answer.json()
    told = {row["tenant"]: row for row in answer.json()["results"]}
    assert (told[str(acme.id)]["outcome"], told[str(acme.id)]["reason"]) == ("requested", "")
    assert (told[str(globex.id)]["outcome"], told[str(globex.id)]["reason"]) == (
        "refused", "This tenant has no such recommendation.",
    )  # fmt: skip
    assert (told[str(nobodys)]["outcome"], told[str(nobodys)]["reason"]) == ("not_found", str(NOT_YOURS))

    refused = post(browse(pia), CAMPAIGNS, {**body, "tenants": [str(globex.id)]})
    assert refused.status_code == 400
    assert refused.json()["errors"] == [
        {"field": f"tenants.{globex.id}", "message": "This tenant has no such recommendation."}
    ]


def test_a_campaign_sent_again_with_its_key_is_one_though_another_tenant_could_now(
    seven_zip, acme, globex, pia, browse
):
    client = browse(pia)
    body = {**body_for(seven_zip), "recommendation_id": SEVEN_ZIP, "tenants": [str(acme.id), str(globex.id)]}
    del body["recommendation"]
    first = post(client, CAMPAIGNS, body, **{"Idempotency-Key": "k1"})
    make_recommendation(globex, make_device(globex))

    again = post(client, CAMPAIGNS, body, **{"Idempotency-Key": "k1"})

    assert (first.status_code, again.json()) == (201, first.json())
    with viewing([acme.id, globex.id]):
        assert RemediationActivity.objects.count() == 1


def test_campaigns_are_added_up_over_the_tenants_one_sees(
    seven_zip, pcs, acme, globex, ada, pia, gil, as_actor, browse
):
    theirs = make_recommendation(globex, make_device(globex))
    with viewing([acme.id, globex.id]):
        answers = request_campaign(SEVEN_ZIP, [acme.id, globex.id], a_request(), actor=as_actor(pia))
        RemediationActivity.objects.update(requested_at="2026-01-01T00:00:00Z")
    make_activity(seven_zip, as_actor(ada))
    read_devices(theirs)
    campaign = next(str(answer.activity.campaign) for answer in answers if answer.activity)

    [both] = browse(pia).get(CAMPAIGNS).json()["results"]
    assert (both["campaign"], both["tenants"], both["active"], both["completed"]) == (campaign, 2, 1, 1)
    assert (both["devices_at_start"], both["devices_exposed"], both["devices_gone"]) == (3, 2, 1)
    [ours] = browse(pia).get(f"{CAMPAIGNS}?tenant={acme.id}").json()["results"]
    assert (ours["tenants"], ours["devices_at_start"]) == (1, 2)
    shown = browse(gil).get(f"{CAMPAIGNS}{campaign}/").json()
    assert (shown["tenants"], shown["completed"]) == (1, 1)
    assert [row["tenant"] for row in shown["activities"]] == [str(globex.id)]
    assert browse(pia).get(f"{CAMPAIGNS}{uuid4()}/").status_code == 404


def test_the_burn_down_is_read_day_by_day(seven_zip, pcs, acme, ada, gil, as_actor, browse):
    make_activity(seven_zip, as_actor(ada))
    read_devices(seven_zip, *pcs)

    [day] = browse(ada).get(f"/api/v1/burn-down/?day_after={in_days(0)}").json()["results"]
    assert day == {
        "tenant": str(acme.id), "day": in_days(0).isoformat(), "open_activities": 1, "overdue_activities": 0,
        "completed_activities": 0, "exposed_devices": 2,
    }  # fmt: skip
    assert browse(ada).get(f"/api/v1/burn-down/?day_before={in_days(-1)}").json()["results"] == []
    assert browse(gil).get("/api/v1/burn-down/").json()["results"] == []
