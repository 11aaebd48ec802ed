"""Ready-made components; each works with any component, a bus included.

Around a component: `Filter` (fewer messages), `Reaction` (changes only; distinctUntilChanged), `Remember` (with the
latest messages of other types; withLatestFrom), `Outbound` (no echo), `Log` (with a log entry for each message),
`threaded` (in a worker thread). On their own: `Spawn` (creates components at run time), `Merge` (one message from the
latest of several types; combineLatest), `ListDiff` (changes of a list), `QuantityStore` (a sum per key), `ConsoleLog`
(prints log entries).
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
