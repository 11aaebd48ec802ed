"""The help for settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from modd import Sensitive
from modd.app import Settings
from tests.app.configs import BigShop, Level, Mail, Mode, Secrets, Shop


def compute() -> str:
    raise AssertionError


class Everything(Settings, prefix="E_"):
    flag: bool = True
    nothing: int | None = None
    empty: str = ""
    mode: Mode = Mode.FAST
    level: Level = Level.LOW
    choice: Literal["a", 1, None] = None
    paths: tuple[Path, ...] = (Path("b"), Path("a"))
    names: frozenset[str] = frozenset({"b", "a", "c"})
    items: list[int] = []  # noqa: RUF012
    mails: dict[str, Mail] = {}  # noqa: RUF012
    mail: Mail = Mail(host="x", key="hunter2")
    made: str = msgspec.field(default_factory=compute)


def test_the_help_has_variable_type_default_and_docstring_of_each_field() -> None:
    # AP-7
    assert Shop.describe() == [
        ("SHOP_DB", "Path", "shop.db", "The file of the store, in the current folder."),
        ("SHOP_REMINDERS", "float", "3600.0", ""),
        ("SHOP_MAIL_KEY", "str", "required", ""),
        ("SHOP_PORT", "int", "8080", "The port of the server."),
        ("SHOP_TAGS", "list[str]", "''", ""),
        ("SHOP_DRAIN", "float", "30.0", ""),
    ]


def test_a_subclass_has_the_help_of_inherited_fields_and_a_docstring_comes_before_a_description() -> None:
    # AP-7
    assert BigShop.describe() == [*Shop.describe(), ("SHOP_BRANCHES", "int", "3", "The number of branches.")]


def test_types_and_defaults_are_written_as_in_a_variable() -> None:
    # AP-7
    assert [(row.type, row.default) for row in Everything.describe()] == [
        ("bool", "true"),
        ("int | None", "None"),
        ("str", "''"),
        ("fast | safe", "fast"),
        ("LOW | HIGH", "LOW"),
        ("a | 1 | None", "None"),
        ("tuple[Path, ...]", "b,a"),
        ("frozenset[str]", "a,b,c"),
        ("list[int]", "''"),
        ("dict[str, Mail]", "{}"),
        ("Mail", "Mail(host='x', key=***)"),
        ("str", "computed"),
    ]


def test_the_help_shows_no_default_of_a_sensitive_field_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # AP-7
    monkeypatch.setenv("S_PIN", "7755")
    text = str(Secrets.describe())
    assert "7755" not in text and "1234" not in text and "hunter2" not in text
    assert Secrets.describe()[0] == ("S_PIN", "int", "***", "")


def test_a_class_without_source_has_no_docstrings() -> None:
    # AP-7
    namespace: dict[str, Any] = {"Settings": Settings, "Annotated": Annotated, "Sensitive": Sensitive}
    exec('class Made(Settings):\n    x: int = 3\n    """Not found."""', namespace)
    assert namespace["Made"].describe() == [("X", "int", "3", "")]


def test_other_texts_in_a_class_are_no_docstrings_of_fields() -> None:
    class Odd(Settings):
        """Odd."""

        first: int = 1
        ...
        second: int = 2
        len("")
        third: int = 3

        def method(self) -> None:
            """Do nothing."""

        """Not the doc of a field."""

    assert [row.doc for row in Odd.describe()] == ["", "", ""]
