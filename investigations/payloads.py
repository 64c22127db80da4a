"""Reads Microsoft's records into plain values: a Graph alert with its evidence, a row of Defender's machines.

What is wrong with an alert as a whole refuses the alert; what is wrong with one piece of its evidence
refuses that piece only. Nothing is guessed, and every refusal says where and why. Shapes are those of
Microsoft Graph's `microsoft.graph.security.alert` and of `Machine` in the Defender for Endpoint API.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from investigations.fields import Fields, RefusedRecord
from investigations.states import ALREADY_HANDLED, KIND_OF_TYPE, OTHER_TYPES, EvidenceKind, RemediationStatus, Verdict

_NAMESPACE: Final = "microsoft.graph.security."

_VOLATILE: Final = frozenset(
    {
        "createdDateTime",
        "verdict",
        "remediationStatus",
        "remediationStatusDetails",
        "roles",
        "detailedRoles",
        "tags",
        "detectionStatus",
    }
)
"""What may change on a piece of evidence while the thing it is about stays the same."""

_WORST_FIRST: Final = (Verdict.MALICIOUS, Verdict.SUSPICIOUS, Verdict.UNKNOWN, Verdict.NO_THREATS_FOUND)


@dataclass(frozen=True, slots=True)
class DevicePayload:
    """A device as Defender describes it. Texts are "" where Microsoft sends nothing, times are UTC.

    `machine_id` is 40 lower-case hex digits. `rbac_group_name` is `UnassignedGroup` for devices in no group.
    """

    machine_id: str
    dns_name: str
    os_platform: str
    os_version: str
    health_status: str
    risk_score: str
    entra_device_id: str
    rbac_group_name: str
    tags: tuple[str, ...]
    last_ip: str
    first_seen: datetime | None
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class EvidencePayload:
    """One piece of evidence. Fields its kind does not have are "", () or None.

    `entity_key` is the same for the same thing seen again, in this alert or another. `machine_id` is the
    device it was found on. `sha1`, `sha256` and `file_path` are a process's image where it is a process.
    """

    position: str
    kind: EvidenceKind
    odata_type: str
    entity_key: str
    label: str
    verdict: Verdict
    remediation_status: RemediationStatus
    created_at: datetime | None
    raw: Mapping[str, Any]
    machine_id: str = ""
    sha1: str = ""
    sha256: str = ""
    file_path: str = ""
    network_message_id: str = ""
    recipient: str = ""
    network_message_ids: tuple[str, ...] = ()
    url: str = ""
    mailbox: str = ""
    device: DevicePayload | None = None


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """A place with an evidence type that Graph's published schema does not have; it is kept all the same."""

    position: str
    odata_type: str


@dataclass(frozen=True, slots=True)
class AlertPayload:
    """One alert. Times are UTC; `refused` are the pieces of evidence that could not be used."""

    alert_id: str
    incident_id: str
    title: str
    severity: str
    status: str
    service_source: str
    classification: str
    determination: str
    category: str
    description: str
    recommended_actions: str
    created_at: datetime | None
    last_update_at: datetime
    first_activity_at: datetime | None
    last_activity_at: datetime | None
    raw: Mapping[str, Any]
    evidence: tuple[EvidencePayload, ...]
    refused: tuple[RefusedRecord, ...]
    unrecognised: tuple[Unrecognised, ...]


def read_alert(record: Mapping[str, Any], *, entra_tenant_id: str) -> AlertPayload:
    """Read one Graph alert of the tenant. Raises RefusedRecord if it is no alert, another tenant's, or malformed."""
    fields = Fields(record)
    _check_whose_alert(fields, entra_tenant_id)
    evidence, refused, unrecognised = _read_evidence(fields.items("evidence"))
    return AlertPayload(
        alert_id=fields.required_text("id", limit=200),
        incident_id=fields.text("incidentId", limit=300),
        title=fields.text("title"),
        severity=fields.word("severity"),
        status=fields.word("status"),
        service_source=fields.word("serviceSource"),
        classification=fields.word("classification"),
        determination=fields.word("determination"),
        category=fields.text("category", limit=100),
        description=fields.text("description"),
        recommended_actions=fields.text("recommendedActions"),
        created_at=fields.moment("createdDateTime"),
        last_update_at=fields.required_moment("lastUpdateDateTime"),
        first_activity_at=fields.moment("firstActivityDateTime"),
        last_activity_at=fields.moment("lastActivityDateTime"),
        raw=record,
        evidence=evidence,
        refused=refused,
        unrecognised=unrecognised,
    )


def read_machine(record: Mapping[str, Any]) -> DevicePayload:
    """Read one row of Defender's `/api/machines`. Raises RefusedRecord if it is malformed."""
    fields = Fields(record)
    return DevicePayload(
        machine_id=fields.required_hex("id", digits=40),
        dns_name=fields.text("computerDnsName", limit=300),
        os_platform=fields.text("osPlatform", limit=100),
        os_version=fields.text("version", limit=100) or fields.text("osVersion", limit=100),
        health_status=fields.word("healthStatus"),
        risk_score=fields.word("riskScore"),
        entra_device_id=fields.text("aadDeviceId", limit=100).lower(),
        rbac_group_name=fields.text("rbacGroupName", limit=300),
        tags=fields.texts("machineTags"),
        last_ip=fields.text("lastIpAddress", limit=100),
        first_seen=fields.moment("firstSeen"),
        last_seen=fields.moment("lastSeen"),
    )


def _check_whose_alert(fields: Fields, entra_tenant_id: str) -> None:
    odata_type = fields.text("@odata.type")
    if odata_type and odata_type.removeprefix("#").lower() != f"{_NAMESPACE}alert":
        raise RefusedRecord("@odata.type", "not an alert of Graph's alerts_v2")
    if fields.required_text("tenantId").lower() != entra_tenant_id.strip().lower():
        raise RefusedRecord("tenantId", "the alert belongs to another Entra tenant than the one it was given to")


def _read_evidence(
    items: Sequence[object],
) -> tuple[tuple[EvidencePayload, ...], tuple[RefusedRecord, ...], tuple[Unrecognised, ...]]:
    """Read the pieces one by one. The same entity found twice in one alert is one piece: the worse of the two."""
    pieces: dict[str, EvidencePayload] = {}
    refused: list[RefusedRecord] = []
    unrecognised: list[Unrecognised] = []
    for index, item in enumerate(items):
        position = f"evidence[{index}]"
        try:
            piece = _read_piece(item, position)
        except RefusedRecord as refusal:
            refused.append(refusal)
            continue
        if piece.kind == EvidenceKind.OTHER and _short_type(piece.odata_type) not in OTHER_TYPES:
            unrecognised.append(Unrecognised(position, piece.odata_type))
        pieces[piece.entity_key] = min(pieces.get(piece.entity_key, piece), piece, key=_order)
    return tuple(pieces.values()), tuple(refused), tuple(unrecognised)


def _order(piece: EvidencePayload) -> tuple[int, bool]:
    """Sort the piece that asks for most care first: malicious, suspicious, unknown, no threats; then the unhandled."""
    return _WORST_FIRST.index(piece.verdict), piece.remediation_status in ALREADY_HANDLED


def _short_type(odata_type: str) -> str:
    lowered = odata_type.removeprefix("#").lower()
    return lowered.removeprefix(_NAMESPACE) if lowered.startswith(_NAMESPACE) else ""


def _read_piece(item: object, position: str) -> EvidencePayload:
    if not isinstance(item, Mapping):
        raise RefusedRecord(position, "not a JSON object")
    fields = Fields(item, position)
    odata_type = fields.text("@odata.type", limit=300)
    kind = KIND_OF_TYPE.get(_short_type(odata_type), EvidenceKind.OTHER)
    entity = _READERS.get(kind, _read_other)(fields)
    identity = entity.identity if any(entity.identity) else (odata_type.lower(), *_content(item))
    return EvidencePayload(
        position=position,
        kind=kind,
        odata_type=odata_type,
        entity_key=_digest(kind, identity),
        label=entity.label or odata_type.rpartition(".")[2],
        verdict=Verdict.read(fields.text("verdict")),
        remediation_status=RemediationStatus.read(fields.text("remediationStatus")),
        created_at=fields.moment("createdDateTime"),
        raw=item,
        **entity.attributes,
    )


def _content(item: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells a piece without ids from others: everything about it that does not change with its verdict."""
    return (json.dumps({key: value for key, value in item.items() if key not in _VOLATILE}, sort_keys=True),)


def _digest(kind: EvidenceKind, identity: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps([kind.value, *identity]).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Entity:
    """What a piece is about: how people call it, what makes it the same thing, and its kind's own fields."""

    label: str
    identity: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


def _read_device(fields: Fields) -> _Entity:
    device = DevicePayload(
        machine_id=fields.required_hex("mdeDeviceId", digits=40),
        dns_name=fields.text("deviceDnsName", limit=300) or fields.text("hostName", limit=300),
        os_platform=fields.text("osPlatform", limit=100),
        os_version=fields.text("version", limit=100),
        health_status=fields.word("healthStatus"),
        risk_score=fields.word("riskScore"),
        entra_device_id=fields.text("azureAdDeviceId", limit=100).lower(),
        rbac_group_name=fields.text("rbacGroupName", limit=300),
        tags=fields.texts("tags"),
        last_ip=fields.text("lastIpAddress", limit=100),
        first_seen=fields.moment("firstSeenDateTime"),
        last_seen=None,
    )
    label = device.dns_name or device.machine_id
    return _Entity(label, (device.machine_id,), {"machine_id": device.machine_id, "device": device})


def _read_file(fields: Fields) -> _Entity:
    return _read_image(fields, "fileDetails")


def _read_process(fields: Fields) -> _Entity:
    """A process is its image and its number; the number is given anew, so its start belongs to it."""
    image = _read_image(fields, "imageFile")
    number = fields.number("processId")
    started = fields.text("processCreationDateTime")
    label = f"{image.label} ({number})" if number else image.label
    return _Entity(label, (*image.identity, number, started), image.attributes)


def _read_image(fields: Fields, name: str) -> _Entity:
    """Read a file found on a device. Its place belongs to what it is, as folders decide about approval."""
    details = fields.part(name)
    machine_id = fields.hex("mdeDeviceId", digits=40)
    sha1, sha256 = details.hex("sha1", digits=40), details.hex("sha256", digits=64)
    file_name = details.text("fileName")
    path = _joined(details.text("filePath"), file_name)
    if not (sha1 or sha256 or path):
        raise fields.refusal(name, "has no SHA-1, no SHA-256 and no path")
    return _Entity(
        file_name or path or sha1 or sha256,
        (machine_id, sha1 or sha256, path.lower()),
        {"machine_id": machine_id, "sha1": sha1, "sha256": sha256, "file_path": path},
    )


def _joined(folder: str, file_name: str) -> str:
    """Join folder and file name as Graph sends them; some records repeat the name at the end of `filePath`."""
    if not folder or not file_name:
        return folder
    separator = "/" if "/" in folder and "\\" not in folder else "\\"
    folder = folder.rstrip(separator)
    if folder.lower().endswith(separator + file_name.lower()):
        return folder
    return f"{folder}{separator}{file_name}"


def _read_url(fields: Fields) -> _Entity:
    url = fields.required_text("url")
    return _Entity(url, (url,), {"url": url})


def _read_mailbox(fields: Fields) -> _Entity:
    address = fields.text("primaryAddress", limit=320) or fields.required_text("upn", limit=320)
    return _Entity(address, (address.lower(),), {"mailbox": address})


def _read_message(fields: Fields) -> _Entity:
    message_id = fields.required_text("networkMessageId", limit=100)
    recipient = fields.required_text("recipientEmailAddress", limit=320)
    label = fields.text("subject") or message_id
    identity = (message_id.lower(), recipient.lower())
    return _Entity(label, identity, {"network_message_id": message_id, "recipient": recipient})


def _read_cluster(fields: Fields) -> _Entity:
    """A cluster is what it was clustered by, so that it stays the same while messages join it."""
    message_ids = tuple(dict.fromkeys(fields.texts("networkMessageIds")))
    if not message_ids:
        raise fields.refusal("networkMessageIds", "is missing")
    clustered_by = tuple(fields.text(name) for name in ("clusterBy", "clusterByValue", "query"))
    identity = clustered_by if any(clustered_by) else tuple(sorted(message_ids))
    return _Entity(clustered_by[1] or message_ids[0], identity, {"network_message_ids": message_ids})


def _read_ip(fields: Fields) -> _Entity:
    address = fields.text("ipAddress")
    return _Entity(address, (address.lower(),))


def _read_user(fields: Fields) -> _Entity:
    account = fields.part("userAccount")
    local = "\\".join(filter(None, (account.text("domainName"), account.text("accountName"))))
    principal = account.text("userPrincipalName")
    identity = account.text("azureAdUserId") or account.text("userSid") or principal or local
    return _Entity(account.text("displayName") or principal or local, (identity.lower(),))


def _read_registry(fields: Fields) -> _Entity:
    machine_id = fields.hex("mdeDeviceId", digits=40)
    names = [fields.text(name) for name in ("registryHive", "registryKey", "registryValueName")]
    identity = (machine_id, *(name.lower() for name in names))
    return _Entity("\\".join(filter(None, names)), identity, {"machine_id": machine_id})


def _read_other(fields: Fields) -> _Entity:
    return _Entity(fields.any_text("displayName", "name"))


_READERS: Final[Mapping[EvidenceKind, Callable[[Fields], _Entity]]] = {
    EvidenceKind.DEVICE: _read_device,
    EvidenceKind.FILE: _read_file,
    EvidenceKind.PROCESS: _read_process,
    EvidenceKind.URL: _read_url,
    EvidenceKind.IP: _read_ip,
    EvidenceKind.USER: _read_user,
    EvidenceKind.MAILBOX: _read_mailbox,
    EvidenceKind.ANALYZED_MESSAGE: _read_message,
    EvidenceKind.MAIL_CLUSTER: _read_cluster,
    EvidenceKind.REGISTRY_KEY: _read_registry,
    EvidenceKind.REGISTRY_VALUE: _read_registry,
}
"""How each kind is read; the kinds without a reader of their own are read by `_read_other`."""
