"""Settings: classes, names of variables, and values from an environment."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modd import InvalidOption, Value
from modd.app import InvalidSettings, Settings
from tests.app.configs import BigShop, Shop, settings_with

KEY = {"SHOP_MAIL_KEY": "hunter2"}


class Plain(Settings):
    db: str = ""
    drain: float = 30.0


class LogFiles(Settings, prefix="APP_"):
    log: str = ""
    log_file: Path = Path("app.log")


class Span(Settings, prefix="SPAN_"):
    first: int = 0
    last: int = 0

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise KeyError(f"last is before {self.first}")


def test_a_field_is_read_from_the_variable_with_prefix_and_name_in_capitals() -> None:
    # AP-1
    shop = Shop.load(KEY | {"SHOP_DB": "/data/shop.db", "SHOP_DRAIN": "5", "DB": "x"})
    assert (shop.db, shop.drain, shop.mail_key) == (Path("/data/shop.db"), 5.0, "hunter2")


def test_a_class_without_a_prefix_reads_the_names_of_its_fields_in_capitals() -> None:
    # AP-1
    assert Plain.load({"DB": "x", "SHOP_DB": "y"}) == Plain(db="x")


def test_the_environment_of_the_process_counts_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_MAIL_KEY", "x")
    monkeypatch.setenv("SHOP_PORT", "81")
    assert Shop.load().port == 81


@pytest.mark.parametrize("prefix", ["shop_", "SHOP", "1SHOP_", "_", "", "SHOP-", "SHÖP_", "SHOP_\n", 3])
def test_a_prefix_that_no_variable_has_is_refused_when_the_class_is_made(prefix: Any) -> None:
    # AP-1
    with pytest.raises(InvalidOption, match="such as SHOP_"):

        class Wrong(Settings, prefix=prefix):
            pass


def test_settings_cannot_be_changeable() -> None:
    with pytest.raises(InvalidOption, match="frozen=False: settings do not change"):

        class Wrong(Settings, frozen=False):  # type: ignore[misc]
            pass


@pytest.mark.parametrize("name", ["load", "describe"])
def test_a_field_that_would_hide_a_method_is_refused_when_the_class_is_made(name: str) -> None:
    with pytest.raises(InvalidOption, match="is a method of Settings"):
        settings_with(**{name: str})


def test_two_fields_of_one_variable_are_refused_when_the_class_is_made() -> None:
    with pytest.raises(InvalidOption, match="both are DB"):

        class Wrong(Settings):
            db: str
            DB: str


def test_a_type_that_cannot_be_resolved_is_named() -> None:
    Wrong = settings_with(db="Nowhere")
    with pytest.raises(InvalidOption, match=r"Config\.db='Nowhere': it cannot be resolved"):
        Wrong.load({})


def test_a_subclass_inherits_fields_and_prefix() -> None:
    assert BigShop.load(KEY | {"SHOP_BRANCHES": "4", "SHOP_PORT": "81"}) == BigShop(
        mail_key="hunter2", branches=4, port=81
    )


def test_a_subclass_may_have_a_prefix_of_its_own() -> None:
    class Other(BigShop, prefix="OTHER_"):
        pass

    assert Other.load({"OTHER_MAIL_KEY": "x", "SHOP_PORT": "81"}) == Other(mail_key="x")


def test_settings_are_frozen_values_that_keywords_make_and_that_hide_what_is_sensitive() -> None:
    # AP-5
    shop = Shop(mail_key="hunter2", tags=["a"])
    with pytest.raises(AttributeError):
        shop.port = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        Shop("x")  # type: ignore[call-arg, arg-type]
    assert isinstance(shop, Value) and isinstance(shop, msgspec.Struct)
    assert repr(shop) == (
        "Shop(db=PosixPath('shop.db'), reminders=3600.0, mail_key=***, port=8080, tags=['a'], drain=30.0)"
    )
    assert f"{shop}" == repr(shop)


def test_settings_can_be_copied_and_pickled() -> None:
    shop = BigShop(mail_key="hunter2")
    assert pickle.loads(pickle.dumps(shop)) == shop == copy.deepcopy(shop)
    assert msgspec.structs.replace(shop, port=3).port == 3


def test_a_default_that_can_change_is_made_anew_each_time() -> None:
    first, second = Shop(mail_key=""), Shop(mail_key="")
    first.tags.append("x")
    assert second.tags == Shop.load(KEY).tags == []


def test_a_file_does_not_stand_for_a_field_if_another_field_has_its_variable() -> None:
    loaded = LogFiles.load({"APP_LOG_FILE": "/nowhere/x.log"})
    assert loaded == LogFiles(log_file=Path("/nowhere/x.log"))


def test_the_check_of_a_class_is_an_error_of_its_settings_without_values() -> None:
    with pytest.raises(InvalidSettings) as caught:
        Span.load({"SPAN_FIRST": "77", "SPAN_LAST": "3"})
    assert str(caught.value) == "Span: KeyError: 'last is before ***'"
    assert caught.value.__context__ is None
