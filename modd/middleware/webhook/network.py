"""A network backend of the HTTP client that connects to permitted addresses only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeAlias, cast

import anyio

from modd.errors import MissingExtra
from modd.middleware.webhook.addresses import AddressFilter

try:
    import httpcore2
except ImportError as missing:
    raise MissingExtra("Webhook", "webhook") from missing


Resolve: TypeAlias = Callable[[str, int], Awaitable[Iterable[str]]]
"""Takes a host and a port, and returns the addresses of the host as texts."""


async def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host by the resolver of the system."""
    return [str(found[4][0]) for found in await anyio.getaddrinfo(host, port)]


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """A network backend that resolves a host once and connects to an address that it has checked.

    A second look-up could lead to another address (DNS rebinding).

    allowed: selects the permitted addresses. resolve: returns the addresses of a host.
    """

    def __init__(self, allowed: AddressFilter, resolve: Resolve = addresses_of) -> None:
        self._allowed, self._resolve = allowed, resolve
        self._plain = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first permitted address that answers; each gets an equal share of the timeout (seconds).

        Raises `AddressRefused` if no address is permitted, and the error of the last address.
        """
        addresses = self._allowed.select(host, await self._resolve(host, port))
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return Stream(await self._plain.connect_tcp(address, port, share, local_address, socket_options))
        return Stream(await self._plain.connect_tcp(addresses[-1], port, share, local_address, socket_options))


class Stream(httpcore2.AsyncNetworkStream):
    """A connection that is closed if its TLS handshake is cancelled; httpcore2 alone would leave it open."""

    def __init__(self, plain: httpcore2.AsyncNetworkStream) -> None:
        self._plain = plain

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        """Start TLS within a timeout in seconds, and return the encrypted stream, which replaces this one."""
        try:
            return await self._plain.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.aclose()
            raise

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to ``max_bytes`` bytes; empty at the end."""
        return await self._plain.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all bytes."""
        await self._plain.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._plain.aclose()

    def get_extra_info(self, info: str) -> Any:
        """Return more information about the connection, as httpcore2 defines it."""
        return self._plain.get_extra_info(info)
