"""Help for your tests: a component that records, given/when/then for a bus, a clock that jumps, a pytest plugin.

`modd.testing.conformance` has a suite for each port, which every store has to pass. It and `modd.testing.plugin`, which
is opt-in, are what needs pytest here.
"""

from modd.testing.clock import run_virtual, virtual_backend
from modd.testing.recorder import Recorder
from modd.testing.scenario import given

__all__ = ["Recorder", "given", "run_virtual", "virtual_backend"]
