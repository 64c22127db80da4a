"""What a person may ask for, on what, and how such an action is called afterwards."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from connectors import clouds
from connectors.choosing import find_enabled
from connectors.os_limits import reason_against
from investigations.models import Device
from portal.access.exceptions import BadRequest
from portal.access.roles import Capability
from remediation.actions.states import Source
from remediation.catalogue import CATALOGUE, REQUESTABLE, WIRED, ActionType, Area, Route


def find_requestable(type_name: str) -> ActionType:
    """Return the type, if people may ask for it. Raises BadRequest, which says why not."""
    kind = CATALOGUE.get(type_name)
    if kind is None:
        raise BadRequest(_("There is no action “%(type)s”.") % {"type": type_name})
    if kind.name not in WIRED:
        raise BadRequest(_("“%(action)s” is not available yet.") % {"action": kind.label})
    if kind.name not in REQUESTABLE:
        raise BadRequest(_("“%(action)s” is proposed by Quell and cannot be requested.") % {"action": kind.label})
    if is_by_undo_alone(kind):
        # What somebody typed as a former setting would decide where a mailbox's mail goes.
        raise BadRequest(
            _("“%(action)s” puts back a setting that Quell saved: undo the action that changed it.")
            % {"action": kind.label}
        )
    return kind


def is_by_undo_alone(kind: ActionType) -> bool:
    """Return whether it restores what another action saved, and so is ordered by undoing that one and no other way."""
    return any(parameter.kind == "former" for parameter in kind.parameters)


def needed_capability(kind: ActionType) -> Capability:
    """Return what asking for it takes: a release is an approver's to order."""
    return Capability.DECIDE_ACTION if kind.is_release else Capability.REQUEST_ACTION


def require_fitting_device(kind: ActionType, device: Device | None, parameters: Mapping[str, Any]) -> None:
    """Raise BadRequest where a device is missing, is one too many, or has a system Microsoft does not offer it on."""
    if kind.area is Area.DEVICE and device is None:
        raise BadRequest(_("This action needs a device."))
    if kind.area is not Area.DEVICE and device is not None:
        raise BadRequest(_("“%(action)s” takes no device.") % {"action": kind.label})
    if device is not None and (against := reason_against_device(kind, device, parameters)):
        words = _("“%(action)s” cannot be done on %(device)s. %(reason)s")
        raise BadRequest(words % {"action": kind.label, "device": device, "reason": against})


def require_offered(kind: ActionType, tenant_id: UUID) -> None:
    """Raise BadRequest where the cloud the tenant lives in does not offer it. Runs inside a scope with the tenant."""
    connection = find_enabled(tenant_id)
    against = clouds.reason_against(kind.name, connection.cloud) if connection is not None else None
    if against is not None:
        words = _("“%(action)s” cannot be done for this tenant. %(reason)s")
        raise BadRequest(words % {"action": kind.label, "reason": against})


def reason_against_device(kind: ActionType, device: Device, parameters: Mapping[str, Any]) -> str:
    """Return why Microsoft does not do it on this device's operating system, "" where it may."""
    return reason_against(kind.name, device.os_platform, device.os_version, parameters)


def source_of(kind: ActionType) -> Source:
    """Return what asking for it on a page counts as, in Microsoft's words.

    Microsoft names no source for indicators, classifications and submissions: its Action center does not list them.
    They are kept as manual device actions, or email actions where they are about mail, and pages show no source.
    """
    if kind.route is Route.LIVE_RESPONSE:
        return Source.MANUAL_LIVE_RESPONSE
    is_mail = kind.area is Area.MAIL or any(parameter.name == "messages" for parameter in kind.parameters)
    return Source.MANUAL_EMAIL if is_mail else Source.MANUAL_DEVICE


def source_by_key(kind: ActionType) -> Source:
    """Return what asking for it with an API key counts as: Microsoft calls API calls on devices live response too."""
    return Source.LIVE_RESPONSE if kind.area is Area.DEVICE else source_of(kind)
