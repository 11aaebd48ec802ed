"""Addresses of clients, past the proxies that are trusted."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, TypeAlias

from starlette.requests import HTTPConnection

from modd.checks import checked_list
from modd.errors import InvalidOption

Address: TypeAlias = IPv4Address | IPv6Address


class ClientAddresses:
    """Tells the address of a client: that of the peer, or behind trusted proxies the address in their header.

    trusted_proxies: networks such as ``10.0.0.0/8``, or addresses.

    Raises:
        InvalidOption: one is no network.
    """

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        if isinstance(trusted_proxies, (str, bytes)):
            raise InvalidOption("trusted_proxies", trusted_proxies, 'give a list, such as ["10.0.0.0/8"]')
        self._networks = [_network(each) for each in checked_list("trusted_proxies", trusted_proxies)]

    def of(self, connection: HTTPConnection) -> str:
        """Return the address of the client of a request; an empty text if the server does not tell it.

        Behind a trusted proxy it is the right-most address in ``X-Forwarded-For`` that is no trusted proxy.
        """
        peer = connection.client.host if connection.client else ""
        found = _address(peer)
        if found is None or not self._is_trusted(found):
            return peer
        named = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
        for text in reversed(named):
            address = _address(text.strip())
            if address is None:  # of nobody who can be trusted with it
                break
            found = address
            if not self._is_trusted(address):
                break
        return str(found)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _network(value: Any) -> Any:
    try:
        return ip_network(value)
    except (TypeError, ValueError):
        raise InvalidOption("trusted_proxies", value, 'give networks or addresses, such as "10.0.0.0/8"') from None


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
