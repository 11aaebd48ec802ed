"""The mark: the word of a chain function about the command."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from modd.aggregate.errors import REJECTED, MisusedMark
from modd.core import wire_name


class Mark(msgspec.Struct, eq=False):  # a struct, because one is made for each function that a command passes
    """The word of a chain function about the command: ready for the next function, done, or rejected.

    You get it as the third parameter. Mark once, before the function returns::

        def pay(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
            if invoice.state.paid:
                return mark.as_rejected("Invoice is paid already.")
            invoice.publish(Paid(command.invoice_id))
            mark.as_done()

    function: the name of the function. kind: the type of the command. is_last: True for the last function of
    the chain, which is the command itself. is_over: True when the function has returned, so that marks are refused.
    word: the mark that was made; empty until then. passes: True if it lets the command go on. misuse: the first misuse,
    which counts even if the function swallows its error. reason: that of a rejection. result: that of the command.

    Raises:
        MisusedMark: for a second mark, for one that does not go with the place of the function, and after its end.
    """

    function: str
    kind: type
    is_last: bool
    is_over: bool = False
    word: str = ""
    passes: bool = False
    misuse: MisusedMark | None = None
    reason: str = REJECTED
    result: Any = None

    @property
    def command(self) -> str:
        """The name of the command's type on the wire."""
        return wire_name(self.kind)

    def as_ready_for_next(self) -> None:
        """Let the next function of the chain go on."""
        if self.is_last:
            self._refuse("it is the last one: mark.as_done() or mark.as_rejected(...)")
        if self.word or self.is_over:
            self._refuse_word()
        self.word, self.passes = "ready for the next", True

    def as_done(self, result: Any = None) -> None:
        """Accept the command; the result is that of the dispatch."""
        if not self.is_last:
            self._refuse("it is not the last one: mark.as_ready_for_next() or mark.as_rejected(...)")
        if self.word or self.is_over:
            self._refuse_word()
        self.word, self.passes, self.result = "done", True, result

    def as_rejected(self, reason: str | None = None) -> None:
        """Reject the command: nothing is recorded, and no further function runs.

        reason: a text for the sender; "Command rejected." by default.
        """
        if self.word or self.is_over:
            self._refuse_word()
        self.word, self.reason = "rejected", REJECTED if reason is None else reason

    def refuse_end(self) -> NoReturn:
        """Raise `MisusedMark`: the function has made no mark, or misused it before."""
        if self.misuse is not None:
            raise self.misuse
        word = "mark.as_done()" if self.is_last else "mark.as_ready_for_next()"
        self._refuse(f"it returned without a mark: {word} or mark.as_rejected(...)")

    def _refuse_word(self) -> NoReturn:
        if self.is_over:
            self._refuse("it has ended, and so has its mark; mark before it returns")
        self._refuse(f"it has marked it as {self.word} already; mark once, as in `return mark.as_rejected(...)`")

    def _refuse(self, problem: str) -> NoReturn:
        error = MisusedMark(self.function, self.command, problem)
        self.misuse, self.passes = self.misuse or error, False
        raise error
