"""The errors of calls to contexts in other processes."""

from __future__ import annotations

from modd.errors import ModdError


class NotServed(ModdError, LookupError):
    """No process serves the context.

    name: the name of the context.

    Start a process with ``Serve(link, name, ...)``; nothing was handled, so that the call can be made again.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no process serves {name!r}; start one with Serve(link, {name!r}, ...)")


class RemoteError(ModdError, RuntimeError):
    """A handler in another process has failed; the log of that process has the error under the id.

    name: the name of the context.
    type: the name of the error's type.
    id: the id of the envelope.

    To have errors of your own raised as themselves, list their types in ``errors`` of both `Remote` and `Serve`.
    """

    def __init__(self, name: str, type: str, id: str) -> None:
        self.name, self.type, self.id = name, type, id
        super().__init__(
            f"{name} failed with {type}; its log has the error under the id {id}; list the type in `errors` of Remote "
            "and Serve to have it raised as itself"
        )


class UnreadableReply(ModdError, RuntimeError):
    """The answer is no reply of `Serve`, or its result has another type; the intent may have been handled.

    name: the name of the context.
    intent: the type of the intent.
    reason: the fault of the answer, without its values.

    Deploy the same types on both sides, and let nothing else subscribe to the subjects ``modd.<name>.ask.>``.
    """

    def __init__(self, name: str, intent: type, reason: str) -> None:
        self.name, self.intent, self.reason = name, intent, reason
        super().__init__(
            f"the answer of {name} to {intent.__qualname__} cannot be read: {reason}; it may have been handled. Deploy "
            f"the same types on both sides, and let nothing else subscribe to modd.{name}.ask.>"
        )


class GroupNotEmpty(ModdError, RuntimeError):
    """A group was to leave a topic while its queue has items.

    topic: the name of the topic.
    group: the name of the group.
    left: the number of items.

    Let the workers of the group handle them, or call ``unsubscribe(group, discard=True)``.
    """

    def __init__(self, topic: str, group: str, left: int) -> None:
        self.topic, self.group, self.left = topic, group, left
        super().__init__(
            f"the group {group!r} of the topic {topic!r} has {left} items; let its workers handle them, or call "
            f"unsubscribe({group!r}, discard=True)"
        )
