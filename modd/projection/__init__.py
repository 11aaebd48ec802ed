"""Projections: read models that are made from the events of the log, and made anew while the old one serves.

Read it in this order: `projection` (the options), `tables` and `states` (the two kinds of content), `builds` (the
versions of a projection in a store), `inline` (writing in the commit of the events). `modd.follower` moves them along
the log.
"""

from modd.projection.errors import (
    OutdatedProjection,
    ProjectionNotBuilt,
    TableInUse,
    UndecodableState,
    UnknownTable,
)
from modd.projection.projection import Projection
from modd.projection.reading import StoredStates
from modd.projection.tables import Rows

__all__ = [
    "OutdatedProjection",
    "Projection",
    "ProjectionNotBuilt",
    "Rows",
    "StoredStates",
    "TableInUse",
    "UndecodableState",
    "UnknownTable",
]
