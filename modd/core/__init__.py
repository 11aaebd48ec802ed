"""The core: one loop over a queue of messages. Begin reading at `bus`.

`__all__` has the names that other packages of modd may use; each name is explained where it is defined.
"""

from modd.core.annotations import resolved
from modd.core.answerer import Answerer, Carrier, answerers_in, message_of
from modd.core.bus import Bus
from modd.core.causation import Caused, Entry, Origin, Question, current_origin, open_origin
from modd.core.component import (
    Accepts,
    Component,
    Part,
    Receiver,
    accepts_of,
    check_message,
    inside,
    name_of,
    parameters_of,
    refuse_unbound,
)
from modd.core.field_hints import hints_of_fields, substitute, take_apart
from modd.core.flatten import keep_all, values_of
from modd.core.flow import emitted_in, may_emit_by, may_return, returned_by
from modd.core.gate import Gate
from modd.core.hints import members
from modd.core.identity import identity_of, is_among, unique
from modd.core.masking import (
    error_repr,
    error_text,
    log_error,
    mask_error,
    mask_secrets,
    mask_values,
    show_safely,
    shown,
)
from modd.core.message import (
    Failure,
    Intent,
    IntentOf,
    Message,
    note,
    wire_name,
)
from modd.core.misfits import convert_all, path_steps
from modd.core.naming import placed_name
from modd.core.observer import Delivery, Observer, Place, current_delivery, tell_stored
from modd.core.pydantic_model import pydantic_schema
from modd.core.raw_data import unknown_fields
from modd.core.routing import takes_by_name
from modd.core.schema import misfit_of
from modd.core.sensitive import MASK, Sensitive, Value, fields_in, sensitive_fields
from modd.core.turn import Turn, detached, hold, hold_if_free, innermost, let_go
from modd.core.wiring import Finding, check_names

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
    "Finding",
    "Gate",
    "Intent",
    "IntentOf",
    "Message",
    "Observer",
    "Origin",
    "Part",
    "Place",
    "Question",
    "Receiver",
    "Sensitive",
    "Turn",
    "Value",
    "accepts_of",
    "answerers_in",
    "check_message",
    "check_names",
    "convert_all",
    "current_delivery",
    "current_origin",
    "detached",
    "emitted_in",
    "error_repr",
    "error_text",
    "fields_in",
    "hints_of_fields",
    "hold",
    "hold_if_free",
    "identity_of",
    "innermost",
    "inside",
    "is_among",
    "keep_all",
    "let_go",
    "log_error",
    "mask_error",
    "mask_secrets",
    "mask_values",
    "may_emit_by",
    "may_return",
    "members",
    "message_of",
    "misfit_of",
    "name_of",
    "note",
    "open_origin",
    "parameters_of",
    "path_steps",
    "placed_name",
    "pydantic_schema",
    "refuse_unbound",
    "resolved",
    "returned_by",
    "sensitive_fields",
    "show_safely",
    "shown",
    "substitute",
    "take_apart",
    "takes_by_name",
    "tell_stored",
    "unique",
    "unknown_fields",
    "values_of",
    "wire_name",
]
