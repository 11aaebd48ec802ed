"""Files with environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from modd.cli.env_file import read_env_file, set_from_file
from modd.cli.errors import UsageError


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=", ""),
        ("A=b", "b"),
        ("  A=b  ", "b"),
        ("A= b c ", "b c"),
        ("A=b=c", "b=c"),
        ("A=b#c", "b#c"),
        ("A=#c", "#c"),
        ("A=b # c", "b"),
        ("A= # c", ""),
        ("A=it's", "it's"),
        ("A=b'c'", "b'c'"),
        ('A="b c"', "b c"),
        ('A= "b" ', "b"),
        ('A="b # c" # d', "b # c"),
        (r'A="say \"b\" \\ \n"', r'say "b" \ \n'),
        ("A=''", ""),
        ("A='b \"c\" \\'", 'b "c" \\'),
        ("A='b # c'  # d 'e'", "b # c"),
        ("A=ü", "ü"),
    ],
)
def test_a_line_gives_a_value(tmp_path: Path, line: str, value: str) -> None:
    # AP-42
    file = tmp_path / "env"
    file.write_text(f"# first\n\n   # second\nB=1\n{line}\n \nC=2")
    assert read_env_file(str(file)) == {"B": "1", "A": value, "C": "2"}


def test_windows_line_breaks_and_a_byte_order_mark_are_none_of_the_value(tmp_path: Path) -> None:
    # AP-42
    file = tmp_path / "env"
    file.write_bytes(b"\xef\xbb\xbfA=1\r\nB='2'\r\n")
    assert read_env_file(str(file)) == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    "line",
    [
        "geheim77",
        "=geheim77",
        "1A=geheim77",
        "A B=geheim77",
        "export A=geheim77",
        "A = geheim77",
        "A-B=geheim77",
        'A="geheim77',
        "A='geheim77",
        'A="geheim77"x',
        "A='geheim77'#x",
        'A="geheim77\\"',
        "A=geheim77\0",
        'A=  "',
    ],
)
def test_any_other_line_is_an_error_with_its_number_and_without_its_content(tmp_path: Path, line: str) -> None:
    # AP-42
    file = tmp_path / "env"
    file.write_text(f"# first\nB=1\n{line}\n")
    with pytest.raises(UsageError) as caught:
        read_env_file(str(file))
    assert str(caught.value) == f"--env-file {file}: line 3 is not NAME=value, NAME=\"value\" or NAME='value'"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    # AP-42
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff")
    for path, problem in {
        str(tmp_path / "none"): "No such file or directory",
        str(tmp_path): "Is a directory",
        str(binary): "it is not UTF-8",
        "\0": "embedded null byte",
    }.items():
        with pytest.raises(UsageError) as caught:
            read_env_file(path)
        assert str(caught.value) == f"--env-file {path}: {problem}"


def test_the_environment_counts_more_than_the_file(tmp_path: Path) -> None:
    # AP-42
    file = tmp_path / "env"
    file.write_text("A=1\nB=2")
    environ = {"A": "0"}
    set_from_file(str(file), environ)
    assert environ == {"A": "0", "B": "2"}


def test_a_name_in_two_lines_is_an_error_with_both_numbers_and_without_the_values(tmp_path: Path) -> None:
    # AP-64
    file = tmp_path / "env"
    file.write_text("A=1\nB=geheim77\n\nB='geheim88'\n")
    environ: dict[str, str] = {}
    with pytest.raises(UsageError) as caught:
        set_from_file(str(file), environ)
    assert str(caught.value) == f"--env-file {file}: lines 2 and 4 both set B; remove one"
    assert environ == {}
