"""Whose images are looked for before their time: because a registry told of a push, or a person asked.

Apart from what is done then, so that the processes that take webhooks in load next to nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection

from django.db.models import Q

from control.models import ImagePolicy
from deployer.core.images.reference import BadReference, parse_reference
from deployer.ports import Wake

LOOP = "images"
HINT_SECONDS = 10.0
"""A registry that announces a push several times is asked once."""


def hint(pushed: Collection[tuple[str, str]], wake: Wake, now: float) -> list[str]:
    """Of (Git repository, registry/repository): somebody says that the image was pushed, to whoever is followed there.
    Returns the workloads that look."""
    names: dict[str, set[str]] = {}
    for repository, whole in pushed:
        names.setdefault(repository, set()).add(whole)
    found: dict[int, str] = {}
    rows = ImagePolicy.objects.filter(deployment__application__repository__in=names) if names else ()
    for row in rows and rows.select_related("deployment__application"):
        with contextlib.suppress(BadReference):
            application = row.deployment.application
            if application and parse_reference(row.image).whole in names[application.repository_id]:
                found[row.pk] = row.deployment_id
    ask(Q(pk__in=found), wake, now)
    return sorted(set(found.values()))


def ask(which: Q, wake: Wake, now: float) -> int:
    """Make these policies due, as soon as their registry may be asked again. How many there are."""
    found = list(ImagePolicy.objects.filter(which).values_list("pk", "deployment_id", "looked_at"))
    for pk, deployment, looked_at in sorted(found):
        ImagePolicy.objects.filter(pk=pk).update(due_at=max(now, looked_at + HINT_SECONDS))
        wake(LOOP, deployment)
    return len(found)
