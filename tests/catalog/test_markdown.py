"""The catalog as Markdown."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from modd import Bus
from modd.aggregate import Aggregate
from modd.catalog import Catalog, catalog, describe_parts
from modd.catalog.diagrams import draw_aggregate, draw_overview
from modd.catalog.entries import ComponentEntry, ContextEntry, FunctionEntry, MessageEntry
from modd.catalog.markdown import code, prose, render_markdown
from modd.cqrs import Command, Event
from tests.catalog.processes import fulfilment, sales
from tests.catalog.store import Order, keyed, orders, seats, store

NASTY = "a|b `c` <d> *e* [f](g) #h & ~i~ $j$ ; end\n1. k\x1b[31m"
NASTY_LINE = NASTY.replace("\n", " ")


class Nasty(Command[None], tag=NASTY):
    """*Bold* | <script>alert(1)</script> `code`

    More.
    """

    order: str


class NastyEvent(Event, tag=f"event {NASTY}"):
    __doc__ = "1. first - [x](y)"
    order: str


def nasty_program() -> Bus:
    """Return a program whose names have a meaning in Markdown and in Mermaid."""

    def decide(instance: object, command: Nasty) -> NastyEvent:
        return NastyEvent("1")

    aggregate = Aggregate(
        "end", state=Order, identity="order", commands={Nasty: decide}, events={NastyEvent: lambda state, event: state}
    )
    return Bus([aggregate, seats, store()], name=NASTY)


def diagrams_of(text: str) -> list[str]:
    """Return the diagrams in a page."""
    return re.findall(r"^```mermaid\n(.*?)\n^```", text, re.MULTILINE | re.DOTALL)


def test_the_catalog_has_a_section_for_each_context_part_and_message() -> None:
    # WM-74
    text = catalog(store(), seats)
    headings = re.findall(r"^#+ .*$", text, re.MULTILINE)
    assert headings[:8] == [
        "# Catalog",
        "## Parts in no context",
        "### Aggregate `seat`",
        "#### Command `Ship`",
        "#### Event `Shipped`",
        "## Context `shop`",
        "### Components",
        "## Context `shop.ordering`",
    ]
    assert "#### Event `order-placed`, version 2" in headings and "### Typed bus `shipping.commands`" in headings


def test_an_aggregate_is_told_with_its_chains_docstrings_fields_and_versions() -> None:
    # WM-74
    text = catalog(orders)
    for line in (
        "There is one for each value of `order`.",
        "State `Order`: The state of an order.",
        "- `phase`: `Literal['open', 'shipped']`",
        "- `iban`: `str`, **sensitive**",
        "- `iban`: `str`, optional, **sensitive**",
        "Place an order.",
        "Its result: `int`",
        "1. `if_not_exists`: Reject a command for an instance that exists.",
        "2. `place`: Place it, if there is enough.",
        "Records `order-placed`.",
        "Applied by `placed`: Note the article.",
        "Versions 1 to 2 can be read.",
        "Middleware, the first one outermost:",
    ):
        assert line in text.splitlines()
    assert "It decides on the events of a query." in catalog(seats)


def test_buses_and_components_are_told_with_what_they_take_and_give() -> None:
    # WM-74
    lines = catalog(store()).splitlines()
    for line in (
        "Takes `order-placed`, `Ship`, `Track`.",
        "Lets out `order-placed`.",
        "Emits `Shipped`.",
        "Its result: `list[str]`",
        "- `ship`: Ship it.",
        "- `count`: Count parcels. (takes `Shipped`, returns `Report`)",
        "- `everything` (takes everything)",
    ):
        assert line in lines


def test_the_overview_has_a_box_for_each_context_and_an_arrow_for_messages_that_reach_a_part() -> None:
    # WM-74
    overview = draw_overview(describe_parts(store()))
    assert overview.splitlines() == [
        "flowchart TB",
        '    subgraph c0["shop"]',
        '        n0["everything"]',
        "    end",
        '    subgraph c1["shop.ordering"]',
        '        n1["order"]',
        "    end",
        '    subgraph c2["shop.shipping"]',
        '        n2["shipping.commands"]',
        '        n3["shipping.queries"]',
        '        n4["shipping.events"]',
        '        n5["courier"]',
        '        n6["count"]',
        "    end",
        '    n1 -->|"order-placed"| n4',
        '    n2 -->|"Shipped"| n5',
        '    n2 -->|"Shipped"| n6',
    ]


def test_an_arrow_names_the_first_messages_and_counts_the_others() -> None:
    names = [f"Message{number}" for number in range(5)]
    giver = ComponentEntry(FunctionEntry("giver"), [], returns=names)
    taker = ComponentEntry(FunctionEntry("taker"), names)
    described = Catalog([ContextEntry("", components=[giver, taker])])
    assert '    n0 -->|"Message0, Message1, Message2 and 2 more"| n1' in draw_overview(described).splitlines()


def test_messages_do_not_reach_parts_of_other_contexts_unless_they_are_let_out() -> None:
    giver = ComponentEntry(FunctionEntry("giver"), [], returns=["Told"])
    taker = ComponentEntry(FunctionEntry("taker"), ["Told"])

    def arrows(home: ContextEntry, away: str) -> int:
        contexts = [home, ContextEntry(away, components=[taker])]
        return draw_overview(Catalog(contexts)).count("-->")

    assert arrows(ContextEntry("a", components=[giver]), "b") == 0
    assert arrows(ContextEntry("a", components=[giver]), "a.b") == 1
    assert arrows(ContextEntry("a", components=[giver], lets_out=["Told"]), "b") == 1


def test_the_chart_of_an_aggregate_has_an_arrow_from_each_command_to_the_events_that_it_records() -> None:
    [order] = describe_parts(orders).contexts[0].aggregates
    assert draw_aggregate(order).splitlines() == [
        "flowchart TB",
        '    m0(["PlaceOrder"])',
        "    m0 --> e0",
        '    m1(["Cancel"])',
        "    m1 --> e1",
        '    e0["order-placed"]',
        '    e1["Cancelled"]',
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain_text", "`plain_text`"),
        ("two\nlines", "`two lines`"),
        ("a`b", "`` a`b ``"),
        ("``", "``` `` ```"),
        ("", "` `"),
        ("int | None", "`int | None`"),
    ],
)
def test_a_name_is_code_whatever_is_in_it(text: str, written: str) -> None:
    assert code(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Pay it.", "Pay it."),
        ("a_b *c* `d` [e](f)", r"a\_b \*c\* \`d\` \[e\]\(f\)"),
        ("<b> & ~c~ | #d $e$", r"&lt;b&gt; &amp; &#126;c&#126; \| \#d &#36;e&#36;"),
        ("1. one", r"1\. one"),
        ("- one", r"\- one"),
        ("=== one", r"\=== one"),
        ("one\n two", "one two"),
    ],
)
def test_nothing_in_prose_has_a_meaning_in_markdown(text: str, written: str) -> None:
    # WM-74
    assert prose(text) == written


def test_names_and_docstrings_have_no_meaning_in_markdown() -> None:
    # WM-74
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(catalog(nasty_program()))
    page = BeautifulSoup(html, "html.parser")
    plain = {"h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "code", "pre", "strong"}
    assert {each.name for each in page.find_all(True)} == plain
    assert {each.text for each in page.find_all("strong")} == {"sensitive"}
    texts = [each.text for each in page.find_all(["h4", "p"])]
    assert f"Command {NASTY_LINE}" in texts and f"Event event {NASTY_LINE}" in texts
    assert "*Bold* | <script>alert(1)</script> `code`" in texts and "1. first - [x](y)" in texts


def test_names_have_no_meaning_in_diagrams() -> None:
    # WM-74
    for diagram in diagrams_of(catalog(nasty_program())):
        assert not [line for line in diagram.splitlines() if ";" in re.sub(r"#\d+;", "", line) or "`" in line]


def test_half_characters_are_written_as_escapes() -> None:
    message = MessageEntry("half \udc80", "event", "x")
    described = Catalog([ContextEntry("half \udc80", takes=[message.name])])
    assert "half \\udc80" in render_markdown(described)


DRAW = """
import json, sys
from mermaidx import render
def draw(diagram):
    try:
        return render(diagram).svg()
    except RuntimeError as error:
        return str(error)
print(json.dumps([draw(each) for each in json.load(sys.stdin)]))
"""
"""Draws diagrams with Mermaid itself, in a process of its own, because the renderer complains when it ends."""


@pytest.mark.slow
def test_mermaid_draws_every_diagram() -> None:
    # WM-74
    diagrams = [*diagrams_of(catalog(nasty_program(), keyed, fulfilment, sales)), 'flowchart TB\n    a["x --> b']
    done = subprocess.run([sys.executable, "-c", DRAW], input=json.dumps(diagrams), capture_output=True, text=True)
    *drawn, broken = json.loads(done.stdout)
    assert len(drawn) > 3 and all(svg.startswith("<svg") and "Unsupported" not in svg for svg in drawn)
    assert "Parse error" in broken
