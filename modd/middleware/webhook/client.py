"""The HTTP client: requests, responses, and connections to permitted addresses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

import anyio
import msgspec

from modd.concurrency.loops import check_loop, current_loop, is_over
from modd.errors import InvalidOption, MissingExtra, NotEntered
from modd.middleware.webhook.addresses import AddressFilter
from modd.middleware.webhook.network import GuardedNetwork, Resolve

try:
    import httpcore2
    import httpx2
except ImportError as missing:
    raise MissingExtra("Webhook", "webhook") from missing


_HOST_NAME = re.compile(rb"[a-z0-9_.:-]+")


MAX_RESPONSE_BYTES = 8192
"""The most bytes of a response that are read."""


NETWORK_ERRORS = (OSError, httpcore2.NetworkError, httpcore2.RemoteProtocolError, httpx2.NetworkError)
"""Errors whose text names the connection and nothing of the request, so that it may be shown."""


class ParsedUrl:
    """The parts of a URL. Raises `InvalidOption`, which does not show the URL."""

    def __init__(self, url: Any) -> None:
        parsed = _parse(url)
        if parsed is None or not _is_usable(parsed):
            raise InvalidOption("url", "***", "give an http or https URL without a user; credentials go into headers")
        self.path = parsed.raw_path.decode("ascii")
        self.origin = f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
        self.raw = httpcore2.URL(
            scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path
        )


class HttpRequest(msgspec.Struct, frozen=True):
    """A request that is ready to be sent; the timeout is in seconds."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    timeout: float


class HttpResponse(msgspec.Struct, frozen=True):
    """A response: the status (0 if there was none), the start of the text, and ``Retry-After``."""

    status: int
    text: str
    retry_after: str = ""
    final: bool = False
    """True if another attempt cannot succeed."""


Send: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""Sends a request and returns the response."""


class ConnectionPool:
    """Connections to permitted addresses, open while at least one task is in ``async with``.

    The pool follows no redirects, uses no proxies of the environment, and stores no cookies.

    allowed: selects the permitted addresses. resolve: returns the addresses of a host.
    """

    def __init__(self, allowed: AddressFilter, resolve: Resolve) -> None:
        self._backend = GuardedNetwork(allowed, resolve)
        self._trust: SSLContext | None = None
        self._users: Counter[Any] = Counter()
        """The number of tasks that have it open, by loop."""
        self._pools: dict[Any, httpcore2.AsyncConnectionPool] = {}
        """The connections by loop, because a connection belongs to its loop."""

    async def __aenter__(self) -> Self:
        loop = current_loop()
        self._forget_closed_loops()
        self._users[loop] += 1
        if loop not in self._pools:
            self._trust = self._trust or httpcore2.default_ssl_context()  # reads many files, so only once
            self._pools[loop] = httpcore2.AsyncConnectionPool(
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
        loop = current_loop()
        if not self._pools:
            raise NotEntered("the connections of a webhook")
        if loop not in self._pools:
            return self._leave_other_loop()
        self._users[loop] -= 1
        if not self._users[loop]:
            del self._users[loop]
            await self._pools.pop(loop).aclose()

    def _leave_other_loop(self) -> None:
        """Do nothing for loops that are closed, with all their connections. Raises `InOtherLoop`."""
        self._forget_closed_loops()
        for loop in self._pools:
            check_loop("a webhook", loop)

    def _forget_closed_loops(self) -> None:
        for loop in [each for each in self._pools.copy() if is_over(each)]:
            self._users.pop(loop, None)
            self._pools.pop(loop, None)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Send a request. Raises `AddressRefused`, errors of the network, and ``ClosedResourceError`` if closed."""
        pool = self._pools.get(current_loop())
        if pool is None:
            raise anyio.ClosedResourceError
        timeouts = dict.fromkeys(("pool", "connect", "read", "write"), request.timeout)
        async with pool.stream(
            request.method,
            ParsedUrl(request.url).raw,
            headers=[*request.headers.items()],
            content=request.body,
            extensions={"timeout": timeouts},
        ) as response:
            return await _read(response.status, httpx2.Headers(response.headers), response.aiter_stream())


def sender_of(client: Any) -> Send:
    """Return a function that sends requests with the user's own client, without following redirects.

    Raises `InvalidOption` unless the client is an ``httpx2.AsyncClient``.
    """
    if not isinstance(client, httpx2.AsyncClient):
        raise InvalidOption("client", client, "give an httpx2.AsyncClient")

    async def send(request: HttpRequest) -> HttpResponse:
        async with client.stream(
            request.method,
            request.url,
            headers=request.headers,
            content=request.body,
            timeout=request.timeout,
            follow_redirects=False,
        ) as response:
            chunks = response.aiter_bytes() if response.is_stream_consumed else response.aiter_raw()
            return await _read(response.status_code, response.headers, chunks)

    return send


def _parse(url: Any) -> httpx2.URL | None:
    try:
        return httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError):
        return None


def _is_usable(url: httpx2.URL) -> bool:
    port = 80 if url.port is None else url.port
    return (
        url.scheme in ("http", "https")
        and not url.userinfo
        and _HOST_NAME.fullmatch(url.raw_host) is not None
        and 0 < port < 65536
    )


async def _read(status: int, headers: httpx2.Headers, chunks: AsyncIterator[bytes]) -> HttpResponse:
    return HttpResponse(status, (await _read_start(chunks)).decode(errors="replace"), headers.get("retry-after", ""))


async def _read_start(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the first bytes of a response; the rest, which may be endless, is not read."""
    read = bytearray()
    async with aclosing(cast(AsyncGenerator[bytes, None], chunks)):
        async for chunk in chunks:
            read += chunk
            if len(read) >= MAX_RESPONSE_BYTES:
                break
    return bytes(read[:MAX_RESPONSE_BYTES])
