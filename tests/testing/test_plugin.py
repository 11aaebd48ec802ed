"""The pytest plugin, run by pytest in pytest."""

from __future__ import annotations

import sys

import pytest

from modd.testing import fixtures
from modd.testing.fixtures import LOOPS

pytest_plugins = "pytester"

IMPORTS = "import anyio, pytest, sniffio\nfrom modd.testing import virtual_backend\n"


@pytest.fixture(autouse=True)
def not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin is imported by pytest: it warns of one that another test has imported."""
    monkeypatch.delitem(sys.modules, "modd.testing.plugin", raising=False)


def inner(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run pytest; the plugin of hypothesis would take a second each time, for its summary."""
    return pytester.runpytest_inprocess("-p", "no:hypothesispytest", "-W", "error", *options)


def run(pytester: pytest.Pytester, code: str) -> tuple[dict[str, int], list[str]]:
    """How often there was which outcome, and the ids of the tests, sorted."""
    pytester.makepyfile(IMPORTS + code)
    result = inner(pytester, "-p", "modd.testing.plugin", "--strict-markers", "-rA")
    lines = [line.split(" ")[1] for line in result.outlines if line.startswith(("PASSED", "FAILED", "ERROR"))]
    return result.parseoutcomes(), sorted(line.partition("::")[2] for line in lines)


def test_every_async_test_runs_on_both_loops_and_any_other_once(pytester: pytest.Pytester) -> None:
    code = """
async def test_async(anyio_backend_name):
    assert sniffio.current_async_library() == anyio_backend_name

class TestClass:
    async def test_method(self):
        await anyio.sleep(0)

def test_sync():
    pass

async def helper():
    pass
"""
    tests = ["TestClass::test_method", "test_async"]
    assert run(pytester, code) == ({"passed": 5}, [f"{t}[{loop}]" for t in tests for loop in LOOPS] + ["test_sync"])


def test_property_tests_run_on_both_loops(pytester: pytest.Pytester) -> None:
    code = """
from hypothesis import given, settings, strategies

@settings(max_examples=3, database=None)
@given(number=strategies.integers())
async def test_numbers(number):
    await anyio.sleep(0)
    assert sniffio.current_async_library() in ("asyncio", "trio")
"""
    assert run(pytester, code) == ({"passed": 2}, ["test_numbers[asyncio]", "test_numbers[trio]"])


def test_a_module_may_choose_its_loop(pytester: pytest.Pytester) -> None:
    code = """
@pytest.fixture
def anyio_backend():
    return "trio"

async def test_trio():
    assert sniffio.current_async_library() == "trio"
"""
    assert run(pytester, code) == ({"passed": 1}, ["test_trio"])


def test_tests_with_the_marker_have_a_clock_that_jumps(pytester: pytest.Pytester) -> None:
    code = """
@pytest.fixture
async def late():
    await anyio.sleep(3600)
    return anyio.current_time()

@pytest.mark.virtual_clock
async def test_virtual(late):
    await anyio.sleep(3600)
    assert late == 3600
    assert anyio.current_time() == 7200

@pytest.mark.virtual_clock
class TestClass:
    @pytest.mark.parametrize("seconds", [1, 2])
    async def test_clock_of_its_own(self, seconds):
        await anyio.sleep(seconds)
        assert anyio.current_time() == seconds

    def test_sync(self):
        pass

async def test_real():
    assert anyio.current_time() > 0
"""
    counts, ids = run(pytester, code)
    assert counts == {"passed": 9}
    assert ids == [
        *[f"TestClass::test_clock_of_its_own[{seconds}-{loop}-virtual]" for seconds in (1, 2) for loop in LOOPS],
        "TestClass::test_sync",
        *[f"test_real[{loop}]" for loop in LOOPS],
        *[f"test_virtual[{loop}-virtual]" for loop in LOOPS],
    ]


@pytest.mark.unmeasured
def test_async_fixtures_of_a_module_need_a_loop_of_the_module(pytester: pytest.Pytester) -> None:
    code = """
@pytest.fixture(scope="module")
async def shared(anyio_backend):
    return sniffio.current_async_library()

async def test_shared(shared, anyio_backend):
    assert shared == anyio_backend
"""
    assert run(pytester, code)[0] == {"errors": 2}
    override = """
@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param
"""
    assert run(pytester, code + override)[0] == {"passed": 2}


def test_without_trio_its_tests_are_skipped_with_the_cure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # DR-87
    code = """
from modd.testing.fixtures import Virtual, loop_params

@pytest.fixture(params=[*loop_params(), *loop_params(Virtual, "-virtual")])
def anyio_backend(request):
    return "asyncio"

async def test_async():
    pass
"""
    monkeypatch.setattr(fixtures, "find_spec", lambda name: None)
    pytester.makepyfile(IMPORTS + code)
    result = inner(pytester, "-p", "modd.testing.plugin", "-rs")
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(['SKIPPED *trio is not installed: pip install "modd[[]trio]", or let a fixture *'])


def test_the_marker_says_when_it_has_no_effect(pytester: pytest.Pytester) -> None:
    code = """
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.virtual_clock
async def test_virtual():
    raise AssertionError("not reached")
"""
    pytester.makepyfile(IMPORTS + code)
    result = inner(pytester, "-p", "modd.testing.plugin")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["virtual_clock has no effect * return modd.testing.virtual_backend*"])


def test_a_module_may_choose_its_loop_with_a_clock_that_jumps(pytester: pytest.Pytester) -> None:
    code = """
@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return virtual_backend(request.param)

async def test_virtual():
    await anyio.sleep(3600)
    assert anyio.current_time() == 3600
"""
    assert run(pytester, code) == ({"passed": 2}, ["test_virtual[asyncio]", "test_virtual[trio]"])


def test_without_the_plugin_of_anyio_the_error_says_so(pytester: pytest.Pytester) -> None:
    result = inner(pytester, "-p", "modd.testing.plugin", "-p", "no:anyio")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*modd.testing.plugin needs the plugin of anyio: add -p anyio*"])


def test_the_plugin_can_be_switched_on_in_a_conftest(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["modd.testing.plugin"]')
    pytester.makepyfile(IMPORTS + "async def test_async():\n    await anyio.sleep(0)\n")
    inner(pytester).assert_outcomes(passed=2)
