"""What a person asks for an action about: a device, a piece of evidence, an alert, or what an earlier action was on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.urls import reverse

from investigations.models import Alert, Device, Evidence
from investigations.states import EvidenceKind
from portal.tenancy.models import Tenant
from remediation.actions.admin.addresses import url_of
from remediation.actions.asking import find_requestable, is_by_undo_alone
from remediation.actions.by_hand import HAND_WORK, nearest_parameters
from remediation.actions.models import RemediationAction
from remediation.catalogue import CATALOGUE, REQUESTABLE, ActionType, Area

_NAMING: Final = frozenset({"messages", "url", "mailbox", "alert_id", "sha1", "value"})
"""The parameters that say what an action is about; the others say how it is done."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What it is about. `known` are parameters it fills in; `named_by` names it in an address."""

    tenant: Tenant
    title: str
    back_url: str
    named_by: Mapping[str, str]
    device: Device | None = None
    known: Mapping[str, Any] = field(default_factory=dict)
    is_open: bool = False

    def types(self) -> list[ActionType]:
        """Return the types that make sense for it; where `is_open`, all that need no device."""
        kinds = [CATALOGUE[name] for name in CATALOGUE if name in REQUESTABLE]
        return [kind for kind in kinds if not is_by_undo_alone(kind) and self._fits(kind)]

    def device_for(self, kind: ActionType) -> Device | None:
        """Return the device an action of this type is asked for on."""
        return self.device if kind.area is Area.DEVICE else None

    def _fits(self, kind: ActionType) -> bool:
        if kind.area is Area.DEVICE:
            return self.device is not None
        naming = {parameter.name for parameter in kind.parameters} & _NAMING
        return self.is_open or bool(naming) and naming <= self.known.keys()


def find_subject(query: QueryDict) -> Subject | None:
    """Return what an address names, None where that is nothing in scope."""
    for name, find in _FINDERS.items():
        if name in query:
            key = _as_uuid(query.get(name, ""))
            return find(key, query) if key else None
    return None


def ask_url(name: str, key: UUID) -> str:
    """Return the address where an action is asked for about one row."""
    return f"{reverse('admin:actions_ask')}?{name}={key}"


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _page(model: str, key: UUID) -> str:
    return reverse(f"admin:investigations_{model}_change", args=[key])


def _first(rows: QuerySet[Any], key: UUID) -> Any:
    found: Model | None = rows.select_related("tenant").filter(pk=key).first()
    return found


def _of_device(key: UUID, _query: QueryDict) -> Subject | None:
    row = _first(Device.objects.all(), key)
    return row and Subject(row.tenant, str(row), _page("device", row.pk), {"device": str(key)}, device=row)


def _of_alert(key: UUID, _query: QueryDict) -> Subject | None:
    row = _first(Alert.objects.defer("raw"), key)
    known = {"alert_id": row.alert_id} if row else {}
    return row and Subject(row.tenant, row.title, _page("alert", row.pk), {"alert": str(key)}, known=known)


def _of_evidence(key: UUID, _query: QueryDict) -> Subject | None:
    row = _first(Evidence.objects.select_related("device", "alert"), key)
    return row and Subject(
        row.tenant,
        row.label,
        _page("alert", row.alert_id),
        {"evidence": str(key)},
        device=row.device,
        known=_known_of(row),
    )


def _of_action(key: UUID, query: QueryDict) -> Subject | None:
    row = _first(RemediationAction.objects.select_related("device"), key)
    if row is None:
        return None
    work = HAND_WORK.get(row.type)
    known = nearest_parameters(row, work) if work and work.nearest == query.get("type") else row.parameters
    return Subject(row.tenant, row.target, url_of(row), {"like": str(key)}, row.device, known, is_open=True)


_FINDERS: Final = {"device": _of_device, "evidence": _of_evidence, "alert": _of_alert, "like": _of_action}


def _known_of(row: Evidence) -> dict[str, Any]:
    """Return the parameters a piece of evidence fills in."""
    known: dict[str, Any] = {
        "alert_id": row.alert.alert_id,
        "sha1": row.sha1,
        "path": row.file_path,
        "mailbox": row.mailbox,
        "url": row.url,
        **_process_of(row),
        **indicator_of(row),
    }
    if row.network_message_id and row.recipient:
        known["messages"] = [{"network_message_id": row.network_message_id, "recipient": row.recipient}]
    return {name: value for name, value in known.items() if value}


def _process_of(row: Evidence) -> dict[str, Any]:
    if row.kind != EvidenceKind.PROCESS:
        return {}
    image = row.raw.get("imageFile") or {}
    return {"process_id": row.raw.get("processId"), "process_name": image.get("fileName")}


def indicator_of(row: Evidence) -> dict[str, str]:
    """Return the indicator that a piece of evidence can be made of, {} where it is nothing an indicator is about."""
    found = (("FileSha256", row.sha256), ("FileSha1", row.sha1), ("Url", row.url), ("IpAddress", _address_of(row)))
    return next(({"indicator_type": kind, "value": value} for kind, value in found if value), {})


def _address_of(row: Evidence) -> str:
    return str(row.raw.get("ipAddress") or "") if row.kind == EvidenceKind.IP else ""


def requestable_for(subject: Subject, type_name: str) -> ActionType | None:
    """Return the type, if it makes sense for the subject. Raises BadRequest for one that nobody may ask for."""
    kind = find_requestable(type_name)
    return kind if kind in subject.types() else None
