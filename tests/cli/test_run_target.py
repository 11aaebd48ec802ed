"""The function that ``run`` takes the app from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modd.cli.errors import UsageError
from modd.cli.main import main
from modd.cli.run_target import load_target
from modd.errors import MissingExtra
from tests.cli.run_targets import RunConfig

HERE = "tests.cli.run_targets"
FOUND = (
    "closes_slowly, fails, keyword, late, no_app, of_anything, of_text, of_two, of_unknown, of_wrong, "
    "plain, shop, slow, swallows"
)
CURE = "give an async context manager function without a parameter, or with one that is annotated with a Settings class"


@pytest.mark.costly
@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("shop", "give MODULE:NAME, such as shop.main:shop"),
        (":shop", "give MODULE:NAME, such as shop.main:shop"),
        ("..shop:shop", "give MODULE:NAME, such as shop.main:shop"),
        ("shop.:shop", "give MODULE:NAME, such as shop.main:shop"),
        ("shop/main.py:shop", "give MODULE:NAME, such as shop.main:shop"),
        ("nowhere.main:shop", "there is no module nowhere"),
        (f"{HERE}.deeper:shop", f"there is no module {HERE}.deeper"),
        (f"{HERE}:shp", f"{HERE} has no shp; it has: {FOUND}"),
        (f"{HERE}:shop.nothing", f"{HERE} has no shop.nothing; it has: {FOUND}"),
        ("tests.names:shop", "tests.names has no shop; it has: no async context manager function"),
        (f"{HERE}:RunConfig", f"it is the class RunConfig; {CURE}"),
        (f"{HERE}:SECRET", f"it is an object of type str; {CURE}"),
        (f"{HERE}:an_app", f"it is an object of type App; {CURE}"),
        (f"{HERE}:undecorated", "it is an async generator; put @asynccontextmanager above it"),
        (
            f"{HERE}:coroutine",
            "it is async and yields nothing; have it yield the App, and put @asynccontextmanager above it",
        ),
        (f"{HERE}:of_two", f"its parameters are (config: 'RunConfig', more: 'int') -> 'AsyncIterator[App]'; {CURE}"),
        (f"{HERE}:of_text", f"its parameters are (config: 'str') -> 'AsyncIterator[App]'; {CURE}"),
        (f"{HERE}:of_anything", f"its parameters are (config) -> 'AsyncIterator[App]'; {CURE}"),
        (f"{HERE}:of_unknown", f"its parameters are (config: 'Decimal') -> 'AsyncIterator[App]'; {CURE}"),
    ],
)
def test_a_target_that_is_no_function_of_settings_is_one_line_and_exit_code_2(
    spec: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # AP-40
    assert main(["run", spec]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"modd: run {spec}: {problem}\n")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("synchronous", f"it returned an object of type _GeneratorContextManager, no async context manager; {CURE}\n"),
        ("no_app", f"it gave an object of type int, no App; {CURE}\n"),
    ],
)
def test_a_function_that_gives_no_app_is_one_line_and_exit_code_2(
    name: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # AP-40
    assert main(["run", f"{HERE}:{name}"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"modd: run {HERE}:{name}: {problem}") and err.count("\n") == 1


@pytest.mark.parametrize("option", ["--check", "--help-settings"])
def test_a_setting_of_an_unknown_type_is_one_line_and_exit_code_2(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # AP-40
    assert main(["run", f"{HERE}:of_wrong", option]) == 2
    assert capsys.readouterr().err == (
        "modd: WrongConfig.first='Decimal': it cannot be resolved; define the type at the level of its module, and "
        "import it outside of TYPE_CHECKING\n"
    )


@pytest.mark.parametrize("name", ["shop", "returns_a_context"])
def test_the_parameter_tells_the_settings(name: str) -> None:
    # AP-40
    assert load_target(f"{HERE}:{name}").settings is RunConfig


def test_the_parameter_may_have_to_be_named_or_be_missing() -> None:
    # AP-40
    named, plain = load_target(f"{HERE}:keyword"), load_target(f"{HERE}:plain")
    assert (named.settings, named.keyword) == (RunConfig, "config")
    assert plain.settings is None
    assert named.open(RunConfig()) is not None and plain.open(None) is not None


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which is not importable yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    return tmp_path


def test_the_current_folder_is_importable(folder: Path) -> None:
    # AP-40
    write(folder, "here_target", "from tests.cli.run_targets import plain, shop")
    assert load_target("here_target:shop").settings is RunConfig
    assert load_target("here_target:plain").settings is None
    assert sys.path.count(str(folder)) == 1


def test_a_module_that_the_target_imports_in_vain_is_named(folder: Path) -> None:
    # AP-40
    write(folder, "bad_import_target", "import no_such_module")
    with pytest.raises(UsageError, match="there is no module no_such_module, which bad_import_target imports"):
        load_target("bad_import_target:shop")


def test_an_import_that_fails_shows_its_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # AP-40
    write(folder, "failing_target", "def check():\n    raise ValueError('not today')\n\ncheck()")
    assert main(["run", "failing_target:shop"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "line 2, in check" in err
    assert err.endswith(
        "ValueError: not today\nmodd: run failing_target:shop: the import of failing_target failed with ValueError\n"
    )


def test_a_module_that_ends_the_process_is_an_import_that_fails(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # AP-40
    write(folder, "ending_target", "raise SystemExit(0)")
    assert main(["run", "ending_target:shop"]) == 2
    assert "the import of ending_target failed with SystemExit" in capsys.readouterr().err


def test_an_extra_that_the_import_needs_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, "extra_target", "from modd.errors import MissingExtra\nraise MissingExtra('every', 'cron')")
    with pytest.raises(MissingExtra):
        load_target("extra_target:shop")
    assert main(["run", "extra_target:shop"]) == 2
    assert capsys.readouterr().err.endswith("pip install modd[cron]\n")
