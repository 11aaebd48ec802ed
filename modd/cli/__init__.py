"""The command line: ``python -m modd queue PATH`` inspects and repairs the queues in the file of a `SqliteStore`.

The commands ``stats``, ``dead``, ``show`` and ``doctor`` open the file read-only, beside the processes that use it;
``redrive`` and ``discard`` open the store. Each command returns a plain value of `modd.cli.reports`, which is printed
as JSON or, with the extra ``cli``, as text and tables.
"""
