"""The arguments of ``follow`` and their parser."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from typing import Any, Literal, TypeAlias

import msgspec

from modd.cli.errors import UsageError
from modd.cli.options import Parser, add_body_options, add_json, add_yes, check_limit, check_texts

LARGEST = 2**63 - 1
"""The largest position that SQLite takes."""


FollowCommand: TypeAlias = Literal["list", "stuck", "resume", "skip", "rebuild"]


class FollowArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed arguments of ``follow``: a command for the file at ``path``, and its options.

    part: the name of a flow or a projection.
    id, ids: of instances of the flow. all: all instances of the flow that are set aside, in place of ids.
    position: that of the event before which the part stands; None for none.
    follower: the source of a projection, as ``module`` or ``module:name``.
    yes: do not ask for confirmation.
    types: sources of message types and flows, in the same form.
    raw: show reasons with their sensitive values.
    limit: the most instances to list.
    """

    path: str
    command: FollowCommand = "list"
    json: bool = False
    part: str = ""
    id: str | None = None
    ids: list[str] = []
    all: bool = False
    position: int | None = None
    follower: str = ""
    yes: bool = False
    types: list[str] = []
    raw: bool = False
    limit: int = 100

    def __post_init__(self) -> None:
        check_texts(self.part, self.id or "", *self.ids)
        check_limit(self.limit)
        if self.raw and self.types:
            raise UsageError("--raw is not allowed with --types")
        if self.command == "resume" and bool(self.ids) is self.all:
            raise UsageError("resume: give either ids or --all")
        if self.command == "skip" and (self.id is None) is (self.position is None):
            raise UsageError("skip: give either the id of an instance or --position")
        if self.position is not None and not 1 <= self.position <= LARGEST:
            raise UsageError(f"--position {self.position}: give the position of an event, a whole number from 1")


def add_follow(tools: Any) -> None:
    """Add the parser of ``follow``."""
    follow = tools.add_parser(
        "follow",
        help="show the flows and projections in the file of a SqliteStore, and get them on again",
        description="Show the flows and projections in the file of a SqliteStore, with their lag and with all that "
        "has failed, and get them on again. Commands that only read do not disturb running processes.",
    )
    follow.add_argument("path", metavar="PATH", help="the file")
    add_json(follow)
    add_body_options(follow)
    commands = follow.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    _add_stuck(
        _add(commands, "stuck", "list the instances of a flow that are set aside, because a function has failed")
    )
    _add_resume(_add(commands, "resume", "have instances of a flow that are set aside try again"))
    _add_skip(_add(commands, "skip", "have a flow or a projection pass over the event that it cannot do"))
    _add_rebuild(_add(commands, "rebuild", "build a projection anew, beside the build that serves until it is done"))


def _add(commands: Any, name: FollowCommand, help: str) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
    add_json(parser)
    return parser


def _add_stuck(parser: ArgumentParser) -> None:
    parser.add_argument("part", metavar="FLOW", help="the name of the flow")
    parser.add_argument("--limit", type=int, default=SUPPRESS, help="the most instances to list (100)")
    add_body_options(parser)


def _add_resume(parser: ArgumentParser) -> None:
    parser.add_argument("part", metavar="FLOW", help="the name of the flow")
    parser.add_argument("ids", metavar="ID", nargs="*", help="the ids of instances, as stuck lists them")
    parser.add_argument("--all", action="store_true", default=SUPPRESS, help="all that are set aside")
    add_yes(parser)


def _add_skip(parser: ArgumentParser) -> None:
    parser.add_argument("part", metavar="PART", help="the name of the flow or the projection")
    parser.add_argument("id", metavar="ID", nargs="?", help="of a flow: the id of an instance, as stuck lists it")
    parser.add_argument(
        "--position", type=int, default=SUPPRESS, help="the position of the event before which the whole part stands"
    )


def _add_rebuild(parser: ArgumentParser) -> None:
    parser.add_argument("part", metavar="PROJECTION", help="the name of the projection")
    parser.add_argument(
        "--follower",
        required=True,
        metavar="MODULE[:NAME]",
        help="the follower, the projection, or a list of parts, with the functions of the projection; the events are "
        "those of PATH",
    )
    add_yes(parser)
