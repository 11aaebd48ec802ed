"""Remote contexts: intents that a context in a different process handles, over a link to NATS.

Begin reading at `remote`, the side that asks; `serve` is the side that answers.
"""

from modd.remote.errors import NotServed, RemoteError
from modd.remote.remote import Remote
from modd.remote.serve import Serve

__all__ = ["NotServed", "Remote", "RemoteError", "Serve"]
