"""Checks what is asked of an action before anybody is asked about it, and says in words what it is done to."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from investigations.models import Device
from portal.access.exceptions import BadRequest
from remediation.actions.parameter_kinds import as_messages, as_url_entry, check_value, in_plain_sight
from remediation.catalogue import ActionType

__all__ = ["as_messages", "as_url_entry", "check_parameters", "describe_target", "in_plain_sight"]


def check_parameters(kind: ActionType, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters in their one canonical form, without the optional ones that were not given.

    Raises BadRequest that names the wrong one.
    """
    expected = {parameter.name for parameter in kind.parameters}
    for name in given:
        if name not in expected:
            raise BadRequest(
                _("“%(action)s” has no parameter “%(name)s”.") % {"action": kind.label, "name": str(name)[:60]}
            )
    checked: dict[str, Any] = {}
    for parameter in kind.parameters:
        value = given.get(parameter.name)
        if not parameter.is_optional or value not in (None, ""):
            checked[parameter.name] = check_value(parameter, value, checked)
    return checked


def describe_target(kind: ActionType, device: Device | None, parameters: Mapping[str, Any]) -> str:
    """Return what the action is done to, in words for people: whose it is, then what."""
    what = _describe_what(parameters)
    if device is not None:
        return in_plain_sight(f"{device} · {what}" if what else str(device))
    return in_plain_sight(what) or str(kind.label)


def _describe_what(parameters: Mapping[str, Any]) -> str:
    messages = parameters.get("messages", [])
    if len(messages) == 1:
        return f"{messages[0]['recipient']} · {messages[0]['network_message_id']}"
    if messages:
        return _("%(count)d messages") % {"count": len(messages)}
    if "process_id" in parameters:
        process = _("process %(id)s") % {"id": parameters["process_id"]}
        return f"{process} · {parameters['process_name']}" if "process_name" in parameters else process
    if "indicator_type" in parameters:
        named = f"{parameters['indicator_type']} · {parameters['value']}"
        days = parameters.get("days")
        return f"{named} · {ngettext('for %d day', 'for %d days', days) % days}" if days else named
    if "alert_id" in parameters:
        return _("alert %(id)s") % {"id": parameters["alert_id"]}
    names = ("path", "task_name", "mailbox", "url", "sha1")
    return next((str(parameters[name]) for name in names if name in parameters), "")
