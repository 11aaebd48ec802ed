"""A server that says to its clients whatever a test wants: ``with ScriptedServer(script) as server:``."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, TypeAlias


class Conversation:
    """The lines between the server and one client."""

    def __init__(self, connection: socket.socket, port: int) -> None:
        self._connection, self._port = connection, port
        self._lines = connection.makefile("rb")

    def send(self, text: str) -> None:
        """Send lines to the client."""
        self._connection.sendall(text.encode())

    def read(self, beginning: str) -> str:
        """Return the next line that begins with a text; empty at the end."""
        for line in self._lines:
            if line.startswith(beginning.encode()):
                return line.decode()
        return ""

    def greet(self, **info: Any) -> None:
        """Say INFO, and accept the client."""
        self.say_info(**info)
        self.read("PING")
        self.send("PONG\r\n")

    def say_info(self, **info: Any) -> None:
        """Say INFO: the usual, and what the test has to add."""
        usual = {"server_id": "s", "version": "2.15.1", "proto": 1, "headers": True, "max_payload": 1_048_576}
        self.send(f"INFO {json.dumps({**usual, 'host': '127.0.0.1', 'port': self._port, **info})}\r\n")

    def answer_pings(self) -> None:
        """Answer pings until the client is gone."""
        while self.read("PING"):
            with suppress(OSError):
                self.send("PONG\r\n")

    def close(self) -> None:
        """End the connection."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._lines.close()
        self._connection.close()


Script: TypeAlias = Callable[[Conversation, int], None]


class ScriptedServer:
    """A server at a free port, which talks to one client after another as a script has it.

    script: called with the conversation and its number, from 0, in a thread; the connection ends with it.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            conversation = Conversation(connection, self.port)
            with suppress(OSError):
                self._script(conversation, number)
            conversation.close()
            number += 1
