"""Which addresses a circuit may name: public ones alone, so that nobody has the functions ask what only they may reach.

A name is looked up once, every address it has is checked, and one of these very addresses is connected to: what the
name means a moment later does not matter. No proxy is used. What an address is used for is not known here.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from pitwall.sources.trouble import Trouble

_UNICAST: Final = IPv6Network("2000::/3")
_NOT_PLACES: Final = tuple(IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
"""Of unicast: tunnels, which hold an IPv4 address of anybody's choice, and what is written in documents."""
_RELAYS: Final = (IPv4Address("192.88.99.0"), IPv4Address("192.88.99.255"))


def is_public(address: str) -> bool:
    """Whether an IP address is a global unicast one. Raises ValueError for what is none."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if isinstance(ip, IPv6Address):
        return ip.is_global and ip in _UNICAST and not any(ip in net for net in _NOT_PLACES)
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not _RELAYS[0] <= ip <= _RELAYS[1]


def addresses(host: str, port: int, *, private: bool) -> list[str]:
    """The addresses of a host, each to be used as it is. private: addresses that are not public are let through.

    Raises Trouble if the name cannot be found, or if any of its addresses may not be connected to.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Trouble(f"the name {host} cannot be found") from None
    told = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not private and not all(is_public(address) for address in told):
        raise Trouble(f"{host} is no public address; nothing else is connected to", state="refused")
    return told


def connect(host: str, port: int, *, private: bool, limit_s: float) -> socket.socket:
    """A TCP connection to a host, by whichever of its addresses answers first in their order.

    One whose other end is gone without a word breaks after four times `limit_s`, where the system can find that out.
    Raises Trouble as `addresses` does, and OSError.
    """
    until = time.monotonic() + limit_s
    failed: OSError | None = None
    for address in addresses(host, port, private=private):
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            opened = socket.create_connection((address, port), timeout=left)
        except OSError as error:
            failed = error
            continue
        opened.settimeout(None)
        _watch(opened, limit_s)
        return opened
    raise failed or TimeoutError


def _watch(opened: socket.socket, limit_s: float) -> None:
    """Has the system ask now and then whether the other end is still there."""
    seconds = max(1, int(limit_s))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", seconds),
        ("TCP_KEEPINTVL", seconds),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", seconds * 4000),
    ):
        if hasattr(socket, name):  # pragma: no branch
            with suppress(OSError):
                opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
