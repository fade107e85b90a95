"""After a restore, nobody knows what was pushed since the backup: no Deployment moves before Git has been asked.

Else pods of a newer commit, which run, would be ended in favour of those that the backup knows. `tree` "" of an
application that has been applied before, and `polled_at` 0 of its repository, are the marks. It is over once the
repository was polled and the sync that follows is done, whatever came of them: a Git server that is away holds nobody.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F

from control.models import Application, Repository, Work
from deployer.ports import Wake

HOLD_SECONDS = 0.5
COLUMNS = {
    "doubted_tree": F("application__tree"), "doubted_commit": F("application__commit"),
    "doubted_polled_at": F("application__repository__polled_at"),
}  # fmt: skip
"""To be read along with a Deployment."""


def doubt(wake: Wake) -> None:
    """Repositories are asked first of all: the safety net would think of them a minute later."""
    Application.objects.update(tree="")
    Repository.objects.update(polled_at=0, head="", told_head="", failures=0, failing_since=0, message="")
    for uid in Repository.objects.order_by("name").values_list("uid", flat=True):
        wake("poll", uid)


def holds(row: Any, now: float) -> bool:
    """Whether this Deployment, read with COLUMNS, is to wait."""
    if row.doubted_tree != "" or not row.doubted_commit:
        return False
    if not row.doubted_polled_at:
        return True
    found = Work.objects.filter(loop="sync", key=row.application_id).values_list("due_at", "leased_until").first()
    return found is not None and (found[0] <= now or found[1] > now)
