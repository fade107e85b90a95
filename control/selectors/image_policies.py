"""Image policies, as a line each: what is followed, what is in force, what is the newest, and why that is not it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q

from control.models import ImagePolicy
from control.selectors.words import Moment, State, age, commit, sentence

_UP_TO_DATE, _WAITING, _FAILING = State("Up to date", "good"), State("Waiting", "busy"), State("Failing", "warn")
_NOT_YET = State("Not looked yet", "idle")


@dataclass(frozen=True, slots=True)
class ImageLine:
    """`image`: the one that Git asks for; `pinned`: what is in force instead, "" when that is it. `newest`: the tag
    that the policy came to last. `why`: why nothing newer is in force. `way`: what is done with a newer one."""

    namespace: str
    workload: str
    container: str
    rule: str
    way: str
    every: str
    image: str
    pinned: str
    newest: str
    state: State
    why: str
    looked: Moment
    next: Moment
    updated: Moment
    commit: str


def image_lines(now: float, *, namespace: str = "", workload: str = "") -> Iterator[ImageLine]:
    """In the order of namespaces, workloads and containers; "" is all of them."""
    which = Q(deployment__deleted_at=None)
    which &= Q(deployment__namespace=namespace) if namespace else Q()
    which &= Q(deployment__name=workload) if workload else Q()
    for row in ImagePolicy.objects.filter(which).select_related("deployment"):
        pin = row.deployment.image_pins.get(row.container) or {}
        yield ImageLine(
            namespace=row.deployment.namespace,
            workload=row.deployment.name,
            container=row.container,
            rule=sentence(row.rule),
            way="committed to Git" if row.commits else "pinned by digest",
            every=age(row.every_seconds),
            image=sentence(row.image),
            pinned=sentence(str(pin["image"])) if pin.get("instead_of") == row.image else "",
            newest=row.found,
            state=_state(row),
            why=sentence(row.why),
            looked=Moment(row.looked_at, now),
            next=Moment(row.due_at, now),
            updated=Moment(row.updated_at, now),
            commit=commit(row.commit),
        )


def _state(row: ImagePolicy) -> State:
    if row.failing:
        return _FAILING
    if not row.looked_at:
        return _NOT_YET
    return _WAITING if row.wanted else _UP_TO_DATE
