"""Protection against server-side request forgery: addresses that a webhook may connect to, and those it may not."""

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


_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


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
        "a service of a cloud provider": "168.63.129.16/32",
        "for documentation": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        "for benchmarks": "198.18.0.0/15 2001:2::/48",
        "a tunnel (Teredo)": "2001::/32",
        "a tunnel (6to4)": "192.88.99.0/24 2002::/16",
        "a local translation (NAT64)": "64:ff9b:1::/48",
        "reserved": "192.0.0.0/24 240.0.0.0/4 2001::/23",
    }.items()
    for network in networks.split()
)
"""Networks from the IANA registries of special-purpose addresses; not from `ipaddress`, whose table differs by version
of Python."""


class AddressRefused(ModdError, ConnectionError):
    """A host has no address that a webhook may connect to, because its addresses are not public.

    host: the name of the host.
    reason: its addresses with the kind of each, or that there is none, as a text.

    If you trust the host, list it or its network in ``Webhook(allow=[...])``.
    """

    def __init__(self, host: str, reason: str) -> None:
        self.host, self.reason = host, reason
        super().__init__(f"{host} is refused: {reason}; to allow it, name the host or its network in allow=[...]")


class AddressFilter:
    """The addresses that a webhook may connect to: public addresses, and exceptions.

    Refused are loopback, private, link-local, multicast, unspecified, reserved and carrier-shared addresses, also if
    they are mapped into IPv6 or behind NAT64, and all addresses in the tunnels 6to4 and Teredo.

    allow: networks and addresses to allow although they are not public, and names of hosts to allow whatever their
        addresses are.

    Raises: `InvalidOption`.
    """

    def __init__(self, allow: Iterable[Allowed] = ()) -> None:
        if isinstance(allow, str) or not isinstance(allow, Iterable):
            raise InvalidOption("allow", allow, "give a list of networks, addresses and names of hosts")
        entries = [_parse(each) for each in allow]
        self._networks = tuple(entry for entry in entries if not isinstance(entry, str))
        self._hosts = frozenset(entry for entry in entries if isinstance(entry, str))

    def select(self, host: str, addresses: Iterable[str]) -> list[str]:
        """Return the permitted addresses of a host, in their order, without duplicates.

        Raises `AddressRefused` if there are none.
        """
        reasons = {address: self._reason(host, address) for address in addresses}
        permitted = [address for address, reason in reasons.items() if not reason]
        if not permitted:
            refused = [f"{address} is {reason}" for address, reason in reasons.items()]
            raise AddressRefused(host, ", ".join(refused) or "it has no address")
        return permitted

    def _reason(self, host: str, text: str) -> str:
        """Return the reason to refuse an address of a host; empty if it is permitted."""
        address = ip_address(text)
        target = _unwrap(address)
        if _normalize(host) in self._hosts or any(
            each in network for each in (address, target) for network in self._networks
        ):
            return ""
        return _special_purpose(target)


def _parse(entry: object) -> Network | str:
    if isinstance(entry, (IPv4Network, IPv6Network)):
        return entry
    if isinstance(entry, (str, IPv4Address, IPv6Address)):
        try:
            return ip_network(entry)
        except ValueError:
            if isinstance(entry, str) and not entry[-1:].isdigit() and _HOST_NAME.fullmatch(_normalize(entry)):
                return _normalize(entry)
    raise InvalidOption("allow", entry, 'give networks ("10.0.0.0/8"), addresses or names of hosts')


def _normalize(host: str) -> str:
    return host.lower().removesuffix(".")


def _unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _special_purpose(address: Address) -> str:
    """Return the purpose of an address that is not public; empty for a public address."""
    for network, purpose in _REFUSED:
        if address in network:
            return purpose
    return "reserved" if address.version == 6 and address not in _GLOBAL_UNICAST else ""
