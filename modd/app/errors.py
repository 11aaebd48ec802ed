"""The errors of the server app."""

from __future__ import annotations

from collections.abc import Sequence

from modd.errors import ErrorGroup, ModdError


class AppFailed(ErrorGroup):
    """Parts of an app raised errors; all parts have ended.

    message: the first words of the text.
    errors: the errors, each with a note that names the part; the attribute ``exceptions`` has them.
    parts: the labels of the parts, in the order of the errors; none by default.

    Catch single types with ``except*``.
    """

    parts: tuple[str, ...]

    def __new__(cls, message: str, errors: Sequence[Exception], parts: Sequence[str] = ()) -> AppFailed:
        """Create the group with its attributes, as exception groups require."""
        self = super().__new__(cls, message, errors)
        self.parts = tuple(parts)
        return self

    def __init__(self, message: str, errors: Sequence[Exception], parts: Sequence[str] = ()) -> None:
        super().__init__(message, errors)

    def derive(self, excs: Sequence[Exception]) -> AppFailed:  # type: ignore[override]  # typeshed: any subclass
        """Return the same group with other errors; ``parts`` has the labels of those."""
        labels = dict(zip(map(id, self.exceptions), self.parts, strict=False))
        derived = AppFailed(self.message, excs, [labels[id(each)] for each in excs if id(each) in labels])
        derived.mask = self.mask
        return derived


class InvalidSettings(ModdError, ValueError):
    """The environment does not fit a `Settings` class.

    settings: the name of the class.
    errors: a variable and its problem for each setting that is wrong, in the order of the fields.

    The text has one line for each. It shows no value of a `Sensitive` field, and no content of a file.
    """

    def __init__(self, settings: str, errors: Sequence[tuple[str, str]]) -> None:
        self.settings, self.errors = settings, tuple(errors)
        super().__init__("\n".join(f"{variable}: {problem}" for variable, problem in self.errors))
