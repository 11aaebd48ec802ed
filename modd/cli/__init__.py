"""The command line: ``python -m modd TOOL``, for the file of a `SqliteStore`, and for a program.

``queue`` inspects and repairs its queues: the commands ``stats``, ``dead``, ``show`` and ``doctor`` open the file
read-only, beside the processes that use it; ``redrive`` and ``discard`` open the store. ``events`` shows its events,
and only reads. ``follow`` shows its flows and projections, read-only, and gets them on again. ``catalog`` describes a
program. Each returns a plain value of `modd.cli.reports`, `modd.cli.event_reports`, `modd.cli.follow_reports` or
`modd.catalog`, which is printed as JSON or as text: tables need the extra ``cli``. ``run`` runs a server app.
"""
