"""Followers: they carry the log of events to flows and projections (`docs/understand/flows-running.md`).

Begin reading at `follower` (the public class), `loop` and `engine` (they move tracks along the log). Then:

- `part_opening` asks a part for its tracks, and `opening_notes` stores why that fails; `projection_track` has those of
  a projection, `build_notes` tells of its builds.
- `track` is the interface of parts that move along the log; `track_run` commits, fenced by its `cursor`; `track_lease`
  saves work in vain, and `lease_notes` tells who has it; `log_reader` reads the pages.
- `flow_track` is a flow as a track: `instance_work` has an instance take events, `instances` stores them, `cause` and
  `command_items` make commands of what functions return.
- `command_worker` handles these, and `flow_outbox` puts rejections into the log.
- `catch_up` waits for all of it; `stuck` and `lag` tell of it.
"""

from modd.follower.errors import NotStuck, PartStopped, UnknownPart
from modd.follower.follower import Follower
from modd.follower.lag import Lag
from modd.follower.stuck import Stuck

__all__ = ["Follower", "Lag", "NotStuck", "PartStopped", "Stuck", "UnknownPart"]
