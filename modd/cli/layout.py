"""Tables that fit the width of the output, and never break what the user copies from them: ids and names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
from rich.table import Table
from rich.text import Text

from modd.texts import escape_control

NARROWEST = 20
"""The least columns of the terminal into which a text is wrapped, if it is that long."""


GAP = 2
"""The columns of the terminal between two columns of a table."""


class Rows(msgspec.Struct, frozen=True):
    """Rows under a header each; records, one value a line, where the width is too small for them.

    names: the headers. rows: the values. numbers: the indexes of the columns of numbers.
    whole: the indexes of the columns that are never wrapped, because users copy their values.
    """

    names: Sequence[str]
    rows: Sequence[Sequence[Any]]
    numbers: Sequence[int] = ()
    whole: Sequence[int] = (0,)


class Pairs(msgspec.Struct, frozen=True):
    """Names and values, one pair a line; a value of None is left out.

    whole: the names of the values that are never wrapped.
    """

    values: dict[str, Any]
    whole: Sequence[str] = ()


Block = Rows | Pairs | str
"""A part of a report."""


def lay_out(block: Block, width: int) -> Iterator[Table | Text]:
    """Yield a part of a report as tables and texts that fit the width, if they can without a break in a whole value."""
    if isinstance(block, str):
        yield _cell(block)
    elif isinstance(block, Pairs):
        yield _lay_out_pairs(block, width)
    elif not block.rows or _fits(block, width):
        yield _lay_out_rows(block)
    else:
        yield from _lay_out_records(block, width)


def _fits(block: Rows, width: int) -> bool:
    """Return True if no text of a table would have to be wrapped into less than the narrowest column."""
    needed = (len(block.names) - 1) * GAP
    for column, name in enumerate(block.names):
        longest = max(_cell(text).cell_len for text in (name, *(row[column] for row in block.rows)))
        needed += longest if column in block.whole else min(longest, NARROWEST)
    return needed <= width


def _lay_out_rows(block: Rows) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for column, name in enumerate(block.names):
        justify: Literal["right", "left"] = "right" if column in block.numbers else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=column in block.whole)
    for row in block.rows:
        table.add_row(*map(_cell, row))
    return table


def _lay_out_records(block: Rows, width: int) -> Iterator[Table | Text]:
    whole = [block.names[column] for column in block.whole]
    for number, row in enumerate(block.rows):
        if number:
            yield Text()
        yield _lay_out_pairs(Pairs(dict(zip(block.names, row, strict=True)), whole), width)


def _lay_out_pairs(block: Pairs, width: int) -> Table:
    """Return a table that is wider than the output only if a whole value is: then the terminal wraps it."""
    values = {name: _cell(value) for name, value in block.values.items() if value is not None}
    longest = max((values[name].cell_len for name in block.whole if name in values), default=0)
    needed = max(map(len, values)) + GAP + longest
    table = Table.grid(padding=(0, GAP))
    table.width = needed if needed > width else None
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(_cell(name), value)
    return table


def _cell(value: Any) -> Text:
    return Text(escape_control(str(value)))
