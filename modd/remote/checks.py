"""Checks of options that both sides share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modd.checks import checked_list
from modd.errors import InvalidOption
from modd.nats import Link
from modd.nats.sending import checked_token
from modd.remote.reply import REFUSALS


def checked_link(link: Any) -> Link:
    """Return a link. Raises `InvalidOption`."""
    if not isinstance(link, Link):
        raise InvalidOption("link", link, "give a modd.nats.Link")
    return link


def checked_context_name(name: Any) -> str:
    """Return the name of a context, which is a part of subjects. Raises `InvalidOption`."""
    return checked_token("name", name, '"billing"')


def checked_errors(errors: Iterable[type[Exception]]) -> tuple[type[Exception], ...]:
    """Return types of errors, each with a name of its own, by which it crosses. Raises `InvalidOption`."""
    kinds = checked_list("errors", errors)
    names = {kind.__name__ for kind in REFUSALS}
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise InvalidOption("errors", kind, "give types of errors")
        if kind.__name__ in names:
            raise InvalidOption("errors", kind, "give types whose names differ; errors cross by the name of their type")
        names.add(kind.__name__)
    return tuple(kinds)
