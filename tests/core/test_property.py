"""Random trees of buses against a plain model: the same order, the same errors to the same senders, nothing left over.

``MODD_PROFILE=long`` runs many more examples.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modd import Bus, Failure, Message, TurnFailed
from modd.core.component import name_of
from tests.core.model import Fail, ModelBus
from tests.loops import BACKENDS

pytestmark = pytest.mark.slow

EXAMPLES = 5_000 if os.environ.get("MODD_PROFILE") == "long" else 300
STEPS = 50
CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example)
KINDS = 3


class K0(Message):
    energy: int


class K1(Message):
    energy: int


class K2(Message):
    energy: int


TYPES: dict[Any, Any] = {0: K0, 1: K1, 2: K2, "F": Failure}


class Boom(Exception):
    """What components raise."""


class Cancelled(BaseException):
    """In the model: the sender was cancelled."""


class World:
    """What both sides write down, and how to cancel the sender."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.cancel: Callable[[], None] = lambda: None
        self.buses: dict[str, Any] = {}
        self.stack: list[Any] = []

    def target(self, verb: Any, bus: Any) -> Any:
        """The bus that a component sends to: its own, the outermost, or the one with this number."""
        if verb in ("ask", "try"):
            return bus
        return [*self.buses.values()][0 if verb == "up" else int(verb) % len(self.buses)]

    def note(self, *what: Any) -> None:
        self.log.append(what)
        if len(self.log) > 3_000:
            raise TooMuch


class TooMuch(BaseException):
    """The example makes more messages than a test needs."""


class Plan:
    """What a component accepts and does; made real by `component`, and its own model."""

    def __init__(self, drawn: Any, name: str, world: World) -> None:
        kinds, everything, handles, self.style, self.actions = drawn
        self.kinds = {*kinds, *(["F"] if handles else [])}
        self.everything = everything or not self.kinds
        self.name, self.world = name, world

    def accepts(self) -> tuple[set[Any], bool]:
        return self.kinds, self.everything

    def steps(self, key: Any) -> list[tuple[str, Any]]:
        """What it does with a message; a message without energy causes nothing."""
        kind, energy = (key[0], 1) if key[0] == "F" else key
        verbs = self.actions[KINDS if kind == "F" else kind] if energy or kind == "F" else []
        usable = verbs if "async" in self.style else [v for v in verbs if v[0] in ("give", "raise")]
        return [(verb, (to, 0 if kind == "F" else energy - 1)) for verb, to in usable]

    def act(self, key: Any, bus: ModelBus, give: Callable[[Any], None]) -> Any:
        """The model of it: a generator gives at once, a function when it returns."""
        self.world.note(self.name, key[:3])
        given: list[Any] = []
        keep = give if "generator" in self.style else given.append
        for verb, message in self.steps(key):
            try:
                if verb == "give":
                    keep(message)
                elif verb == "raise":
                    return key[3] if key[0] == "F" else Boom(self.name)
                elif verb == "cancel":
                    raise Cancelled
                elif verb != "pause":
                    target = self.world.target(verb, bus)
                    self.world.note(self.name, "asked", list(map(short, target.send(message))))
            except Fail as fail:
                if verb != "try":
                    return fail
                self.world.note(self.name, "caught", shape(fail))
        for item in given:
            give(item)
        return None

    def component(self, bus: Bus) -> Callable[[Any], Any]:
        """The real one."""

        async def async_generator(message: Any) -> Any:
            self.world.note(self.name, key_of(message)[:3])
            for verb, (to, energy) in self.steps(key_of(message)):
                if verb == "give":
                    yield TYPES[to](energy)
                else:
                    await self.do(verb, TYPES[to](energy), message, bus)

        async def coroutine(message: Any) -> Any:
            given: Any = async_generator(message)
            return [item async for item in given]

        def generator(message: Any) -> Any:
            self.world.note(self.name, key_of(message)[:3])
            for verb, (to, energy) in self.steps(key_of(message)):
                if verb == "raise":
                    raise message.error if isinstance(message, Failure) else Boom(self.name)
                yield TYPES[to](energy)

        def plain(message: Any) -> Any:
            return [*generator(message)]

        function = {"sync": plain, "sync generator": generator, "async": coroutine, "async generator": async_generator}[
            self.style
        ]
        types = Message if self.everything and not self.kinds else None
        for kind in sorted(map(str, self.kinds)):
            one = TYPES[kind if kind == "F" else int(kind)]
            types = one if types is None else types | one
        function.__annotations__["message"] = types if not self.everything else types | Message
        function.__qualname__ = self.name
        return function

    async def do(self, verb: str, message: Any, cause: Any, bus: Bus) -> None:
        if verb == "raise":
            raise cause.error if isinstance(cause, Failure) else Boom(self.name)
        if verb == "pause":
            await checkpoint()
        elif verb == "cancel":
            self.world.cancel()
            try:
                await anyio.sleep_forever()
            finally:
                if message.energy:
                    raise Boom("in clean-up")
        else:
            target = self.world.target(verb, bus)
            try:
                left = await target(message)
            except TurnFailed as failed:
                if verb != "try":
                    raise
                self.world.note(self.name, "caught", shape(failed))
            else:
                self.world.note(self.name, "asked", [short(key_of(item)) for item in left])


def key_of(message: Any) -> Any:
    """A message as the model writes it."""
    if isinstance(message, Failure):
        return ("F", key_of(message.message), name_of(message.component), message.error)
    return (int(type(message).__name__[1]), message.energy)


def short(key: Any) -> Any:
    """Without the error itself, which is not the same object in the model."""
    return (key[0], short(key[1]), key[2], shape(key[3])) if key[0] == "F" else key


def shape(error: Any) -> Any:
    """An error as something that both sides have: who raised what, and what had left."""
    if isinstance(error, Fail):
        return [*map(shape, error.errors)], [*map(short, error.outs)]
    if isinstance(error, TurnFailed):
        return [*map(shape, error.exceptions)], [short(key_of(item)) for item in error.outbound]
    return str(error)


kinds = st.integers(0, KINDS - 1)
verbs = st.tuples(
    st.sampled_from(["give", "give", "give", "raise", "ask", "try", "up", "1", "2", "3", "pause", "cancel"]), kinds
)
plans = st.tuples(
    st.frozensets(kinds, max_size=2),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([False, False, True]),
    st.sampled_from(["sync", "sync generator", "async", "async generator"]),
    st.tuples(*[st.lists(verbs, max_size=2)] * (KINDS + 1)),
)
boundary = st.frozensets(st.sampled_from([0, 1, 2, "F"]), max_size=3)


def buses(parts: Any) -> Any:
    return st.tuples(
        st.lists(parts, min_size=1, max_size=3),
        st.none() | boundary,
        boundary,
        st.sampled_from([True, None, False, "key"]),
    )


trees = buses(plans | buses(plans | buses(plans)))
sends = st.lists(st.tuples(st.integers(0, 5), kinds, st.integers(0, 3)), min_size=1, max_size=STEPS)
OPTIONS: dict[Any, Any] = {True: True, None: None, False: False, "key": lambda message: "one"}


def build_model(drawn: Any, name: str, world: World) -> ModelBus:
    bus = ModelBus(name, [], *drawn[1:3])
    world.buses[name], bus.stack = bus, world.stack
    bus.parts = [
        build_model(part, f"{name}.{n}", world) if len(part) == 4 else Plan(part, f"{name}.{n}", world)
        for n, part in enumerate(drawn[0])
    ]
    return bus


def build(drawn: Any, name: str, world: World) -> Bus:
    parts, inbound, outbound, exclusive = drawn
    types = [None if kinds is None else [TYPES[kind] for kind in kinds] for kinds in (inbound, outbound)]
    bus = Bus(name=name, inbound=types[0], outbound=types[1] or (), exclusive=OPTIONS[exclusive], limit=None)
    world.buses[name] = bus
    for n, part in enumerate(parts):
        inner = f"{name}.{n}"
        bus.add(build(part, inner, world) if len(part) == 4 else Plan(part, inner, world).component(bus))
    return bus


def run_model(tree: Any, steps: Any) -> tuple[list[Any], list[Any]]:
    world, outcomes = World(), list[Any]()
    build_model(tree, "0", world)
    names = [*world.buses]
    for at, kind, energy in steps:
        try:
            outcomes.append([*map(short, world.buses[names[at % len(names)]].send((kind, energy)))])
        except Fail as fail:
            outcomes.append(shape(fail))
        except Cancelled:
            outcomes.append("cancelled")
            world.stack.clear()
            for bus in world.buses.values():
                bus.turns = [[]]
    return world.log, outcomes


async def run_real(tree: Any, steps: Any) -> tuple[list[Any], list[Any]]:
    world, outcomes = World(), list[Any]()
    build(tree, "0", world)
    names = [*world.buses]
    for at, kind, energy in steps:
        bus = world.buses[names[at % len(names)]]
        with anyio.CancelScope() as scope:
            world.cancel = scope.cancel
            try:
                outcomes.append([short(key_of(item)) for item in await bus(TYPES[kind](energy))])
            except TurnFailed as failed:
                outcomes.append(shape(failed))
        if scope.cancelled_caught:
            outcomes.append("cancelled")
        for bus in world.buses.values():
            assert bus.gate is None or (bus.gate.holder is None and not bus.gate.line), "nothing is left over"
            assert not bus.keyed_gates, "nothing is left over"
    return world.log, outcomes


@settings(max_examples=EXAMPLES, suppress_health_check=CHECKS)
@given(tree=trees, steps=sends)
def test_a_tree_of_buses_does_what_the_model_says(tree: Any, steps: Any) -> None:
    # MO-1 MO-3 MO-8 MO-10 MO-16 MO-17
    try:
        expected = run_model(tree, steps)
    except TooMuch:
        return
    for backend in BACKENDS:
        log, outcomes = anyio.run(run_real, tree, steps, backend=backend)
        assert outcomes == expected[1]
        assert log == expected[0]
