"""Ready-made components; each works with any component, a bus included.

Around a component: `Filter` (some messages only), `Reaction` (changes only), `Remember` (with the latest of other
types), `Outbound` (not its own messages), `Log` (and tell of it), `threaded` (a blocking one). On their own: `Spawn`
(components as they are needed), `Merge` (several types into one), `ListDiff` (what came and went), `QuantityStore`
(how many there are), `ConsoleLog` (show what was logged).
"""

from modd.parts.console import ConsoleLog
from modd.parts.filter import Filter
from modd.parts.list_diff import ListDiff
from modd.parts.log import Level, Log, Logged
from modd.parts.merge import Merge
from modd.parts.outbound import Outbound
from modd.parts.quantity import QuantityStore
from modd.parts.reaction import Reaction
from modd.parts.remember import Remember
from modd.parts.spawn import Spawn
from modd.parts.threaded import threaded

__all__ = [
    "ConsoleLog",
    "Filter",
    "Level",
    "ListDiff",
    "Log",
    "Logged",
    "Merge",
    "Outbound",
    "QuantityStore",
    "Reaction",
    "Remember",
    "Spawn",
    "threaded",
]
