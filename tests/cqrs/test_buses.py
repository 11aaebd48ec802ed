"""The three typed buses: what they take, and what a dispatch comes to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from uuid import UUID

import anyio
import pytest

from modd import InvalidOption, NotAMessage
from modd.cqrs import (
    Command,
    CommandBus,
    Envelope,
    EventBus,
    Handled,
    HandlersFailed,
    Identity,
    Next,
    NoHandler,
    NotAnswered,
    QueryBus,
    Tenant,
    TypedBus,
    WrongBus,
)
from tests.cqrs.shop import (
    Charge,
    Create,
    Created,
    CreatedByAdmin,
    Find,
    Get,
    Noting,
    Plain,
    Rename,
    giving,
    noting,
    numbered,
    stop,
    swallow,
)
from tests.names import stable_id

pytestmark = pytest.mark.anyio


async def create(message: Create) -> int:
    return len(message.name)


def get(query: Get) -> str:
    return f"user {query.id}"


async def test_each_kind_of_bus_handles_its_kind_of_message() -> None:
    # MI-1
    heard: list[str] = []
    commands, queries = CommandBus([create]), QueryBus([get])
    events = EventBus({Created: lambda event: heard.append(event.name)})
    assert (await commands.dispatch(Create("Ada"))).result == 3
    assert await queries.ask(Get(7)) == "user 7" == (await queries.dispatch(Get(7))).result
    assert (await events.dispatch(Created("Bob"))).result is None and heard == ["Bob"]
    assert (commands.name, queries.name, events.name) == ("commands", "queries", "events")


async def test_handlers_and_middleware_can_be_added_later() -> None:
    # MI-1
    log: list[str] = []
    bus = CommandBus([create], middleware=[Noting("a", log)], name="shop")
    bus.register(Rename, giving(), name="rename it")

    @bus.handles(Charge)
    async def charge(message: Charge) -> str:
        return "paid"

    bus.use(Noting("b", log), Noting("c", log))
    assert bus.types == (Create, Rename, Charge)
    assert (await bus.dispatch(Charge())).result == "paid" == await charge(Charge())
    assert log == ["a in", "b in", "c in", "c out", "b out", "a out"]
    assert len(bus.middleware) == 3
    handled = (await bus.dispatch(Rename())).envelope.first(Handled)
    assert handled is not None and handled.handler == "rename it"
    assert repr(bus) == "<CommandBus shop: Create, Rename, Charge>"


async def test_events_can_be_registered_later_too() -> None:
    # MI-1
    heard: list[str] = []
    bus = EventBus()
    bus.register(Created, lambda event: heard.append("one"))

    @bus.handles(Created, name="second")
    def second(event: Created) -> None:
        heard.append("two")

    await bus.dispatch(Created())
    assert sorted(heard) == ["one", "two"]


async def test_the_maker_of_ids_can_be_replaced() -> None:
    # MI-1 MI-9
    bus = CommandBus([create], new_id=numbered("cmd-"))
    ids = [(await bus.dispatch(Create())).envelope.id for _ in range(2)]
    assert ids == ["cmd-1", "cmd-2"]


async def test_every_dispatch_has_an_id_that_is_ordered_by_time() -> None:
    # MI-9
    bus = CommandBus([create])
    envelopes = [(await bus.dispatch(Create())).envelope for _ in range(50)]
    ids = [envelope.id for envelope in reversed(envelopes)][::-1]
    assert len(set(ids)) == 50 and ids == sorted(ids)
    parsed = UUID(ids[0])
    assert parsed.version == 7 and parsed.variant == "specified in RFC 4122"
    assert abs((parsed.int >> 80) / 1000 - envelopes[0].identity.at) < 1
    other = (await CommandBus([create], name="other").dispatch(Create())).envelope
    assert other.id not in ids and isinstance(other.stamps[0], Identity)


@pytest.mark.parametrize("kind", [Create, "Create"])
def test_making_an_intent_of_an_unknown_type_names_it_and_what_is_handled(kind: Any) -> None:
    # MI-2
    bus = CommandBus({Rename: lambda message: None, Charge: lambda message: "paid"}, name="shop")
    with pytest.raises(NoHandler, match="no handler for Create; shop handles: Charge, Rename") as info:
        bus.create(kind, {})
    assert isinstance(info.value, LookupError)
    assert (info.value.bus, info.value.intent, set(info.value.handled)) == ("shop", kind, {Rename, Charge})


@pytest.mark.parametrize("intent", [Create(), Plain(), Get()], ids=repr)
async def test_dispatching_an_unknown_type_is_the_same_error_before_any_middleware_runs(intent: Any) -> None:
    # MI-3
    log: list[str] = []
    bus = CommandBus({Rename: lambda message: None}, middleware=[Noting("a", log)])
    for given in (intent, Envelope(intent)):
        with pytest.raises(NoHandler, match="commands handles: Rename"):
            await bus.dispatch(given)
    with pytest.raises(NoHandler):
        await bus.ask(intent)
    assert log == []
    with pytest.raises(NoHandler, match="handles: nothing yet"):
        await QueryBus().ask(Get())


async def test_an_event_without_a_handler_is_fine_unless_the_bus_is_strict() -> None:
    # MI-3
    dispatched = await EventBus().dispatch(Created())
    assert (dispatched.result, dispatched.results, dispatched.answered) == (None, (), False)
    with pytest.raises(NoHandler):
        await EventBus(strict=True).dispatch(Created())


async def test_nothing_in_a_payload_changes_its_type() -> None:
    # MI-4
    class Note(Command[str]):
        data: dict[str, Any]

    bus = CommandBus({Note: lambda note: note.data["type"], Create: lambda message: 0})
    data = {"$type": "Create", "type": "Create", "message": {"name": "x"}, "stamps": [{"$stamp": "Handled"}], "id": "1"}
    dispatched = await bus.dispatch(bus.create(Note, {"data": data}))
    assert dispatched.result == "Create" and dispatched.envelope.id != "1"
    assert [type(stamp) for stamp in dispatched.envelope.stamps] == [Identity, Handled]


@pytest.mark.parametrize("given", [Create, "Create", None, {"name": "Ada"}])
async def test_only_messages_can_be_dispatched(given: Any) -> None:
    # MI-3
    with pytest.raises(NotAMessage):
        await CommandBus([create]).dispatch(given)


async def test_a_dispatch_gives_envelope_result_and_results_in_the_order_of_registration() -> None:
    # MI-5
    ready = anyio.Event()

    async def slow(message: Create) -> int:
        await ready.wait()
        return 1

    async def quick(message: Create) -> int:
        ready.set()
        return 2

    bus = CommandBus([slow, quick], multiple=True)
    dispatched = await bus.dispatch(Create())
    assert (dispatched.result, dispatched.results, dispatched.events) == (2, (1, 2), ())
    assert [stamp.handler.rpartition(".")[2] for stamp in dispatched.envelope.all(Handled)] == ["slow", "quick"]
    assert dispatched.answered and dispatched.envelope.bus is bus


async def test_a_result_may_be_none_or_a_list_that_is_not_touched() -> None:
    # MI-5
    found = ["Ada"]
    bus = CommandBus({Rename: lambda message: None})
    dispatched = await bus.dispatch(Rename())
    assert dispatched.answered and dispatched.results == (None,) and (await bus.dispatch(Rename())).answered
    asked = await QueryBus({Find: lambda query: found}).ask(Find())
    assert asked is found == ["Ada"]


async def test_handlers_one_after_another() -> None:
    # MI-6
    log: list[str] = []

    async def first(event: Created) -> None:
        log.append("first in")
        await anyio.lowlevel.checkpoint()
        log.append("first out")

    async def second(event: Created) -> None:
        log.append("second")

    await EventBus([first, second], concurrent=False).dispatch(Created())
    assert log == ["first in", "first out", "second"]


@pytest.mark.parametrize("concurrent", [True, False])
async def test_a_failing_handler_stops_no_other_and_its_error_is_raised_as_it_is(concurrent: bool) -> None:
    # MI-6
    finished: list[str] = []
    error = ValueError("boom")

    async def failing(message: Create) -> int:
        raise error

    async def working(message: Create) -> int:
        await anyio.lowlevel.checkpoint()
        finished.append("working")
        return 1

    bus = CommandBus([failing, working], multiple=True, concurrent=concurrent)
    with pytest.raises(ValueError, match="boom") as info:
        await bus.dispatch(Create())
    assert info.value is error and finished == ["working"]
    assert "failing when given Create" in error.__notes__[0]


async def test_several_failing_handlers_are_one_group() -> None:
    # MI-6
    def one(message: Create) -> int:
        raise ValueError("one")

    async def two(message: Create) -> int:
        raise KeyError("two")

    bus = CommandBus([one, two, create], multiple=True)
    with pytest.raises(HandlersFailed, match="2 handlers of Create failed") as info:
        await bus.dispatch(Create())
    assert [type(error) for error in info.value.exceptions] == [ValueError, KeyError]
    part = info.value.subgroup(KeyError)
    assert isinstance(part, HandlersFailed) and len(part.exceptions) == 1


async def test_an_error_that_takes_no_note_is_raised_all_the_same() -> None:
    # MI-6
    class Strange(Exception):
        def add_note(self, note: str, /) -> None:
            raise RuntimeError("no notes")

    def strange(message: Create) -> int:
        raise Strange

    with pytest.raises(Strange):
        await CommandBus([strange, create], multiple=True).dispatch(Create())


async def test_errors_of_several_handlers_that_are_swallowed_leave_no_result() -> None:
    # MI-6
    def one(message: Create) -> int:
        raise ValueError("one")

    async def two(message: Create) -> int:
        raise KeyError("two")

    bus = CommandBus([one, two], multiple=True, middleware=[swallow])
    for stamps in ((), (Tenant("acme"),)):
        dispatched = await bus.dispatch(Create(), *stamps)
        assert not dispatched.answered and dispatched.result is None


@pytest.mark.parametrize("stamps", [(), (Handled(7, "test"),)])
async def test_a_handled_stamp_from_before_means_that_handlers_are_skipped(stamps: tuple[Handled, ...]) -> None:
    # MI-7
    runs: list[str] = []

    async def stand_in(envelope: Envelope[Any], call_next: Next) -> None:
        if not stamps:
            envelope.add(Handled(7, "stand-in"))
        await call_next(envelope)

    for multiple in (False, True):
        bus = CommandBus(multiple=multiple, middleware=[stand_in])
        bus.register(Create, noting(runs, "one", 1))
        if multiple:
            bus.register(Create, noting(runs, "two", 2))
        dispatched = await bus.dispatch(Create(), *stamps)
        assert (dispatched.result, dispatched.results, runs) == (7, (7,), [])


async def test_asking_for_a_result_that_there_is_not_is_an_error() -> None:
    # MO-27
    bus = CommandBus([create], middleware=[stop])
    assert not (await bus.dispatch(Create())).answered
    with pytest.raises(NotAnswered, match="Create got no result in commands"):
        await bus.ask(Create())


async def test_an_event_goes_to_the_handlers_of_its_bases_too_and_a_command_to_the_nearest() -> None:
    # MI-6
    class CreateAdmin(Create):
        pass

    events = EventBus({Created: lambda event: "base", CreatedByAdmin: lambda event: "derived"}, strict=True)
    assert (await events.dispatch(CreatedByAdmin())).results == ("derived", "base")
    assert (await events.dispatch(Created())).results == ("base",)
    commands = CommandBus([create])
    assert (await commands.dispatch(CreateAdmin("Bob"))).result == 3
    nearest = CommandBus({Create: lambda message: 1, CreateAdmin: lambda message: 2})
    assert (await nearest.dispatch(CreateAdmin())).results == (2,)


async def test_a_bus_refuses_types_of_another_kind() -> None:
    # MI-1
    for kind in (Get, Created, Plain, int, "Create"):
        with pytest.raises(WrongBus, match=r"modd\.cqrs\.Command"):
            CommandBus().register(kind, create)  # type: ignore[call-overload]  # pyright: ignore
    with pytest.raises(WrongBus, match="it handles types derived"):
        EventBus([create])


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": 3},
        {"drain": -1},
        {"drain": float("nan")},
        {"drain": "5"},
        {"drain": True},
        {"new_id": "id"},
        {"clock": 3.0},
        {"resources": [int]},
        {"middleware": stop},
        {"handlers": create},
    ],
    ids=stable_id,
)
@pytest.mark.parametrize("kind", [CommandBus, EventBus])
def test_wrong_values_fail_at_once(kind: type[TypedBus], options: dict[str, Any]) -> None:
    # MI-1
    with pytest.raises(InvalidOption):
        kind(**options)


@pytest.mark.parametrize("kind", [CommandBus, QueryBus, EventBus])
def test_misspelt_options_fail_at_once(kind: type[TypedBus]) -> None:
    # MI-1
    with pytest.raises(TypeError, match="concurent"):
        kind(concurent=False)  # type: ignore[call-arg]  # pyright: ignore


user: ContextVar[str] = ContextVar("user", default="nobody")


@pytest.mark.parametrize("concurrent", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_middleware_see_the_context_variables_that_handlers_set_however_many_there_are(
    concurrent: bool, count: int
) -> None:
    # DF-30
    async def bind(event: Created) -> None:
        user.set("ada")

    async def other(event: Created) -> None: ...

    async def middleware(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        seen.append(user.get())

    seen: list[str] = []
    handlers = {f"other {number}": other for number in range(1, count)}
    bus = EventBus([bind], middleware=[middleware], concurrent=concurrent)
    for name, handler in handlers.items():
        bus.register(Created, handler, name=name)
    await bus.dispatch(Created())
    assert seen == ["ada"]
