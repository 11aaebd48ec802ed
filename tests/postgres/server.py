"""A PostgreSQL server for tests, in a process of its own, that can be killed and started again at its port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep
from typing import Any

import psycopg

START_SECONDS = 60.0
"""Seconds after which a server that does not start is a fault; loaded machines take long."""


CONFIG = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
port = {port}
fsync = {fsync}
max_connections = 100
shared_buffers = 64MB
autovacuum = off
log_min_messages = warning
{more}
"""


def find_programs() -> Path:
    """Return the folder of initdb and postgres: Debian has one for each version, beside the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    assert found or on_path, "install PostgreSQL, for example Debian's package postgresql: these tests start a server"
    return found[-1].parent if found else Path(str(on_path)).parent


class PostgresServer:
    """A PostgreSQL server in a process of its own: ``with PostgresServer(folder) as server:``.

    folder: a folder for its files, which is created. config: lines of its configuration.
    durable: False for a server that does not wait for the disk, which is faster; no test may kill the machine.
    """

    def __init__(self, folder: Path, config: str = "", *, durable: bool = True) -> None:
        # the server's user cannot enter root's folders of pytest, as each start of pytest closes those above again
        self.folder = folder if os.getuid() else Path(mkdtemp(prefix="modd-postgres-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self.config = CONFIG.format(folder=self.folder, port=self.port, fsync="on" if durable else "off", more=config)
        self.programs = find_programs()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the database ``postgres``."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def log(self) -> str:
        """The text of its log."""
        return (self.folder / "log").read_text()

    def execute(self, *statements: str) -> None:
        """Execute statements, each in a transaction of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, statement: str) -> list[Any]:
        """Return the rows of a statement."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def start(self) -> None:
        """Start it, at the port that it had before; return when clients can connect."""
        if not self.data.exists():
            self._create()
        with (self.folder / "log").open("ab") as log:
            self.process = self._run([self.programs / "postgres", "-D", self.data], log)
        end = monotonic() + START_SECONDS
        while monotonic() < end and self.process.poll() is None:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                sleep(0.02)
        raise AssertionError(f"the server did not start: {self.log}")

    def stop(self) -> None:
        """End it in order, and the connections of its clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it at once without a checkpoint, as ``pg_ctl -m immediate`` does: it recovers when it is started."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def restart_as_standby(self) -> None:
        """End it in order, and start it again as a standby, which only reads until `promote`."""
        self.stop()
        signal_file = self.data / "standby.signal"
        signal_file.touch()
        shutil.chown(signal_file, self.data.stat().st_uid)
        self.start()

    def promote(self) -> None:
        """Have a standby take writes; return when it does."""
        self.execute("SELECT pg_promote()")

    def kill_children(self) -> None:
        """Kill the processes of its connections by SIGKILL: the server ends all, and recovers by itself."""
        assert self.process is not None
        for child in self.children():
            with suppress(ProcessLookupError):  # the server has ended it, as it ends all when one was killed
                os.kill(child, signal.SIGKILL)

    def children(self) -> list[int]:
        """Return the ids of the processes of its connections, as soon as it accepts one."""
        statement = """SELECT pid FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"""
        end = monotonic() + START_SECONDS
        while True:
            try:
                return [pid for [pid] in self.rows(statement)]
            except psycopg.OperationalError:  # it recovers
                if monotonic() > end:
                    raise
            sleep(0.02)

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is not None:
            self.kill()
        if not os.getuid():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:  # the server does not run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        with (self.folder / "log").open("ab") as log:
            command: list[Path | str] = [
                self.programs / "initdb",
                "-D",
                self.data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "-N",
            ]
            assert self._run([*command, "--locale=C"], log).wait() == 0, self.log
        (self.data / "postgresql.conf").write_text(self.config)

    def _run(self, command: list[Path | str], log: object) -> subprocess.Popen[bytes]:
        options = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **options)  # type: ignore[call-overload,no-any-return]  # options of one kind

    def _end(self, number: signal.Signals) -> None:
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(number)
        process.wait()


def free_port() -> int:
    """Return a port that nothing listens at now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
