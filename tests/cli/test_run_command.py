"""``run``: exit codes, the check of an app, and the help for its settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from runpy import run_module
from types import ModuleType

import pytest

from modd.cli.main import main
from modd.cli.run_command import run_process
from tests.cli.run_targets import SECRET, closed

HERE = "tests.cli.run_targets"


class Runner:
    """Runs targets on one loop."""

    def __init__(self, loop: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._loop, self._capsys = loop, capsys

    def __call__(self, name: str, *options: str) -> tuple[int, str, str]:
        closed.clear()
        code = run_process(["run", f"{HERE}:{name}", "--loop", self._loop, *options])
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Runner:
    """Return a function that runs a target, and returns exit code, stdout and stderr."""
    return Runner(request.param, capsys)


@pytest.mark.parametrize(
    ("mode", "code"), [("end", 0), ("term", 0), ("fail", 1), ("term-twice", 1), ("int-twice", 130)]
)
def test_the_exit_code_tells_how_the_app_ended(
    mode: str, code: int, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # AP-41
    monkeypatch.setenv("RUN_MODE", mode)
    assert run("shop")[0] == code
    assert closed == ["shop"]


@pytest.mark.parametrize("name", ["shop", "fails"])
def test_the_traceback_of_a_failure_is_on_stderr_without_sensitive_settings(
    name: str, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # AP-41, AP-5
    monkeypatch.setenv("RUN_MODE", "fail")
    code, out, err = run(name)
    assert (code, out) == (1, "")
    assert "Traceback" in err and "ValueError: bad key ***" in err and SECRET not in err


def test_a_failure_that_the_target_hides_counts(run: Runner) -> None:
    # AP-41
    assert run("swallows")[0] == 1


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_a_signal_while_the_app_is_opened_closes_it(signal: str, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    # AP-41
    monkeypatch.setenv("RUN_KEY", signal)
    assert run("slow") == (0, "", "")
    assert closed == ["slow"]


def test_a_signal_just_before_the_app_runs_ends_it(run: Runner) -> None:
    # AP-41
    assert run("late")[0] == 0


def test_settings_that_are_wrong_are_a_line_each_and_exit_code_2(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    # AP-41
    monkeypatch.setenv("RUN_MODE", "sleep")
    monkeypatch.setenv("RUN_KEY_FILE", "/no/such/key")
    code, out, err = run("shop")
    assert (code, out) == (2, "")
    assert err == (
        "RUN_MODE: 'sleep' is none of: end, fail, term, int-thrice, int-twice, term-twice, wait\n"
        "RUN_KEY_FILE: there is no file '/no/such/key'\n"
    )


def test_the_check_opens_and_closes_the_app_and_prints_its_parts(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    # AP-43
    monkeypatch.setenv("RUN_MODE", "fail")
    assert run("shop", "--check") == (
        0,
        "shop: 2 parts and 1 timer; nothing was run\n  run part\n  run part 2\n  timer tick\n",
        "",
    )
    assert closed == ["shop"]


def test_the_check_fails_as_the_app_does(run: Runner) -> None:
    # AP-43, AP-5
    code, out, err = run("fails", "--check")
    assert (code, out) == (1, "") and "ValueError: bad key ***" in err and SECRET not in err
    assert run("no_app", "--check")[0] == 2


def test_the_help_for_settings_shows_no_value(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    # AP-7
    monkeypatch.setenv("RUN_MODE", "wrong")
    monkeypatch.setenv("RUN_KEY", "4711")
    code, out, err = run("shop", "--help-settings")
    assert (code, err) == (0, "")
    assert out == (
        "RUN_MODE (end | fail | term | int-thrice | int-twice | term-twice | wait, default end)\n"
        "    What the part does.\n"
        "RUN_KEY (str, default ***)\n"
        "\n"
        "NAME_FILE is the path of a file with the value of NAME, for each of them.\n"
    )
    assert run("plain", "--help-settings") == (0, f"{HERE}:plain takes no settings\n", "")


def test_variables_come_from_a_file_if_the_environment_has_none(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # AP-42
    file = tmp_path / "env"
    file.write_text("RUN_MODE=fail\nRUN_KEY=4711-0815\n")
    for name in ("RUN_KEY", "RUN_MODE"):  # so that they are removed afterwards
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    code, _, err = run("shop", "--env-file", str(file))
    assert code == 1 and "bad key ***" in err and "4711-0815" not in err
    monkeypatch.setenv("RUN_MODE", "end")
    assert run("shop", "--env-file", str(file))[0] == 0
    file.write_text("RUN_MODE")
    assert run("shop", "--env-file", str(file))[0] == 2


def test_a_loop_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # AP-62
    monkeypatch.setitem(sys.modules, "trio", None)
    for start in (run_process, main):
        assert start(["run", f"{HERE}:plain", "--loop", "trio"]) == 2
        err = capsys.readouterr().err
        assert err == "modd: --loop trio needs packages that are not installed: pip install modd[trio]\n"


def test_a_loop_whose_import_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # AP-62
    (tmp_path / "trio.py").write_text("import no_such_module_of_trio")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trio")
    assert run_process(["run", f"{HERE}:plain", "--loop", "trio"]) == 2
    assert capsys.readouterr().err.endswith("pip install modd[trio]\n")


@pytest.mark.parametrize("env_file", [[], ["--env-file", "no-such.env"]])
def test_with_reload_a_child_process_gets_the_other_arguments(
    env_file: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Sequence[str]] = []

    def run_reloading(command: Sequence[str]) -> int:
        started.append(command)
        return 7

    module = ModuleType("modd.cli.reload")
    module.run_reloading = run_reloading  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert run_process(["run", "no.such:target", "--reload", "--loop", "trio", *env_file]) == 7
    assert started == [[sys.executable, "-m", "modd", "run", "no.such:target", "--loop", "trio", *env_file]]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "MODULE:NAME"),
        (["x:y", "--loop", "curio"], "invalid choice: 'curio'"),
        (["x:y", "--check", "--help-settings"], "give one of --reload, --check and --help-settings"),
        (["x:y", "--check", "--reload"], "give one of --reload, --check and --help-settings"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # AP-41
    for start in (run_process, main):
        assert start(["run", *argv]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and told in err


@pytest.mark.parametrize(
    ("mode", "signals", "code"),
    [
        ("end", "SIGTERM", 0),
        ("end", "SIGTERM SIGTERM", 1),
        ("end", "SIGINT SIGINT", 130),
        ("term", "SIGTERM", 1),
        ("term", "SIGINT", 130),
    ],
)
def test_signals_while_the_app_is_closed_count_as_those_before(
    mode: str, signals: str, code: int, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # AP-60, AP-41
    monkeypatch.setenv("RUN_MODE", mode)
    monkeypatch.setenv("RUN_KEY", signals)
    assert run("closes_slowly") == (code, "", "")
    assert closed == ["closes-slowly"]


def test_a_third_signal_ends_a_process_that_cannot_be_cancelled(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    # AP-60
    monkeypatch.setenv("RUN_MODE", "int-thrice")
    assert run("shop") == (130, "", "modd: stopped while the app was opened or closed\n")


def test_another_end_of_the_process_is_raised(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_KEY", "exit")
    with pytest.raises(BaseExceptionGroup) as caught:
        run("closes_slowly")
    assert caught.value.subgroup(GeneratorExit) is not None


@pytest.mark.parametrize("start", [run_process, main])
def test_it_works_when_stdout_and_stderr_are_closed(
    start: Callable[[Sequence[str]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # AP-51
    with monkeypatch.context() as closing:
        closing.setattr("sys.stdout", None)
        closing.setattr("sys.stderr", None)
        assert start(["run", f"{HERE}:plain", "--check"]) == 0
        assert start(["run", f"{HERE}:nothing"]) == 2
        sys.stdout.close()
        sys.stderr.close()


def test_a_reader_that_has_gone_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # AP-51
    read, write = os.pipe()
    os.close(read)
    with monkeypatch.context() as piped, os.fdopen(write, "w") as pipe:
        piped.setattr("sys.stdout", pipe)
        code = run_process(["run", f"{HERE}:plain", "--check", "--loop", "trio"])
    assert (code, *capsys.readouterr()) == (1, "", "")


def test_output_that_cannot_be_written_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # AP-51
    def full() -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as filled:
        filled.setattr("sys.stdout.flush", full)
        code = run_process(["run", f"{HERE}:plain", "--check", "--loop", "trio"])
    assert (code, capsys.readouterr().err) == (1, "modd: [Errno 28] No space left on device\n")


def test_it_is_run_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["modd", "run", f"{HERE}:plain", "--check"])
    with pytest.raises(SystemExit) as end:
        run_module("modd", run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out == "plain: 1 part and 0 timers; nothing was run\n  run part\n"
