"""Every async test runs on asyncio and on trio."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from typing import Any

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

settings.register_profile(
    "modd",
    deadline=None,  # how long an example takes is no property of the code, nor how long it takes to draw one
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("MODD_PROFILE") != "long",  # `make proof` draws others, by its seed
    print_blob=True,
)
settings.load_profile("modd")

SERVERS = {"nats_cluster", "nats_server", "own_nats_server", "own_postgres_server", "postgres_server"}
COSTLY_FIXTURES = {*SERVERS, "reference", "site"}
"""Those that start servers, or build the site."""

COSTLY_PAGES = {"dead-letters.md", "follow.md", "sqlalchemy-outbox.md", "testing.md", "timers.md"}
"""Pages whose code blocks take seconds."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector away from all that is imported and collected: it stays until the end.

    Else each of the collections that tests cause goes through a million objects that no test made.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they run on, before `-m` looks at the marks; those that are measured go first."""
    for item in items:
        if runs_on_trio(item):
            item.add_marker(pytest.mark.on_trio)
        if item.path.suffix == ".md":
            item.add_marker(pytest.mark.unmeasured)
        if item.path.name in COSTLY_PAGES or not COSTLY_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.costly)
    check_slow_files(items)
    if Coverage.current() is not None:
        items.sort(key=lambda item: (is_measured(item), item.path.suffix != ".md"), reverse=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stop the measuring before the tests that run without its cost. Pages come after them: they have no such hook."""
    measuring = Coverage.current()
    if measuring is not None and not is_measured(item):
        measuring.stop()


def is_measured(item: pytest.Item) -> bool:
    """True for a test whose branches count: the fast tests on asyncio take every one."""
    marks = {mark.name for mark in item.iter_markers()}
    return "unmeasured" not in marks and ("on_trio" not in marks or "measured_on_trio" in marks)


def check_slow_files(items: list[pytest.Item]) -> None:
    """Refuse a slow test that `make test` would not run: it looks for them in files with the text `mark.slow`."""
    for path in {item.path for item in items if item.get_closest_marker("slow")}:
        assert "mark.slow" in path.read_text(encoding="utf-8"), f"{path} has slow tests, and not the text mark.slow"


def runs_on_trio(item: pytest.Item) -> bool:
    """True for a test whose loop is trio's, with or without options."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and "trio" in str(callspec.params.get("anyio_backend"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on."""
    return request.param
