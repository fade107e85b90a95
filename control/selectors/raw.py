"""Columns as the database has them, for pages that read thousands of rows.

Most rows are what they were when a page was made last. So what follows from a row alone is worked out from its text,
and kept by that very text (`functools.lru_cache`): one comparison instead of parsing. Nothing can be stale, for a row
that changed has another text, and nothing can be foreign, for it is kept by all that it was made of: who may see it is
asked of the row, each time. What is kept is shared by all who read: it must not be changed.
"""

from __future__ import annotations

import json
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

KEPT = 8192
"""Rows of one sort, per process: beyond, the oldest are worked out anew."""


def text(column: str) -> Cast:
    """A JSON column, or a key in one (`spec__replicas`), as text: None where there is no such key."""
    return Cast(column, TextField())


def parsed(found: str | None) -> Any:
    return None if found is None else json.loads(found)
