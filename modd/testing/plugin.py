"""A pytest plugin that runs every ``async def`` test on asyncio and on trio; opt-in, built on the plugin of anyio.

Enable it with ``pytest -p modd.testing.plugin`` or, in the topmost ``conftest.py``,
``pytest_plugins = ["modd.testing.plugin"]``. Async fixtures run on the loop of the test.

Without trio, its tests are skipped. To run tests on one loop, or to have async fixtures of a wider scope than a
function, override the fixture ``anyio_backend`` in a module or a ``conftest.py``; async fixtures of a wider scope must
then name it as a parameter.

Tests marked ``@pytest.mark.virtual_clock`` (a function, a class or, with ``pytestmark``, a module) and their async
fixtures run with a virtual clock, which begins at 0; see `modd.testing.virtual_backend` for its limits.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any

import pytest

from modd.testing import fixtures
from modd.testing.fixtures import Virtual, loop_params


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and the fixture. Raises ``UsageError`` if the plugin of anyio is not loaded."""
    if not config.pluginmanager.has_plugin("anyio"):
        raise pytest.UsageError("modd.testing.plugin needs the plugin of anyio: add -p anyio, or do not block it")
    config.addinivalue_line("markers", "virtual_clock: run the async test with a virtual clock (modd.testing).")
    config.pluginmanager.register(fixtures, "modd-fixtures")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> None:
    """Let every async test, those of hypothesis included, use the fixture, which marks it for the plugin of anyio."""
    if collector.istestfunction(obj, name):
        function = obj.hypothesis.inner_test if hasattr(obj, "hypothesis") else obj
        if iscoroutinefunction(function):
            pytest.mark.usefixtures("anyio_backend")(obj)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize the fixture for tests with the virtual clock."""
    test = metafunc.definition
    if "anyio_backend" in metafunc.fixturenames and test.get_closest_marker("virtual_clock"):
        loops = loop_params(Virtual, "-virtual")
        test.add_marker(pytest.mark.parametrize("anyio_backend", loops, indirect=True))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Fail a test whose marker has no effect because a different ``anyio_backend`` fixture overrides that of modd."""
    backend = getattr(item, "funcargs", {}).get("anyio_backend", ())
    if item.get_closest_marker("virtual_clock") and not isinstance(backend, tuple):
        cure = "let it return modd.testing.virtual_backend(...)"
        pytest.fail(f"virtual_clock has no effect under an anyio_backend fixture of your own; {cure}", pytrace=False)
