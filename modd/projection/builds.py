"""The builds of a projection in a store: the one that serves, and the one that is being made beside it.

Example: version 1 serves in build 1. A process with version 2 begins build 2, with a cursor of its own, and fills it
from the first event; processes with version 1 go on with build 1 meanwhile. When build 2 has come to the end of the
log, one commit makes it the live one, and deletes the cursor of build 1, by which the older processes notice; the
content of build 1 is deleted afterwards.
Each step is a new `Registration`; the writes follow from the difference to the one before (`Builds.change`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from modd.errors import InvalidOption
from modd.ports.documents import Documents
from modd.ports.errors import DocumentConflict
from modd.ports.storage import Storage
from modd.ports.transaction import Transaction
from modd.projection.content import ProjectionContent
from modd.projection.errors import OutdatedProjection, TableInUse
from modd.projection.states import space_of
from modd.projection.tables import quoted, stored_name, view_of
from modd.stores.errors import SqlNotSupported

REGISTRY = "modd projections"
"""The space of the documents that tell the builds of each projection."""


WITHOUT_SQL = "a store without SQL has no tables; use a SqliteStore, or make the projection with state= and key="
"""The cure for tables in memory."""


MOST_DOCUMENTS = 500
"""Documents of an old build that are deleted in one commit."""


def cursor_key(projection: str, build: int) -> str:
    """Return the key of the cursor of a build."""
    return f"projection {projection} {build}"


class Build(msgspec.Struct, frozen=True):
    """A build of a projection.

    version: the version of the projection that it is made by. number: its number, from 1. tables: the names of its
    tables; none for states.
    """

    version: int
    number: int
    tables: tuple[str, ...] = ()


class Registration(msgspec.Struct, frozen=True):
    """The builds of a projection.

    live: the build that is read. next: the build that is being made beside it, or None. dropping: the builds whose
    content is still to be deleted. inline: True if the events come to the live build in their own commit.
    """

    live: Build
    next: Build | None = None
    dropping: tuple[Build, ...] = ()
    inline: bool = False

    @property
    def builds(self) -> tuple[Build, ...]:
        """The builds that have content."""
        return (self.live,) if self.next is None else (self.live, self.next)

    @property
    def followed(self) -> tuple[Build, ...]:
        """The builds that followers move along the log."""
        return self.builds[1:] if self.inline else self.builds

    @property
    def newest(self) -> int:
        """The highest version."""
        return max(build.version for build in self.builds)

    def with_next(self, version: int, tables: Iterable[str]) -> Registration:
        """Return the registration with a new build in place of one that is being made."""
        number = max(build.number for build in self.builds) + 1
        return self._replaced(self.next, next=Build(version, number, tuple(tables)))

    def switched(self) -> Registration:
        """Return the registration with the next build as the live one."""
        assert self.next is not None
        return self._replaced(self.live, live=self.next, next=None)

    def without(self, build: Build) -> Registration:
        """Return the registration without a build whose content has been deleted."""
        return msgspec.structs.replace(self, dropping=tuple(each for each in self.dropping if each != build))

    def _replaced(self, gone: Build | None, **changes: Build | None) -> Registration:
        """Return the registration with changes by which a build goes."""
        dropping = self.dropping if gone is None else (*self.dropping, gone)
        return msgspec.structs.replace(self, dropping=dropping, **changes)


def opened(before: Registration | None, version: int, tables: tuple[str, ...]) -> Registration:
    """Return the builds with one of a version, as far as there are only older ones. Raises `InvalidOption`.

    tables: the names of the tables of this version.
    """
    if before is None:
        return Registration(Build(version, 1, tables))
    if before.newest < version:
        return before.with_next(version, tables)
    for build in before.builds:
        if build.version == version and build.tables != tables:
            names = ", ".join(build.tables) or "none"
            raise InvalidOption("tables", tables, f"version {version} has other tables ({names}); raise the version")
    return before


def check_newest_version(projection: str, version: int, registration: Registration) -> None:
    """Raise `OutdatedProjection` if there are builds of a newer version."""
    if registration.newest > version:
        raise OutdatedProjection(projection, version, registration.newest)


class Builds:
    """The builds of a projection in a store.

    store: the store. projection: the name of the projection. content: the kind of its content.
    """

    def __init__(self, store: Storage, projection: str, content: ProjectionContent) -> None:
        self._store, self._projection, self._content = store, projection, content
        self._registry: Documents = store.documents(REGISTRY)

    async def load(self) -> Registration | None:
        """Return the registration; None if the projection was never in the store."""
        body = await self._registry.get(self._projection)
        return None if body is None else decode(body)

    async def check(self, registration: Registration) -> None:
        """End the open transaction with `DocumentConflict` if the registration is another one."""
        body = encode(registration)
        await self._registry.swap(self._projection, body, body)

    async def change(self, transaction: Transaction, before: Registration | None, after: Registration) -> None:
        """Change the registration in the open transaction, and make the tables of new builds and their views.

        The commit raises `DocumentConflict` if another process has changed it. Raises `TableInUse`.
        """
        if await self.load() != before:  # then the tables that are in the way may be those of another process
            raise DocumentConflict(REGISTRY, self._projection)
        expected = None if before is None else encode(before)
        await self._registry.swap(self._projection, encode(after), expected)
        earlier = () if before is None else before.builds
        for build in after.builds:
            if build not in earlier:
                await self._create(transaction, build, () if before is None else before.live.tables)
        if before is None or before.live != after.live:
            await self._show(transaction, after.live, () if before is None else before.live.tables)

    async def delete(self, build: Build) -> None:
        """Delete the content of an old build: its tables at once, or its states little by little."""
        if build.tables:
            async with self._store.transaction() as transaction:
                for table in build.tables:
                    await transaction.execute(f"DROP TABLE IF EXISTS {quoted(table, build.number)}")
            return
        documents = self._store.documents(space_of(self._projection, build.number))
        while page := await documents.items(limit=MOST_DOCUMENTS):
            async with self._store.transaction():
                for key, _ in page:
                    await documents.delete(key)

    async def _create(self, transaction: Transaction, build: Build, views: Iterable[str]) -> None:
        """Make an empty build. views: the plain names that belong to the projection already."""
        if build.tables:
            own = {view.lower() for view in views}
            names = [stored_name(table, build.number) for table in build.tables]
            names += [table for table in build.tables if table.lower() not in own]
            await self._check_free(transaction, names)
        await self._content.create(transaction, build.number)

    async def _check_free(self, transaction: Transaction, names: list[str]) -> None:
        """Raise `TableInUse` if the file has a table or a view of one of these names, in capitals or small letters."""
        marks = ", ".join("?" * len(names))
        sql = f"SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) IN ({marks})"
        try:
            found = await transaction.fetch(sql, [name.lower() for name in names])
        except SqlNotSupported:
            raise InvalidOption("tables", self._content.tables, WITHOUT_SQL) from None
        if found:
            raise TableInUse(found[0][0], self._projection)

    async def _show(self, transaction: Transaction, live: Build, earlier: Iterable[str]) -> None:
        """Make the views under the plain names in place of those of the earlier build."""
        for table in earlier:
            await transaction.execute(f'DROP VIEW "{table}"')
        for table in live.tables:
            await transaction.execute(view_of(table, live.number))


encode = msgspec.json.Encoder().encode


decode = msgspec.json.Decoder(Registration).decode
