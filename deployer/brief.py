"""Database connections of threads that live long and mostly wait: more of them than connections in the pool."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.db import close_old_connections, connection

S = TypeVar("S")


class Brief:
    """A store whose every call, outside of a transaction, gives the thread's database connection back at its end."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return briefly(getattr(self._store, name))


def brief(store: S) -> S:
    """For threads that live long and mostly wait: there are more of them than connections in the pool."""
    return cast(S, Brief(store))


def briefly(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def bounded(*arguments: Any, **options: Any) -> Any:
        try:
            return call(*arguments, **options)
        finally:
            if not connection.in_atomic_block:  # Django would close it all the same, and so undo the transaction
                close_old_connections()

    return bounded
