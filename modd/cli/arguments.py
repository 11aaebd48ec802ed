"""The arguments of the command line and their parser."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from modd.cli.errors import UsageError
from modd.cli.event_arguments import EventsArguments, add_events
from modd.cli.follow_arguments import FollowArguments, add_follow
from modd.cli.migrate_arguments import MigrateArguments, add_migrate
from modd.cli.options import Parser, add_body_options, add_json, add_yes, check_limit, check_texts
from modd.cli.run_arguments import RunArguments, add_run

CommandName: TypeAlias = Literal["stats", "dead", "show", "redrive", "discard", "forget", "doctor"]


SHORTER = "; of a dead letter, its beginning and '...' are enough if no other begins so"


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed arguments: a command for the file at ``path``, and its options.

    name: the name of a queue. handler: the name of a handler.
    id, ids: of items. all: all dead letters of the queue, in place of ids.
    yes: do not ask for confirmation.
    types: sources of message types, as ``module`` or ``module:name``.
    raw: show bodies with their sensitive values.
    limit: the most dead letters to list.
    full: check the indexes of a file, too.
    schema: the schema of a database with the tables of modd.
    """

    path: str
    schema: str = "modd"
    command: CommandName = "stats"
    json: bool = False
    name: str = ""
    handler: str = ""
    id: str = ""
    ids: list[str] = []
    all: bool = False
    yes: bool = False
    types: list[str] = []
    raw: bool = False
    limit: int = 100
    full: bool = False

    def __post_init__(self) -> None:
        if self.command in ("redrive", "discard") and bool(self.ids) is self.all:
            raise UsageError(f"{self.command}: give either ids or --all")
        check_texts(self.name, self.handler, self.id, *self.ids)
        check_limit(self.limit)


class CatalogArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed arguments of ``catalog``. source: of the parts, as ``module`` or ``module:name``."""

    source: str
    json: bool = False


AnyArguments: TypeAlias = Arguments | EventsArguments | FollowArguments | CatalogArguments | MigrateArguments
"""The parsed arguments of a tool that returns a report."""


def parse_arguments(argv: Sequence[str] | None) -> AnyArguments | RunArguments:
    """Parse arguments, those of the process for None. Raises `UsageError`; ``--help`` ends the process."""
    parser = _parser()
    parsed, left = parser.parse_known_args(argv)
    options: dict[str, Any] = vars(parsed)
    tool = options.pop("tool")
    if tool == "events" and "stream" not in options and left and not left[0].startswith("-"):
        options["stream"] = left.pop(0)  # behind options, where argparse does not look for it before Python 3.13
    if left:
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    if tool == "events":
        return EventsArguments(**options)
    if tool == "follow":
        options["command"] = options["command"] or "list"
        return FollowArguments(**options)
    if tool == "catalog":
        return CatalogArguments(**options)
    if tool == "run":
        return RunArguments(**options)
    if tool == "migrate":
        return MigrateArguments(**options)
    options["command"] = options["command"] or "stats"
    return Arguments(**options)


def _parser() -> ArgumentParser:
    parser = Parser(prog="python -m modd", description="Tools for the operation of modd.")
    tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")
    queue = tools.add_parser(
        "queue",
        help="inspect and repair the queues in the file of a SqliteStore, of a PostgresStore or of a NatsStore",
        description="Inspect and repair the queues in the file of a SqliteStore, of a PostgresStore or of a NatsStore. "
        "Commands that only read do not disturb running processes.",
    )
    queue.add_argument(
        "path",
        metavar="PATH",
        help="the file; or the database, such as postgresql://localhost/shop; or server and store, such as "
        "nats://localhost/shop",
    )
    queue.add_argument(
        "--schema", metavar="NAME", default=SUPPRESS, help="the schema of the database with the tables of modd (modd)"
    )
    add_json(queue)
    _add_commands(queue)
    add_events(tools)
    add_follow(tools)
    _add_catalog(tools)
    add_run(tools)
    add_migrate(tools)
    return parser


def _add_commands(queue: ArgumentParser) -> None:
    commands = queue.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    def add(name: CommandName, help: str) -> ArgumentParser:
        parser = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        add_json(parser)
        return parser

    add("stats", "count the items of the queues and the outbox (the default)")
    dead = add("dead", "list the dead letters of a queue")
    _add_queue(dead)
    dead.add_argument("--limit", type=int, default=SUPPRESS, help="the most dead letters to list (100)")
    show = add("show", "show one item of a queue, in any state")
    _add_queue(show)
    show.add_argument("id", metavar="ID", help=f"the id of the item{SHORTER}")
    for parser in (dead, show):
        add_body_options(parser)
    _add_dead_letter_options(add("redrive", "put dead letters back at the end of their queue"))
    _add_dead_letter_options(add("discard", "delete dead letters"))
    forget = add("forget", "forget a handler that workers have no more, and remove its deliveries")
    forget.add_argument("handler", metavar="HANDLER", help="the name of the handler")
    doctor = add("doctor", "check the health of the store; the exit code is 1 if there is a problem")
    doctor.add_argument("--full", action="store_true", default=SUPPRESS, help="check the indexes of a file, too")


def _add_catalog(tools: Any) -> None:
    catalog = tools.add_parser(
        "catalog",
        help="print the catalog of a program, as Markdown with diagrams",
        description="Print the contexts, aggregates, messages, handlers, flows and projections of a program, as "
        "Markdown with diagrams in Mermaid. The module is imported, and nothing else is run.",
    )
    catalog.add_argument(
        "source",
        metavar="MODULE[:NAME]",
        help="a bus, a typed bus, an aggregate, a flow, a projection, a follower, or a list of these; without NAME, "
        "all of these in the module",
    )
    add_json(catalog)


def _add_queue(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the name of the queue")


def _add_dead_letter_options(parser: ArgumentParser) -> None:
    _add_queue(parser)
    parser.add_argument("ids", metavar="ID", nargs="*", help=f"the ids of dead letters{SHORTER}")
    parser.add_argument("--all", action="store_true", default=SUPPRESS, help="all dead letters of the queue")
    add_yes(parser)
