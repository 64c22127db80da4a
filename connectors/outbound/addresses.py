"""Which addresses messages may go to. Outside development: https, and nothing inside our own or anybody's network."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import httpx
from django.conf import settings
from django.utils.translation import gettext as _

from connectors.outbound.outcomes import NotDelivered, Undeliverable

LONGEST_URL: Final = 2000

_UNICAST: Final = ip_network("2000::/3")
"""All IPv6 addresses the Internet is reached by (IANA, "IPv6 Global Unicast Address Assignments"); others, such as
`::127.0.0.1`, site-local ones and NAT64's, lead inside, or to the IPv4 address written in them."""

_TUNNELS: Final = tuple(map(ip_network, ("2002::/16", "2001::/32")))
"""6to4 and Teredo (RFC 3056, 4380): IPv6 addresses among them that lead to an IPv4 one written inside."""

_PLATFORM: Final = frozenset({ip_address("168.63.129.16")})
"""Azure's host agent, which answers every virtual machine there on a public address (Microsoft, "What is IP address
168.63.129.16?"); other clouds' metadata addresses are link-local or private."""


def read_url(text: str) -> httpx.URL:
    """Return the address of a receiver. Raises ValueError, in words to show, for one that is not to be used."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ValueError(_("This is no address. It begins with https:// and has no spaces.")) from None
    if len(text) > LONGEST_URL or not text.isprintable() or " " in text:
        raise ValueError(_("This is no address. It begins with https:// and has no spaces."))
    if url.scheme not in (("https", "http") if settings.IS_DEVELOPMENT else ("https",)) or not url.host:
        raise ValueError(_("The address must begin with https:// and name a host."))
    if url.userinfo:
        raise ValueError(_("The address must not hold a user name or password."))
    if (address := _literal(url.host)) is not None and not _is_allowed(address):
        raise ValueError(_("The address lies in a private network, where Quell sends nothing."))
    return url


def reachable_addresses(host: str, port: int) -> list[str]:
    """Resolve a name and return its IP addresses, each of them checked: these are to be connected to, not the name.

    Raises Undeliverable where one of them is not public, and NotDelivered for a name that does not resolve.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise NotDelivered(_("The receiver's name could not be resolved.")) from None
    addresses = list(dict.fromkeys(str(place[0]) for *_kind, place in found))
    if not all(_is_allowed(ip_address(address)) for address in addresses):
        raise Undeliverable(
            _("The receiver's name leads into a private network, where Quell sends nothing. Change the address.")
        )
    return addresses


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_allowed(address: IPv4Address | IPv6Address) -> bool:
    if settings.IS_DEVELOPMENT:
        return True
    if address.version == 6 and (address not in _UNICAST or any(address in tunnel for tunnel in _TUNNELS)):
        return False
    return address.is_global and not address.is_multicast and address not in _PLATFORM
