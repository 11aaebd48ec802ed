"""Helpers for tests: a recording component, given/when/then for a bus, a virtual clock and a pytest plugin.

`modd.testing.conformance` has a suite for each port, which every implementation has to pass. Only the suites and
`modd.testing.plugin`, which is opt-in, need pytest; `aggregate_machine` needs ``modd[hypothesis]``.
"""

from typing import TYPE_CHECKING, Any  # noqa: TID251  # a name that is imported when it is used has its type, too

from modd.extras import import_lazily
from modd.testing.clock import run_virtual, virtual_backend
from modd.testing.recorder import Recorder
from modd.testing.scenario import given

if TYPE_CHECKING:
    from modd.testing.state_machine import aggregate_machine as aggregate_machine

_LAZY = {"aggregate_machine": ("modd.testing.state_machine", "hypothesis")}
"""The module and the extra of each name that needs an extra."""


__all__ = ["Recorder", "given", "run_virtual", "virtual_backend"]


def __getattr__(name: str) -> Any:
    return import_lazily(__name__, name, _LAZY)
