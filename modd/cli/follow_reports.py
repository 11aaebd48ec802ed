"""The results of ``follow``: flows and projections with all that has failed, and the changes to them."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from modd.cli.reports import QueueCounts
from modd.follower import Stuck


class Standstill(msgspec.Struct, frozen=True):
    """The event before which a part stands, because it cannot do it.

    position: that of the event. event: the name of its type.
    reason: type and text of the last error, without sensitive values.
    attempts: number of failed attempts. retry_at: the time of the next one, in seconds since 1970.
    """

    position: int
    event: str
    reason: str
    attempts: int
    retry_at: float


class TrackStatus(msgspec.Struct, frozen=True):
    """The place of a flow, or of one build of a projection, in the log.

    position: that of the last event that it has done.
    events: number of events behind that. seconds: the age of the first of these; 0.0 if there is none.
    followed: True if a process moves it now. standstill: the event before which it stands; None if it gets on.
    """

    position: int
    events: int
    seconds: float
    followed: bool
    standstill: Standstill | None


class InstanceCounts(msgspec.Struct, frozen=True):
    """The number of instances of a flow that run, that have ended, and that are set aside."""

    running: int
    ended: int
    stuck: int


class FlowStatus(msgspec.Struct, frozen=True, tag_field="kind", tag="flow"):
    """A flow in a file.

    track: its place in the log.
    version: the highest version of the states of instances that run; None if none does.
    next_due: the time of the next timeout or attempt, in seconds since 1970; None if there is none.
    stuck: the first instances that are set aside.
    """

    name: str
    track: TrackStatus
    version: int | None
    instances: InstanceCounts
    next_due: float | None
    stuck: list[Stuck]


class BuildStatus(msgspec.Struct, frozen=True):
    """A build of a projection.

    number: from 1. version: that of the projection that it is made by.
    track: its place in the log; None if events come to it in their own commit.
    """

    number: int
    version: int
    track: TrackStatus | None


class ProjectionStatus(msgspec.Struct, frozen=True, tag_field="kind", tag="projection"):
    """A projection in a file.

    live: the build that serves. next: the build that is being made beside it, or None.
    dropping: numbers of old builds whose content is still to be deleted.
    """

    name: str
    live: BuildStatus
    next: BuildStatus | None
    dropping: list[int]


class UnopenedPart(msgspec.Struct, frozen=True):
    """A flow or a projection that a process could not open, and no process has opened since.

    name: its name. reason: type and text of the last error.
    attempts: number of failed attempts. retry_at: the time of the next one, in seconds since 1970.
    """

    name: str
    reason: str
    attempts: int
    retry_at: float


class FollowOverview(msgspec.Struct, frozen=True):
    """The flows and projections of a file.

    events: the position of the last event. commands: the queues of the commands that flows have sent.
    advice: all that needs action or is worth a look, with what to do.
    unopened: those that a process could not open, such as a projection whose tables cannot be made.
    """

    path: str
    events: int
    flows: list[FlowStatus]
    projections: list[ProjectionStatus]
    commands: list[QueueCounts]
    advice: list[str]
    unopened: list[UnopenedPart]


class StuckList(msgspec.Struct, frozen=True):
    """The first instances of a flow that are set aside, ordered by their ids. total: the number of all."""

    flow: str
    total: int
    instances: list[Stuck]
    advice: list[str]


class ResumeResult(msgspec.Struct, frozen=True):
    """The result of ``resume``.

    done: the number of instances that try again.
    missing: the ids of instances that are not set aside.
    """

    flow: str
    done: int
    missing: list[str]
    advice: list[str]


class SkipResult(msgspec.Struct, frozen=True):
    """The result of ``skip``.

    part: the flow or the projection. id: that of the instance; None for the whole part.
    event, position: the event that is passed over; for a timeout its name, and None.
    """

    part: str
    id: str | None
    event: str
    position: int | None
    advice: list[str]


class RebuildResult(msgspec.Struct, frozen=True):
    """The result of ``rebuild``.

    version: that of the projection. build: the number of the build that serves now. events: its position in the log.
    """

    projection: str
    version: int
    build: int
    events: int


FollowReport: TypeAlias = FollowOverview | StuckList | ResumeResult | SkipResult | RebuildResult
"""The result of a command of ``follow``."""
