"""Lines about exceptions and about telling IT admins."""

from datetime import UTC, datetime, timedelta

from portal.demo.companies import LUMIERE, NORDFJELL
from portal.demo.seeding import PROVIDER_ADMIN
from portal.demo.story.owner import change_one_row
from portal.demo.story.person import expect
from portal.demo.story.remediation import ask, due_in, listed, weakness
from portal.demo.story.stage import Json, Stage

INBOX = "story-it-admins"


def exception_hides_and_returns(stage: Stage) -> str:
    """An exception waits for a second person, hides the recommendation, and at its end brings it back by itself."""
    found = weakness(stage, LUMIERE, "driver", 1)
    body = {
        "recommendation": found["id"],
        "is_global": True,
        "justification": "planned_remediation",
        "context": "The vendor comes on Thursday.",
        "expires_on": due_in(30),
    }
    wanted = stage.analyst.do("/exceptions/", body)
    expect(wanted["state"] == "requested" and _is_listed(stage, found), "it waits, and hides nothing yet")
    petra = stage.people[PROVIDER_ADMIN.email]
    granted = petra.do(f"/exceptions/{wanted['id']}/approve/", {"reason": "Until Thursday week."})
    expect(granted["state"] == "in_effect", f"it is in effect, not {granted['state']}")
    expect(not _is_listed(stage, found), "the recommendation is hidden")
    _let_it_end(wanted)
    path = f"/exceptions/{wanted['id']}/"
    stage.wait_for(lambda: stage.reader.read(path)["state"] == "expired", "it expires")
    stage.wait_for(lambda: _is_listed(stage, found), "the recommendation is back")
    return "exception: a second person grants it, it hides, expires, and the recommendation returns"


def it_admins_are_told_once(stage: Stage) -> str:
    """A webhook is told of a new request although its receiver fails at first; the ledger has each attempt."""
    petra = stage.people[PROVIDER_ADMIN.email]
    stage.simulator.fail_inbox(INBOX, status=500, times=1000)
    channel = {
        "tenant": str(NORDFJELL.tenant_id),
        "kind": "webhook",
        "name": "IT desk",
        "url": stage.simulator.inbox_url(INBOX),
        "events": ["remediation_requested"],
    }
    petra.do("/notification-channels/", channel)
    activity = ask(stage, weakness(stage, NORDFJELL, "planner", 1))

    def came(status: int) -> list[Json]:
        messages = stage.simulator.inbox(INBOX)
        return [each for each in messages if each["status"] == status and activity["id"] in each["text"]]

    stage.wait_for(lambda: came(500), "the receiver fails at first")
    stage.simulator.fail_inbox(INBOX, status=202, times=1)

    def delivered() -> Json | None:
        rows = stage.reader.rows("/deliveries/", tenant=NORDFJELL.tenant_id, event="remediation_requested")
        return next((row for row in rows if row["object_id"] == activity["id"] and row["state"] == "delivered"), None)

    ledger = stage.wait_for(delivered, "the message is delivered in the end")
    taken = came(202)
    expect(len(taken) == 1, f"it was taken once, not {len(taken)} times")
    expect(ledger["attempts"] >= 2, f"the ledger has the attempts: {ledger['attempts']}")
    signed = {"webhook-id", "webhook-timestamp", "webhook-signature"} <= taken[0]["headers"].keys()
    expect(signed, "it is signed")
    return "IT admins: a webhook that failed at first is told in the end, once and signed"


def _is_listed(stage: Stage, found: Json) -> bool:
    return listed(stage, LUMIERE, found["recommendation_id"]) is not None


def _let_it_end(exception: Json) -> None:
    """Move the last day of an exception to yesterday."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    change_one_row(
        LUMIERE, "UPDATE vulnerabilities_exception SET expires_on = %s WHERE id = %s", [yesterday, exception["id"]]
    )
