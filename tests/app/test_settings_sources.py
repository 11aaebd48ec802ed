"""A value comes from a variable or from a file; a variable that looks misspelled is logged."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from modd.app import Settings
from tests.app.configs import Shop
from tests.app.test_settings_errors import refusal


class Tiny(Settings, prefix="T_"):
    db: str = ""


class Bare(Settings):
    host: str = ""


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("key", "key"),
        ("key\n", "key"),
        ("key\r\n", "key"),
        ("key\n\n", "key\n"),
        ("\n", ""),
        ("", ""),
        (" k\r", " k\r"),
    ],
)
def test_a_file_gives_its_content_without_one_line_break_at_the_end(tmp_path: Path, content: str, text: str) -> None:
    # AP-3
    file = tmp_path / "key"
    file.write_bytes(content.encode())
    assert Tiny.load({"T_DB_FILE": str(file)}).db == text


def test_a_file_is_read_by_the_type_of_the_field(tmp_path: Path) -> None:
    # AP-3
    file = tmp_path / "port"
    file.write_text("81\n")
    assert Shop.load({"SHOP_MAIL_KEY": "x", "SHOP_PORT_FILE": str(file)}).port == 81


def test_both_a_variable_and_its_file_are_an_error_that_names_both() -> None:
    # AP-3
    error = refusal(Shop, SHOP_MAIL_KEY="", SHOP_MAIL_KEY_FILE="")
    assert str(error) == "SHOP_MAIL_KEY: is set, and SHOP_MAIL_KEY_FILE too: set one of them"


def test_a_file_that_cannot_be_read_is_an_error_with_variable_and_path(tmp_path: Path) -> None:
    # AP-3
    binary, long = tmp_path / "binary", tmp_path / "long"
    binary.write_bytes(b"\xff")
    long.write_bytes(b"x" * 65_535 + "ü".encode())
    problems = {
        f"{tmp_path}/no": f"there is no file '{tmp_path}/no'",
        "": "there is no file ''",
        f"{tmp_path}": f"'{tmp_path}' is a folder",
        f"{binary}": f"'{binary}' is not UTF-8",
        f"{long}": f"'{long}' is over 64 KiB",
        f"{binary}/x": f"'{binary}/x' cannot be read (NotADirectoryError)",
        "\0": "'\\x00' cannot be read (ValueError)",
    }
    for path, problem in problems.items():
        assert refusal(Shop, SHOP_MAIL_KEY_FILE=path).errors == (("SHOP_MAIL_KEY_FILE", problem),)


def test_a_file_of_64_kib_is_read(tmp_path: Path) -> None:
    # AP-3
    file = tmp_path / "key"
    file.write_bytes(b"x" * 65_536)
    assert len(Shop.load({"SHOP_MAIL_KEY_FILE": str(file)}).mail_key) == 65_536


def warnings(kind: type[Settings], caplog: pytest.LogCaptureFixture, *variables: str) -> list[str]:
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    kind.load(dict.fromkeys(variables, "1"))
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}
    assert {record.name for record in caplog.records} <= {"modd.app"}
    return caplog.messages


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SHOP_DRIAN", "SHOP_DRAIN"),
        ("SHOP_DRIN", "SHOP_DRAIN"),
        ("SHOP_DRRAIN", "SHOP_DRAIN"),
        ("SHOP_TRAIL", "SHOP_DRAIN"),
        ("SHOP_DRAIN_FIEL", "SHOP_DRAIN_FILE"),
        ("SHOP_REMNDRES", "SHOP_REMINDERS"),
        ("SHOP_BD", "SHOP_DB"),
    ],
)
def test_a_variable_that_differs_by_two_letters_at_most_is_logged_once(
    variable: str, meant: str, caplog: pytest.LogCaptureFixture
) -> None:
    # AP-6
    logged = warnings(Shop, caplog, "SHOP_MAIL_KEY", variable)
    assert logged == [f"{variable} is not known; did you mean {meant}?"]


@pytest.mark.parametrize(
    "variables",
    [
        ["SHOP_DRIAN", "SHOP_DRAIN"],
        ["SHOP_SERVICE_HOST", "SHOP_XY", "SHOP_", "SHOP", "SHPO_DRAIN", "DRAIN"],
        ["SHOP_PORT_80_TCP_ADDR", "SHOP_NARD"],
    ],
)
def test_other_variables_and_those_of_a_field_that_is_set_are_ignored(
    variables: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    # AP-6
    assert warnings(Shop, caplog, "SHOP_MAIL_KEY", *variables) == []


def test_of_several_names_the_nearest_is_meant(caplog: pytest.LogCaptureFixture) -> None:
    class Near(Settings, prefix="N_"):
        part: str = ""
        port: str = ""

    assert warnings(Near, caplog, "N_PORTS") == ["N_PORTS is not known; did you mean N_PORT?"]


def test_a_name_without_a_letter_of_its_own_is_no_misspelled_one(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings(Tiny, caplog, "T_QX") == []
    assert warnings(Tiny, caplog, "T_DX") == ["T_DX is not known; did you mean T_DB?"]


def test_a_class_without_a_prefix_suspects_no_variable_of_the_system(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings(Bare, caplog, "HOME", "HOSTT") == []


def test_a_misspelled_variable_is_told_even_if_the_settings_are_wrong(caplog: pytest.LogCaptureFixture) -> None:
    # AP-6
    refusal(Shop, SHOP_MAIL_KEYS="hunter2")
    assert caplog.messages == ["SHOP_MAIL_KEYS is not known; did you mean SHOP_MAIL_KEY?"]
