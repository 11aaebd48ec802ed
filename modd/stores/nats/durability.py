"""Questions to the monitoring of NATS servers: if they wait for their disks, and how much they store at once."""

from __future__ import annotations

import logging
import re
from json import loads
from typing import Any

import anyio
from anyio.abc import ByteStream

from modd.stores.errors import NotDurable
from modd.stores.nats.jetstream import JetStream

ADDRESS = re.compile(r"(https?)://(\[[^\]]+\]|[^/:]+)(?::(\d+))?(/.*)?")
"""Scheme, host, port and path of an address of monitoring."""


ANSWER_SECONDS = 5.0
"""Seconds for the answer of a monitoring."""


async def look_at_monitoring(stream: JetStream, *, check: bool) -> None:
    """Take over the servers' limit of a batch, and check that they wait for their disks.

    check: False to check nothing and to warn of nothing.

    Raises `NotDurable` if a server acknowledges writes before they are on its disk.
    """
    unseen = [] if stream.link.monitor else ["no address of it is given: Link(..., monitor='http://...:8222')"]
    limits = []
    for address in stream.link.monitor:
        try:
            answer = await read_monitoring(address, "/jsz")
        except (OSError, ValueError, TimeoutError) as error:
            unseen.append(f"{address}: {type(error).__name__}")
            continue
        limits.append(answer.get("limits", {}).get("max_batch_size", stream.publisher.most))
        if check and not answer.get("config", {}).get("sync_always"):
            raise NotDurable(stream.store, "not always", _explain(address))
    if limits and not unseen:
        stream.publisher.most = min(limits)
    if check and unseen:
        logging.getLogger("modd.stores").warning(
            "%s: a power loss can undo acknowledged writes unless each server has `sync_interval: always`, and its "
            "monitoring cannot be asked: %s; durable='unchecked' silences this",
            stream.store,
            "; ".join(unseen),
        )


async def read_monitoring(address: str, path: str) -> dict[str, Any]:
    """Return the answer of a server's monitoring, such as ``http://localhost:8222``, at a path such as ``/jsz``.

    Raises ``OSError``, ``TimeoutError`` and ``ValueError``.
    """
    parts = ADDRESS.fullmatch(address)
    if parts is None:
        raise ValueError(address)
    scheme, host, port, prefix = parts.groups()
    request = f"GET {(prefix or '').rstrip('/')}{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()
    with anyio.fail_after(ANSWER_SECONDS):
        async with await _connect(scheme == "https", host.strip("[]"), port) as connection:
            await connection.send(request)
            received = b"".join([part async for part in connection])
    answer: dict[str, Any] = loads(received.partition(b"\r\n\r\n")[2])
    return answer


async def _connect(is_secure: bool, host: str, port: str | None) -> ByteStream:
    if is_secure:
        return await anyio.connect_tcp(host, int(port or 443), tls=True, tls_standard_compatible=False)
    return await anyio.connect_tcp(host, int(port or 80))


def _explain(address: str) -> str:
    return (
        f"the server with the monitoring {address} acknowledges writes before they are on its disk, so that a power "
        "loss can undo them; set `jetstream { sync_interval: always }` on each server, or open the store with "
        "durable='unchecked' if you can bear that"
    )
