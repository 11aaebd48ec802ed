"""The states of an instance of an aggregate, as the events in a file make them, without their sensitive values."""

from __future__ import annotations

from typing import Any

from modd.aggregate import Aggregate
from modd.aggregate.access import ACCESS_EVENTS
from modd.aggregate.fold import Fold
from modd.cli.content import MASK_TEXT, UnknownMessage, to_plain_data
from modd.cli.event_content import marked_values
from modd.core import Message, error_text, mask_secrets

MOST_SECRETS = 1000
"""Most values of sensitive fields that are looked for in the texts of a state."""


class States:
    """The states of an instance after one event after the other; none after an event that cannot be applied.

    Texts in a state lose the values of sensitive fields in the events before, in whichever field they are.

    aggregate: has the event functions.
    """

    def __init__(self, aggregate: Aggregate[Any]) -> None:
        self._fold: Fold[Any] = Fold(aggregate.name, aggregate.initial, aggregate.event_functions)
        self._state, self._note = aggregate.initial, ""
        self._secrets: dict[Any, None] = {}

    def apply(self, revision: int, event: Message | None) -> None:
        """Go on to the state after an event; None for one that cannot be decoded."""
        if self._note:
            return
        if event is None:
            self._note = f"event {revision} cannot be decoded"
        elif not isinstance(event, ACCESS_EVENTS):
            try:
                self._state = self._fold.apply(self._state, event)
            except Exception as error:  # an event function may raise anything
                self._note = f"event {revision}: {error_text(error, event)}"
        if len(self._secrets) <= MOST_SECRETS:
            self._secrets |= dict.fromkeys(marked_values(event))

    def view(self) -> tuple[Any, str]:
        """Return the state without its sensitive values, and the reason for which there is none."""
        if self._note:
            return None, self._note
        try:
            return to_plain_data(self._state, self._mask), ""
        except RecursionError:
            return None, "it is nested too deeply to be shown"

    def _mask(self, text: str) -> str:
        if len(self._secrets) > MOST_SECRETS:
            return MASK_TEXT
        return mask_secrets(text, UnknownMessage([*self._secrets])) if self._secrets else text
