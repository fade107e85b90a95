"""Image policies: look now, before their time."""

from __future__ import annotations

import time

from django.db import transaction
from django.db.models import Q

from control.models import Deployment
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.workloads import get_deployment
from control.store import image_hints, objects
from deployer.composition import composition


def check(namespace: str, name: str, actor: Actor) -> Deployment:
    """Ask the registries of a workload's policies, as soon as that is decent: seconds after the last look."""
    row = get_deployment(namespace, name)
    with transaction.atomic():
        if not image_hints.ask(Q(deployment=row), composition().work.wake, time.time()):
            title = f"{row.kind.lower()} {namespace}/{name}"
            raise Refused(f"{title} has no image policy; write the annotation pierhead.io/image-policy")
        objects.touch(row.kind, row.namespace, row.name)
        record(actor, "image check", str(row))
    return row
