"""The visible content of bodies, without their sensitive values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import msgspec
import pytest

from modd import Message, Sensitive
from modd.cli.content import MOST_VALUES, to_plain_data, view_decoded, view_outline, view_raw
from modd.cli.types import load_codecs
from modd.cqrs import Codec, Envelope
from modd.cqrs.stamps import UnknownStamp
from modd.ports import Item
from modd.stores.sqlite.store import SqliteStore
from tests.cli.messages import SECRET, Card, Mood, Paid, Pay, Wise, commands, envelope, packed
from tests.cli.shell import Shell
from tests.steps import calls_of

MESSAGES = "tests.cli.messages"
JSON = Codec([Pay], [Mood])


@pytest.mark.parametrize("codec", [JSON, packed])
def test_without_types_an_envelope_is_shown_by_its_type_its_ids_and_the_names_of_its_stamps(codec: Codec) -> None:
    # ST-58
    given = envelope()
    body = codec.encode(given)
    content = view_outline(body).content
    assert (content.size, content.type, content.version) == (len(body), "Pay", 1)
    assert (content.id, content.correlation_id, content.causation_id) == ("pay-1", "pay-1", None)
    assert content.stamps == ["Actor", "Failed", "Mood"]
    assert not content.shown and content.body is None
    assert SECRET not in str(content) and "ada" not in str(content)


# DR-55
def test_a_text_about_a_body_of_too_many_values_is_masked_as_a_whole() -> None:
    def mask(count: int) -> str:
        return view_outline(msgspec.json.encode([*range(1000, 1000 + count)])).mask("no money for 17 of 1001")

    assert mask(MOST_VALUES) == "no money for 17 of ***"
    assert mask(MOST_VALUES + 1) == "***"


# DR-55
def test_long_lists_of_plain_values_are_shown_as_they_are_without_a_look_at_each() -> None:
    def calls(count: int) -> int:
        values = [*range(count), "word", None]
        return calls_of(lambda: to_plain_data(values))

    assert to_plain_data([1, "word", None, 2.5, True]) == [1, "word", None, 2.5, True]
    assert calls(10_000) == calls(10)


@pytest.mark.parametrize("body", [JSON.encode(envelope()), b"4242-4242", b'{"cards": [{"number": "4242-4242"}]}'])
def test_without_types_texts_about_a_body_lose_all_values_that_are_in_it(body: bytes) -> None:
    mask = view_outline(body).mask
    assert mask(f"number {SECRET} of Pay refused") == "number *** of Pay refused"
    assert view_raw(body).mask(SECRET) == SECRET


@pytest.mark.parametrize("body", [b"", b"4242-4242", b'{"card": "4242-4242"}', b"\xff\xfe", b'"4242-4242"', b"[1]"])
def test_without_types_only_the_size_is_shown_of_what_is_no_envelope(body: bytes) -> None:
    content = view_outline(body).content
    assert (content.size, content.type, content.shown) == (len(body), None, False)
    assert "no envelope" in content.note and SECRET not in str(content)


@pytest.mark.parametrize("codec", [JSON, packed])
def test_with_types_all_is_shown_but_what_they_mark_as_sensitive(codec: Codec) -> None:
    # ST-58
    view = view_decoded([JSON, packed], codec.encode(envelope()))
    assert view.content.shown and view.content.body == {"$type": "Pay", "amount": 3, "card": "***"}
    actor, failed, mood = view.content.stamps
    assert (actor["$stamp"], actor["id"], actor["claims"]) == ("Actor", "ada", "***")
    assert failed["error"] == "*** was refused" and mood["word"] == "fine"
    assert view.mask(f"no {SECRET}") == "no ***"
    assert SECRET not in str(view.content)


def test_what_no_codec_can_read_is_shown_by_its_outline_with_the_reason() -> None:
    other = view_outline(Codec([Paid]).encode(Envelope(Paid(), id="paid-1")))
    view = view_decoded([JSON], Codec([Paid]).encode(Envelope(Paid(), id="paid-1")))
    assert view.content.type == other.content.type == "Paid"
    assert "--types has no type of this name" in view.content.note
    broken = JSON.encode(envelope()).replace(b'"amount":3', b'"amount":"4242-4242"')
    content = view_decoded([JSON], broken).content
    assert content.note == "--types cannot decode it: ValidationError" and SECRET not in str(content)


class Renamed(Message, tag="Pay"):
    schema_version = 2
    amount: int = 0


def test_for_a_version_that_types_alone_cannot_read_the_note_says_to_name_a_codec_with_upcasters() -> None:
    # DR-90
    new = Codec([Renamed], upcasters={Renamed: {}})
    content = view_decoded([new], JSON.encode(envelope())).content
    assert content.note.startswith("Pay of version 1 is older than 2") and "shop.app:CODEC" in content.note
    content = view_decoded([JSON], new.encode(Envelope(Renamed()))).content
    assert content.note.startswith("Pay of version 2 is newer than 1")


@pytest.mark.parametrize("codec", [JSON, packed])
def test_all_that_is_in_an_envelope_is_shown_to_who_asks_for_it_as_it_is(codec: Codec) -> None:
    content = view_raw(codec.encode(envelope())).content
    assert content.shown and content.body == {"$type": "Pay", "amount": 3, "card": SECRET}
    assert content.stamps[0]["claims"] == {"sub": SECRET} and content.type == "Pay"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (msgspec.msgpack.encode({"a": b"\x01", 3: date(2024, 1, 2)}), {"a": "01", "3": "2024-01-02"}),
        (b"plain text", "plain text"),
        (b"\xff\xfe", "fffe"),
        (b"a", "a"),
    ],
)
def test_what_is_no_envelope_is_shown_as_data_text_or_digits(body: bytes, shown: Any) -> None:
    content = view_raw(body).content
    assert content.type is None and content.body == shown


@dataclass
class Address:
    street: Annotated[str, Sensitive]
    town: str


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Card(), {"number": "***", "name": "Ada"}),
        ({"cards": [Card(), Card(name="Bob")]}, {"cards": [{"number": "***", "name": n} for n in ("Ada", "Bob")]}),
        (Address("Main", "Ulm"), {"street": "***", "town": "Ulm"}),
        ({Address("Main", "Ulm").town: (1, True)}, {"Ulm": [1, True]}),
        ({b"\x01": Address}, {"01": str(Address)}),
        (UnknownStamp(data={"$stamp": "New", "secret": SECRET}), {"$stamp": "New"}),
    ],
)
def test_what_is_sensitive_is_masked_at_any_depth(value: Any, shown: Any) -> None:
    assert to_plain_data(value) == shown


@pytest.mark.parametrize("spec", [f"{MESSAGES}:{name}" for name in ("Pay", "commands", "surrounding", "several")])
def test_types_are_given_by_type_bus_or_list_and_mask_in_every_format(spec: str) -> None:
    for codec in (commands.codec, packed):
        content = view_decoded(load_codecs([spec]), codec.encode(envelope())).content
        assert content.body["card"] == "***"


def test_a_module_stands_for_all_types_and_codecs_in_it() -> None:
    codecs = load_codecs([MESSAGES])
    assert codecs[0] is packed
    for message in (Pay(), Paid(), Wise()):
        body = Codec([type(message)], upcasters={Wise: {}} if type(message) is Wise else {}).encode(Envelope(message))
        assert view_decoded(codecs, body).content.shown
    assert view_decoded(codecs, Codec([Wise], upcasters={Wise: {}}).encode(Envelope(Wise()))).content.version == 2


def test_a_codec_is_used_as_it_is() -> None:
    assert load_codecs([f"{MESSAGES}:packed"]) == [packed]
    assert load_codecs([]) == []


@pytest.mark.costly
@pytest.mark.parametrize(
    "spec",
    [
        "no.such.module",
        f"{MESSAGES}:gone",
        f"{MESSAGES}:nothing",
        f"{MESSAGES}:events",
        "modd.core.message",
        "",
        ":Pay",
    ],
)
def test_types_that_are_not_to_be_found_are_an_error_that_names_them(orders: Shell, spec: str) -> None:
    code, err = orders.error("dead", "orders", "--types", spec)
    assert code == 2 and f"--types {spec}" in err


def test_types_that_do_not_go_together_are_an_error(orders: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Message, tag="Pay"):
        pass

    monkeypatch.setattr("tests.cli.messages.clashing", [Pay, Other], raising=False)
    code, err = orders.error("dead", "orders", "--types", f"{MESSAGES}:clashing")
    assert code == 2 and "two message types named 'Pay'" in err


def test_dead_letters_and_items_are_shown_with_types_and_texts_about_them_masked(orders: Shell) -> None:
    for argv in (["dead", "orders"], ["show", "orders", "dead-1"]):
        for out in (orders.text(*argv, "--types", MESSAGES), orders.text(*argv, "--types", MESSAGES, "--json")):
            assert "***" in out and "Refused: ***" in out and SECRET not in out and "amount" in out
        for out in (orders.text(*argv), orders.text(*argv, "--json")):
            assert "Refused: ***" in out and SECRET not in out and "amount" not in out
        assert SECRET in orders.text(*argv, "--raw")
    assert SECRET in orders.text("show", "orders", "dead-1", "--raw", "--json")


@pytest.mark.costly
@pytest.mark.parametrize("depth", [300, 900, 20_000])
@pytest.mark.parametrize(("before", "after"), [(b"[", b"]"), (b'{"a":', b"}"), (b"\x91", b"")])
def test_a_body_that_is_nested_deeply_is_shown_or_told(orders: Shell, before: bytes, after: bytes, depth: int) -> None:
    # DR-61
    body = before * depth + b"1" + after * depth

    async def put(store: SqliteStore) -> None:
        await store.queue("deep").put(Item(body, id="deep-1"))
        [claim] = await store.queue("deep").claim(1, 60)
        await store.queue("deep").bury(claim, "Refused: 1")

    orders.fill(put)
    for options in ([], ["--raw"], ["--types", MESSAGES], ["--raw", "--json"]):
        for argv in (["dead", "deep"], ["show", "deep", "deep-1"]):
            assert orders.text(*argv, *options)
