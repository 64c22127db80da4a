"""Every cell of the design's table, from evidence to action, written out by hand."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from investigations.states import AutomationLevel, EvidenceKind, EvidenceOutcome, RemediationStatus, Verdict
from remediation.actions.decision import Decision, Facts, TableRow, decide, decision_table

AUTO, ASK = EvidenceOutcome.AUTOMATIC, EvidenceOutcome.PENDING
NOTHING, WAIT = EvidenceOutcome.NOT_NEEDED, EvidenceOutcome.WAITING_FOR_VERDICT
OFF, NONE = EvidenceOutcome.NO_AUTOMATED_RESPONSE, EvidenceOutcome.NO_ACTION

LEVELS = (
    AutomationLevel.FULL,
    AutomationLevel.SEMI_ALL_FOLDERS,
    AutomationLevel.SEMI_CORE_FOLDERS,
    AutomationLevel.SEMI_NON_TEMP_FOLDERS,
    AutomationLevel.NO_AUTOMATED_RESPONSE,
)
QUARANTINE = "stop_and_quarantine_file"
WIRED = frozenset({"isolate_device", QUARANTINE, "soft_delete_email", "block_url", "turn_off_forwarding"})

FILE = Facts(
    kind=EvidenceKind.FILE,
    verdict=Verdict.MALICIOUS,
    remediation_status=RemediationStatus.NONE,
    automation_level=AutomationLevel.FULL,
    file_path=r"D:\Data\a.exe",
    has_sha1=True,
    has_device=True,
    recipients_known=True,
    wired=WIRED,
)
MAIL = replace(FILE, has_device=False, file_path="")
FOLDERS = {
    "core": r"C:\Windows\System32\a.exe",
    "temporary": r"C:\Users\ann\AppData\Local\Temp\a.exe",
    "core and temporary": r"C:\Windows\Temp\a.exe",
    "program files": r"C:\Program Files\Vendor\a.exe",
    "other": r"D:\Data\a.exe",
    "doubtful": r"C:\PROGRA~1\a.exe",
    "unknown": "",
}
ON_DEVICE = {kind: replace(FILE, kind=kind) for kind in (EvidenceKind.FILE, EvidenceKind.PROCESS, EvidenceKind.DEVICE)}
MAIL_ACTIONS = {
    EvidenceKind.ANALYZED_MESSAGE: "soft_delete_email",
    EvidenceKind.MAIL_CLUSTER: "soft_delete_email",
    EvidenceKind.URL: "block_url",
    EvidenceKind.MAILBOX: "turn_off_forwarding",
}
KINDS_WITHOUT_ACTION = (
    EvidenceKind.IP,
    EvidenceKind.USER,
    EvidenceKind.REGISTRY_KEY,
    EvidenceKind.REGISTRY_VALUE,
    EvidenceKind.CLOUD_APPLICATION,
    EvidenceKind.OAUTH_APPLICATION,
    EvidenceKind.SECURITY_GROUP,
    EvidenceKind.OTHER,
)


def outcomes(facts: Facts) -> tuple[EvidenceOutcome, ...]:
    return tuple(decide(replace(facts, automation_level=level)).outcome for level in LEVELS)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        #                       Full  all  core  non-temp  none
        ("core", (AUTO, ASK, ASK, ASK, OFF)),
        ("temporary", (AUTO, ASK, AUTO, AUTO, OFF)),
        ("core and temporary", (AUTO, ASK, ASK, AUTO, OFF)),
        ("program files", (AUTO, ASK, ASK, AUTO, OFF)),
        ("other", (AUTO, ASK, AUTO, ASK, OFF)),
        ("doubtful", (AUTO, ASK, ASK, ASK, OFF)),
        ("unknown", (AUTO, ASK, ASK, ASK, OFF)),
    ],
)
def test_a_malicious_file_goes_by_level_and_folder(folder: str, expected: tuple[EvidenceOutcome, ...]) -> None:
    facts = replace(FILE, file_path=FOLDERS[folder])

    assert outcomes(facts) == expected
    assert decide(facts).action_type == QUARANTINE


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_malicious_process_is_automatic_at_full_alone_whatever_its_folder(folder: str) -> None:
    facts = replace(FILE, kind=EvidenceKind.PROCESS, file_path=FOLDERS[folder])

    assert outcomes(facts) == (AUTO, ASK, ASK, ASK, OFF)
    assert decide(facts).action_type == QUARANTINE


@pytest.mark.parametrize("kind", [EvidenceKind.FILE, EvidenceKind.PROCESS])
@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.SUSPICIOUS, (ASK, ASK, ASK, ASK, OFF)),
        (Verdict.NO_THREATS_FOUND, (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)),
        (Verdict.UNKNOWN, (WAIT, WAIT, WAIT, WAIT, OFF)),
    ],
)
def test_any_other_verdict_on_a_file_does_not_look_at_folders(
    kind: EvidenceKind, folder: str, verdict: Verdict, expected: tuple[EvidenceOutcome, ...]
) -> None:
    assert outcomes(replace(FILE, kind=kind, file_path=FOLDERS[folder], verdict=verdict)) == expected


@pytest.mark.parametrize(
    ("verdict", "opted_in", "expected"),
    [
        (Verdict.MALICIOUS, False, (ASK, ASK, ASK, ASK, OFF)),
        (Verdict.MALICIOUS, True, (AUTO, ASK, ASK, ASK, OFF)),
        (Verdict.SUSPICIOUS, False, (ASK, ASK, ASK, ASK, OFF)),
        (Verdict.SUSPICIOUS, True, (ASK, ASK, ASK, ASK, OFF)),
        (Verdict.NO_THREATS_FOUND, True, (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)),
        (Verdict.UNKNOWN, True, (WAIT, WAIT, WAIT, WAIT, OFF)),
    ],
)
def test_the_device_itself_is_isolated_after_approval_unless_the_tenant_opts_in(
    verdict: Verdict, opted_in: bool, expected: tuple[EvidenceOutcome, ...]
) -> None:
    facts = replace(FILE, kind=EvidenceKind.DEVICE, verdict=verdict, device_isolation_is_automatic=opted_in)

    assert outcomes(facts) == expected


@pytest.mark.parametrize(("kind", "action_type"), MAIL_ACTIONS.items())
@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.MALICIOUS, ASK),
        (Verdict.SUSPICIOUS, ASK),
        (Verdict.NO_THREATS_FOUND, NOTHING),
        (Verdict.UNKNOWN, WAIT),
    ],
)
@pytest.mark.parametrize("level", [None, *LEVELS])
def test_mail_asks_a_person_whatever_the_level(
    kind: EvidenceKind, action_type: str, verdict: Verdict, expected: EvidenceOutcome, level: AutomationLevel | None
) -> None:
    decision = decide(replace(MAIL, kind=kind, verdict=verdict, automation_level=level))

    assert decision.outcome == expected
    assert decision.action_type == (action_type if expected == ASK else "")


@pytest.mark.parametrize("kind", KINDS_WITHOUT_ACTION)
@pytest.mark.parametrize(
    ("verdict", "on_device", "elsewhere"),
    [
        (Verdict.MALICIOUS, (NONE, NONE, NONE, NONE, OFF), NONE),
        (Verdict.SUSPICIOUS, (NONE, NONE, NONE, NONE, OFF), NONE),
        (Verdict.NO_THREATS_FOUND, (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING), NOTHING),
        (Verdict.UNKNOWN, (WAIT, WAIT, WAIT, WAIT, OFF), WAIT),
    ],
)
def test_no_action_fits_any_other_kind(
    kind: EvidenceKind, verdict: Verdict, on_device: tuple[EvidenceOutcome, ...], elsewhere: EvidenceOutcome
) -> None:
    assert outcomes(replace(FILE, kind=kind, verdict=verdict)) == on_device
    assert outcomes(replace(MAIL, kind=kind, verdict=verdict)) == (elsewhere,) * 5


def test_every_kind_is_in_one_of_the_tests_above() -> None:
    assert set(EvidenceKind) == {*ON_DEVICE, *MAIL_ACTIONS, *KINDS_WITHOUT_ACTION}


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("facts", [*ON_DEVICE.values(), replace(MAIL, kind=EvidenceKind.URL)])
@pytest.mark.parametrize(
    ("status", "is_handled"),
    [
        (RemediationStatus.REMEDIATED, True),
        (RemediationStatus.PREVENTED, True),
        (RemediationStatus.BLOCKED, True),
        (RemediationStatus.NONE, False),
        (RemediationStatus.NOT_FOUND, False),
        (RemediationStatus.UNKNOWN_FUTURE_VALUE, False),
        (RemediationStatus.ACTIVE, False),
        (RemediationStatus.PENDING_APPROVAL, False),
        (RemediationStatus.DECLINED, False),
        (RemediationStatus.UNREMEDIATED, False),
        (RemediationStatus.RUNNING, False),
        (RemediationStatus.PARTIALLY_REMEDIATED, False),
    ],
)
def test_what_microsoft_handled_needs_nothing_and_the_rest_is_decided_as_ever(
    facts: Facts, verdict: Verdict, status: RemediationStatus, is_handled: bool
) -> None:
    judged = replace(facts, verdict=verdict)

    if is_handled:
        assert outcomes(replace(judged, remediation_status=status)) == (NOTHING,) * 5
    else:
        assert outcomes(replace(judged, remediation_status=status)) == outcomes(judged)


@pytest.mark.parametrize("verdict", [Verdict.MALICIOUS, Verdict.SUSPICIOUS])
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(FILE, has_sha1=False), "Cannot act: no SHA-1."),
        (replace(FILE, kind=EvidenceKind.PROCESS, has_sha1=False), "Cannot act: no SHA-1."),
        (replace(FILE, has_device=False, automation_level=None), "Cannot act: no device."),
        (replace(FILE, has_device=False, has_sha1=False), "Cannot act: no device."),
        (
            replace(MAIL, kind=EvidenceKind.MAIL_CLUSTER, recipients_known=False, recipients_error="No connection."),
            "Cannot act: who received these messages could not be looked up, and it is not tried again by itself; the"
            " page of the look-up, under Hunting, tries it anew. No connection.",
        ),
        (
            replace(MAIL, kind=EvidenceKind.MAIL_CLUSTER, message_count=0),
            "Cannot act: none of these messages was found in a mailbox.",
        ),
        (
            replace(MAIL, kind=EvidenceKind.MAIL_CLUSTER, message_count=10_001),
            "Cannot act: these are more than 10,000 messages. Search for them in the Explorer, and act on a part at a"
            " time.",
        ),
        (
            replace(MAIL, kind=EvidenceKind.URL, has_url=False),
            "Cannot act: Exchange's block list cannot hold this address.",
        ),
        (
            replace(MAIL, kind=EvidenceKind.MAILBOX, has_mailbox=False),
            "Cannot act: the address of the mailbox is not known.",
        ),
        (replace(FILE, wired=frozenset()), "Cannot act: “Stop and quarantine file” is not available yet."),
        (
            replace(MAIL, kind=EvidenceKind.URL, wired=WIRED - {"block_url"}),
            "Cannot act: “Block URL (time of click)” is not available yet.",
        ),
        (
            replace(MAIL, kind=EvidenceKind.MAILBOX, wired=WIRED - {"turn_off_forwarding"}),
            "Cannot act: “Turn off external mail forwarding” is not available yet.",
        ),
        (replace(FILE, kind=EvidenceKind.USER), "There is no action for this kind of evidence: User."),
    ],
)
def test_what_stands_in_the_way_is_said(facts: Facts, reason: str, verdict: Verdict) -> None:
    assert decide(replace(facts, verdict=verdict)) == Decision(NONE, "", reason)


def test_a_look_up_that_is_tried_again_is_waited_for_and_its_time_is_told() -> None:
    failed = replace(MAIL, kind=EvidenceKind.MAIL_CLUSTER, recipients_known=False, recipients_error="No connection.")
    decision = decide(replace(failed, looked_up_again_at=datetime(2026, 11, 21, 12, 30, tzinfo=UTC)))
    assert decision.outcome == EvidenceOutcome.WAITING_FOR_RECIPIENTS
    assert decision.reason.endswith("it is tried again at 2026-11-21 12:30 UTC. No connection.")


def test_only_a_cluster_needs_its_recipients_looked_up() -> None:
    message = replace(MAIL, kind=EvidenceKind.ANALYZED_MESSAGE, recipients_known=False)

    assert decide(message).outcome == ASK
    assert decide(replace(FILE, recipients_known=False)).outcome == AUTO


@pytest.mark.parametrize("verdict", [Verdict.MALICIOUS, Verdict.SUSPICIOUS])
def test_a_cluster_waits_while_its_recipients_are_looked_up(verdict: Verdict) -> None:
    cluster = replace(MAIL, kind=EvidenceKind.MAIL_CLUSTER, recipients_known=False, verdict=verdict)
    words = "The recipients of these messages are being looked up."

    assert decide(cluster) == Decision(EvidenceOutcome.WAITING_FOR_RECIPIENTS, "", words)
    assert decide(replace(cluster, recipients_known=True, message_count=10_000)).outcome == ASK
    assert decide(replace(cluster, remediation_status=RemediationStatus.REMEDIATED)).outcome == NOTHING


@pytest.mark.parametrize("facts", ON_DEVICE.values())
def test_a_device_whose_group_is_not_known_asks_a_person(facts: Facts) -> None:
    assert decide(replace(facts, automation_level=None, device_isolation_is_automatic=True)).outcome == ASK


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(FILE, remediation_status=RemediationStatus.BLOCKED), "Microsoft has already handled this: Blocked."),
        (
            replace(FILE, automation_level=AutomationLevel.SEMI_CORE_FOLDERS, file_path=FOLDERS["doubtful"]),
            "It is malicious; which folder it is in cannot be told for certain, so a person decides.",
        ),
        (
            replace(FILE, automation_level=AutomationLevel.SEMI_NON_TEMP_FOLDERS, file_path=""),
            "It is malicious; which folder it is in cannot be told for certain, so a person decides.",
        ),
        (FILE, "It is malicious, and the device group remediates threats automatically."),
    ],
)
def test_the_reason_is_a_sentence_for_people(facts: Facts, reason: str) -> None:
    assert decide(facts).reason == reason


def test_the_printed_table_says_what_the_design_says() -> None:
    table = decision_table()

    assert (
        TableRow(
            "Malicious",
            "file in a core folder",
            "Full - remediate threats automatically",
            "Automatic",
            "Stop and quarantine file",
        )
        in table
    )
    assert TableRow("Malicious", "URL", "any", "Pending approval", "Block URL (time of click)") in table
    assert TableRow("No threats found", "the device itself", "any", "Nothing needed", "") in table
    assert TableRow("Suspicious", "the device itself", "No automated response", "No automated response", "") in table
    assert {row.verdict for row in table} == {"Malicious", "Suspicious", "No threats found", "Unknown"}
    assert len(table) == len(set(table))
