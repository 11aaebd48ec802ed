"""Help for your tests: a component that records, given/when/then for a bus, a clock that jumps, a pytest plugin.

`modd.testing.plugin` is opt-in and the one module here that needs pytest.
"""

from modd.testing.clock import run_virtual, virtual_backend
from modd.testing.recorder import Recorder
from modd.testing.scenario import given

__all__ = ["Recorder", "given", "run_virtual", "virtual_backend"]
