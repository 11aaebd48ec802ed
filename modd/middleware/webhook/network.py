"""A network in which one can only connect to where one may (MI-45)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeAlias, cast

import anyio

from modd.middleware.extras import MissingExtra
from modd.middleware.webhook.addresses import Addresses

try:
    import httpcore2
except ImportError as missing:
    raise MissingExtra("Webhook", "webhook") from missing


Resolve: TypeAlias = Callable[[str, int], Awaitable[Iterable[str]]]
"""Finds the addresses of a host, as texts, for a port."""


async def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system finds them."""
    return [str(found[4][0]) for found in await anyio.getaddrinfo(host, port)]


class Guarded(httpcore2.AsyncNetworkBackend):
    """Connects to the very address that was checked, so that no second look-up can lead elsewhere.

    addresses: where to one may connect. resolve: finds the addresses of a host.
    """

    def __init__(self, addresses: Addresses, resolve: Resolve = addresses_of) -> None:
        self._addresses, self._resolve = addresses, resolve
        self._plain = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first permitted address that answers; each has its share of the timeout (seconds).

        Raises `AddressRefused` when none is permitted, and what the last one raises.
        """
        addresses = self._addresses.permitted(host, await self._resolve(host, port))
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return Stream(await self._plain.connect_tcp(address, port, share, local_address, socket_options))
        return Stream(await self._plain.connect_tcp(addresses[-1], port, share, local_address, socket_options))


class Stream(httpcore2.AsyncNetworkStream):
    """A connection that is closed when its TLS handshake is cancelled; httpcore2 by itself leaves it open."""

    def __init__(self, plain: httpcore2.AsyncNetworkStream) -> None:
        self._plain = plain

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        """Shake hands, within a timeout in seconds; goes on with a stream that is no longer this one."""
        try:
            return await self._plain.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.aclose()
            raise

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there, up to so many bytes; empty at the end."""
        return await self._plain.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all."""
        await self._plain.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close it."""
        await self._plain.aclose()

    def get_extra_info(self, info: str) -> Any:
        """What else is known of the connection."""
        return self._plain.get_extra_info(info)
