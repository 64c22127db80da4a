"""The action catalogue: one table that policy, forms, the API schema, connector routes and docs are made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Area(StrEnum):
    """What an action is done to."""

    DEVICE = "device"
    MAIL = "mail"
    INVESTIGATION = "investigation"
    INDICATOR = "indicator"
    ALERT = "alert"


class Route(StrEnum):
    """The way an action takes out of the house."""

    DEFENDER = "Defender for Endpoint API"
    LIVE_RESPONSE = "Live response"
    GRAPH = "Microsoft Graph"
    EXCHANGE = "Exchange admin API"
    PORTAL_LINK = "Defender portal link"
    QUELL = "Quell itself"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an action type: one of `choices`, or where there are none, checked by its `kind`."""

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class ActionType:
    """One row of the catalogue.

    `inverse` is the type that undoes it, "" where nothing does. `repeat_is_harmless` tells whether the machine may send
    it a second time after a doubt was resolved. `conflict_group` names actions that one device takes one at a time, ""
    for none. `approvers` is how many people must approve by default, 0 where an approver's own request is enough.
    `hourly_cap` is how many may be sent per tenant and hour by default, None for any number. `is_free` is for what
    touches no device and no mailbox: whoever may ask for it may have it. `needs_capability` is what a tenant's
    connection must have for the route; without it a person does it in the Defender portal. `is_wired` is whether it can
    be carried out yet.
    """

    name: str
    label: Promise
    area: Area
    route: Route
    parameters: tuple[Parameter, ...] = ()
    inverse: str = ""
    repeat_is_harmless: bool = True
    conflict_group: str = ""
    approvers: int = 1
    hourly_cap: int | None = None
    is_free: bool = False
    needs_capability: str = ""
    is_wired: bool = False

    @property
    def is_destructive(self) -> bool:
        """Whether it cuts off, stops, deletes or takes away: its approval needs a fresh second factor.

        Such a type has a default limit per hour; what only looks, scans or gives back has none.
        """
        return self.hourly_cap is not None

    @property
    def is_ordered_alone(self) -> bool:
        """Whether nobody else has to approve it: whoever may order it gives a reason, and it goes."""
        return self.approvers == 0

    @property
    def is_release(self) -> bool:
        """Whether it takes back what another action did, and so is an approver's to order."""
        return self.is_ordered_alone and not self.is_free


_MESSAGES: Final = (Parameter("messages", "messages"),)
_SHA1: Final = (Parameter("sha1", "sha1"),)
_MAILBOX: Final = Parameter("mailbox", "mailbox")
_URL: Final = (Parameter("url", "url"),)
_INDICATOR: Final = (
    Parameter(
        "indicator_type",
        "text",
        ("FileSha1", "FileSha256", "CertificateThumbprint", "IpAddress", "DomainName", "Url"),
    ),
    Parameter("value", "indicator"),
)
_DAYS: Final = Parameter("days", "days", is_optional=True)
_CLASSIFICATION: Final = (
    Parameter("alert_id", "text"),
    Parameter("classification", "text", ("truePositive", "falsePositive", "informationalExpectedActivity")),
    Parameter("determination", "determination"),
)
_CATEGORY: Final = Parameter("category", "text", ("notJunk", "spam", "phishing", "malware"))
_FILE_CATEGORY: Final = Parameter("category", "text", ("clean", "malware"))

_TYPES: Final = (
    ActionType("collect_investigation_package", _("Collect investigation package"), Area.DEVICE, Route.DEFENDER,
               conflict_group="package", is_wired=True),
    ActionType("isolate_device", _("Isolate device"), Area.DEVICE, Route.DEFENDER,
               (Parameter("isolation_type", "text", ("Full", "Selective")),), inverse="release_from_isolation",
               conflict_group="isolation", hourly_cap=20, is_wired=True),
    ActionType("release_from_isolation", _("Release from isolation"), Area.DEVICE, Route.DEFENDER,
               conflict_group="isolation", approvers=0, is_wired=True),
    ActionType("restrict_code_execution", _("Restrict code execution"), Area.DEVICE, Route.DEFENDER,
               inverse="release_code_execution", conflict_group="code execution", hourly_cap=20, is_wired=True),
    ActionType("release_code_execution", _("Release code execution"), Area.DEVICE, Route.DEFENDER,
               conflict_group="code execution", approvers=0, is_wired=True),
    ActionType("run_antivirus_scan", _("Run antivirus scan"), Area.DEVICE, Route.DEFENDER,
               (Parameter("scan_type", "text", ("Quick", "Full")),), conflict_group="scan", is_wired=True),
    ActionType("stop_and_quarantine_file", _("Stop and quarantine file"), Area.DEVICE, Route.DEFENDER, _SHA1,
               inverse="release_from_quarantine", hourly_cap=50, is_wired=True),
    ActionType("release_from_quarantine", _("Release from quarantine"), Area.DEVICE, Route.LIVE_RESPONSE, _SHA1,
               conflict_group="live response", repeat_is_harmless=False, approvers=0, is_wired=True),
    ActionType("request_sample", _("Request sample"), Area.DEVICE, Route.LIVE_RESPONSE, (Parameter("path", "path"),),
               conflict_group="live response", repeat_is_harmless=False, approvers=2, hourly_cap=20, is_wired=True),
    ActionType("offboard_device", _("Offboard device"), Area.DEVICE, Route.DEFENDER, conflict_group="offboard",
               repeat_is_harmless=False, approvers=2, hourly_cap=5, is_wired=True),
    ActionType("delete_file", _("Delete file"), Area.DEVICE, Route.LIVE_RESPONSE,
               (Parameter("path", "windows_path"), Parameter("sha1", "sha1", is_optional=True)),
               conflict_group="live response", repeat_is_harmless=False, approvers=2, hourly_cap=10, is_wired=True),
    ActionType("stop_process", _("Stop process"), Area.DEVICE, Route.LIVE_RESPONSE,
               (Parameter("process_id", "process_id"), Parameter("process_name", "process_name", is_optional=True)),
               conflict_group="live response", repeat_is_harmless=False, approvers=2, hourly_cap=20, is_wired=True),
    ActionType("remove_scheduled_task", _("Remove scheduled task"), Area.DEVICE, Route.LIVE_RESPONSE,
               (Parameter("task_name", "task_name"),), conflict_group="live response", repeat_is_harmless=False,
               approvers=2, hourly_cap=10, is_wired=True),
    ActionType("get_file_information", _("Get file information"), Area.DEVICE, Route.DEFENDER, _SHA1, approvers=0,
               is_free=True, is_wired=True),
    ActionType("soft_delete_email", _("Soft delete email"), Area.MAIL, Route.GRAPH, _MESSAGES,
               inverse="move_to_inbox", hourly_cap=50, is_wired=True),
    ActionType("move_to_junk", _("Move to junk"), Area.MAIL, Route.GRAPH, _MESSAGES, inverse="move_to_inbox",
               is_wired=True, hourly_cap=50),
    ActionType("move_to_deleted_items", _("Move to deleted items"), Area.MAIL, Route.GRAPH, _MESSAGES,
               inverse="move_to_inbox", hourly_cap=50, is_wired=True),
    ActionType("hard_delete_email", _("Hard delete email"), Area.MAIL, Route.GRAPH, _MESSAGES,
               repeat_is_harmless=False, approvers=2, hourly_cap=10, is_wired=True),
    ActionType("move_to_inbox", _("Move to inbox"), Area.MAIL, Route.GRAPH, _MESSAGES, approvers=0, is_wired=True),
    ActionType("quarantine_email", _("Quarantine email"), Area.MAIL, Route.GRAPH, _MESSAGES, inverse="release_email",
               hourly_cap=50, needs_capability="move_to_quarantine", is_wired=True),
    ActionType("quarantine_attachment", _("Quarantine attachment"), Area.MAIL, Route.PORTAL_LINK, _MESSAGES,
               inverse="release_email", hourly_cap=50, is_wired=True),
    ActionType("release_email", _("Release from mail quarantine"), Area.MAIL, Route.EXCHANGE, _MESSAGES, approvers=0,
               is_wired=True),
    ActionType("block_url", _("Block URL (time of click)"), Area.MAIL, Route.EXCHANGE, _URL, inverse="unblock_url",
               hourly_cap=50, is_wired=True),
    ActionType("unblock_url", _("Unblock URL"), Area.MAIL, Route.EXCHANGE, _URL, approvers=0, is_wired=True),
    ActionType("turn_off_forwarding", _("Turn off external mail forwarding"), Area.MAIL, Route.EXCHANGE, (_MAILBOX,),
               inverse="restore_forwarding", hourly_cap=20, is_wired=True),
    ActionType("restore_forwarding", _("Restore mail forwarding"), Area.MAIL, Route.EXCHANGE,
               (_MAILBOX, Parameter("former", "former")), approvers=0, is_wired=True),
    ActionType("allow_indicator", _("Allow indicator"), Area.INDICATOR, Route.DEFENDER, (*_INDICATOR, _DAYS),
               inverse="remove_indicator", hourly_cap=50, is_wired=True),
    ActionType("block_indicator", _("Block indicator"), Area.INDICATOR, Route.DEFENDER, (*_INDICATOR, _DAYS),
               inverse="remove_indicator", hourly_cap=50, is_wired=True),
    ActionType("remove_indicator", _("Remove indicator"), Area.INDICATOR, Route.DEFENDER, _INDICATOR, approvers=0,
               is_wired=True),
    ActionType("classify_alert", _("Classify alert"), Area.ALERT, Route.GRAPH, _CLASSIFICATION, approvers=0,
               is_free=True, is_wired=True),
    ActionType("submit_email", _("Submit email to Microsoft"), Area.ALERT, Route.GRAPH, (*_MESSAGES, _CATEGORY),
               approvers=0, is_free=True, repeat_is_harmless=False, is_wired=True),
    ActionType("submit_url", _("Submit URL to Microsoft"), Area.ALERT, Route.GRAPH,
               (Parameter("url", "web_url"), _CATEGORY), approvers=0, is_free=True, repeat_is_harmless=False,
               is_wired=True),
    ActionType("submit_file", _("Submit file to Microsoft"), Area.ALERT, Route.PORTAL_LINK, (*_SHA1, _FILE_CATEGORY),
               approvers=0, is_free=True, is_wired=True),
    ActionType("widen_investigation", _("Widen investigation"), Area.INVESTIGATION, Route.QUELL,
               (Parameter("devices", "ids"),), is_wired=True),
)  # fmt: skip

CATALOGUE: Final[Mapping[str, ActionType]] = {type_.name: type_ for type_ in _TYPES}

WIRED: Final = frozenset(name for name, type_ in CATALOGUE.items() if type_.is_wired)
"""The types that can be requested today."""

REQUESTABLE: Final = frozenset(name for name in WIRED if CATALOGUE[name].area is not Area.INVESTIGATION)
"""The types a person may ask for; widening is proposed by Quell alone."""

CHOICES: Final[list[tuple[str, Any]]] = [(type_.name, type_.label) for type_ in _TYPES]
