"""All that is wrong with an environment is one error, which shows nothing that is sensitive."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from traceback import format_exception
from typing import Annotated

import pytest

from modd import ModdError, Sensitive
from modd.app import InvalidSettings, Settings
from tests.app.configs import Mail, Secrets, Shop


def refusal(kind: type[Settings], **environ: str) -> InvalidSettings:
    with pytest.raises(InvalidSettings) as caught:
        kind.load(environ)
    return caught.value


def test_all_that_is_wrong_is_one_error_with_a_line_for_each_in_the_order_of_the_fields() -> None:
    # AP-4
    error = refusal(Shop, SHOP_PORT="x", SHOP_REMINDERS="soon", SHOP_DRAIN="")
    assert isinstance(error, ModdError) and isinstance(error, ValueError)
    assert error.settings == "Shop"
    assert error.errors == (
        ("SHOP_REMINDERS", "'soon' is no float"),
        ("SHOP_MAIL_KEY", "is not set (str)"),
        ("SHOP_PORT", "'x' is no int"),
        ("SHOP_DRAIN", "'' is no float"),
    )
    assert str(error).splitlines() == [
        "SHOP_REMINDERS: 'soon' is no float",
        "SHOP_MAIL_KEY: is not set (str)",
        "SHOP_PORT: 'x' is no int",
        "SHOP_DRAIN: '' is no float",
    ]
    assert pickle.loads(pickle.dumps(error)).errors == error.errors


SECRET = "geheim77"


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("S_PIN", SECRET, "is no int"),
        ("S_PORT", "-7755", "is refused: expected `int` >= 1"),
        ("S_CHOICE", SECRET, "is none of: a, b"),
        ("S_TAGS", f"1,{SECRET}", "is no int"),
        ("S_TOKENS", f'{{"a": "{SECRET}"', "is no JSON (dict[str, int])"),
        ("S_TOKENS", f'{{"{SECRET}": "{SECRET}"}}', "does not fit dict[str, int]"),
        ("S_MAIL", f'{{"host": 3, "key": "{SECRET}"}}', "does not fit Mail: host: expected `str`, got `int`"),
        ("S_MAIL", f'{{"host": "x", "key": ["{SECRET}"]}}', "does not fit Mail: key: expected `str`, got `array`"),
        ("S_MAIL", f'{{"key": "{SECRET}"}}', "does not fit Mail: object missing required field `host`"),
        ("S_MAIL", SECRET, "is no JSON (Mail)"),
    ],
)
def test_no_error_traceback_or_log_has_the_value_of_a_sensitive_field(
    variable: str, text: str, problem: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # AP-5
    caplog.set_level(logging.DEBUG)
    error = refusal(Secrets, **{variable: text})
    assert str(error) == f"{variable}: {problem}"
    shown = "".join(format_exception(error)) + repr(error) + caplog.text
    assert SECRET not in shown and "7755" not in shown
    file = tmp_path / "x"
    file.write_text(text)
    assert str(refusal(Secrets, **{f"{variable}_FILE": str(file)})) == str(error).replace(variable, f"{variable}_FILE")


def test_the_content_of_a_file_is_not_shown_even_of_a_field_that_is_not_sensitive(tmp_path: Path) -> None:
    file = tmp_path / "id_rsa"
    file.write_text(SECRET)
    assert str(refusal(Shop, SHOP_MAIL_KEY="x", SHOP_PORT_FILE=str(file))) == "SHOP_PORT_FILE: is no int"


def test_a_nested_value_hides_its_sensitive_fields() -> None:
    # AP-5
    secrets = Secrets.load({"S_MAIL": f'{{"host": "x", "key": "{SECRET}"}}', "S_TOKENS": '{"a": 7755}'})
    assert secrets.mail == Mail(host="x", key=SECRET) and secrets.tokens == {"a": 7755}
    assert SECRET not in repr(secrets) and "7755" not in repr(secrets)


def test_a_long_value_is_shortened() -> None:
    assert str(refusal(Shop, SHOP_MAIL_KEY="x", SHOP_PORT="9" * 5000)) == f"SHOP_PORT: '{'9' * 77}...' is no int"


def test_a_variable_that_kubernetes_sets_for_a_service_is_explained() -> None:
    assert str(refusal(Shop, SHOP_MAIL_KEY="x", SHOP_PORT="tcp://10.0.0.7:80")) == (
        "SHOP_PORT: 'tcp://10.0.0.7:80' is no int; Kubernetes sets it for a Service: use another prefix, or "
        "enableServiceLinks: false"
    )


class Keys(Settings, prefix="K_"):
    key: Annotated[str, Sensitive]
    spare: Annotated[str | None, Sensitive] = "x"
    old: Annotated[str, Sensitive] = ""
    pins: Annotated[list[str], Sensitive] = []  # noqa: RUF012
    name: str = "x"


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_a_secret_text_that_is_empty_is_an_error(text: str, tmp_path: Path) -> None:
    # AP-70
    assert str(refusal(Keys, K_KEY=text)) == "K_KEY: is empty"
    file = tmp_path / "key"
    file.write_text(f"{text}\n")
    assert str(refusal(Keys, K_KEY_FILE=str(file))) == "K_KEY_FILE: its file is empty"


def test_an_empty_text_fits_none_a_default_that_is_empty_and_what_is_no_secret_text() -> None:
    # AP-70
    keys = Keys.load({"K_KEY": "x", "K_SPARE": "", "K_OLD": "", "K_PINS": "", "K_NAME": ""})
    assert keys == Keys(key="x", spare=None, old="", pins=[], name="")
