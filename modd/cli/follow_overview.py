"""The overview of the flows and projections in a file."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import msgspec

from modd.cli.file_storage import result_of
from modd.cli.follow_advice import advise_on_commands, advise_on_parts, advise_on_unopened
from modd.cli.follow_reports import FlowStatus, FollowOverview, ProjectionStatus, UnopenedPart
from modd.cli.inspection import Inspector
from modd.cli.parts import Parts
from modd.cli.reasons import Reasons
from modd.stores.sqlite.damage import Damage
from modd.stores.sqlite.savepoint import one_state

T = TypeVar("T")


MOST_STUCK = 5
"""The most instances of a flow that the overview lists."""


COMMANDS = " commands"
"""The end of the names of the queues in which flows put commands."""


def list_parts(inspector: Inspector, reasons: Reasons) -> FollowOverview:
    """List the flows and projections of a file, with advice. reasons: masks the reasons of failures."""

    async def look(parts: Parts) -> tuple[list[FlowStatus], list[ProjectionStatus], list[UnopenedPart], int]:
        return await parts.flows(MOST_STUCK), await parts.projections(), await parts.unopened(), await parts.last()

    flows, projections, unopened, events = look_at_parts(inspector, look, reasons)
    commands = [inspector.counts(name) for name in inspector.queues() if name.endswith(COMMANDS)]
    advice = [
        *advise_on_unopened(inspector.path, (each.name for each in unopened)),
        *advise_on_parts(inspector.path, flows, projections, inspector.clock()),
        *advise_on_commands(inspector.path, commands),
    ]
    return FollowOverview(inspector.path, events, flows, projections, commands, advice, unopened)


def advise_on_file(inspector: Inspector) -> Iterator[str]:
    """Yield the advice about the flows and projections of a file."""

    async def look(parts: Parts) -> tuple[list[FlowStatus], list[ProjectionStatus], list[UnopenedPart]]:
        return await parts.flows(0), await parts.projections(), await parts.unopened()

    flows, projections, unopened = look_at_parts(inspector, look)
    yield from advise_on_unopened(inspector.path, (each.name for each in unopened))
    yield from advise_on_parts(inspector.path, flows, projections, inspector.clock())


def look_at_parts(
    inspector: Inspector, work: Callable[[Parts], Coroutine[Any, Any, T]], reasons: Reasons | None = None
) -> T:
    """Return what a function returns for the flows and projections of a file. Raises `Damage`."""
    try:
        with one_state(inspector.connection):
            return result_of(work(Parts(inspector, Reasons() if reasons is None else reasons)))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damage("a document of a flow or a projection that modd has not written") from error
