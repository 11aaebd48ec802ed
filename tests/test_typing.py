"""What the type checkers are shown in tests/typing/messages.py also runs."""

from __future__ import annotations

import pytest

from tests.typing import aggregates, flows, messages, projections, services, settings

pytestmark = pytest.mark.anyio


def test_messages_are_made_as_checkers_think() -> None:
    # MO-4
    messages.make_messages()


async def test_buses_take_what_checkers_let_pass() -> None:
    await messages.use_a_bus()
    await messages.watch_a_journey()


def test_parts_take_what_checkers_let_pass() -> None:
    assert len(messages.make_parts().components) == 12


def test_scenarios_take_what_checkers_let_pass() -> None:
    messages.use_scenarios()


async def test_chains_take_what_checkers_let_pass() -> None:
    # WM-20
    await aggregates.use_aggregates()


def test_flows_take_what_checkers_let_pass() -> None:
    # WM-50
    flows.use_flows()


async def test_projections_take_what_checkers_let_pass() -> None:
    # WM-59
    await projections.use_projections()


def test_services_take_what_checkers_let_pass() -> None:
    # WM-43
    services.use_services()


async def test_handlers_take_what_checkers_let_pass() -> None:
    # WM-44
    await services.use_handlers()


def test_settings_take_what_checkers_let_pass() -> None:
    # AP-1
    settings.use_settings()
