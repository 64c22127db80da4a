"""Exchange Online's administration: one cmdlet a call, as Microsoft's own PowerShell module makes it.

`InvokeCommand` is no documented contract; the documented admin API has none of the cmdlets used here. Every read is a
POST as well, and acts on nothing. Doubts kept from the facts:

- Which Entra role each cmdlet needs beside the permission Exchange.ManageAsApp is not settled: Security Administrator
  suffices for the allow/block list, Exchange Administrator is taken for the rest. A 403 says that one is missing.
- How often it may be called is not stated.
- Which status Exchange gives a cmdlet that failed is not stated; a 4xx is a no, a 5xx a doubt, as everywhere.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from connectors.microsoft.http import Answer, Api
from connectors.protocol import ActionRequest, NotSent, OutcomeUnknown

PAGE_SIZE: Final = 1000
MOST_PAGES: Final = 100
_SYSTEM_MAILBOX: Final = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}"


def read(api: Api, cmdlet: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run a cmdlet that changes nothing and return all its rows. Raises ConnectorError.

    The same question is posted to each further page's link (facts: paging of InvokeCommand).
    """
    body, headers = _command(cmdlet, parameters), _headers(api)
    rows: list[dict[str, Any]] = []
    link, seen = _path(api), set[str]()
    while link:
        if link in seen or len(seen) >= MOST_PAGES:
            raise OutcomeUnknown(f"The rows of {cmdlet} of tenant {api.tenant_id} do not end; try again later.")
        seen.add(link)
        answer = api.inquire(link, body, headers=headers)
        rows += answer.value()
        link = str((answer.body or {}).get("@odata.nextLink") or "")
    return rows


def invoke(
    api: Api, request: ActionRequest, cmdlet: str, parameters: Mapping[str, Any], *, before_sending: Callable[[], None]
) -> str:
    """Run a cmdlet that acts, once, and return Exchange's warnings, "" for none.

    Raises Refused and its kinds when nothing happened for certain, OutcomeUnknown when it may have.
    """
    answer = api.act(
        "POST",
        _path(api),
        _command(cmdlet, parameters),
        action_id=request.action_id,
        before_sending=before_sending,
        headers=_headers(api),
    )
    if "error" in (answer.body or {}):
        raise OutcomeUnknown(
            f"Exchange answered {cmdlet} of action {request.action_id} with an error inside; look it up."
        )
    return _warnings(answer)


@contextmanager
def before_acting() -> Iterator[None]:
    """Make a read that broke off a plain "not sent": nothing has been asked for yet. Raises NotSent."""
    try:
        yield
    except OutcomeUnknown as error:
        raise NotSent(f"{error} Nothing was changed.", code="ReadFailed") from error


def _path(api: Api) -> str:
    return f"/adminapi/beta/{api.tenant_id}/InvokeCommand"


def _headers(api: Api) -> dict[str, str]:
    return {
        "X-AnchorMailbox": f"APP:{_SYSTEM_MAILBOX}@{api.tenant_id}",
        "Prefer": f"odata.maxpagesize={PAGE_SIZE}",
    }


def _command(cmdlet: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"CmdletInput": {"CmdletName": cmdlet, "Parameters": dict(parameters)}}


def _warnings(answer: Answer) -> str:
    said = (answer.body or {}).get("@adminapi.warnings")
    return "; ".join(str(warning) for warning in said) if isinstance(said, list) else ""
