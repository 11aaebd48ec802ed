"""Helpers for tests: a recording component, given/when/then for a bus, a virtual clock and a pytest plugin.

`modd.testing.conformance` has a suite for each port, which every implementation has to pass. Only the suites and
`modd.testing.plugin`, which is opt-in, need pytest.
"""

from modd.testing.clock import run_virtual, virtual_backend
from modd.testing.recorder import Recorder
from modd.testing.scenario import given

__all__ = ["Recorder", "given", "run_virtual", "virtual_backend"]
