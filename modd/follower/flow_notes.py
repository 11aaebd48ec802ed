"""The words of the log about an instance of a flow that is set aside."""

from __future__ import annotations

from logging import ERROR, INFO, WARNING, Logger

from modd.core import log_error
from modd.follower.instance_work import FlowRules
from modd.follower.instances import InstanceFailure, Waiting


class FlowNotes:
    """Tells the log of instances that are set aside: the first and last attempt in full, the rest in a line.

    rules: those of the flow. log: gets the words.
    """

    def __init__(self, rules: FlowRules, log: Logger) -> None:
        self._name, self._attempts, self._log = rules.flow.name, rules.retry.attempts, log

    def tell_set_aside(
        self, key: str, failure: InstanceFailure, at: str, now: float, *, error: Exception, message: object
    ) -> None:
        """Tell of an attempt that has failed.

        key: that of the instance. failure: the failure. at: the words for the event or the timeout. now: the time.
        message: the event, whose sensitive content is masked.
        """
        number, retry_at = failure.attempts, failure.retry_at
        after = "it waits for resume" if retry_at is None else f"next try in {retry_at - now:g} s"
        text = "the instance %r of the flow %s is set aside at %s, attempt %d of %d; %s"
        args = key, self._name, at, number, self._attempts, after
        if retry_at is not None and number > 1:
            self._log.log(INFO, f"{text} (%s)", *args, type(error).__name__)
        else:
            level = ERROR if retry_at is None else WARNING
            log_error(self._log, text, *args, error=error, message=message, level=level)


def words_for(waiting: Waiting, kind: str | None) -> str:
    """Return the words for an event, or for a timeout that has come. kind: the type of the event; None if unknown."""
    if waiting.timeout is not None:
        return f"the timeout {waiting.timeout!r}"
    return f"event {waiting.position}" if kind is None else f"{kind}, event {waiting.position}"
