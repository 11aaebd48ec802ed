"""The arguments of ``migrate``, their part of the parser, and its report as text."""

from __future__ import annotations

from argparse import SUPPRESS
from typing import Any

import msgspec

from modd.cli.errors import UsageError
from modd.cli.options import add_json
from modd.cli.reports import Migration

SCHEMES = ("postgresql://", "postgres://")


class MigrateArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed arguments of ``migrate``.

    address: of the database. schema: the schema with the tables of modd.
    sql: print the statements, and execute none.
    """

    address: str
    schema: str = "modd"
    sql: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        if not is_postgres(self.address):
            raise UsageError(
                "migrate is for a PostgreSQL database: give its address, such as postgresql://localhost/shop; a "
                "SqliteStore brings its file up when it is opened"
            )


def is_postgres(path: str) -> bool:
    """True for the address of a PostgreSQL database."""
    return path.startswith(SCHEMES)


def add_migrate(tools: Any) -> None:
    """Add the tool ``migrate`` to a parser."""
    migrate = tools.add_parser(
        "migrate",
        help="create the tables of a PostgresStore, or bring them to the version of this modd",
        description="Create the tables of a PostgresStore, or bring them to the version of this modd: all or nothing. "
        "Processes that may not change tables open their store with migrate=False.",
    )
    migrate.add_argument("address", metavar="ADDRESS", help="the database, such as postgresql://ann@localhost/shop")
    migrate.add_argument("--schema", metavar="NAME", default=SUPPRESS, help="the schema with the tables of modd (modd)")
    migrate.add_argument(
        "--sql", action="store_true", default=SUPPRESS, help="print the statements that are missing, and execute none"
    )
    add_json(migrate)


def describe_migration(report: Migration) -> str:
    """Return a report as lines of text: SQL, if nothing was executed."""
    if not report.statements:
        return f"-- {report.store} has version {report.version}: nothing to do\n"
    if report.done:
        return f"{report.store}: version {report.version} -> {report.known}\n"
    return "\n".join(["BEGIN;", *(f"{each};" for each in report.statements), "COMMIT;", ""])
