"""What the type checkers are shown in tests/typing/intents.py also runs."""

from __future__ import annotations

import pytest

from tests.typing import intents

pytestmark = pytest.mark.anyio


def test_handlers_are_registered_as_checkers_think() -> None:
    # MI-1 TK-2
    intents.register_commands()
    intents.register_queries_and_events()


async def test_results_come_back_as_checkers_think() -> None:
    # MI-1 MO-27 TK-2
    await intents.use_buses()
    await intents.use_a_composed_bus()
    await intents.use_scenarios()
