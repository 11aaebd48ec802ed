"""The advice about flows and projections: all that has failed or does not move, with what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from modd.cli.follow_reports import FlowStatus, ProjectionStatus, Standstill, TrackStatus
from modd.cli.formats import format_age, format_span
from modd.cli.reports import QueueCounts
from modd.texts import amount

IDLE = 60.0
"""Seconds after which events and timeouts that no process has done seem to have no process."""


SLOW = 3600.0
"""Seconds after which a part that a process moves seems to be too slow."""


def advise_on_parts(
    path: str, flows: Iterable[FlowStatus], projections: Iterable[ProjectionStatus], now: float
) -> Iterator[str]:
    """Yield a line for each thing that needs action or is worth a look. now: seconds since 1970."""
    for flow in flows:
        yield from _advise_on_flow(path, flow, now)
    for projection in projections:
        yield from _advise_on_projection(path, projection)


def advise_on_unopened(path: str, names: Iterable[str]) -> Iterator[str]:
    """Yield a line for each part that a process could not open."""
    lists = command_line("follow", path)
    for name in names:
        yield (
            f"{name} cannot be opened: {lists} tells why; mend what the error tells, and start its processes with it: "
            "the reason goes when one of them has opened it, and a week after the last attempt"
        )


def advise_on_commands(path: str, queues: Iterable[QueueCounts]) -> Iterator[str]:
    """Yield a line for each queue of commands that has dead letters."""
    for queue in queues:
        if queue.dead:
            lists = command_line("queue", path, "dead", queue.name)
            again = command_line("queue", path, "redrive", queue.name, "--all")
            dead = amount(queue.dead, "command")
            yield f"{queue.name}: {dead} failed for good: {lists} tells why; mend the handler, then {again}"


def advise_on_stuck(path: str, flow: str) -> Iterator[str]:
    """Yield what to do with instances of a flow that are set aside."""
    again = command_line("follow", path, "resume", flow, "--all")
    yield f"mend the function, and start the processes of {flow} with it; then {again}"
    over = command_line("follow", path, "skip", flow, "ID")
    yield f"if an event can be left out: {over} passes over the first that waits, and goes on with the others"


def advise_on_waiting(part: str, *, is_followed: bool) -> Iterator[str]:
    """Yield what has to happen for a change of a part to take effect. is_followed: True if a process moves it."""
    if not is_followed:
        yield f"no process moves {part} now: it goes on when you {START}"


def command_line(*words: str) -> str:
    """Return a command to copy."""
    return f"`python -m modd {shlex.join(words)}`"


def _advise_on_flow(path: str, flow: FlowStatus, now: float) -> Iterator[str]:
    yield from _advise_on_track(path, flow.name, flow.track)
    if flow.instances.stuck:
        lists = command_line("follow", path, "stuck", flow.name)
        stuck = amount(flow.instances.stuck, "instance")
        yield f"{flow.name}: {stuck} set aside, with all later events: {lists} tells why, and what to do"
    late = 0.0 if flow.next_due is None else now - flow.next_due
    if late > IDLE and not flow.track.followed and not flow.track.events:
        yield f"{flow.name}: a timeout is late by {format_span(late)}, and no process moves the flow: {START}"


def _advise_on_projection(path: str, projection: ProjectionStatus) -> Iterator[str]:
    name, following = projection.name, projection.next
    if projection.live.track is not None:
        yield from _advise_on_track(path, name, projection.live.track)
    if following is None or following.track is None:
        return
    title = f"build {following.number} of {name}, version {following.version},"
    if following.track.standstill is not None:
        yield _advise_on_standstill(path, name, title, following.track.standstill)
    elif not following.track.followed:
        goes_on = command_line("follow", path, "rebuild", name, "--follower", "MODULE:NAME")
        yield f"{title} is begun, and no process goes on: start one with that version, or {goes_on}"


def _advise_on_track(path: str, name: str, track: TrackStatus) -> Iterator[str]:
    if track.standstill is not None:
        yield _advise_on_standstill(path, name, name, track.standstill)
    elif track.seconds > IDLE and not track.followed:
        behind = f"{amount(track.events, 'event')} behind, the first of {format_age(track.seconds)}"
        yield f"{name} is {behind}, and no process moves it: {START}"
    elif track.seconds > SLOW:
        yield (
            f"{name} is behind by {format_span(track.seconds)}, although a process moves it: look again in a minute; "
            "if its position is the same, look at the log of that process"
        )


def _advise_on_standstill(path: str, name: str, title: str, standstill: Standstill) -> str:
    over = command_line("follow", path, "skip", name, "--position", str(standstill.position))
    return (
        f"{title} stands before event {standstill.position}: mend what fails there, and start its processes with it; "
        f"it tries again by itself. If the event can be left out: {over}"
    )


START = "start one with a follower that has it"
