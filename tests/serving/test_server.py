"""The socket at which a server listens."""

from __future__ import annotations

import socket
import sys

import pytest

from modd.serving.server import listen_at


def accepted_socket() -> socket.socket:
    """Return the socket of a connection that a listening socket has accepted."""
    with listen_at("127.0.0.1", 0, "the test", "") as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        return listener.accept()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such option")
def test_a_connection_ends_when_its_peer_confirms_nothing_for_20_seconds() -> None:
    # GW-34
    with accepted_socket() as connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


def test_a_system_without_that_option_listens_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # GW-34
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    with accepted_socket() as connection:
        assert connection.getpeername()
