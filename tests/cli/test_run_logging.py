"""The log of ``run``."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime
from io import StringIO
from typing import Any

import pytest

from modd.cli.errors import UsageError
from modd.cli.run_logging import RunLog, begin_log
from tests.cli.run_targets import SECRET, RunConfig


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def begin(stream: StringIO, **environ: str) -> tuple[logging.Logger, RunLog]:
    root = logging.Logger("shop.orders")
    return root, begin_log(environ, stream, root)


def test_a_terminal_gets_text_and_another_stream_gets_an_object_a_line() -> None:
    # AP-44
    terminal, file = Terminal(), StringIO()
    begin(terminal)[0].info("placed %s", 3)
    begin(file)[0].info("placed %s\n%s", 3, "ü\udcff")
    assert terminal.getvalue().endswith(" INFO shop.orders: placed 3\n")
    assert file.getvalue().count("\n") == 1
    line = json.loads(file.getvalue())
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {"level": "INFO", "logger": "shop.orders", "message": "placed 3\nü\udcff"}


@pytest.mark.parametrize(("format", "begins"), [("text", "20"), ("json", "{"), ("JSON", "{")])
def test_a_variable_chooses_the_format(format: str, begins: str) -> None:
    # AP-44
    for stream in (Terminal(), StringIO()):
        begin(stream, MODD_LOG=format)[0].info("x")
        assert stream.getvalue().startswith(begins)


def test_an_empty_variable_chooses_nothing() -> None:
    # AP-44
    stream = StringIO()
    root, _ = begin(stream, MODD_LOG="", MODD_LOG_LEVEL="")
    root.debug("first")
    root.info("second")
    assert json.loads(stream.getvalue())["message"] == "second"


def test_a_variable_chooses_the_level() -> None:
    # AP-44
    stream = StringIO()
    root, _ = begin(stream, MODD_LOG_LEVEL="warning", MODD_LOG="text")
    root.info("first")
    root.warning("second")
    assert "first" not in stream.getvalue() and "WARNING shop.orders: second" in stream.getvalue()


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("MODD_LOG", "xml", "MODD_LOG=xml: give text or json"),
        ("MODD_LOG_LEVEL", "loud", "MODD_LOG_LEVEL=LOUD: give DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    ],
)
def test_an_unknown_format_or_level_is_an_error(name: str, value: str, cure: str) -> None:
    # AP-44
    with pytest.raises(UsageError, match=cure):
        begin(StringIO(), **{name: value})


def test_handlers_that_are_there_are_left_alone() -> None:
    # AP-44
    root, stream = logging.Logger("x", logging.ERROR), StringIO()
    handler = logging.NullHandler()
    root.addHandler(handler)
    begin_log({"MODD_LOG_LEVEL": "DEBUG"}, stream, root)
    root.error("x")
    assert (root.handlers, root.level, stream.getvalue()) == ([handler], logging.ERROR, "")


class Refused(Exception):
    pass


def logged(format: str) -> str:
    """Return the log of an error with a secret, and of one that is shown."""
    stream = StringIO()
    root, log = begin(stream, MODD_LOG=format, MODD_LOG_LEVEL="CRITICAL")
    log.secrets.settings = RunConfig(key=SECRET)
    root.critical("the key %s", SECRET)
    try:
        raise Refused(f"not {SECRET}")
    except Refused as error:
        root.critical("failed \x1b", exc_info=True)
        log.show_error("shop failed", error)
    root.critical("no error", exc_info=True)
    assert SECRET not in stream.getvalue()
    return stream.getvalue()


def test_an_error_has_type_and_traceback_and_no_sensitive_setting() -> None:
    # AP-44, AP-5
    lines: list[dict[str, Any]] = [json.loads(line) for line in logged("json").splitlines()]
    assert [line["message"] for line in lines] == ["the key ***", "failed \x1b", "shop failed", "no error"]
    assert [line.get("type") for line in lines] == [None, "Refused", "Refused", None]
    assert "in logged" in lines[1]["traceback"] and lines[1]["traceback"].endswith("Refused: not ***")
    assert lines[2]["level"] == "ERROR" and lines[2]["traceback"] == lines[1]["traceback"]


def test_text_has_the_traceback_below_and_nothing_that_controls_a_terminal() -> None:
    # AP-44, AP-5
    text = logged("text")
    assert "CRITICAL shop.orders: the key ***\n" in text and "failed \\x1b\nTraceback" in text
    assert text.count("Refused: not ***\n") == 2


def test_beside_other_handlers_an_error_is_shown_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    # AP-41
    root = logging.Logger("x")
    root.addHandler(logging.NullHandler())
    log = begin_log({}, sys.stderr, root)
    log.secrets.settings = RunConfig(key=SECRET)
    log.show_error("shop failed", Refused(f"not {SECRET}"))
    assert capsys.readouterr().err.endswith("Refused: not ***\n")
