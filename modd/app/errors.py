"""The errors of the server app."""

from __future__ import annotations

from collections.abc import Sequence

from modd.errors import ModdError


class InvalidSettings(ModdError, ValueError):
    """The environment does not fit a `Settings` class.

    settings: the name of the class.
    errors: a variable and its problem for each setting that is wrong, in the order of the fields.

    The text has one line for each. It shows no value of a `Sensitive` field, and no content of a file.
    """

    def __init__(self, settings: str, errors: Sequence[tuple[str, str]]) -> None:
        self.settings, self.errors = settings, tuple(errors)
        super().__init__("\n".join(f"{variable}: {problem}" for variable, problem in self.errors))
