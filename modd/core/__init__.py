"""The core: one loop over a queue of messages. Begin reading at `bus`.

`__all__` has the names that other packages of modd may use; each name is explained where it is defined.
"""

from modd.core.annotations import members, resolved
from modd.core.answerer import Answerer, Carrier, answerers_in, message_of
from modd.core.bus import Bus
from modd.core.causation import Caused, Entry, Origin, Question, current_origin, open_origin
from modd.core.component import Accepts, Component, Part, Receiver, accepts_of, check_message, inside, name_of
from modd.core.gate import Gate
from modd.core.message import (
    MASK,
    Failure,
    Intent,
    IntentOf,
    Message,
    Sensitive,
    Value,
    note,
    sensitive_fields,
    wire_name,
)
from modd.core.observer import Delivery, Observer, current_delivery
from modd.core.schema import misfit_of, unknown_fields
from modd.core.turn import Turn, detached, hold, innermost

__all__ = [
    "MASK",
    "Accepts",
    "Answerer",
    "Bus",
    "Carrier",
    "Caused",
    "Component",
    "Delivery",
    "Entry",
    "Failure",
    "Gate",
    "Intent",
    "IntentOf",
    "Message",
    "Observer",
    "Origin",
    "Part",
    "Question",
    "Receiver",
    "Sensitive",
    "Turn",
    "Value",
    "accepts_of",
    "answerers_in",
    "check_message",
    "current_delivery",
    "current_origin",
    "detached",
    "hold",
    "innermost",
    "inside",
    "members",
    "message_of",
    "misfit_of",
    "name_of",
    "note",
    "open_origin",
    "resolved",
    "sensitive_fields",
    "unknown_fields",
    "wire_name",
]
