"""Flows, projections and followers in the catalog."""

from __future__ import annotations

from modd import Bus
from modd.catalog import ReactionEntry, catalog, describe_parts
from modd.catalog.diagrams import draw_flow, draw_overview
from modd.catalog.entries import FunctionEntry
from modd.catalog.parts import outermost_parts
from modd.cqrs import CommandBus
from modd.flow import Flow
from modd.follower import Follower
from modd.stores import SqliteStore
from tests.catalog.messages import Cancelled
from tests.catalog.processes import Fulfilment, cancellations, fulfilment, kept, sales
from tests.catalog.store import ship


def follower() -> Follower:
    """Return a follower of the flow and of both projections."""
    store = SqliteStore("unopened.db")
    commands = Bus([kept.stored(store), CommandBus([ship])])
    return Follower(store, [fulfilment, sales, cancellations], commands=commands)


def test_a_flow_is_described_with_its_functions_and_the_commands_that_they_send() -> None:
    # WM-74
    [context] = describe_parts(fulfilment).contexts
    [flow] = context.flows
    assert (flow.name, flow.version, flow.identity, flow.state.type) == ("fulfilment", 2, "order", "Fulfilment")
    begun = FunctionEntry("begun", "Have it shipped within a week.")
    refused = FunctionEntry("refused", "Cancel what cannot be shipped.")
    lost = FunctionEntry("lost", "Cancel it, and ship another one.")
    assert flow.begins == [ReactionEntry("order-placed", begun, ["Ship"])]
    assert flow.reacts == [
        ReactionEntry("Shipped", FunctionEntry("shipped")),
        ReactionEntry("Rejected", refused, ["Cancel"]),
    ]
    assert flow.timeouts == [ReactionEntry("lost", lost, ["Cancel", "Ship"])]


def test_projections_are_described_with_their_tables_or_their_state_and_key() -> None:
    # WM-74
    [context] = describe_parts([sales, cancellations]).contexts
    tables, states = context.projections
    assert (tables.name, tables.version, tables.state, tables.key) == ("sales", 3, None, None)
    assert tables.tables == {"sales": "sku TEXT PRIMARY KEY, pieces INTEGER"}
    assert tables.events == [ReactionEntry("order-placed", FunctionEntry("sold", "Count the pieces."))]
    assert states.state is not None and (states.state.type, states.key, states.tables) == ("int", "<lambda>", {})


def test_a_follower_is_described_with_its_parts_and_an_aggregate_with_the_projections_that_it_writes() -> None:
    # WM-74
    first, second = describe_parts(kept, follower()).contexts
    assert [each.inline for each in first.aggregates] == [["cancellations"]]
    assert [each.name for each in first.projections] == ["cancellations"]
    assert (second.name, second.kind) == ("follower", "follower")
    assert [each.name for each in second.flows] == ["fulfilment"]
    assert [each.name for each in second.projections] == ["sales"]


def test_flows_and_projections_are_told_with_what_begins_them_their_timeouts_and_their_commands() -> None:
    # WM-74
    lines = catalog(kept, follower()).splitlines()
    for line in (
        "Writes `cancellations` in the commit of its events.",
        "## Follower `follower`",
        "### Flow `fulfilment`, version 2",
        "There is one for each value of `order` in its events.",
        "State `Fulfilment`: An order on its way.",
        "Begins with:",
        "- `order-placed`: `begun`: Have it shipped within a week. (sends `Ship`)",
        "Reacts to:",
        "- `Shipped`: `shipped`",
        "Timeouts:",
        "- `lost`: `lost`: Cancel it, and ship another one. (sends `Cancel`, `Ship`)",
        "### Projection `sales`, version 3",
        "- `sales`: `sku TEXT PRIMARY KEY, pieces INTEGER`",
        "Made from:",
        "- `order-placed`: `sold`: Count the pieces.",
        "### Projection `cancellations`",
        "There is a state for each value of `<lambda>` in its events.",
    ):
        assert line in lines, line


def test_a_flow_that_only_begins_has_no_other_sections() -> None:
    brief = Flow("brief", state=Fulfilment, identity="order", begins={Cancelled: lambda flow, event: None})
    text = catalog(brief)
    assert "Begins with:" in text and "Reacts to:" not in text and "Timeouts:" not in text


def test_the_chart_of_a_flow_has_an_arrow_from_each_event_and_timeout_to_its_commands() -> None:
    [flow] = describe_parts(fulfilment).contexts[0].flows
    assert draw_flow(flow).splitlines() == [
        "flowchart TB",
        '    e0["order-placed"]',
        "    e0 --> m0",
        '    e1["Shipped"]',
        '    e2["Rejected"]',
        "    e2 --> m1",
        '    t0{{"lost"}}',
        "    t0 --> m1",
        "    t0 --> m0",
        '    m0(["Ship"])',
        '    m1(["Cancel"])',
    ]


def test_the_overview_has_arrows_to_flows_and_projections_from_every_context_and_back() -> None:
    # WM-74
    overview = draw_overview(describe_parts(Bus([kept], name="ordering"), follower()))
    assert [line.strip() for line in overview.splitlines() if "n" in line and "-->" in line] == [
        'n0 -->|"Cancelled"| n1',
        'n0 -->|"order-placed"| n2',
        'n0 -->|"order-placed"| n3',
        'n2 -->|"Cancel"| n0',
    ]


def test_of_several_values_those_are_outermost_that_are_in_no_other() -> None:
    bus, moving = Bus([kept]), follower()
    assert outermost_parts([kept, sales, 3, Bus, cancellations, moving, bus, moving]) == [moving, bus]
