"""Long tables, read from the newest backwards: page by page behind a key, and counted no further than makes sense.

A key is the time and the number of the last row that was shown, "1795978680.5:17": rows may come meanwhile and nothing
is shown twice or left out, and no page costs more than the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Count, Q, QuerySet

PAGE, COUNTED, BATCH = 50, 10_000, 500
SINCE = (("", "ever"), ("900", "15 minutes"), ("3600", "1 hour"), ("21600", "6 hours"), ("86400", "1 day"),
         ("604800", "7 days"))  # fmt: skip
"""What may be asked for: seconds as a text, and words."""
Key = tuple[float, int]


def read_key(text: str) -> Key | None:
    """None for what is no key."""
    at, _, number = text.partition(":")
    try:
        found = (float(at), int(number))
    except ValueError:
        return None
    return found if math.isfinite(found[0]) and 0 < found[1] < 1 << 63 else None


def written(key: Key) -> str:
    return f"{key[0]!r}:{key[1]}"


def page_behind(rows: QuerySet[Any], time: str, key: Key | None, size: int = PAGE) -> tuple[list[Any], Key | None]:
    """`rows` are in the order of (-`time`, -pk). The page, and the key of the next one; None: there is none."""
    if key is not None:
        rows = rows.filter(Q(**{f"{time}__lt": key[0]}) | Q(**{time: key[0], "pk__lt": key[1]}))
    found = list(rows[: size + 1])
    if len(found) <= size:
        return found, None
    return found[:size], (getattr(found[size - 1], time), found[size - 1].pk)


def batches(rows: QuerySet[Any], time: str) -> Iterator[list[Any]]:
    """All of them, a query for so many at a time: nothing is held open while they are sent."""
    key: Key | None = None
    while True:
        found, key = page_behind(rows, time, key, BATCH)
        yield found
        if key is None:
            return


def counts(rows: QuerySet[Any], column: str) -> Mapping[str, int]:
    """How often each value is among the newest COUNTED rows. One query."""
    newest = rows.model._default_manager.filter(pk__in=rows.values("pk")[:COUNTED]).order_by()
    return {str(value): count for value, count in newest.values_list(column).annotate(Count("pk"))}


def since_seconds(text: str) -> float:
    """0: ever."""
    return float(text) if text in {value for value, _ in SINCE if value} else 0.0
