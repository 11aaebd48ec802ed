"""Journeys as a tree, as a sequence diagram, and as a list to assert on."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus, Delivery, Failure, InvalidOption, Message, Observer, Part, Sensitive, TurnFailed
from modd.journey.journey import Journey
from modd.journey.tree import format_duration, short_repr
from tests.names import A, B, C, N, Start

pytestmark = pytest.mark.anyio


class Added(Message):
    sku: str
    price: Decimal


class Totals(Message):
    items: int
    total: Decimal


def cart() -> Callable[[Added], Totals]:
    prices: list[Decimal] = []

    def add(message: Added) -> Totals:
        prices.append(message.price)
        return Totals(len(prices), sum(prices, Decimal()))

    return add


def show(message: Totals) -> None:
    pass


def sees(message: Message) -> None:
    pass


def untimed(journey: Journey) -> list[str]:
    """The lines of the tree without times, which differ."""
    return re.sub(r"  [\d.]+ (ns|µs|ms|s)(?=  |$)", "", str(journey), flags=re.MULTILINE).splitlines()


def names(journey: Journey) -> list[tuple[str, str]]:
    return [(type(each.message).__name__, getattr(each.component, "__name__", "")) for each in journey]


# MO-26
async def test_a_journey_shows_who_received_a_message_and_what_that_caused() -> None:
    bus = Bus([cart(), show], name="shopping")
    with Journey(bus) as journey:
        await bus(Added("KAY-123-YOLO", Decimal("10.99")))
    assert untimed(journey) == [
        "Added(sku='KAY-123-YOLO', price=Decimal('10.99'))",
        "└─ cart.add",
        "   └─ Totals(items=1, total=Decimal('10.99'))",
        "      └─ show",
    ]
    assert re.search(r"show  [\d.]+ (ns|µs|ms|s)$", str(journey))


# MO-26
async def test_a_journey_gives_the_deliveries_in_the_order_in_which_they_began() -> None:
    bus = Bus([cart(), show, sees])
    with Journey(bus) as journey:
        await bus(Added("a", Decimal(1)))
    assert names(journey) == [("Added", "add"), ("Added", "sees"), ("Totals", "show"), ("Totals", "sees")]
    assert len(journey) == 4
    assert repr(journey) == "<Journey in bus: 4 deliveries>"
    assert all(isinstance(each, Delivery) and each.outcome == "done" for each in journey)


async def test_a_message_with_several_receivers_has_several_branches() -> None:
    def twice(message: Start) -> list[Message]:
        return [A(), B()]

    bus = Bus([sees, twice])
    with Journey(bus) as journey:
        await bus(Start())
    assert untimed(journey) == [
        "Start()",
        "├─ sees",
        "└─ test_a_message_with_several_receivers_has_several_branches.twice",
        "   ├─ A()",
        "   │  └─ sees",
        "   └─ B()",
        "      └─ sees",
    ]


async def test_concurrent_receivers_have_their_own_branches() -> None:
    class Turns:
        def __init__(self, name: str, gives: Message) -> None:
            self.name, self.gives = name, gives

        async def __call__(self, message: Start) -> Message:
            await checkpoint()
            return self.gives

    bus = Bus([Turns("first", A()), Turns("second", B()), sees], concurrent=True)
    with Journey(bus) as journey:
        for _ in range(20):  # trio starts tasks in any order
            await bus(Start())
    assert untimed(journey) == 20 * [
        "Start()",
        "├─ first",
        "│  └─ A()",
        "│     └─ sees",
        "├─ second",
        "│  └─ B()",
        "│     └─ sees",
        "└─ sees",
    ]
    assert journey.returned_messages() == 20 * (A(), B())


# MO-26
async def test_what_happens_in_a_nested_bus_is_below_the_message_that_it_was_given() -> None:
    inner = Bus([cart(), sees], name="cart", outbound=[Totals])
    bus = Bus([inner, show], name="shop", outbound=[Totals])
    with Journey(bus) as journey:
        await bus(Added("a", Decimal(1)))
    assert untimed(journey) == [
        "Added(sku='a', price=Decimal('1'))",
        "└─ cart",
        "   ├─ cart > cart.add",
        "   │  └─ Totals(items=1, total=Decimal('1'))  left cart",
        "   │     └─ cart > sees",
        "   ├─ cart > sees",
        "   └─ Totals(items=1, total=Decimal('1'))  left shop",
        "      └─ show",
    ]


async def test_a_part_that_wraps_a_bus_is_shown_around_it() -> None:
    class Around(Part):
        name = "around"

    bus = Bus([Around(Bus([cart()], name="cart", outbound=[Totals]))])
    with Journey(bus) as journey:
        await bus(Added("a", Decimal(1)))
    assert untimed(journey) == [
        "Added(sku='a', price=Decimal('1'))",
        "└─ around",
        "   ├─ cart > cart.add",
        "   │  └─ Totals(items=1, total=Decimal('1'))  left cart",
        "   └─ Totals(items=1, total=Decimal('1'))  unreceived",
    ]


async def test_a_journey_of_an_inner_bus_begins_with_what_that_was_given() -> None:
    inner = Bus([cart()], name="cart", outbound=[Totals])
    bus = Bus([inner, show])
    with Journey(inner) as journey:
        await bus(Added("a", Decimal(1)))
    assert untimed(journey) == [
        "Added(sku='a', price=Decimal('1'))",
        "└─ cart.add",
        "   └─ Totals(items=1, total=Decimal('1'))  left cart",
    ]


# MO-24
async def test_messages_that_nobody_received_are_shown_as_such() -> None:
    def gives(message: Start) -> list[Message]:
        return [A(), B()]

    inner = Bus([gives], name="inner", inbound=[Start, C])
    bus = Bus([inner])
    with Journey(bus) as journey:
        await bus(N(1))
        await bus(Start())
        await bus(C())
    assert untimed(journey) == [
        "N(n=1)  unreceived",
        "Start()",
        "└─ inner",
        "   └─ inner > test_messages_that_nobody_received_are_shown_as_such.gives",
        "      ├─ A()  unreceived",
        "      └─ B()  unreceived",
        "C()",
        "└─ inner",
        "   └─ C()  unreceived",
    ]


async def test_a_failure_that_nobody_handles_is_shown_as_such() -> None:
    def fails(message: A) -> None:
        raise ValueError("no")

    bus = Bus([Bus([fails], name="inner"), sees], name="outer")
    with Journey(bus) as journey, pytest.raises(TurnFailed):
        await bus(A())
    where = "test_a_failure_that_nobody_handles_is_shown_as_such.fails"
    group = "TurnFailed('1 failure in a turn of inner', [ValueError('no')])"
    assert untimed(journey) == [
        "A()",
        f"├─ inner  failed: {group}",
        f"│  ├─ inner > {where}  failed: ValueError('no')",
        "│  │  └─ Failure(ValueError('no'))  unhandled",
        f"│  └─ Failure({group})",
        "│     └─ sees",
        "└─ sees",
    ]


async def test_a_failure_that_is_let_out_is_shown_where_it_goes() -> None:
    def fails(message: A) -> None:
        raise ValueError("no")

    def helps(failure: Failure) -> B:
        return B()

    bus = Bus([Bus([fails], name="inner", outbound=[Failure]), helps])
    with Journey(bus) as journey:
        await bus(A())
    here = "test_a_failure_that_is_let_out_is_shown_where_it_goes"
    assert untimed(journey) == [
        "A()",
        "└─ inner",
        f"   ├─ inner > {here}.fails  failed: ValueError('no')",
        "   │  └─ Failure(ValueError('no'))  left inner",
        "   └─ Failure(ValueError('no'))",
        f"      └─ {here}.helps",
        "         └─ B()  unreceived",
    ]
    assert journey.returned_messages() == (B(),)


async def test_a_cancelled_turn_shows_what_was_abandoned() -> None:
    scope = anyio.CancelScope()
    bus = Bus()
    journey = Journey(bus)
    lines: list[str] = []

    def gives(message: Start) -> A:
        return A()

    def fails(message: Start) -> None:
        raise ValueError("no")

    async def stops(message: Start) -> None:
        lines.extend(untimed(journey))
        scope.cancel()
        await checkpoint()

    for component in (gives, fails, stops, sees):
        bus.add(component)
    with journey, scope:
        await bus(Start())
    here = "test_a_cancelled_turn_shows_what_was_abandoned"
    assert lines == [
        "Start()",
        f"├─ {here}.gives",
        "│  └─ A()  still queued",
        f"├─ {here}.fails  failed: ValueError('no')",
        "│  └─ Failure(ValueError('no'))  still queued",
        f"└─ {here}.stops  running",
    ]
    assert untimed(journey) == [
        "Start()  abandoned",
        f"├─ {here}.gives",
        "│  └─ A()  abandoned",
        f"├─ {here}.fails  failed: ValueError('no')",
        "│  └─ Failure(ValueError('no'))  abandoned",
        f"└─ {here}.stops  cancelled",
    ]


async def test_a_turn_that_overflows_shows_what_was_abandoned() -> None:
    def again(message: N) -> list[N]:
        return [N(message.n + 1), N(message.n + 1)]

    bus = Bus([again], limit=4)
    with Journey(bus) as journey, pytest.raises(TurnFailed):
        await bus(N(0))
    here = "test_a_turn_that_overflows_shows_what_was_abandoned.again"
    lines = untimed(journey)
    assert lines[3].startswith(f"   │  └─ {here}  failed: TurnOverflow('bus: more than 4 messages in a turn")
    assert lines[:3] + lines[4:] == [
        "N(n=0)",
        f"└─ {here}",
        "   ├─ N(n=1)  abandoned",
        "   │     ├─ N(n=2)  abandoned",
        "   │     └─ N(n=2)  abandoned",
        "   └─ N(n=1)  abandoned",
    ]


async def test_one_object_that_is_sent_twice_is_shown_twice() -> None:
    bus = Bus([sees, show])
    message = A()
    with Journey(bus) as journey:
        await bus(message)
        await bus(message)
    assert untimed(journey) == ["A()", "└─ sees", "A()", "└─ sees"]


async def test_one_object_that_is_sent_twice_at_once_is_shown_twice() -> None:
    async def slow(message: A) -> None:
        await checkpoint()

    bus = Bus([slow, sees], exclusive=False)
    message = A()
    with Journey(bus) as journey:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus, message)
            tasks.start_soon(bus, message)
    here = "test_one_object_that_is_sent_twice_at_once_is_shown_twice"
    assert untimed(journey) == ["A()", f"├─ {here}.slow", "└─ sees"] * 2


async def test_one_object_that_is_given_back_twice_is_shown_twice() -> None:
    def twice(message: Start) -> list[A]:
        return [a, a]

    def answers(message: A) -> N:
        count.append(message)
        return N(len(count))

    a, count = A(), list[A]()
    bus = Bus([twice, answers])
    with Journey(bus) as journey:
        await bus(Start())
    here = "test_one_object_that_is_given_back_twice_is_shown_twice"
    assert untimed(journey)[2:] == [
        "   ├─ A()",
        f"   │  └─ {here}.answers",
        "   │     └─ N(n=1)  unreceived",
        "   └─ A()",
        f"      └─ {here}.answers",
        "         └─ N(n=2)  unreceived",
    ]
    assert [len(journey.history(each)) for each in (a, A())] == [2, 0]


async def test_an_object_that_a_nested_bus_gives_back_itself_is_shown_again() -> None:
    echoes: list[A] = []

    def echoes_once(message: A) -> A | None:
        echoes.append(message)
        return message if len(echoes) == 1 else None

    bus = Bus([Bus([echoes_once], name="inner", outbound=[A]), sees])
    with Journey(bus) as journey:
        await bus(A())
    here = "test_an_object_that_a_nested_bus_gives_back_itself_is_shown_again"
    assert untimed(journey) == [
        "A()",
        "├─ inner",
        f"│  ├─ inner > {here}.echoes_once",
        "│  │  └─ A()  left inner",
        f"│  │     └─ inner > {here}.echoes_once",
        "│  └─ A()",
        "│     └─ sees",
        "└─ sees",
    ]


async def test_a_component_that_is_in_the_bus_twice_has_two_branches() -> None:
    bus = Bus([sees, sees])
    with Journey(bus) as journey:
        await bus(A())
    assert untimed(journey) == ["A()", "├─ sees", "└─ sees"]


async def test_a_message_that_is_sent_from_inside_is_below_its_sender() -> None:
    bus = Bus()

    def sees_start(message: Start) -> Totals:
        return Totals(0, Decimal())

    async def asks(message: Start) -> C:
        await bus(A())
        await bus(N(1))
        return C()

    def gives(message: A) -> B:
        return B()

    bus.add(sees_start)
    bus.add(asks)
    bus.add(gives)
    with Journey(bus) as journey:
        await bus(Start())
    here = "test_a_message_that_is_sent_from_inside_is_below_its_sender"
    assert untimed(journey) == [
        "Start()",
        f"├─ {here}.sees_start",
        "│  └─ Totals(items=0, total=Decimal('0'))  unreceived",
        f"└─ {here}.asks",
        "   ├─ A()",
        f"   │  └─ {here}.gives",
        "   │     └─ B()  unreceived",
        "   ├─ N(n=1)  unreceived",
        "   └─ C()  unreceived",
    ]
    assert journey.returned_messages() == (B(), Totals(0, Decimal()), C())


# MO-11
async def test_the_history_of_a_message_is_where_it_has_been() -> None:
    inner = Bus([sees], name="inner")
    bus = Bus([inner, sees])
    message, equal = A(), A()
    with Journey(bus) as journey:
        await bus(message)
        await bus(equal)
    assert [(each.bus, each.component) for each in journey.history(message)] == [
        (bus, inner),
        (inner, sees),
        (bus, sees),
    ]
    assert journey.history(B()) == ()


async def test_a_journey_that_begins_in_the_middle_of_a_turn_shows_the_rest() -> None:
    bus = Bus()
    journey = Journey(bus)

    def begins(message: Start) -> A:
        journey.__enter__()
        return A()

    bus.add(begins)
    bus.add(sees)
    with bus.observe(Observer()):
        await bus(Start())
    journey.__exit__(None, None, None)
    assert untimed(journey) == ["Start()", "└─ sees", "A()", "└─ sees"]


async def test_a_journey_can_be_taken_up_again() -> None:
    bus = Bus([sees])
    journey = Journey(bus)
    with journey:
        await bus(A())
    await bus(B())
    with journey:
        await bus(C())
    assert untimed(journey) == ["A()", "└─ sees", "C()", "└─ sees"]


async def test_an_observer_that_raises_does_not_disturb_a_journey(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Observer):
        def began(self, delivery: Delivery) -> None:
            raise RuntimeError("broken")

    bus = Bus([cart(), show])
    with bus.observe(Broken()), Journey(bus) as journey:
        await bus(Added("a", Decimal(1)))
    assert names(journey) == [("Added", "add"), ("Totals", "show")]
    assert "broken" in caplog.text


async def test_what_components_of_a_nested_bus_gave_back_can_be_asked_for() -> None:
    def gives(message: Start) -> list[Message]:
        return [A(), B()]

    inner = Bus([gives], name="inner", outbound=[B])
    bus = Bus([inner])
    with Journey(bus) as journey:
        await bus(Start())
    assert journey.returned_messages(inner) == (A(), B())
    assert journey.returned_messages() == (B(),)


@pytest.mark.costly
async def test_a_long_chain_is_cut_and_counted() -> None:
    def next_one(message: N) -> N | None:
        return N(message.n + 1) if message.n < 5_000 else None

    bus = Bus([next_one])
    with Journey(bus) as journey:
        await bus(N(0))
    lines = untimed(journey)
    assert len(lines) == 102
    assert lines[-1].strip() == "└─ … and 4_951 deliveries further down"


async def test_sensitive_fields_are_masked_in_tree_and_diagram() -> None:
    class Paid(Message):
        card: Annotated[str, Sensitive]

    bus = Bus([sees])
    with Journey(bus) as journey:
        await bus(Paid("4111-1111"))
    assert "4111-1111" not in str(journey) + journey.mermaid()
    assert untimed(journey)[0] == "Paid(card=***)"


class Text(Message):
    text: Any


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError


class Lines:
    def __repr__(self) -> str:
        return "one\ntwo"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 200, f"Text(text='{'x' * 88}…"),
        (Broken(), "<Text, whose repr raised RuntimeError>"),
        (Lines(), "Text(text=one two)"),
    ],
)
def test_a_message_is_shown_in_one_line(text: Any, expected: str) -> None:
    assert short_repr(Text(text)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 ns"),
        (412e-9, "412 ns"),
        (999.6e-9, "1 µs"),
        (9.4e-6, "9 µs"),
        (999.4e-6, "999 µs"),
        (999.6e-6, "1.0 ms"),
        (1.24e-3, "1.2 ms"),
        (9.96e-3, "10 ms"),
        (35e-3, "35 ms"),
        (2.5, "2.5 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
    ],
)
def test_a_duration_is_given_in_a_unit_that_reads_well(seconds: float, expected: str) -> None:
    assert format_duration(seconds) == expected


# MO-26
async def test_a_journey_can_be_drawn_as_a_sequence_diagram() -> None:
    def fails(message: Totals) -> None:
        raise ValueError("no; 100 % the end")

    inner = Bus([cart()], name="cart", outbound=[Totals])
    bus = Bus([inner, fails], name="shop", outbound=[Totals])
    with Journey(bus) as journey:
        await bus(B())
        with pytest.raises(TurnFailed):
            await bus(Added("<br>", Decimal(1)))
    assert journey.mermaid().splitlines() == [
        "sequenceDiagram",
        "    participant p0 as sender",
        "    participant p1 as cart",
        "    participant p3 as test_a_journey_can_be_drawn_as_a_sequence_diagram.fails",
        "    box transparent cart",
        "        participant p2 as cart.add",
        "    end",
        "    Note over p0: B() unreceived",
        "    p0->>p1: Added(sku='#60;br#62;', price=Decimal('1'))",
        "    p1->>p2: Added(sku='#60;br#62;', price=Decimal('1'))",
        "    p2-->>p1: Totals(items=1, total=Decimal('1'))",
        "    p1-->>p0: Totals(items=1, total=Decimal('1'))",
        "    p1-xp3: Totals(items=1, total=Decimal('1'))",
        "    Note over p3: failed#58; ValueError('no#59; 100 #37; the #101;nd')",
        "    Note over p3: Failure(ValueError('no#59; 100 #37; the #101;nd')) unhandled",
    ]


def test_a_journey_of_something_else_than_a_bus_is_an_error() -> None:
    with pytest.raises(InvalidOption, match="give the Bus to observe"):
        Journey(sees)  # type: ignore[arg-type]
