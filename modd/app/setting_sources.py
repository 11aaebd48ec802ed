"""The sources of settings: a variable, or the file that a variable names; and variables that look misspelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from modd.app.setting_fields import FILE, SettingField
from modd.texts import show

MOST_BYTES = 64 * 1024
"""The most bytes of a file with a value."""

MOST_DIFFERENT = 2
"""The most letters by which a misspelled name differs."""


class Source(NamedTuple):
    """A value that was found. variable: its variable. is_file: True if the value is the content of a file."""

    variable: str
    text: str
    is_file: bool


class SettingProblem(Exception):
    """A setting cannot be read. variable: the variable with the wrong value. text: the end of a sentence about it."""

    def __init__(self, variable: str, text: str) -> None:
        self.variable, self.text = variable, text
        super().__init__(text)


def find_source(field: SettingField, environ: Mapping[str, str]) -> Source | None:
    """Return the source of a setting, None if no variable has it. Raises `SettingProblem`."""
    set_ = [name for name in variables_for(field) if name in environ]
    if len(set_) > 1:
        raise SettingProblem(set_[0], f"is set, and {set_[1]} too: set one of them")
    if not set_:
        return None
    name = set_[0]
    if name == field.variable:
        return Source(name, environ[name], is_file=False)
    return Source(name, _content(name, environ[name]), is_file=True)


def variables_for(field: SettingField) -> list[str]:
    """Return the variables from which a field can be set."""
    return [field.variable, f"{field.variable}{FILE}"] if field.has_file else [field.variable]


def misspelled(prefix: str, fields: Sequence[SettingField], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each unknown variable with the prefix, and the variable that it resembles, of a field that is not set.

    Without a prefix there are none, because each variable of the system would count.
    """
    known = {name for field in fields for name in variables_for(field)}
    unset = [
        name for field in fields if environ.keys().isdisjoint(variables_for(field)) for name in variables_for(field)
    ]
    for variable in environ if prefix else ():
        if variable.startswith(prefix) and variable not in known:
            ranked = [(_difference(variable, name), name) for name in unset]
            near = [(count, name) for count, name in ranked if count <= _tolerance(name, prefix)]
            if near:
                yield variable, min(near, key=itemgetter(0))[1]


def _tolerance(name: str, prefix: str) -> int:
    """Return the most letters by which a misspelled name differs: one letter is left."""
    return min(MOST_DIFFERENT, len(name) - len(prefix) - 1)


def _difference(first: str, second: str) -> int:
    """Return the number of letters to add, remove, replace, or swap with the next one, up to one more than counts."""
    if abs(len(first) - len(second)) > MOST_DIFFERENT:
        return MOST_DIFFERENT + 1
    above: list[int] = []
    row: list[int] = [*range(len(second) + 1)]
    for at, letter in enumerate(first, 1):
        older, above, row = above, row, [at]
        for to, other in enumerate(second, 1):
            row.append(min(above[to] + 1, row[-1] + 1, above[to - 1] + (letter != other)))
            if at > 1 and to > 1 and first[at - 2 : at] == second[to - 2 : to][::-1]:
                row[to] = min(row[to], older[to - 2] + 1)
    return row[-1]


def _content(variable: str, path: str) -> str:
    """Return the text in a file without a line break at its end. Raises `SettingProblem`."""
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except IsADirectoryError:
        raise SettingProblem(variable, f"{show(path)} is a folder") from None
    except FileNotFoundError:
        raise SettingProblem(variable, f"there is no file {show(path)}") from None
    except (OSError, ValueError) as error:  # a ValueError for a path that no file can have
        raise SettingProblem(variable, f"{show(path)} cannot be read ({type(error).__name__})") from None
    if len(content) > MOST_BYTES:
        raise SettingProblem(variable, f"{show(path)} is over 64 KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise SettingProblem(variable, f"{show(path)} is not UTF-8") from None
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
