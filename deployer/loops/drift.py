"""drift: which applications' objects were written live since the last look; those compare them in their own sync.

    the change log since then -> what was written, and is not what its commit says -> wake whose it is

A look costs what was written since the last one, not what there is: with nothing written, the read of two rows.
"""

from __future__ import annotations

from typing import Any, Protocol

from deployer.core.drift import orphaned, suspects
from deployer.ports import Work


class DriftStore(Protocol):
    def news(self) -> Any: ...
    def touched(self, found: Any) -> Any: ...
    def holders(self, keys: Any) -> Any: ...
    def drifted(self, uids: Any) -> Any: ...
    def looked(self, found: Any, suspects: Any, wake: Any) -> None: ...


def run(work: Work, store: DriftStore) -> int:
    """Returns how many applications are to compare."""
    found = store.news()
    if found is None:
        return 0
    touched = store.touched(found)
    holders = store.holders(orphaned(touched, found.deleted))
    drifted = store.drifted({one.application for one in touched} | set(holders))
    woken = suspects(touched, holders, drifted)
    store.looked(found, woken, work.wake)
    return len(woken)
