"""Microsoft's records, quirks and all, become plain values; what cannot be used is refused with its place."""

import contextlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from investigations.fields import RefusedRecord
from investigations.payloads import AlertPayload, EvidencePayload, read_alert, read_machine
from investigations.states import KIND_OF_TYPE, OTHER_TYPES, EvidenceKind, RemediationStatus, Verdict

SHARED = Path(__file__).parents[2].parent / "shared"
needs_real = pytest.mark.skipif(not (SHARED / "real").is_dir(), reason="no real payloads beside this clone")

TENANT = "6f0d9a52-91c4-4c1b-9a7e-2f3b8f0c1d11"
STRANGER = "0badc0de-91c4-4c1b-9a7e-2f3b8f0c1d11"
DEVICE_A, DEVICE_B = "a" * 40, "b" * 40
SHA1, SHA256 = "1" * 40, "2" * 64


def alert(*evidence: Any, **changes: Any) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.security.alert",
        "id": "da1",
        "tenantId": TENANT,
        "lastUpdateDateTime": "2026-11-20T07:12:44.5133337Z",
        "evidence": list(evidence),
    } | changes


def read(*evidence: Any, **changes: Any) -> AlertPayload:
    return read_alert(alert(*evidence, **changes), entra_tenant_id=TENANT.upper())


def piece(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@odata.type": f"#microsoft.graph.security.{kind}Evidence", "verdict": "malicious"} | fields


def file(device: str | None = DEVICE_A, **changes: Any) -> dict[str, Any]:
    details = {"sha1": SHA1, "sha256": SHA256, "fileName": "a.exe", "filePath": r"C:\Temp"}
    return piece("file", mdeDeviceId=device, fileDetails=details | changes)


def only(*evidence: Any) -> EvidencePayload:
    found = read(*evidence)
    assert found.refused == ()
    assert len(found.evidence) == 1
    return found.evidence[0]


def test_an_alert_is_read_field_by_field() -> None:
    found = read(
        incidentId="20817",
        title="Malware",
        severity="High",
        status="InProgress",
        serviceSource="microsoftDefenderForEndpoint",
        classification=None,
        category="DefenseEvasion",
        createdDateTime="2026-11-20T09:12:44+02:00",
    )

    assert (found.alert_id, found.incident_id, found.title) == ("da1", "20817", "Malware")
    assert (found.severity, found.status, found.classification) == ("high", "inProgress", "")
    assert found.category == "DefenseEvasion"
    assert found.created_at == datetime(2026, 11, 20, 7, 12, 44, tzinfo=UTC)
    assert found.last_update_at == datetime(2026, 11, 20, 7, 12, 44, 513333, tzinfo=UTC)
    assert found.last_update_at.utcoffset() == found.created_at.utcoffset()
    assert found.first_activity_at is None


@pytest.mark.parametrize(
    ("changes", "position"),
    [
        ({"id": None}, "id"),
        ({"id": "  "}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"tenantId": STRANGER}, "tenantId"),
        ({"tenantId": None}, "tenantId"),
        ({"tenantId": [TENANT]}, "tenantId"),
        ({"lastUpdateDateTime": None}, "lastUpdateDateTime"),
        ({"lastUpdateDateTime": "yesterday"}, "lastUpdateDateTime"),
        ({"lastUpdateDateTime": "2026-02-30T00:00:00Z"}, "lastUpdateDateTime"),
        ({"lastUpdateDateTime": "2026-11-20T07:12:44"}, "lastUpdateDateTime"),
        ({"createdDateTime": "0001-01-01T00:00:00+10:00"}, "createdDateTime"),
        ({"createdDateTime": 1_763_622_764}, "createdDateTime"),
        ({"title": {"text": "x"}}, "title"),
        ({"evidence": {"0": {}}}, "evidence"),
        ({"evidence": "none"}, "evidence"),
        ({"@odata.type": "#microsoft.graph.security.incident"}, "@odata.type"),
        ({"@odata.type": "#microsoft.graph.alert"}, "@odata.type"),
    ],
)
def test_a_malformed_or_foreign_alert_is_refused_at_its_field(changes: dict[str, Any], position: str) -> None:
    with pytest.raises(RefusedRecord) as refusal:
        read(**changes)

    assert refusal.value.position == position
    assert refusal.value.reason
    assert STRANGER not in str(refusal.value)


@pytest.mark.parametrize("odata_type", [None, "microsoft.graph.security.alert", "#Microsoft.Graph.Security.Alert"])
def test_an_alert_need_not_say_that_it_is_one(odata_type: str | None) -> None:
    assert read(**{"@odata.type": odata_type}, evidence=None).evidence == ()


def test_a_file_is_where_graph_says_it_is() -> None:
    found = only(file())

    assert (found.kind, found.label) == (EvidenceKind.FILE, "a.exe")
    assert (found.machine_id, found.sha1, found.sha256) == (DEVICE_A, SHA1, SHA256)
    assert found.file_path == r"C:\Temp\a.exe"
    assert (found.verdict, found.remediation_status) == (Verdict.MALICIOUS, RemediationStatus.NONE)


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [
        ("C:\\Temp\\", "a.exe", r"C:\Temp\a.exe"),
        (r"C:\Temp\A.EXE", "a.exe", r"C:\Temp\A.EXE"),
        (r"C:\Temp\aa.exe", "a.exe", r"C:\Temp\aa.exe\a.exe"),
        ("C:/Temp", "a.exe", "C:/Temp/a.exe"),
        ("/", "a", "/a"),
        (r"C:\Temp", None, r"C:\Temp"),
        (None, "a.exe", ""),
    ],
)
def test_folder_and_file_name_are_joined(folder: str | None, name: str | None, path: str) -> None:
    assert only(file(filePath=folder, fileName=name)).file_path == path


def test_a_process_is_its_image() -> None:
    image = {"sha1": SHA1.upper(), "fileName": "a.exe", "filePath": r"C:\Temp"}
    running = piece("process", mdeDeviceId=DEVICE_A.upper(), processId=4780, imageFile=image)

    found = only(running)

    assert (found.kind, found.label) == (EvidenceKind.PROCESS, "a.exe (4780)")
    assert (found.machine_id, found.sha1, found.file_path) == (DEVICE_A, SHA1, r"C:\Temp\a.exe")
    assert len(read(running, running | {"processId": 4781}).evidence) == 2


def test_mail_keeps_what_remediation_needs() -> None:
    message = only(
        piece("analyzedMessage", networkMessageId="N-1", recipientEmailAddress="Ada@x.example", subject="Hi")
    )
    cluster = only(piece("mailCluster", networkMessageIds=["N-1", "N-2", "N-1"], clusterByValue="Subject;Sender"))
    url = only(piece("url", url="https://evil.example/x"))
    mailbox = only(piece("mailbox", primaryAddress="ada@x.example"))

    assert (message.network_message_id, message.recipient, message.label) == ("N-1", "Ada@x.example", "Hi")
    assert (cluster.network_message_ids, cluster.label) == (("N-1", "N-2"), "Subject;Sender")
    assert (url.url, mailbox.mailbox) == ("https://evil.example/x", "ada@x.example")


@pytest.mark.parametrize(
    "unusable",
    [
        "a file",
        None,
        piece("device", mdeDeviceId=None),
        piece("device", mdeDeviceId="73e7"),
        piece("file", mdeDeviceId=DEVICE_A),
        piece("file", mdeDeviceId=DEVICE_A, fileDetails={"fileName": "a.exe"}),
        piece("file", mdeDeviceId=DEVICE_A, fileDetails=[SHA1]),
        piece("process", mdeDeviceId=DEVICE_A, imageFile=None),
        file(device="not-hex"),
        file(sha1="xyz"),
        piece("analyzedMessage", networkMessageId="N-1", recipientEmailAddress=" "),
        piece("analyzedMessage", networkMessageId=None, recipientEmailAddress="ada@x.example"),
        piece("url", url=""),
        piece("mailbox", displayName="Ada"),
        piece("mailCluster", networkMessageIds=[]),
        piece("mailCluster", networkMessageIds=["N-1", 2]),
        piece("ip", ipAddress=16909060),
        file() | {"verdict": 2},
        file() | {"createdDateTime": "now"},
        file() | {"@odata.type": 5},
    ],
)
def test_an_unusable_piece_is_refused_alone(unusable: object) -> None:
    found = read(file(), unusable, file(device=DEVICE_B))

    assert [refusal.position for refusal in found.refused] == ["evidence[1]"]
    assert [item.machine_id for item in found.evidence] == [DEVICE_A, DEVICE_B]


@pytest.mark.parametrize("odata_type", [None, "", "#microsoft.graph.security.quantumEvidence", "#example.fileEvidence"])
def test_a_type_not_in_graphs_schema_is_kept_and_named(odata_type: str | None) -> None:
    found = read(file(), {"@odata.type": odata_type, "verdict": "malicious", "displayName": "Q"})

    assert [(item.position, item.odata_type) for item in found.unrecognised] == [("evidence[1]", odata_type or "")]
    assert (found.evidence[1].kind, found.evidence[1].label) == (EvidenceKind.OTHER, "Q")
    assert found.refused == ()


def test_a_type_nobody_acts_on_is_kept_without_a_word() -> None:
    found = read(piece("kubernetesPod", name="web-1"), piece("blob", name=7), piece("user", userAccount=None))

    assert [item.kind for item in found.evidence] == [EvidenceKind.OTHER, EvidenceKind.OTHER, EvidenceKind.USER]
    assert [item.label for item in found.evidence] == ["web-1", "blobEvidence", "userEvidence"]
    assert (found.refused, found.unrecognised) == ((), ())


@pytest.mark.parametrize(
    ("verdicts", "kept"),
    [
        (["noThreatsFound", "unknown", "suspicious", "malicious"], Verdict.MALICIOUS),
        (["suspicious", "unknown"], Verdict.SUSPICIOUS),
        (["noThreatsFound", "unknown"], Verdict.UNKNOWN),
        (["NoThreatsFound"], Verdict.NO_THREATS_FOUND),
        (["rotten", "noThreatsFound"], Verdict.UNKNOWN),
        ([None], Verdict.UNKNOWN),
    ],
)
def test_the_same_entity_twice_is_one_with_the_worst_verdict(verdicts: list[str], kept: Verdict) -> None:
    assert only(*(file() | {"verdict": verdict} for verdict in verdicts)).verdict == kept


def test_of_two_alike_the_unhandled_one_counts() -> None:
    handled, active = file() | {"remediationStatus": "Remediated"}, file() | {"remediationStatus": "active"}

    assert only(handled, active).remediation_status == RemediationStatus.ACTIVE
    assert only(active, handled).remediation_status == RemediationStatus.ACTIVE


@pytest.mark.parametrize(
    ("word", "status"),
    [
        (None, RemediationStatus.NONE),
        ("PendingApproval", RemediationStatus.PENDING_APPROVAL),
        ("notRemediated", RemediationStatus.UNREMEDIATED),
        ("unknownFutureValue", RemediationStatus.UNKNOWN_FUTURE_VALUE),
        ("vaporised", RemediationStatus.UNKNOWN_FUTURE_VALUE),
    ],
)
def test_remediation_status_is_read_in_any_spelling(word: str | None, status: RemediationStatus) -> None:
    assert only(file() | {"remediationStatus": word}).remediation_status == status


@pytest.mark.parametrize(
    "other",
    [file(device=DEVICE_B), file(sha1=None, sha256="3" * 64), file(filePath=r"C:\Windows"), file(device=None)],
)
def test_another_device_file_or_folder_is_another_entity(other: dict[str, Any]) -> None:
    assert len({item.entity_key for item in read(file(), other).evidence}) == 2


def test_an_entity_keeps_its_key_when_its_verdict_and_status_change() -> None:
    later = {"verdict": "suspicious", "remediationStatus": "active", "createdDateTime": "2026-11-20T07:12:44Z"}
    pod, user = piece("kubernetesPod", name="web-1"), piece("user", userAccount={"userSid": "S-1-5-18"})

    for item in (file(), pod, user, piece("registryKey", registryKey="SYSTEM", registryHive="HKLM")):
        assert only(item).entity_key == only(item | later).entity_key
        assert len(only(item).entity_key) == 32


def test_a_cluster_that_grows_is_the_same_one_and_clusters_of_other_messages_are_not() -> None:
    def key(*message_ids: str, **fields: str) -> str:
        return only(piece("mailCluster", networkMessageIds=list(message_ids), **fields)).entity_key

    assert key("N-1", clusterBy="Subject", query="s") == key("N-1", "N-2", clusterBy="Subject", query="s")
    assert key("N-1", clusterBy="Subject", query="s") != key("N-1", clusterBy="Subject", query="t")
    assert key("N-1", "N-2") == key("N-2", "N-1") != key("N-1")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner)))
def test_no_value_of_any_field_escapes_as_another_exception(value: object) -> None:
    names = ("mdeDeviceId", "fileDetails", "imageFile", "networkMessageIds", "userAccount", "tags", "processId", "name")
    pieces = [
        {"@odata.type": f"#microsoft.graph.security.{kind}"} | dict.fromkeys(names, value)
        for kind in [*KIND_OF_TYPE, *OTHER_TYPES]
    ]

    found = read(*pieces)

    assert len(found.refused) + len(found.evidence) <= len(pieces)
    for name in ("id", "tenantId", "evidence", "severity", "createdDateTime"):
        with contextlib.suppress(RefusedRecord):
            read(**{name: value})


@needs_real
def test_the_real_alert_is_read_whole() -> None:
    record = json.loads((SHARED / "real/graph-alert.json").read_text())

    found = read_alert(record, entra_tenant_id="b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c")

    assert (found.alert_id, found.severity) == ("da637551227677560813_-961444813", "low")
    assert found.last_update_at == datetime(2021, 5, 2, 14, 19, 1, 326666, tzinfo=UTC)
    assert (found.refused, found.unrecognised) == ((), ())
    device, suspect, process, key = found.evidence
    assert device.device is not None
    assert device.device.rbac_group_name == "UnassignedGroup"
    assert (device.device.dns_name, device.device.tags, device.device.last_ip) == ("tempDns", ("Test Machine",), "")
    assert suspect.file_path == process.file_path == r"C:\Program Files\temp\MsSense.exe"
    assert suspect.sha1 == process.sha1 == "5f1e8acedc065031aad553b710838eb366cfee9a"
    assert process.label == "MsSense.exe (4780)"
    assert key.label == r"HKEY_LOCAL_MACHINE\SYSTEM\CONTROLSET001\CONTROL\WMI\AUTOLOGGER\SENSEAUDITLOGGER"


@needs_real
def test_the_real_machines_are_read_whole() -> None:
    rows = [json.loads(line) for line in (SHARED / "real/mde-machines.ndjson").read_text().splitlines()]

    machines = [read_machine(row) for row in rows]

    assert [machine.machine_id for machine in machines] == [row["id"] for row in rows]
    first = machines[0]
    assert (first.dns_name, first.os_platform, first.os_version) == ("c-lab-08", "Windows10", "22H2")
    assert (first.health_status, first.risk_score, first.rbac_group_name) == ("active", "none", "")
    assert first.last_seen == datetime(2025, 4, 2, 2, 51, 16, 205910, tzinfo=UTC)
    assert machines[1].tags == ("C-Lab-Linux",)


@needs_real
def test_every_evidence_type_of_graph_is_known() -> None:
    schema = (SHARED / "contracts/graph-v1-excerpt.csdl").read_text()
    published = re.findall(r'ComplexType Name="(\w+)" BaseType="self.alertEvidence"', schema)

    assert len(published) > 40
    assert {name.lower() for name in published} == set(KIND_OF_TYPE) | OTHER_TYPES


def test_a_machine_row_without_much_in_it_is_still_a_device() -> None:
    row = {"id": DEVICE_A.upper(), "lastIpAddress": "", "rbacGroupName": "UnassignedGroup", "riskScore": None}

    machine = read_machine(row)

    assert machine == replace(
        machine, machine_id=DEVICE_A, last_ip="", rbac_group_name="UnassignedGroup", risk_score=""
    )
    with pytest.raises(RefusedRecord, match="^id: id is missing$"):
        read_machine({"computerDnsName": "pc"})
