"""Where a webhook may be sent: the form of an address, and which IP addresses are nobody's inside. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import msgspec

from shared.errors import Invalid

MAX_LENGTH = 2000
#: Strict, so that every reader of it finds the same host: no user, no fragment, no backslash, nothing beyond ASCII.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?][!-~]*)?\Z"
)
#: What a host ends in that some read as a number (127.1, 2130706433, 0x7f.1), so as an address (URL standard, 3.5).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
FORM = "expected for example https://shop.example/hooks"
#: What of IPv4 is not the open Internet (IANA's special-purpose registry, multicast, reserved), the old relay of 6to4,
#: and the address at which Azure tells machines about themselves. Written out, since `ipaddress` knows another list in
#: each version of Python.
_INSIDE_4 = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
    )
)
#: Of IPv6 only what is given out for the Internet, so no mapped, translated (NAT64) or local address; within it not the
#: networks of protocols (Teredo), of documentation, and of 6to4.
_OUTSIDE_6 = IPv6Network("2000::/3")
_INSIDE_6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


class Target(msgspec.Struct, frozen=True):
    """An address as read. `is_local`: it names this machine, which a setting must allow."""

    url: str
    host: str
    is_local: bool


def read(url: str, *, loopback: bool = False) -> Target:
    """An address in its strict form. Raises Invalid for one that nothing is sent to.

    HTTPS alone; `loopback` also lets it be this machine, and that by HTTP. A name is looked up when it is sent to.
    """
    found = _URL.match(url) if len(url) <= MAX_LENGTH else None
    if found is None or "#" in url or "\\" in url or not 0 < int(found["port"] or 1) < 65536:
        raise Invalid(f"This is no address for webhooks: {FORM}.", code="bad-address")
    host = found["host"].strip("[]").rstrip(".").lower()
    address = _literal(host)
    is_local = address.is_loopback if address else host == "localhost" or host.endswith(".localhost")
    if is_local and not loopback:
        raise Invalid("Webhooks are not sent to this machine.", code="bad-address")
    if found["scheme"] == "http" and not is_local:
        raise Invalid(f"Webhooks are sent by HTTPS alone: {FORM}.", code="bad-address")
    if address is None and _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise Invalid("An IP address is written in full.", code="bad-address")
    if address is None and not is_local and "." not in host:
        raise Invalid(f"This name is known inside a network alone: {FORM}.", code="bad-address")
    if address and not is_local and not is_public(str(address)):
        raise Invalid("Webhooks are sent to public addresses alone.", code="bad-address")
    return Target(url=url, host=host, is_local=is_local)


def may_reach(host: str, address: str, *, loopback: bool = False) -> bool:
    """Whether what `host` was looked up as may be connected to. Names of this machine lead to it and nowhere else."""
    found = _literal(address)
    if found is not None and found.is_loopback:
        return loopback
    return not (host == "localhost" or host.endswith(".localhost")) and is_public(address)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet: not private, local, shared, reserved or many machines'."""
    found = _literal(address)
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _INSIDE_4)
    return found is not None and found in _OUTSIDE_6 and not any(found in network for network in _INSIDE_6)


def _literal(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
