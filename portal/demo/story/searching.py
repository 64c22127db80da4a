"""Lines about looking for things: a query at every customer, and the explorer for mail."""

from investigations.states import AutomationLevel
from portal.demo.companies import COMPANIES, KANDA, NORDFJELL
from portal.demo.scenery import email, message_id
from portal.demo.story.person import expect
from portal.demo.story.stage import Json, Stage

WITHHELD = "ThreatHunting.Read.All"
"""The permission that Kanda has not granted."""

SUBJECT = "Your badge expires tonight"


def hunt_names_who_failed(stage: Stage) -> str:
    """Ada hunts at all customers: two answer, the third is named with the reason; a row becomes a pending action."""
    machine = stage.machine(AutomationLevel.SEMI_ALL_FOLDERS)
    query = f'DeviceInfo | where DeviceName =~ "{machine["computerDnsName"]}" | project Timestamp, DeviceId, DeviceName'
    tenants = [str(company.tenant_id) for company in COMPANIES]
    hunts = stage.wait_hunts(stage.analyst.do("/hunts/", {"tenants": tenants, "query": query, "timespan": "P7D"}))
    failed = {tenant: hunt["error"] for tenant, hunt in hunts.items() if hunt["state"] == "failed"}
    expect(set(hunts) == set(tenants) and list(failed) == [str(KANDA.tenant_id)], f"Kanda alone fails, not {failed}")
    expect(WITHHELD in failed[str(KANDA.tenant_id)], f"the reason names {WITHHELD}: {failed}")
    hunt = hunts[str(NORDFJELL.tenant_id)]
    expect(hunt["row_count"] == 1, f"one device is found, not {hunt['row_count']}")
    action = _ask_on_rows(stage, hunt, "isolate_device", [0], {"isolation_type": "Full"})
    expect(action["source"] == "advanced_hunting", f"the action comes from hunting, not from {action['source']}")
    stage.expect_pending(action)
    return "hunt at all customers: names the one that failed and why; a row becomes an action that waits"


def explorer_finds_mail(stage: Stage) -> str:
    """Ada searches mail by its subject; what is found becomes one soft delete, which waits."""
    people = [f"{name}@{NORDFJELL.domain}" for name in ("a.berg", "c.dahl")]
    mails = [email(message_id(f"story-badge-{person}"), person, SUBJECT) for person in people]
    stage.simulator.tell(NORDFJELL, {"emails": mails})
    body = {"tenants": [str(NORDFJELL.tenant_id)], "subject": "badge expires"}
    hunt = stage.wait_hunts(stage.analyst.do("/mail-searches/", body))[str(NORDFJELL.tenant_id)]
    expect(hunt["row_count"] == 2, f"two mails are found, not {hunt['row_count']} ({hunt['error']})")
    action = _ask_on_rows(stage, hunt, "soft_delete_email", [0, 1], {})
    expect(action["source"] == "explorer", f"the action comes from the explorer, not from {action['source']}")
    expect({row["recipient"] for row in action["parameters"]["messages"]} == set(people), "it is about both mails")
    stage.expect_pending(action)
    return "explorer: finds the mail; its soft delete waits"


def _ask_on_rows(stage: Stage, hunt: Json, kind: str, rows: list[int], parameters: Json) -> Json:
    """Let Ada ask for an action on rows of a result, and return the one action they became."""
    body = {"type": kind, "rows": rows, "parameters": parameters, "reason": "Found by hunting."}
    results = stage.analyst.do(f"/hunts/{hunt['id']}/actions/", body)["results"]
    expect([row["outcome"] for row in results] == ["created"] * len(rows), f"each row is asked for: {results}")
    [action_id] = {row["action"] for row in results}
    return stage.read_again({"id": action_id})
