"""A codec encodes what it can decode to an equal envelope, and refuses anything else with the name of the field."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from collections import deque, namedtuple
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import new_class
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Protocol, TypedDict, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pytest

from modd import InvalidOption, Message, ModdError, Sensitive
from modd.cqrs import (
    Actor,
    Codec,
    Command,
    CommandBus,
    Emitted,
    Envelope,
    Event,
    Handled,
    Identity,
    Redispatched,
    Retried,
    Stamp,
    Unencodable,
    UnknownStamp,
)
from modd.middleware import Enqueue
from modd.stores import MemoryQueue

T = TypeVar("T")


class Money(msgspec.Struct, frozen=True):
    amount: Decimal
    currency: str = "EUR"


class Cents(Money, frozen=True):
    cents: int = 0


class Identical(msgspec.Struct, eq=False):
    rate: float


class Line(msgspec.Struct, array_like=True):
    sku: str
    price: float | None = None


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog", forbid_unknown_fields=True):
    name: str


class Box(msgspec.Struct, Generic[T]):
    content: T


class Tree(msgspec.Struct):
    leaves: list[Tree] = []


class Doubled(msgspec.Struct):
    number: int

    def __post_init__(self) -> None:
        self.number *= 2


class Renamed(msgspec.Struct, rename="camel", omit_defaults=True):
    unit_price: int = 0
    maybe: int | msgspec.UnsetType = msgspec.UNSET


@dataclass
class Point:
    x: float
    y: float = 0.0


class Pair(NamedTuple):
    left: int
    right: str


class Row(TypedDict):
    id: int


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Mode(enum.StrEnum):
    FAST = "fast"


class Done(Event):
    at: dt.datetime


Sku = NewType("Sku", str)
Small = Annotated[int, msgspec.Meta(ge=0, lt=100)]
Plain = namedtuple("Plain", "a b")
NOON = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
PARIS = dt.datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1)
RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)

KINDS: dict[Any, list[Any]] = {
    None: [None],
    bool: [True, False],
    int: [0, -1, 2**63 - 1, -(2**63), 2**64 - 1],
    float: [0.5, -0.0, 1e300, 5e-324],
    str: ["", "häßlich", "\U0001f600", "\x00", "a" * 300],
    bytes: [b"", b"\xff\x00", b"\xd6\xff1234"],
    bytearray: [bytearray(b"x")],
    Decimal: [Decimal("1.10"), Decimal("1E+400")],
    uuid.UUID: [uuid.UUID(int=7)],
    dt.datetime: [NOON, PARIS, dt.datetime(1, 1, 1), NOON.astimezone(dt.timezone(dt.timedelta(hours=-5)))],
    dt.date: [dt.date(2026, 11, 28), dt.date.max],
    dt.time: [dt.time(1, 2, 3), dt.time(1, tzinfo=dt.UTC)],
    dt.timedelta: [dt.timedelta(seconds=1.5), -dt.timedelta(days=3)],
    Color: [Color.RED],
    Level: [Level.LOW],
    Mode: [Mode.FAST],
    Sku: ["KAY-1"],
    Literal["a", 1, None]: ["a", 1, None],
    Small: [0, 99],
    Annotated[str, msgspec.Meta(min_length=1, max_length=3)]: ["abc"],
    Annotated[str, msgspec.Meta(pattern="^a")]: ["ab"],
    Annotated[list[int], msgspec.Meta(max_length=2)]: [[1, 2]],
    Annotated[dt.datetime, msgspec.Meta(tz=True)]: [NOON],
    Annotated[float, msgspec.Meta(gt=0)]: [0.1],
    Annotated[str, Sensitive]: ["secret"],
    int | None: [None, 1],
    int | float: [1, 1.5],
    str | int: ["1", 1],
    int | str | None: [None],
    float | None: [None, 1.5],
    list[int]: [[], [1, 2]],
    list[Any]: [[1, [2.5, None, {"a": "b"}]]],
    list[float]: [[1.5]],
    list[Money]: [[Money(Decimal(1))]],
    tuple[int, ...]: [(), (1, 2)],
    tuple[int, str]: [(1, "a")],
    tuple[()]: [()],
    set[str]: [{"a", "b"}],
    frozenset[int]: [frozenset({1, 2})],
    dict[str, int]: [{"a": 1}],
    dict[int, str]: [{1: "a"}],
    dict[str, Any]: [{"a": [1, {"b": None}]}],
    dict[str, dict[str, float]]: [{"a": {"b": 1.5}}],
    dict[uuid.UUID, int]: [{uuid.UUID(int=1): 1}],
    dict[Color, int]: [{Color.RED: 1}],
    dict[float, int]: [{1.5: 1}],
    dict[dt.date, int]: [{dt.date(2026, 1, 1): 1}],
    Sequence[int]: [[1]],
    Collection[int]: [[1]],
    Mapping[str, int]: [{"a": 1}],
    Money: [Money(Decimal("9.99"))],
    Cents: [Cents(Decimal(1), cents=2)],
    Money | None: [None, Money(Decimal(1))],
    Identical: [Identical(1.5)],
    Line: [Line("a", 1.5), Line("a")],
    Cat | Dog: [Cat(9), Dog("Rex")],
    Box[int]: [Box(1)],
    Box[Money]: [Box(Money(Decimal(1)))],
    Tree: [Tree([Tree(), Tree([Tree()])])],
    Doubled: [Doubled(0)],
    Renamed: [Renamed(), Renamed(3, 4)],
    Point: [Point(1.5)],
    list[Point]: [[Point(1.5), Point(2.5)]],
    Pair: [Pair(1, "a")],
    Row: [{"id": 1}],
    Done: [Done(NOON)],
    Done | None: [None, Done(PARIS)],
    msgspec.Raw: [],
    Any: [None, True, 1, 1.5, "a", [1], {"a": [None]}],
    object: [None, 1, "a", [1], {}],
    dict: [{}, {"a": 1}],
    list: [[], [1]],
    tuple: [(), (1,)],
    set: [{1}],
    T: [1, "a"],
}
"""Kinds of fields, each with values that come back."""

ODD: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    [math.nan],
    {"a": math.inf},
    Point(math.nan),
    Identical(math.nan),
    Line("a", math.nan),
    Box(math.inf),
    2**64,
    -(2**63) - 1,
    10**400,
    2**53 + 1,
    "\ud800",
    {"\udfff": 1},
    ["a", {"b": "\ud800"}],
    (1, [2]),
    Plain(1, 2),
    Doubled(3),
    range(3),
    deque([1]),
    1j,
    object(),
    object,
    len,
    Path("a"),
    RECURSIVE,
    partial(int),
    {(1, 2): 3},
    {None: 1},
    {True: 1},
    {1: "a", "1": "b"},
    dt.datetime(2026, 1, 1, fold=1),
    dt.time(1, tzinfo=ZoneInfo("Europe/Paris")),
    dt.timedelta.max,
    Decimal("NaN"),
    Decimal("Infinity"),
    memoryview(b"x"),
    msgspec.UNSET,
    msgspec.Raw(b"1"),
    msgspec.Raw(b"no"),
    Envelope(Done(NOON)),
    Message(),
    "2026-11-28T12:00:00Z",
    "tomorrow",
    "00000000-0000-0000-0000-000000000007",
]
"""Values that fit few fields or none."""

VALUES = [*(value for values in KINDS.values() for value in values), *ODD]
FORMATS: list[Any] = ["json", "msgpack"]


def kind_of(hint: Any, version: int = 1) -> Any:
    names = {"__annotations__": {"value": hint}, "__module__": __name__, "schema_version": version}
    return new_class("Kind", (Command[None],), exec_body=lambda namespace: namespace.update(names))


def is_same(one: Any, other: Any) -> bool:
    """True for equal values, and for values that differ in NaN or in identity alone."""
    return one == other or (type(one) is type(other) and show(one) == show(other))


def show(value: Any) -> str:
    return repr(msgspec.to_builtins(value, builtin_types=(float,), enc_hook=repr))


# DR-1
@pytest.mark.costly
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("hint", KINDS, ids=str)
def test_a_value_comes_back_equal_or_is_refused(hint: Any, version: int, format: Any) -> None:
    kind = kind_of(hint, version)
    codec = Codec([kind], format=format, upcasters={kind: {1: dict}} if version > 1 else {})
    accepted = 0
    for value in (*KINDS[hint], *VALUES):
        try:
            data = codec.encode(Envelope(kind(value), id="1"))
        except Unencodable:
            continue
        back = codec.decode(data).message
        assert type(back) is kind
        assert is_same(back.value, value), value
        accepted += 1
    assert accepted >= 2 * len(KINDS[hint])


# DR-1
@pytest.mark.parametrize("format", FORMATS)
def test_what_comes_back_is_not_refused(format: Any) -> None:
    for hint, values in KINDS.items():
        codec = Codec([kind := kind_of(hint)], format=format)
        for value in values:
            assert is_same(codec.decode(codec.encode(Envelope(kind(value)))).message.value, value)


class Measure(Command[None]):
    mean: Any = None
    points: Sequence[Any] = ()
    by_name: dict[str, Any] = msgspec.field(default_factory=dict)
    few: Small = 0


# DR-1
@pytest.mark.parametrize(
    ("message", "field", "reason"),
    [
        (Measure(math.nan), ".mean", "JSON has neither NaN nor infinities"),
        (Measure(points=[1.0, [math.inf]]), ".points[1][0]", "JSON has neither NaN"),
        (Measure(by_name={"secret": "\ud800"}), ".by_name[...]", "half characters"),
        (Measure(points=(1,)), ".points", "a value of type tuple would come back as list"),
        (Measure([{1}]), ".mean[0]", "a value of type set would come back as list"),
        (Measure([object()], []), ".mean[0]", "Encoding objects of type object is unsupported"),
        (Measure(few=100, points=[]), ".few", "it would not be decoded: Expected `int` <= 99"),
        (Measure(few="1", points=[]), ".few", "Expected `int`, got `str`"),  # type: ignore[arg-type]
        (Measure(RECURSIVE, []), "", "nested too deeply, or contains itself"),
        (Measure({1: 2}, []), ".mean", "it would come back as a different dict"),
        (Measure(points=[Doubled(1)]), ".points[0]", "of type Doubled would come back as dict"),
    ],
)
def test_the_error_names_the_field_and_the_limit_and_repeats_no_value(message: Any, field: str, reason: str) -> None:
    if field != ".points":
        message = msgspec.structs.replace(message, points=[*message.points])
    with pytest.raises(Unencodable) as caught:
        Codec([Measure]).encode(Envelope(message))
    assert caught.value.field == field
    assert reason in caught.value.reason
    assert str(caught.value) == f"Measure{field} cannot be encoded as json: {caught.value.reason}"
    assert "secret" not in str(caught.value)


class Total(Command[int]):
    pass


class Free(Command[Any]):
    pass


class Unclear(Command["int | Unknown"]):  # type: ignore[name-defined]
    pass


class Weight(Stamp):
    kilos: float


ENVELOPES = [
    (Total(), Handled("a"), "Total (result)", "Expected `int`, got `str`"),
    (Unclear(), Handled(1), "Unclear (result)", "Unknown"),
    (Free(), Handled(object()), "Free (result)", "object is unsupported"),
    (Total(), Handled(1, 2), "Handled.handler", "Expected `str`"),  # type: ignore[arg-type]
    (Total(), Weight(math.nan), "Weight.kilos", "JSON has neither"),
    (Total(), Weight(1.0, at=math.inf), "Weight.at", "JSON has neither"),
    (Total(), Actor("a", claims={"exp": NOON}), "Actor.claims[...]", "would come back as str"),
    (Total(), Emitted(Measure(math.nan)), "Measure.mean", "JSON has neither"),
    (Total(), Redispatched((Retried(1, "\ud800"),)), "Retried.error", "half characters"),
    (Total(), UnknownStamp({"$stamp": "X", "a": (1,)}), "UnknownStamp[...]", "come back as list"),
]


# DR-1
@pytest.mark.parametrize(("message", "stamp", "field", "reason"), ENVELOPES)
def test_a_stamp_that_would_not_come_back_is_refused(message: Any, stamp: Stamp, field: str, reason: str) -> None:
    with pytest.raises(Unencodable) as caught:
        Codec([Total, Free, Unclear], [Weight]).encode(Envelope(message, stamp))
    assert str(caught.value).startswith(f"{field} cannot be encoded")
    assert reason in caught.value.reason


# DR-1
@pytest.mark.parametrize("id", ["é", "x"])
def test_an_id_comes_back(id: str) -> None:
    assert Codec([Total]).decode(Codec([Total]).encode(Envelope(Total(), id=id))).id == id


# DR-1
def test_a_result_of_any_type_comes_back_as_the_format_has_it() -> None:
    codec = Codec([Free])
    result = codec.decode(codec.encode(Envelope(Free(), Handled((1, 2))))).last(Handled)
    assert result is not None
    assert result.result == [1, 2]


class Known:
    def __init__(self, number: int) -> None:
        self.number = number


# DR-1
@pytest.mark.parametrize("loses", [False, True])
def test_values_of_hooks_without_equality_are_compared_by_their_data(loses: bool) -> None:
    def dec_hook(kind: type, data: int) -> Any:
        return kind(0 if loses else data)

    kind = kind_of(Known)
    codec = Codec([kind], enc_hook=lambda known: known.number, dec_hook=dec_hook)
    if loses:
        with pytest.raises(Unencodable, match=r"Kind\.value .* come back as a different Known"):
            codec.encode(Envelope(kind(Known(3))))
    else:
        assert codec.decode(codec.encode(Envelope(kind(Known(3))))).message.value.number == 3


# DR-1
@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("secret"), TypeError("secret")])
def test_an_error_of_a_hook_is_named_without_its_text(error: Exception) -> None:
    def raising(*_: Any) -> Any:
        raise error

    kind, name = kind_of(Known), type(error).__name__
    with pytest.raises(Unencodable, match=rf"Kind\.value .* its encoding raised {name}$"):
        Codec([kind], enc_hook=raising, dec_hook=lambda kind, data: data).encode(Envelope(kind(Known(1))))
    with pytest.raises(Unencodable, match=rf"Kind(\.value)? cannot be .* its decoding raised {name}$"):
        Codec([kind], enc_hook=lambda known: 1, dec_hook=raising).encode(Envelope(kind(Known(1))))


class Noted:
    text: str


class Speaks(Protocol):
    def speak(self) -> str: ...


class Inner(msgspec.Struct):
    deep: dict[str, list[Known]]


class Later(msgspec.Struct):
    amount: Missing  # type: ignore[name-defined]  # noqa: F821


UNDECODABLE: list[tuple[Any, str, str]] = [
    (dt.datetime | str, "Kind.value", "more than one str-like type"),
    ("Missing", "Kind.value", "name 'Missing' is not defined; import it outside of `if TYPE_CHECKING:`"),
    (Later, "Kind.value.amount", "name 'Missing' is not defined"),
    (Money | Point, "Kind.value", "more than one"),
    (Known, "Kind.value", "msgspec does not know Known; give the codec an enc_hook and a dec_hook"),
    (list[Known], "Kind.value", "msgspec does not know Known"),
    (Inner | None, "Kind.value.deep", "msgspec does not know Known"),
    (Callable[..., int], "Kind.value", "msgspec does not know Callable"),
    (Noted, "Kind.value", "msgspec does not know Noted"),
    (Speaks, "Kind.value", "msgspec does not know Speaks"),
    (complex, "Kind.value", "msgspec does not know complex"),
    (Path, "Kind.value", "msgspec does not know Path"),
    (Exception, "Kind.value", "msgspec does not know Exception"),
]


# DR-1
@pytest.mark.costly
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("hooks", [{}, {"enc_hook": repr}])
@pytest.mark.parametrize(("hint", "field", "reason"), UNDECODABLE)
def test_a_type_that_cannot_be_decoded_is_refused_when_the_codec_is_made(
    hint: Any, field: str, reason: str, format: Any, hooks: Any
) -> None:
    kind = kind_of(hint)
    for _ in range(2):  # the second time it is known
        with pytest.raises(InvalidOption) as caught:
            Codec([kind], format=format, **hooks)
        assert caught.value.option == field
        assert reason in str(caught.value)


class Raw(Stamp):
    value: dt.date | str


class Odd(Command[None]):
    value: int = msgspec.field(name="$version")


class Loose(Event):
    value: dt.date | str


# DR-1
def test_own_stamps_and_names_of_the_envelope_are_checked_too() -> None:
    with pytest.raises(InvalidOption, match=r"^Raw\.value=.*more than one str-like"):
        Codec([Total], [Raw])
    with pytest.raises(InvalidOption, match=r"^Odd\.\$version=.*another name on the wire"):
        Codec([Odd])
    with pytest.raises(InvalidOption, match=r"^Loose\.value=.*more than one str-like"):
        Codec([Total]).encode(Envelope(Total(), Emitted(Loose("a"))))


class Pay(Command[None]):
    amount: dt.date | str


# DR-1
def test_enqueue_refuses_such_a_type_unless_it_stays_in_the_process() -> None:
    async def pay(command: Pay) -> None: ...
    async def total(command: Measure) -> None: ...

    with pytest.raises(ModdError, match=r"Pay\.amount=.*more than one str-like"):
        CommandBus([pay, total], middleware=[Enqueue(MemoryQueue())]).check()
    bus = CommandBus([pay, total], middleware=[Enqueue(MemoryQueue(), intents={Pay: {"enabled": False}})])
    bus.check()
    with pytest.raises(InvalidOption, match="give it the types of all messages"):
        bus.codec.encode(Envelope(Pay("a")))
    assert bus.codec.encode(Envelope(Measure(points=[])))


# DR-1
def test_an_envelope_without_a_finite_time_is_refused() -> None:
    envelope = Envelope.restore(Total(), Identity("1", "1", at=math.nan), ())
    with pytest.raises(Unencodable, match=r"Identity\.at .* JSON has neither"):
        Codec([Total]).encode(envelope)


# DR-1
def test_iterables_that_data_may_be_need_no_hook() -> None:
    kind = kind_of(Iterable[int])
    codec = Codec([kind])
    assert codec.decode(codec.encode(Envelope(kind([1])))).message == kind([1])
