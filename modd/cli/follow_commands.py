"""The commands of ``follow``: each looks at flows and projections, or changes them, and returns a report."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import anyio

from modd.cli.errors import UsageError
from modd.cli.follow_advice import advise_on_stuck, advise_on_waiting
from modd.cli.follow_arguments import FollowArguments
from modd.cli.follow_changes import rebuild_projection, resume_instances, skip_in
from modd.cli.follow_overview import list_parts, look_at_parts
from modd.cli.follow_reports import FollowReport, RebuildResult, ResumeResult, SkipResult, StuckList
from modd.cli.inspection import Inspector, inspect_file
from modd.cli.interaction import Confirm, Progress
from modd.cli.parts import Parts
from modd.cli.reasons import Reasons
from modd.cli.types import load_codecs, load_flows, load_projection
from modd.follower import NotStuck
from modd.projection.builds import Build
from modd.texts import amount

T = TypeVar("T")


def run_follow(arguments: FollowArguments, confirm: Confirm, progress: Progress) -> FollowReport:
    """Run a command of ``follow``.

    Raises `UsageError`, `NoSuchPart`, `NotStuck`, `NotConfirmed`, `PartStopped`, `OutdatedProjection`,
    `modd.ports.StoreError`.
    """
    if arguments.command == "rebuild":
        return _rebuild(arguments, confirm, progress)
    if arguments.command == "resume":
        return _resume(arguments, confirm, progress)
    if arguments.command == "skip":
        return _skip(arguments)
    reasons = Reasons(load_codecs(arguments.types), load_flows(arguments.types), is_raw=arguments.raw)
    if arguments.command == "stuck":
        return _look(arguments.path, partial(_stuck, arguments), reasons)
    return inspect_file(arguments.path, partial(list_parts, reasons=reasons))


def _look(path: str, work: Callable[[Parts], Coroutine[Any, Any, T]], reasons: Reasons | None = None) -> T:
    """Return what a function returns for the flows and projections of a file."""

    def look(inspector: Inspector) -> T:
        return look_at_parts(inspector, work, reasons)

    return inspect_file(path, look)


async def _stuck(arguments: FollowArguments, parts: Parts) -> StuckList:
    flow = arguments.part
    await parts.check(flow, flow=True)
    total, instances = await parts.stuck(flow, arguments.limit)
    return StuckList(flow, total, instances, [*advise_on_stuck(arguments.path, flow)] if total else [])


def _resume(arguments: FollowArguments, confirm: Confirm, progress: Progress) -> ResumeResult:
    path, flow = arguments.path, arguments.part
    keys = _look(path, partial(_stuck_keys, flow))
    if arguments.all and keys and not arguments.yes:
        instances = "the only instance" if len(keys) == 1 else f"all {amount(len(keys), 'instance')}"
        confirm(f"resume {instances} of {flow} set aside in {path}?")
    asked = keys if arguments.all else [*dict.fromkeys(arguments.ids)]
    missing = [key for key in asked if key not in keys]
    todo = [key for key in asked if key in keys]
    if todo:
        with progress("resume", len(todo)) as advance:
            missing += anyio.run(resume_instances, path, flow, todo, advance)
    return ResumeResult(flow, len(asked) - len(missing), missing, _look(path, partial(_advise, flow)))


async def _stuck_keys(flow: str, parts: Parts) -> list[str]:
    await parts.check(flow, flow=True)
    return await parts.stuck_keys(flow)


def _skip(arguments: FollowArguments) -> SkipResult:
    path, part, id = arguments.path, arguments.part, arguments.id
    event, position = _look(path, partial(_event_to_skip, arguments))
    anyio.run(skip_in, path, part, id, position)
    return SkipResult(part, id, event, position, _look(path, partial(_advise, part)))


async def _event_to_skip(arguments: FollowArguments, parts: Parts) -> tuple[str, int | None]:
    """Return the name and the position of the event that is to be skipped; None for a timeout."""
    part, id, position = arguments.part, arguments.id, arguments.position
    await parts.check(part)
    if position is not None:
        standstill = await parts.standstill(part, position)
        if standstill is None:
            raise NotStuck(part, f"the event {position}")
        return standstill.event, position
    if part not in await parts.flow_names():
        raise UsageError(f"{part} is a projection, which has no instances: give --position")
    stuck = await parts.instance(part, str(id))
    if stuck is None:
        raise NotStuck(part, f"the instance {str(id)!r}", await parts.stuck_keys(part))
    return stuck.event, stuck.position


async def _advise(part: str, parts: Parts) -> list[str]:
    return [*advise_on_waiting(part, is_followed=await parts.is_followed(part))]


def _rebuild(arguments: FollowArguments, confirm: Confirm, progress: Progress) -> RebuildResult:
    path, name = arguments.path, arguments.part
    projection = load_projection(arguments.follower, name)
    builds, events = _look(path, partial(_builds, name))
    if builds and builds[0].version < projection.version and not arguments.yes:
        confirm(
            f"build version {projection.version} of {name} in {path} in place of version {builds[0].version}? "
            "Processes with older code do not move it from then on."
        )
    with progress(f"rebuild {name}", events) as advance:
        done = anyio.run(rebuild_projection, path, projection, advance)
    live = _look(path, partial(_builds, name))[0][0]
    return RebuildResult(name, live.version, live.number, done)


async def _builds(name: str, parts: Parts) -> tuple[tuple[Build, ...], int]:
    """Return the builds of a projection in the file, first the one that serves, and the position of the last event."""
    return await parts.builds(name), await parts.last()
