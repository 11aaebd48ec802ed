"""The grammar of the command line."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence
from typing import Any, Literal, NoReturn, TypeAlias

import msgspec

from modd.cli.errors import Misuse

Command: TypeAlias = Literal["stats", "dead", "show", "redrive", "discard", "doctor"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: ``command`` for the file at ``path``.

    name: of the queue. id, ids: of items. all: in place of ids. yes: do not ask. types: where types are found, as
    ``module`` or ``module:name``. raw: show bodies as they are. limit: the most items to list. full: check everything.
    """

    path: str
    command: Command = "stats"
    json: bool = False
    name: str = ""
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
            raise Misuse(f"{self.command}: give either ids or --all")
        if self.limit < 1:
            raise Misuse(f"--limit {self.limit}: give a whole number, at least 1")


def asked(argv: Sequence[str] | None) -> Asked:
    """What the arguments ask for; None for those of the process. Raises `Misuse`; ``--help`` ends the process."""
    given: dict[str, Any] = vars(_parser().parse_args(argv))
    del given["tool"]
    given["command"] = given["command"] or "stats"
    return Asked(**given)


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Misuse(f"{message}; see {self.prog} --help")


def _parser() -> ArgumentParser:
    parser = _Parser(prog="python -m modd", description="Tools for people who run modd.")
    tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")
    queue = tools.add_parser(
        "queue",
        help="look after the queues in the file of a SqliteStore",
        description="Look after the queues in the file of a SqliteStore. What only looks disturbs nobody.",
    )
    queue.add_argument("path", metavar="PATH", help="the file")
    _json(queue)
    _commands(queue)
    return parser


def _commands(queue: ArgumentParser) -> None:
    commands = queue.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def add(name: Command, help: str) -> ArgumentParser:
        made = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        _json(made)
        return made

    add("stats", "how many items the queues and the outbox have (the default)")
    dead = _named(add("dead", "list the dead letters of a queue"))
    dead.add_argument("--limit", type=int, default=SUPPRESS, help="the most to list (100)")
    show = _named(add("show", "show one item, dead or alive"))
    show.add_argument("id", metavar="ID", help="of the item")
    for parser in (dead, show):
        _bodies(parser)
    _moving(add("redrive", "put dead letters back into their queue, behind all others"))
    _moving(add("discard", "forget dead letters"))
    doctor = add("doctor", "see whether the file is well; ends with 1 if it is not")
    doctor.add_argument("--full", action="store_true", default=SUPPRESS, help="check the indexes, too")


def _json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", default=SUPPRESS, help="print JSON")


def _named(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("name", metavar="NAME", help="of the queue")
    return parser


def _bodies(parser: ArgumentParser) -> None:
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--types",
        action="append",
        default=SUPPRESS,
        metavar="MODULE[:NAME]",
        help="show messages of the types, bus or codec that are found there, with *** for what is sensitive",
    )
    ways.add_argument("--raw", action="store_true", default=SUPPRESS, help="show all, with what is sensitive")


def _moving(parser: ArgumentParser) -> None:
    _named(parser).add_argument("ids", metavar="ID", nargs="*", help="of the items")
    parser.add_argument("--all", action="store_true", default=SUPPRESS, help="all dead letters of the queue")
    parser.add_argument("--yes", action="store_true", default=SUPPRESS, help="do not ask")
