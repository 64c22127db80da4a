"""Where a request comes from: the one reading of the client's address that rate limits and keys' IP lists go by."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address


def client_address(request: HttpRequest) -> Address | None:
    """Return the client's address, None where there is none (a Unix socket without a proxy that says it).

    X-Forwarded-For is read only behind `settings.TRUSTED_PROXY_COUNT` proxies, each of which appends what it saw: the
    entry that many places from the right is the client's, and whatever the client wrote itself stands further left. A
    header too short or unreadable did not come through those proxies, so the connection's own address counts.
    """
    count = settings.TRUSTED_PROXY_COUNT
    entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    forwarded = _parse(entries[-count]) if 0 < count <= len(entries) else None
    return forwarded or _parse(request.META.get("REMOTE_ADDR", ""))


def _parse(text: str) -> Address | None:
    """Some proxies add the port; an IPv4 address may come dressed as an IPv6 one."""
    for candidate in (text.strip(), _without_port(text.strip())):
        try:
            address = ip_address(candidate)
        except ValueError:
            continue
        return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
    return None


def _without_port(text: str) -> str:
    try:
        return urlsplit(f"//{text}").hostname or ""
    except ValueError:
        return ""
