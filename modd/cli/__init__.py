"""The command line: ``python -m modd queue PATH`` looks after the queues in the file of a `SqliteStore`.

What only looks opens the file for reading and takes no part in who has it; `redrive` and `discard` open the store. The
functions that do the work return plain values of `modd.cli.reports`, which are printed as JSON, or for people with the
extra ``cli``.
"""
