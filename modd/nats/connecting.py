"""The way to a server of a link: the known servers are tried in random order, with pauses between the rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from random import shuffle, uniform
from ssl import SSLEOFError, SSLError, SSLZeroReturnError
from typing import Any
from urllib.parse import urlsplit

from nats import errors

from modd.concurrency.backoff import DoublingPause
from modd.nats.client import TlsMissing
from modd.nats.errors import LinkLost, LinkRefused
from modd.nats.options import LinkOptions
from modd.nats.session import Session, describe_error

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two rounds."""


class Connector:
    """Makes sessions with the servers of a link.

    options: the options of the link. on_change: passed to each `Session`.
    """

    def __init__(self, options: LinkOptions, on_change: Callable[[], object]) -> None:
        self._options, self._on_change = options, on_change
        self._discovered: list[str] = []
        self._last = ""
        self._sessions: list[Session] = []
        """Those that are not over."""

    def learn(self, session: Session) -> None:
        """Note the server that is left, and the other servers of the cluster that it names."""
        self._discovered, self._last = session.discovered, session.server

    async def close(self) -> None:
        """End all sessions."""
        for session in self._sessions:
            await session.close()

    async def connect(self, *, elsewhere: bool = False) -> Session:
        """Return a session with the first server that accepts it; the one that was left is tried last.

        elsewhere: True not to try that one. Raises `LinkLost`, `LinkRefused`.
        """
        failures: dict[str, Exception] = {}
        for server in self._servers(elsewhere):
            session = Session(self._options.name, server, self._on_change, secure=self._options.secure)
            self._sessions = [each for each in self._sessions if not each.is_over] + [session]
            try:
                await session.open(self._options.connect_timeout, self._client_options(server))
                return session
            except Exception as error:
                failures[server] = error
            await session.close()
        reasons = ", ".join(f"{describe_error(error)} ({server})" for server, error in failures.items())
        if any(map(is_refusal, failures.values())):
            raise LinkRefused(self._options.name, reasons)
        raise LinkLost(self._options.name, f"no server can be reached: {reasons}", sent=False)

    def _servers(self, elsewhere: bool) -> list[str]:
        servers = [*dict.fromkeys([*self._options.servers, *self._discovered])]
        shuffle(servers)
        others = [each for each in servers if each != self._last]
        return others if elsewhere else sorted(servers, key=self._last.__eq__)

    def _client_options(self, server: str) -> dict[str, Any]:
        """Return the options of nats-py for a server: one that is known by its number has the certificate of the name.

        Servers of a cluster tell their numbers, and their certificate is for the name that the user gave.
        """
        if server in self._options.servers or not is_number_of_host(server):
            return self._options.client
        return {**self._options.client, "tls_hostname": urlsplit(self._options.servers[0]).hostname}


class Pauses:
    """The pauses between rounds: random, so that links that were lost together do not come back together."""

    def __init__(self) -> None:
        self._most = DoublingPause(2 * SHORTEST_PAUSE, LONGEST_PAUSE)

    def next(self) -> float:
        """Return the seconds to wait now."""
        return uniform(SHORTEST_PAUSE, self._most.next())

    async def wait(self) -> None:
        """Wait before the next round."""
        await asyncio.sleep(self.next())


def is_number_of_host(server: str) -> bool:
    """Return True if an address has a number such as 127.0.0.1 in place of a name."""
    try:
        ip_address(str(urlsplit(server).hostname))
    except ValueError:
        return False
    return True


def is_refusal(error: Exception) -> bool:
    """Return True if another attempt with the same options cannot succeed."""
    if isinstance(error, SSLError):
        return not isinstance(error, (SSLEOFError, SSLZeroReturnError))
    if isinstance(error, OSError):  # with the name of a file: that of credentials, which cannot be read
        return error.filename is not None
    if isinstance(error, errors.Error) and not isinstance(error, TlsMissing):
        return "authorization" in str(error).lower() or "authentication" in str(error).lower()
    return True
