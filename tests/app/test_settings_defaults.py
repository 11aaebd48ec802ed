"""Defaults of settings: one of another type than its field is an error when the class is made."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from modd import InvalidOption, Sensitive
from modd.app import Settings
from modd.app.setting_types import QUOTED
from modd.app.setting_values import read_setting
from tests.app.configs import Level, Mode


def settings_of(hint: Any, default: Any) -> Any:
    """Return a class with a field of this type and default."""
    kind: Any = type(Settings)
    return kind("Config", (Settings,), {"__annotations__": {"first": str, "value": hint}, "value": default})


@pytest.mark.parametrize(
    ("hint", "default", "kind"),
    [
        (int, "abc", "int"),
        (int, 1.5, "int"),
        (float, "1", "float"),
        (str, 5, "str"),
        (bool, "no", "bool"),
        (Path, "shop.db", "Path"),
        (Mode, "fast", "fast | safe"),
        (Literal["a", "b"], "c", "a | b"),
        (int | None, "", "int | None"),
        (int, None, "int"),
        (tuple[str, ...], "de", "tuple[str, ...]"),
        (timedelta, 30, "timedelta"),
        (Decimal, 9.99, "Decimal"),
        (date, "2026-11-28", "date"),
        (Annotated[int, msgspec.Meta(ge=1)], "1", "int"),
    ],
)
def test_a_default_of_another_type_is_an_error_when_the_class_is_made(hint: Any, default: Any, kind: str) -> None:
    # AP-76
    with pytest.raises(InvalidOption) as raised:
        settings_of(hint, default)
    assert str(raised.value) == f"Config.value={default!r}: the default is no {kind}; give one of this type"


def test_the_default_of_a_secret_is_not_shown() -> None:
    # AP-76
    with pytest.raises(InvalidOption) as raised:
        settings_of(Annotated[int, Sensitive], "geheim77")
    assert str(raised.value) == "Config.value=***: the default is no int; give one of this type"


@pytest.mark.parametrize(
    ("hint", "default"),
    [
        (float, 5),
        (Path, Path("shop.db")),
        (Level, Level.LOW),
        (Literal["a", 1], 1),
        (int | None, None),
        (list[str], ()),
        (list[str], []),
        (set[str], msgspec.field(default_factory=lambda: {"a"})),
        (dict[str, int] | int, 5),
        (Any, object),
        ("Unknown", 5),
    ],
)
def test_a_default_of_the_type_and_one_of_a_type_that_is_not_known_are_taken(hint: Any, default: Any) -> None:
    # AP-76
    assert settings_of(hint, default).__struct_fields__ == ("first", "value")


def test_each_example_of_a_type_is_one() -> None:
    for kind, example in QUOTED.items():
        assert isinstance(read_setting(example, kind), kind)
