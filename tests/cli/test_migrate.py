"""``python -m modd migrate`` on a PostgreSQL server."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import psycopg
import pytest

from modd.cli.main import main
from modd.errors import MissingExtra
from modd.stores.postgres.schema import STEPS
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema

KNOWN = len(STEPS)


class MigrateShell:
    """Runs the tool on one schema, in this process."""

    def __init__(self, server: PostgresServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.url, self.schema, self._capsys = server.url, new_schema(), capsys

    def run(self, *argv: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        code = main(["migrate", self.url, "--schema", self.schema, *argv])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def execute(self, sql: str) -> list[Any]:
        """Execute SQL as a user would with psql."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def shell(postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]) -> MigrateShell:
    """Return a shell for a schema that is missing."""
    return MigrateShell(postgres_server, capsys)


def test_the_tables_are_made_once(shell: MigrateShell) -> None:
    # PG-12
    code, out, err = shell.run()
    assert (code, err) == (0, "") and out.endswith(f"({shell.schema}): version 0 -> {KNOWN}\n")
    assert shell.execute(f"SELECT version FROM {shell.schema}.store") == [(KNOWN,)]
    assert shell.run()[1].endswith(f"has version {KNOWN}: nothing to do\n")


def test_the_sql_is_printed_and_not_executed(shell: MigrateShell) -> None:
    # PG-12
    code, out, _ = shell.run("--sql")
    assert code == 0 and out.startswith(f'BEGIN;\nCREATE SCHEMA IF NOT EXISTS "{shell.schema}";\n')
    assert shell.execute(f"SELECT to_regclass('{shell.schema}.store')") == [(None,)]
    shell.execute(out)
    assert shell.execute(f"SELECT version FROM {shell.schema}.store") == [(KNOWN,)]
    assert "nothing to do" in shell.run("--sql")[1]


def test_the_report_is_printed_as_json(shell: MigrateShell) -> None:
    # PG-12
    told = msgspec.json.decode(shell.run("--json")[1])
    assert (told["version"], told["known"], told["done"]) == (0, KNOWN, True) and len(told["statements"]) > 20


def test_tables_of_a_newer_modd_are_an_error(shell: MigrateShell) -> None:
    # PG-12
    shell.run()
    shell.execute(f"UPDATE {shell.schema}.store SET version = 1000")
    for argv in ((), ("--sql",)):
        code, out, err = shell.run(*argv)
        assert (code, out) == (1, "") and "upgrade modd" in err


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["shop.db"], "migrate is for a PostgreSQL database"),
        (["postgresql://localhost/shop", "--schema", ""], "up to 63 bytes"),
        ([f"postgresql://ann:{SECRET}/1@localhost/shop"], "write @ as %40"),
    ],
)
def test_wrong_arguments_are_told(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    # PG-12, PG-14
    assert main(["migrate", *argv]) == 2
    err = capsys.readouterr().err
    assert words in err and SECRET not in err


def test_a_password_is_printed_nowhere(shell: MigrateShell, capsys: pytest.CaptureFixture[str]) -> None:
    # PG-14
    shell.url = shell.url.replace("postgres@", f"postgres:{SECRET}@")
    told = [shell.run("--sql"), shell.run("--json"), shell.run()]
    shell.url = shell.url.removesuffix("/postgres") + "/none"
    failed = shell.run()
    assert failed[0] == 1 and 'database "none" does not exist' in failed[2]
    assert SECRET not in str([*told, failed])


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # PG-12
    monkeypatch.setitem(sys.modules, "psycopg_pool", None)
    assert main(["migrate", "postgresql://localhost/shop"]) == 2
    assert str(MissingExtra("a command for PostgreSQL", "postgres")) in capsys.readouterr().err
