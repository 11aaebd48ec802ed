"""The core: one loop over a queue of messages. Begin reading at `bus`.

`__all__` has all that other packages of modd may use; each name is explained where it is defined.
"""

from modd.core.annotations import members, resolved
from modd.core.asking import Answering, Asking
from modd.core.bus import Bus
from modd.core.causation import Caused, Origin, Question, current_origin, open_origin
from modd.core.component import Accepts, Component, Part, Receiver, accepts_of, inside, name_of
from modd.core.delivery import deliver, settle
from modd.core.gate import hold
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
from modd.core.options import check_message
from modd.core.routing import Wiring
from modd.core.schema import misfit_of, unknown_fields
from modd.core.turn import Gate, Turn, detached, innermost, open_turns, result_of

__all__ = [
    "MASK",
    "Accepts",
    "Answering",
    "Asking",
    "Bus",
    "Caused",
    "Component",
    "Delivery",
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
    "Wiring",
    "accepts_of",
    "check_message",
    "current_delivery",
    "current_origin",
    "deliver",
    "detached",
    "hold",
    "innermost",
    "inside",
    "members",
    "misfit_of",
    "name_of",
    "note",
    "open_origin",
    "open_turns",
    "resolved",
    "result_of",
    "sensitive_fields",
    "settle",
    "unknown_fields",
    "wire_name",
]
