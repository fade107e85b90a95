"""Rows as lists need them, kept in this process, and read again only when they were written.

    change log -> which rows were written since -> one query for those of a table -> what is kept from now on

Pages that count and order thousands of rows would read all of them at every request. What makes keeping them right:

- Every write of what is shown appends to the change log, in its own transaction (`store/objects.py`), and writers
  queue for their versions: whoever has read up to one has missed nothing before it. Rows are read after the log, so
  that they are as new as what it says, or newer, and then they are read once more.
- The newest change that was read is asked for again each time. Where it is not there as it was (the log was cut, the
  database was put back, what was seen never came to be), all is read anew; so it is when very much has changed.
- In a transaction nothing is kept and nothing that is kept is used: what is seen there may never come to be.
- What is handed out is never changed, so that any number of threads may be reading it.

Bounded by the tables: about 350 bytes a pod, 2 kB a Deployment, a Service or an application.
"""

from __future__ import annotations

import gc
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connection
from django.db.models import Q

from control.models import Change

T = TypeVar("T")
Names = Collection[tuple[str, str]]
"""(namespace, name) of what was written."""
AT_MOST = 500
"""Changes; reading all of a table costs less than looking for more rows than that."""


class Written(NamedTuple):
    version: int
    at: float
    kind: str
    namespace: str
    name: str


def by_name(names: Names, path: str = "") -> Q:
    """Rows of these names, or those that `path` ("replica_set__") leads from to them; some more where namespaces share
    names."""
    return Q(
        (f"{path}namespace__in", {namespace for namespace, _ in names}),
        (f"{path}name__in", {name for _, name in names}),
    )


@dataclass(frozen=True, eq=False)
class Table(Generic[T]):
    """`read`: (namespace, name, row) of all that there are, or of these. `own`: the kinds of its rows.

    `besides`: which rows say something else when an object of another kind was written. `named`: rows by their names.
    """

    read: Callable[[Q], Iterable[tuple[str, str, T]]]
    own: frozenset[str]
    besides: Mapping[str, Callable[[Names], Q]] = field(default_factory=dict)
    named: Callable[[Names], Q] = by_name


Rows = Mapping[str, Mapping[str, T]]
"""Namespace -> name -> row. The inner mapping is the same object for as long as nothing in it was written."""


@dataclass(frozen=True)
class _Kept:
    """`mark`: the newest change that it holds, None when the log was empty. `whole`: all of a table was read for it."""

    mark: Written | None
    rows: Mapping[Table[Any], Rows[Any]]
    whole: bool = False


@dataclass
class Followed:
    """What is kept of each table that was asked for, as of one moment."""

    _kept: _Kept | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self, *tables: Table[Any]) -> list[Rows[Any]]:
        """The rows of each. One query when nothing was written; one more for each table in which something was."""
        if connection.in_atomic_block:
            return [_grouped(table.read(Q())) for table in tables]
        return self._looked(tables, aside=True)

    def look(self, *tables: Table[Any]) -> list[Rows[Any]]:
        """As `now`, in whatever transaction: for one who keeps it to himself, and not for long."""
        return self._looked(tables, aside=False)

    def _looked(self, tables: Sequence[Table[Any]], *, aside: bool) -> list[Rows[Any]]:
        with self._lock:
            self._kept = kept = self._followed(tables)
            if aside and kept.whole:
                _set_aside()
        return [kept.rows[table] for table in tables]

    def _followed(self, tables: Iterable[Table[Any]]) -> _Kept:
        kept = self._kept
        written = None if kept is None else _since(kept.mark)
        if kept is None or written is None:
            mark = _newest()
            known = {*tables, *(kept.rows if kept else ())}
            return _Kept(mark, {table: _grouped(table.read(Q())) for table in known}, whole=True)
        rows = {table: _with(table, before, written) for table, before in kept.rows.items()}
        fresh = set(tables) - rows.keys()
        rows |= {table: _grouped(table.read(Q())) for table in fresh}
        return _Kept(written[-1] if written else kept.mark, rows, whole=bool(fresh))


def _set_aside() -> None:
    """What is kept stays: to walk through all of it at every full collection of garbage would hold a page up for longer
    than all the rest."""
    gc.collect()
    gc.freeze()


def _since(mark: Written | None) -> list[Written] | None:
    """What was written after it; None when that cannot be told."""
    first = mark.version if mark else 0
    rows = Change.objects.filter(resource_version__gte=first).order_by("resource_version")
    found = [Written(*row) for row in rows.values_list(*_COLUMNS)[: AT_MOST + 1]]
    if len(found) > AT_MOST or (found[:1] != [mark] if mark else bool(found)):
        return None
    return found[1:]


def _newest() -> Written | None:
    row = Change.objects.order_by("-resource_version").values_list(*_COLUMNS).first()
    return Written(*row) if row else None


_COLUMNS = ("resource_version", "at", "kind", "namespace", "name")


def _with(table: Table[T], before: Rows[T], written: Iterable[Written]) -> Rows[T]:
    own: set[tuple[str, str]] = set()
    others: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in written:
        if one.kind in table.own:
            own.add((one.namespace, one.name))
        elif one.kind in table.besides:
            others[one.kind].add((one.namespace, one.name))
    wanted = [table.named(own)] if own else []
    wanted += [table.besides[kind](names) for kind, names in others.items()]
    return _replaced(before, own, table.read(reduce(or_, wanted))) if wanted else before


def _replaced(before: Rows[T], gone: Iterable[tuple[str, str]], read: Iterable[tuple[str, str, T]]) -> Rows[T]:
    """`gone`: what was written is not there any more unless it was read."""
    rows, fresh = dict(before), _grouped(read)
    lost: dict[str, set[str]] = defaultdict(set)
    for namespace, name in gone:
        lost[namespace].add(name)
    for namespace in {*fresh, *(lost.keys() & rows.keys())}:
        left = {name: row for name, row in rows.get(namespace, {}).items() if name not in lost[namespace]}
        rows[namespace] = {**left, **fresh.get(namespace, {})}
        if not rows[namespace]:
            del rows[namespace]
    return rows


def _grouped(read: Iterable[tuple[str, str, T]]) -> dict[str, dict[str, T]]:
    found: dict[str, dict[str, T]] = defaultdict(dict)
    for namespace, name, row in read:
        found[namespace][name] = row
    return dict(found)


def each(rows: Rows[T], visible: Collection[str] | None = None) -> Iterator[T]:
    """All of them, or those of the namespaces that the reader may see."""
    for namespace, those in rows.items():
        if visible is None or namespace in visible:
            yield from those.values()


def in_order(rows: Rows[T], visible: Collection[str] | None = None) -> list[T]:
    """By namespace and name."""
    wanted = sorted(rows if visible is None else rows.keys() & set(visible))
    return [row for namespace in wanted for _, row in sorted(rows[namespace].items())]


followed = Followed()
"""Of this process."""
