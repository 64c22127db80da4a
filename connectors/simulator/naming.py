"""What a call is called where its path says too little: Exchange has one address for every cmdlet."""

from connectors.simulator.exchange import Json


def aimed_path(path: str, body: object) -> str:
    """The path, with ``#Cmdlet`` behind it where the body names one: so faults and the log can tell calls apart."""
    name = _command(body).get("CmdletName")
    return f"{path}#{name}" if isinstance(name, str) else path


def marker_of(body: object) -> str | None:
    """What the caller knows the call by: an external id, a mail remediation's display name, or a list entry's notes."""
    named = body if isinstance(body, dict) else {}
    parameters = _command(body).get("Parameters")
    notes = parameters.get("Notes") if isinstance(parameters, dict) else None
    marker = named.get("ExternalId", named.get("externalId", named.get("displayName", notes)))
    return marker if isinstance(marker, str) else None


def _command(body: object) -> Json:
    command = body.get("CmdletInput") if isinstance(body, dict) else None
    return command if isinstance(command, dict) else {}
