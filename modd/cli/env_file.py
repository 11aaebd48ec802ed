"""Files with environment variables: lines ``NAME=value``."""

from __future__ import annotations

import re
from collections.abc import MutableMapping

from modd.cli.errors import UsageError
from modd.texts import encodable

_NOTHING = re.compile(r"\s*(#.*)?")
_VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_END = r"\s*(?:\s#.*)?"
_FORMS = [
    re.compile(rf"""\s*"((?:[^"\\]|\\.)*)"{_END}"""),
    re.compile(rf"""\s*'([^']*)'{_END}"""),
    re.compile(rf"""(?!\s*["'])\s*?((?:\S.*?)?){_END}"""),
]
"""The forms of values: in double quotes, in single quotes, and without quotes."""


def set_from_file(path: str, environ: MutableMapping[str, str]) -> None:
    """Set the variables in a file that an environment does not have. Raises `UsageError`."""
    for name, value in read_env_file(path).items():
        environ.setdefault(name, value)


def read_env_file(path: str) -> dict[str, str]:
    r"""Return the variables in a file.

    A line is ``NAME=value``, ``NAME="value"`` with ``\"`` and ``\\`` for these two characters, ``NAME='value'``, or
    empty. A comment begins with ``#``, at the start of a line or behind a blank.

    Raises:
        UsageError: the file cannot be read, or a line is none of these; it shows the number of the line alone. Or two
            lines have the same name.
    """
    variables: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(_text_in(path).split("\n"), 1):
        if _NOTHING.fullmatch(line):
            continue
        variable = _VARIABLE.fullmatch(line)
        value = None if variable is None or "\0" in line else _value_of(variable[2])
        if variable is None or value is None:
            raise UsageError(f"--env-file {path}: line {number} is not NAME=value, NAME=\"value\" or NAME='value'")
        name = variable[1]
        if name in lines:
            raise UsageError(f"--env-file {path}: lines {lines[name]} and {number} both set {name}; remove one")
        variables[name], lines[name] = value, number
    return variables


def _value_of(text: str) -> str | None:
    """Return the value in the text behind the name, None if it has none of the forms."""
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            return re.sub(r'\\(["\\])', r"\1", match[1]) if form is _FORMS[0] else match[1]
    return None


def _text_in(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:  # in text mode, every kind of line break is "\n"
            return file.read()
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", error)
        raise UsageError(f"--env-file {encodable(path)}: {reason}") from error
