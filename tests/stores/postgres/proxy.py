"""A proxy before a PostgreSQL server, which changes what passes, or cuts connections off at a chosen moment."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from anyio.abc import ByteStream

from modd.concurrency.blocks import async_block
from tests.postgres.server import PostgresServer
from tests.stores.nats.proxy import Proxy, end_after, pump_bytes, served


@async_block
async def proxy_to(server: PostgresServer) -> AsyncIterator[Proxy]:
    """Run a proxy to a server; its ``url`` is that of the database ``postgres``."""

    async def serve(client: ByteStream) -> None:
        served.set(client)
        async with (
            client,
            await anyio.connect_tcp("127.0.0.1", server.port) as upstream,
            anyio.create_task_group() as pumps,
        ):
            for pump in (
                pump_bytes(client, upstream, lambda data: proxy.to_server(data)),
                pump_bytes(upstream, client, lambda data: proxy.to_client(data)),
            ):
                pumps.start_soon(end_after, pump, pumps.cancel_scope)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        proxy = Proxy(listener.extra(anyio.abc.SocketAttribute.local_port))
        proxy.url = server.url.replace(str(server.port), proxy.url.rpartition(":")[2])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield proxy
            tasks.cancel_scope.cancel()
