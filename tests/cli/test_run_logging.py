"""The log of ``run``."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime
from importlib import import_module
from io import StringIO
from typing import Annotated, Any, NamedTuple

import pytest

from modd import Sensitive
from modd.app import App, AppFailed, PortTaken
from modd.cli.errors import UsageError
from modd.cli.failures import cause_words
from modd.cli.run_logging import RunLog, begin_log
from modd.errors import InvalidOption, MissingExtra
from tests.cli.run_targets import SECRET, RunConfig


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class NamedKey(NamedTuple):
    key: Annotated[str, Sensitive]


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


def test_the_fields_of_a_record_are_fields_of_its_object() -> None:
    # AP-44
    stream = StringIO()
    root, _ = begin(stream)
    endless: list[Any] = [3]
    endless.append(endless)
    fields = {"correlation_id": "c1", "type": "Pay", "count": 3, "share": 0.5, "by": {"of": (None, True)}, "day": "ü"}
    root.info("placed", extra=fields)
    root.info("placed", extra={"level": 7, "share": float("nan"), "order": RunConfig, "endless": endless, "by": {3: 4}})
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first.items() >= (fields | {"by": {"of": [None, True]}}).items()
    assert (second["level"], second["extra_level"], second["share"]) == ("INFO", 7, "nan")
    assert "RunConfig" in second["order"] and second["by"] == {"3": 4}
    assert second["endless"] == [3, [3, [3, [3, [3, "[3, [...]]"]]]]]


def test_the_fields_of_a_record_have_no_sensitive_content() -> None:
    # AP-44, AP-5
    stream = StringIO()
    root, log = begin(stream)
    log.secrets.settings = RunConfig(key="47114711")
    fields = {
        "text": "a 47114711",
        "number": 47114711,
        "in": [{"47114711": "47114711"}],
        "config": log.secrets.settings,
    }
    root.info("placed", extra={**fields, "point": NamedKey(SECRET)})
    line = json.loads(stream.getvalue())
    assert "47114711" not in stream.getvalue() and SECRET not in stream.getvalue()
    assert (line["text"], line["number"], line["in"]) == ("a ***", "***", [{"***": "***"}])


def test_a_setting_of_less_than_four_characters_is_not_masked() -> None:
    # AP-63
    stream = StringIO()
    root, log = begin(stream, MODD_LOG="text")
    log.secrets.settings = RunConfig(key="the")
    root.info("the key")
    log.show_error("the app", Refused("the key"))
    log.secrets.settings = RunConfig(key="thee")
    root.info("thee key")
    assert "***" not in stream.getvalue().partition("the app")[0] and ": the app: Refused: the key" in stream.getvalue()
    assert stream.getvalue().endswith(": *** key\n")


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
    assert [line["message"] for line in lines] == [
        "the key ***",
        "failed \x1b",
        "shop failed: Refused: not ***",
        "no error",
    ]
    assert [line.get("type") for line in lines] == [None, "Refused", "Refused", None]
    assert "in logged" in lines[1]["traceback"] and lines[1]["traceback"].endswith("Refused: not ***")
    assert lines[2]["level"] == "ERROR" and lines[2]["traceback"] == lines[1]["traceback"]


def test_text_has_the_traceback_below_and_nothing_that_controls_a_terminal() -> None:
    # AP-44, AP-5
    text = logged("text")
    assert "CRITICAL shop.orders: the key ***\n" in text and "failed \\x1b\nTraceback" in text
    assert (
        text.count("_logging.Refused: not ***\n") == 2
        and "ERROR modd.app: shop failed: Refused: not ***\nTrace" in text
    )


def test_beside_other_handlers_an_error_is_shown_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    # AP-41
    root = logging.Logger("x")
    root.addHandler(logging.NullHandler())
    log = begin_log({}, sys.stderr, root)
    log.secrets.settings = RunConfig(key=SECRET)
    log.show_error("shop failed", Refused(f"not {SECRET}"))
    log.show_error("", MissingExtra(SECRET, "cron"))
    assert capsys.readouterr().err == (
        f"{__name__}.Refused: not ***\nshop failed: Refused: not ***\n"
        "MissingExtra: *** needs packages that are not installed: pip install modd[cron]\n"
    )


def make_app() -> None:
    App("shop", drain=-1)


@pytest.mark.parametrize("format", ["json", "text"])
def test_an_error_whose_text_has_the_cure_is_shown_with_its_place_and_without_a_traceback(format: str) -> None:
    # AP-61
    stream = StringIO()
    log = begin(stream, MODD_LOG=format)[1]
    with pytest.raises(InvalidOption) as invalid:
        make_app()
    log.show_error("shop.main:shop failed", invalid.value)
    line = make_app.__code__.co_firstlineno + 1
    assert "shop.main:shop failed: InvalidOption: drain=-1: " in stream.getvalue()
    assert f"({__file__}:{line})" in stream.getvalue() and "raceback" not in stream.getvalue()


def test_the_place_of_a_misuse_is_no_line_of_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    # AP-61
    monkeypatch.delitem(sys.modules, "modd.cli.reload", raising=False)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(MissingExtra) as missing:
        import_module("modd.cli.reload")
    assert f"({__file__}:" in cause_words(missing.value)
    assert "(" not in cause_words(MissingExtra("x", "fastapi"))


@pytest.mark.parametrize("format", ["json", "text"])
def test_the_first_cause_in_a_group_is_told(format: str) -> None:
    # AP-61
    stream = StringIO()
    log = begin(stream, MODD_LOG=format)[1]
    log.show_error(
        "shop failed", AppFailed("shop: health failed", [PortTaken("::1", 8081, "Health(port=...)")], ["health"])
    )
    assert "shop failed: PortTaken: port 8081 of ::1 is taken" in stream.getvalue()
    assert stream.getvalue().count("PortTaken") == 1
    group = AppFailed(
        "shop: both failed", [ExceptionGroup("", [PortTaken("::1", 8081, "Health(port=...)")]), KeyError("x")]
    )
    log.show_error("shop failed", group)
    assert "Health(port=...) (and 1 more)" in stream.getvalue() and "KeyError: 'x'" in stream.getvalue()
