"""What has been written since: the change log, as the pages' event stream reads it."""

from __future__ import annotations

from dataclasses import dataclass

from control.models import Change, Counter

AT_MOST = 500
"""More changes than this at once are not told apart: everybody looks again."""


@dataclass(frozen=True, slots=True)
class Written:
    """One write. Objects of the cluster (nodes, applications) have no namespace."""

    version: int
    kind: str
    namespace: str
    name: str


def newest() -> int:
    """The version of the last write; 0 before the first."""
    return Counter.objects.filter(pk=1).values_list("value", flat=True).first() or 0


def since(version: int) -> list[Written] | None:
    """In their order; None when they are too many, or when the log does not reach back so far."""
    columns = ("resource_version", "kind", "namespace", "name")
    rows = Change.objects.filter(resource_version__gt=version).order_by("resource_version").values_list(*columns)
    found = [Written(*row) for row in rows[: AT_MOST + 1]]
    if len(found) > AT_MOST or (found and found[0].version != version + 1):
        return None
    return found
