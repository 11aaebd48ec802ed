"""The errors of projections."""

from __future__ import annotations

from collections.abc import Iterable

from modd.errors import ModdError
from modd.texts import escape_control


class UnknownTable(ModdError, LookupError):
    """A statement has a name in braces that is no table of the projection.

    table: the name in braces.
    projection: the name of the projection.
    tables: the names of its tables.

    Add the table to ``tables``, or pass a text with braces as a parameter of the statement.
    """

    def __init__(self, table: str, projection: str, tables: Iterable[str]) -> None:
        self.table, self.projection, self.tables = table, projection, tuple(tables)
        super().__init__(
            f"{{{table}}} is no table of the projection {projection}; its tables are: {', '.join(self.tables)}; "
            "add it to tables=, or pass a text with braces as a parameter"
        )


class TableInUse(ModdError, RuntimeError):
    """The file has a table or a view under a name that a projection needs.

    table: the name.
    projection: the name of the projection.

    Rename the table of the projection, or the other one.
    """

    def __init__(self, table: str, projection: str) -> None:
        self.table, self.projection = table, projection
        super().__init__(
            f"the file has a table or a view {table}, which the projection {projection} needs for itself; rename one "
            "of the two"
        )


class OutdatedProjection(ModdError, RuntimeError):
    """This process has an older version of a projection than the store.

    projection: the name of the projection.
    version: the version of this process.
    newer: the version in the store.

    Start the process with the newer code.
    """

    def __init__(self, projection: str, version: int, newer: int) -> None:
        self.projection, self.version, self.newer = projection, version, newer
        super().__init__(
            f"version {version} of the projection {projection} is older than version {newer} in the store; start this "
            "process with the newer code, or raise the version to go back to older code"
        )


class ProjectionNotBuilt(ModdError, RuntimeError):
    """A projection is to be written inline, and has not seen all events that are in the log.

    projection: the name of the projection.
    version: the version of this process.

    Let a follower carry the events to it once, before the first command.
    """

    def __init__(self, projection: str, version: int) -> None:
        self.projection, self.version = projection, version
        super().__init__(
            f"the log has events that version {version} of the projection {projection} has not seen, so it cannot be "
            f"written inline; before the first command, await Follower(store, [{projection}]).catch_up()"
        )


class UndecodableState(ModdError, ValueError):
    """A stored state of a projection cannot be decoded.

    projection: the name of the projection.
    key: the key of the state.
    reason: the fault, without values of the state.

    If the class of the states has changed, raise the ``version`` of the projection, so that it is built anew.
    """

    def __init__(self, projection: str, key: str, reason: str) -> None:
        self.projection, self.key, self.reason = projection, key, reason
        super().__init__(
            f"the state of {escape_control(key)} in the projection {projection} cannot be decoded ({reason}); if the "
            "class of the states has changed, raise the version of the projection, and let a follower build it anew"
        )
