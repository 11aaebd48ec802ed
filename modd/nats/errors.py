"""The errors of a link to NATS servers."""

from __future__ import annotations

from modd.errors import ModdError


class LinkLost(ModdError, ConnectionError):
    """A call over a link got no answer, because the connection was lost or could not be made in time.

    name: the name of the link.
    reason: the cause, as a text.
    sent: False if the call surely did not leave this process, so that it can be made again; True by default.

    The link connects again by itself. A call that was sent may have had its effect: look before you make it again.
    """

    def __init__(self, name: str, reason: str, sent: bool = True) -> None:
        self.name, self.reason, self.sent = name, reason, sent
        super().__init__(f"the link {name!r}: {reason}; {'it may have had its effect' if sent else 'nothing was sent'}")


class NoAnswer(LinkLost, TimeoutError):
    """A request got no answer in time, over a connection that stands.

    name: the name of the link.
    subject: the subject of the request.
    timeout: the seconds that were waited.

    The request may have had its effect: look before you make it again. Give a longer ``timeout`` if answers take long.
    """

    def __init__(self, name: str, subject: str, timeout: float) -> None:
        self.subject, self.timeout = subject, timeout
        super().__init__(name, f"no answer to {subject!r} within {timeout:g} s")


class LinkRefused(ModdError, ConnectionError):
    """The servers refuse the link: it is not authorised, or TLS failed. It does not connect again.

    name: the name of the link.
    reason: the words of the server or of TLS.

    Give the right ``user`` and ``password``, ``token``, ``credentials``, ``nkey`` or ``tls``.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(
            f"the servers refuse the link {name!r}: {reason}; give it the right user and password, token, credentials, "
            "nkey or tls"
        )


class LinkClosed(ModdError, RuntimeError):
    """A link was used before it was opened, or after it was closed.

    name: the name of the link.

    Use it inside of ``async with``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"the link {name!r} is not open; use it inside of `async with`")


class NobodyThere(ModdError, LookupError):
    """A request was sent to a subject that nobody subscribes to.

    subject: the subject.

    Start the service that answers; for ``$JS.API.`` switch JetStream on in the server.
    """

    def __init__(self, subject: str) -> None:
        self.subject = subject
        super().__init__(
            f"nobody subscribes to {subject!r}; start the service that answers (for $JS.API. switch JetStream on in "
            "the server)"
        )


class NotPermitted(ModdError, PermissionError):
    """The user of a link may not publish or subscribe to a subject.

    action: ``"publish"`` or ``"subscription"``.
    subject: the subject.

    Permit it in the configuration of the server.
    """

    def __init__(self, action: str, subject: str) -> None:
        self.action, self.subject = action, subject
        super().__init__(f"the server permits no {action} to {subject!r}; permit it to the user of this link")


class SlowConsumer(ModdError, RuntimeError):
    """A subscription was ended, because more messages waited in it than it may hold; those that waited are lost.

    subject: the subject.
    messages, size: the number of messages that waited, and their bytes.

    Take the messages faster, for instance in several tasks, and subscribe again.
    """

    def __init__(self, subject: str, messages: int, size: int) -> None:
        self.subject, self.messages, self.size = subject, messages, size
        super().__init__(
            f"the subscription to {subject!r} was ended: {messages} messages of {size} bytes waited in it, and they "
            "are lost; take the messages faster, and subscribe again"
        )
