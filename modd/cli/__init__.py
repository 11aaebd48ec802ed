"""The command line: ``python -m modd TOOL``, for the file of a `SqliteStore`.

``queue`` inspects and repairs its queues: the commands ``stats``, ``dead``, ``show`` and ``doctor`` open the file
read-only, beside the processes that use it; ``redrive`` and ``discard`` open the store. ``events`` shows its events,
and only reads. Each command returns a plain value of `modd.cli.reports` or `modd.cli.event_reports`, which is printed
as JSON or, with the extra ``cli``, as text and tables.
"""
