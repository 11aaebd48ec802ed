"""The reports of ``follow`` as blocks of text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modd.cli.follow_reports import (
    FlowStatus,
    FollowOverview,
    ProjectionStatus,
    RebuildResult,
    ResumeResult,
    SkipResult,
    Standstill,
    StuckList,
    TrackStatus,
    UnopenedPart,
)
from modd.cli.formats import format_line, format_span, format_time
from modd.cli.layout import Block, Pairs, Rows
from modd.follower import Stuck
from modd.texts import amount

PLACES = ("position", "behind", "lag", "moved by")
"""The headers of the place of a part in the log."""


def overview_blocks(report: FollowOverview) -> Iterable[Block]:
    """Return the blocks of the flows and projections of a file."""
    yield from _tables(report)
    for name, track in _tracks(report):
        yield from _standstill_blocks(name, track)
    for part in report.unopened:
        values = {"not opened": part.name, "reason": part.reason, "attempts": _attempts(part)}
        yield from (Pairs(values, whole=("not opened",)), "")
    for flow in report.flows:
        yield from _stuck_rows(flow)
    if report.commands:
        rows = [(each.name, each.ready, each.delayed, each.leased, each.dead) for each in report.commands]
        yield from (Rows(("commands", "ready", "delayed", "leased", "dead"), rows, numbers=range(1, 5)), "")
    if not (report.flows or report.projections or report.unopened):
        yield "no flows and no projections: a follower adds them when it runs for the first time"
    yield f"{amount(report.events, 'event')} in the log"
    yield from advice_blocks(report.advice)


def advice_blocks(advice: Iterable[str]) -> Iterator[Block]:
    """Return the blocks of advice: its lines are never broken, because users copy the commands in them."""
    yield from (Pairs({"advice:": text}, whole=("advice:",)) for text in advice)


def _tables(report: FollowOverview) -> Iterator[Block]:
    if report.flows:
        names = ("flow", *PLACES, "version", "running", "ended", "set aside", "next due")
        yield from (Rows(names, [*map(_flow_row, report.flows)], numbers=[1, 2, 5, 6, 7, 8]), "")
    if report.projections:
        builds = ("projection", *PLACES, "version", "build", "state")
        rows = [row for each in report.projections for row in _projection_rows(each, report.events)]
        yield from (Rows(builds, rows, numbers=[1, 2, 5, 6]), "")


def stuck_blocks(report: StuckList) -> Iterable[Block]:
    """Return the blocks of the instances that are set aside."""
    for each in report.instances:
        yield Pairs(dict(_stuck_values(each)), whole=("instance",))
        yield ""
    yield f"{len(report.instances)} of {amount(report.total, 'instance')} of {report.flow} set aside"
    if len(report.instances) < report.total:
        yield "--limit lists more"
    yield from advice_blocks(report.advice)


def resume_blocks(report: ResumeResult) -> Iterable[Block]:
    """Return the blocks of the result of ``resume``."""
    yield f"{report.flow}: {amount(report.done, 'instance')} resumed"
    if report.missing:
        yield f"not set aside: {', '.join(report.missing)}; give whole ids as `stuck` lists them"
    yield from advice_blocks(report.advice)


def skip_blocks(report: SkipResult) -> Iterable[Block]:
    """Return the blocks of the result of ``skip``."""
    passed = f"the timeout {report.event}" if report.position is None else f"{report.event}, event {report.position}"
    who = report.part if report.id is None else f"{report.part}, instance {report.id}"
    yield f"{who}: {passed}, is passed over"
    yield from advice_blocks(report.advice)


def rebuild_blocks(report: RebuildResult) -> Iterable[Block]:
    """Return the blocks of the result of ``rebuild``."""
    done = amount(report.events, "event")
    yield f"{report.projection}: build {report.build}, version {report.version}, serves now, made from {done}"


def _flow_row(flow: FlowStatus) -> tuple[Any, ...]:
    counts = flow.instances
    version = "-" if flow.version is None else flow.version
    due = "-" if flow.next_due is None else _second(flow.next_due)
    return flow.name, *_place(flow.track), version, counts.running, counts.ended, counts.stuck, due


def _projection_rows(projection: ProjectionStatus, events: int) -> Iterator[tuple[Any, ...]]:
    live, following = projection.live, projection.next
    dropping = f"; {amount(len(projection.dropping), 'old build')} to delete" if projection.dropping else ""
    yield projection.name, *_place(live.track), live.version, live.number, f"serves{dropping}"
    if following is not None:
        done = following.track.position if following.track is not None else 0
        share = f"is being built, {100 * done // events if events else 100} %"
        yield projection.name, *_place(following.track), following.version, following.number, share


def _place(track: TrackStatus | None) -> tuple[Any, ...]:
    if track is None:
        return "-", "-", "-", "each commit of its events"
    return track.position, track.events, format_span(track.seconds), "a process" if track.followed else "no process"


def _tracks(report: FollowOverview) -> Iterator[tuple[str, TrackStatus]]:
    for flow in report.flows:
        yield flow.name, flow.track
    for projection in report.projections:
        for build in (projection.live, projection.next):
            if build is not None and build.track is not None:
                yield f"{projection.name}, build {build.number}", build.track


def _standstill_blocks(name: str, track: TrackStatus) -> Iterator[Block]:
    if track.standstill is not None:
        each = track.standstill
        values = {
            "stands": name,
            "before event": f"{each.position}, {each.event or 'of no known type'}",
            "reason": each.reason,
            "attempts": _attempts(each),
        }
        yield Pairs(values, whole=("stands",))
        yield ""


def _attempts(each: Standstill | UnopenedPart) -> str:
    return f"{each.attempts}, the next one at {_second(each.retry_at)}"


def _stuck_rows(flow: FlowStatus) -> Iterator[Block]:
    shown, total = len(flow.stuck), flow.instances.stuck
    if shown:
        names = (f"set aside in {flow.name}", "failed at", "waiting", "attempts", "reason")
        rows = [
            (each.id, _event_of(each), each.waiting, each.attempts, format_line(each.reason)) for each in flow.stuck
        ]
        yield Rows(names, rows, numbers=[2, 3])
        if shown < total:
            yield f"{shown} of {total}; `stuck` lists more"
        yield ""


def _stuck_values(each: Stuck) -> Iterator[tuple[str, Any]]:
    retry = "no more" if each.retry_at is None else f"the next one at {_second(each.retry_at)}"
    yield "instance", each.id
    yield "failed at", _event_of(each)
    yield "reason", each.reason
    yield "attempts", f"{each.attempts}, {retry}"
    yield "waiting", amount(each.waiting, "event")


def _event_of(each: Stuck) -> str:
    return f"the timeout {each.event}" if each.position is None else f"{each.event}, event {each.position}"


def _second(time: float) -> str:
    return format_time(round(time))
