"""Which addresses may be connected to: none of one's own network, however disguised (MI-45)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from modd.errors import InvalidOption, ModdError

Address: TypeAlias = IPv4Address | IPv6Address


Network: TypeAlias = IPv4Network | IPv6Network


Allowed: TypeAlias = str | Address | Network
"""A network (``"10.0.0.0/8"``), an address, or the name of a host (``"hooks.internal"``)."""


_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


_GLOBAL_UNICAST = IPv6Network("2000::/3")


_NAT64 = IPv6Network("64:ff9b::/96")


_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for reason, networks in {
        "unspecified": "0.0.0.0/8 ::/128",
        "loopback": "127.0.0.0/8 ::1/128",
        "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
        "shared by a carrier": "100.64.0.0/10",
        "link-local": "169.254.0.0/16 fe80::/10",
        "multicast": "224.0.0.0/4 ff00::/8",
        "a service of the cloud that this runs in": "168.63.129.16/32",
        "for documentation": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        "for benchmarks": "198.18.0.0/15 2001:2::/48",
        "a tunnel (Teredo)": "2001::/32",
        "a tunnel (6to4)": "192.88.99.0/24 2002::/16",
        "a translation of this network's own (NAT64)": "64:ff9b:1::/48",
        "reserved": "192.0.0.0/24 240.0.0.0/4 2001::/23",
    }.items()
    for network in networks.split()
)
"""What the registries of special-purpose addresses list; a table of its own, because Python's differs by version."""


class AddressRefused(ModdError, ConnectionError):
    """A host has only addresses that must not be connected to; ``host`` is its name, ``reason`` says why."""

    def __init__(self, host: str, reason: str) -> None:
        self.host, self.reason = host, reason
        super().__init__(f"{host} is refused: {reason}; if it is meant, name the host or its network in allow=[...]")


class Addresses:
    """Says which addresses may be connected to: public ones, and those that are allowed.

    Refused are loopback, private, link-local, multicast, unspecified, reserved and carrier-shared addresses, and such
    in disguise: mapped into IPv6, behind NAT64, and everything in the tunnels 6to4 and Teredo.

    allow: networks and addresses that are allowed although they are not public, and names of hosts that are allowed
    whatever their addresses are. Raises `InvalidOption`.
    """

    def __init__(self, allow: Iterable[Allowed] = ()) -> None:
        if isinstance(allow, str) or not isinstance(allow, Iterable):
            raise InvalidOption("allow", allow, "give a list of networks, addresses and names of hosts")
        entries = [_entry(each) for each in allow]
        self._networks = tuple(entry for entry in entries if not isinstance(entry, str))
        self._hosts = frozenset(entry for entry in entries if isinstance(entry, str))

    def permitted(self, host: str, found: Iterable[str]) -> list[str]:
        """Those of a host's addresses that may be connected to, in their order, each once.

        Raises `AddressRefused` when there are none.
        """
        reasons = {address: self._reason(host, address) for address in found}
        permitted = [address for address, reason in reasons.items() if not reason]
        if not permitted:
            refused = [f"{address} is {reason}" for address, reason in reasons.items()]
            raise AddressRefused(host, ", ".join(refused) or "it has no address")
        return permitted

    def _reason(self, host: str, text: str) -> str:
        address = ip_address(text)
        real = _unwrapped(address)
        if _plain(host) in self._hosts or any(
            each in network for each in (address, real) for network in self._networks
        ):
            return ""
        return _special(real)


def _entry(given: object) -> Network | str:
    if isinstance(given, (IPv4Network, IPv6Network)):
        return given
    if isinstance(given, (str, IPv4Address, IPv6Address)):
        try:
            return ip_network(given)
        except ValueError:
            if isinstance(given, str) and not given[-1:].isdigit() and _HOST.fullmatch(_plain(given)):
                return _plain(given)
    raise InvalidOption("allow", given, 'give networks ("10.0.0.0/8"), addresses or names of hosts')


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to, where that is in use for public ones."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _special(address: Address) -> str:
    for network, reason in _REFUSED:
        if address in network:
            return reason
    return "reserved" if address.version == 6 and address not in _GLOBAL_UNICAST else ""
