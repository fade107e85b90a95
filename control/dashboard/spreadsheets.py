"""Lists as CSV, sent while they are read: the same rows as the page, all of them.

Spreadsheets take a cell that begins with = + - or @ for a formula and run it; what is in these lists was written by
whoever pushes or signs in. Such a cell gets an apostrophe, which spreadsheets take for "this is text".
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from control.selectors.words import sentence

FORMULA = tuple("=+-@\t\r＝＋－＠")
Row = Sequence[object]


def download(name: str, header: Row, batches: Iterator[list[Any]], row: Callable[[Any], Row]) -> StreamingHttpResponse:
    """`batches` are read one after the other, each when the one before was sent."""
    response = StreamingHttpResponse(_texts(header, batches, row), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def cell(value: object) -> str:
    text = sentence(str(value))
    return f"'{text}" if text.startswith(FORMULA) else text


async def _texts(header: Row, batches: Iterator[list[Any]], row: Callable[[Any], Row]) -> AsyncIterator[bytes]:
    yield _text([header])
    following = sync_to_async(lambda: next(batches, None))
    while (found := await following()) is not None:
        if found:
            yield _text(map(row, found))


def _text(rows: Iterable[Row]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows([[cell(value) for value in row] for row in rows])
    return written.getvalue().encode()
