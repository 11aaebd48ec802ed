"""Connections over HTTP, only to where one may connect (MI-45)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

import anyio
import msgspec

from modd.errors import InvalidOption
from modd.middleware.extras import MissingExtra
from modd.middleware.webhook.addresses import Addresses
from modd.middleware.webhook.network import Guarded, Resolve

try:
    import httpcore2
    import httpx2
except ImportError as missing:
    raise MissingExtra("Webhook", "webhook") from missing


_HOST = re.compile(rb"[a-z0-9_.:-]+")


READ = 8192
"""How many bytes of an answer are read."""


NETWORK_ERRORS = (OSError, httpcore2.NetworkError, httpcore2.RemoteProtocolError, httpx2.NetworkError)
"""Errors whose text is about the connection and has nothing of the request in it."""


class Target:
    """The parts of a URL. Raises `InvalidOption`, which does not show it."""

    def __init__(self, url: Any) -> None:
        parsed = _parsed(url)
        if parsed is None or not _usable(parsed):
            raise InvalidOption("url", "***", "give an http or https URL without a user; credentials go into headers")
        self.path = parsed.raw_path.decode("ascii")
        self.shown = f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
        self.raw = httpcore2.URL(
            scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path
        )


class Call(msgspec.Struct, frozen=True):
    """A request, ready to be sent; the timeout is in seconds."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    timeout: float


class Answer(msgspec.Struct, frozen=True):
    """What came of a call: the status (0 when there was no answer), the start of the text, and ``Retry-After``."""

    status: int
    text: str
    retry_after: str = ""
    final: bool = False
    """Whether another try cannot change it."""


Caller: TypeAlias = Callable[[Call], Awaitable[Answer]]


class Connections:
    """Connections that are open for as long as somebody is inside, to permitted addresses alone.

    Follows no redirects, takes no proxies from the environment, and keeps no cookies.

    addresses: where to one may connect. resolve: finds the addresses of a host.
    """

    def __init__(self, addresses: Addresses, resolve: Resolve) -> None:
        self._backend = Guarded(addresses, resolve)
        self._inside = 0
        self._trust: SSLContext | None = None
        self._pool: httpcore2.AsyncConnectionPool | None = None

    async def __aenter__(self) -> Self:
        self._inside += 1
        if self._pool is None:
            self._trust = self._trust or httpcore2.default_ssl_context()  # made once: it reads many files
            self._pool = httpcore2.AsyncConnectionPool(
                ssl_context=self._trust,
                max_connections=100,
                max_keepalive_connections=20,
                keepalive_expiry=5.0,
                network_backend=self._backend,
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
        if not self._inside and self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.aclose()

    async def __call__(self, call: Call) -> Answer:
        """Send a call. Raises `AddressRefused`, errors of the network, and ``ClosedResourceError`` when closed."""
        if self._pool is None:
            raise anyio.ClosedResourceError
        timeouts = dict.fromkeys(("pool", "connect", "read", "write"), call.timeout)
        async with self._pool.stream(
            call.method,
            Target(call.url).raw,
            headers=[*call.headers.items()],
            content=call.body,
            extensions={"timeout": timeouts},
        ) as response:
            return await _answer(response.status, httpx2.Headers(response.headers), response.aiter_stream())


def calls_by(client: Any) -> Caller:
    """Send calls by a client of someone else's, as it is, but for redirects, which are not followed.

    Raises `InvalidOption` for what is not a ``httpx2.AsyncClient``.
    """
    if not isinstance(client, httpx2.AsyncClient):
        raise InvalidOption("client", client, "give an httpx2.AsyncClient")

    async def send(call: Call) -> Answer:
        async with client.stream(
            call.method,
            call.url,
            headers=call.headers,
            content=call.body,
            timeout=call.timeout,
            follow_redirects=False,
        ) as response:
            read = response.aiter_bytes() if response.is_stream_consumed else response.aiter_raw()
            return await _answer(response.status_code, response.headers, read)

    return send


def _parsed(url: Any) -> httpx2.URL | None:
    try:
        return httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError):
        return None


def _usable(url: httpx2.URL) -> bool:
    port = 80 if url.port is None else url.port
    return (
        url.scheme in ("http", "https")
        and not url.userinfo
        and _HOST.fullmatch(url.raw_host) is not None
        and 0 < port < 65536
    )


async def _answer(status: int, headers: httpx2.Headers, chunks: AsyncIterator[bytes]) -> Answer:
    return Answer(status, (await _start_of(chunks)).decode(errors="replace"), headers.get("retry-after", ""))


async def _start_of(chunks: AsyncIterator[bytes]) -> bytes:
    """The first bytes; the rest, which may be without end, is not read."""
    read = bytearray()
    async with aclosing(cast(AsyncGenerator[bytes, None], chunks)):
        async for chunk in chunks:
            read += chunk
            if len(read) >= READ:
                break
    return bytes(read[:READ])
