"""The words of the log about the builds of a projection, and about tables that cannot be made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import Logger
from typing import Any

from modd.errors import ModdError
from modd.projection.builds import Build, Registration
from modd.projection.errors import OutdatedProjection
from modd.projection.projection import Projection


class BuildNotes:
    """Tells the log of the builds of a projection.

    projection: the projection. log: gets the words.
    """

    def __init__(self, projection: Projection[Any], log: Logger) -> None:
        self._name, self._version, self._log = projection.name, projection.version, log
        self._is_told = False

    def tell_changes(self, before: Registration | None, after: Registration, events: int) -> None:
        """Tell of a build that begins, and of one that serves now. events: the number of events of the log."""
        earlier = () if before is None else before.builds
        for build in after.builds:
            if build not in earlier:
                self._tell_begun(build, after.live, events)
        if before is not None and before.live != after.live:
            self._log.info("%s: version %d serves now, built from %d events", self._name, after.live.version, events)

    def tell_outdated(self, registration: Registration) -> None:
        """Warn once if this process has an older version than the store."""
        version, newest = self._version, registration.newest
        if registration.live.version > version or (registration.live.version < version < newest):
            if not self._is_told:
                self._log.warning("%s", OutdatedProjection(self._name, version, newest))
            self._is_told = True

    def _tell_begun(self, build: Build, live: Build, events: int) -> None:
        beside = "" if build == live else f", while version {live.version} serves"
        text = "%s: a build of version %d begins, from %d events%s"
        self._log.info(text, self._name, build.version, events, beside)


@contextmanager
def tables_noted(projection: Projection[Any]) -> Iterator[None]:
    """Note at an error of the block whose tables it may be about: the text of SQLite names no projection."""
    try:
        yield
    except Exception as error:
        if projection.tables is not None and not isinstance(error, ModdError):
            error.add_note(f"tables of the projection {projection.name}: {', '.join(projection.tables)}")
        raise
