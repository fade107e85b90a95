"""Deployments as lists need them: what their health follows from, without their templates, in one query.

A page over thousands of workloads reads these and no model: of each row, what is parsed is a few hundred bytes, and
only when they were written (`followed.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform

from control.models import Deployment
from control.models.workloads import scaled
from control.selectors.followed import Table
from control.selectors.raw import parsed, text
from control.selectors.words import WORST_FIRST, State, state_of
from deployer.core.health import Health, deployment_health
from deployer.core.workloads.values import Progress

_COLUMNS = (
    "uid", "workload", "namespace", "name", "application_id", "created_at", "deleted_at", "paused", "generation",
    "live_hash", text("labels"), text("spec__template__metadata__labels"), text("spec__paused"), text("spec__replicas"),
    text("scale"), text("progress"), text("pin"), text("status__conditions"), KeyTextTransform("phase", "canary"),
)  # fmt: skip
TERMINATING = State("Terminating", "idle")
TURN = {tone: (tone != "busy", rank) for rank, tone in enumerate(WORST_FIRST)}
"""Rollouts under way first, then the worst."""


@dataclass(frozen=True, slots=True)
class Facts:
    """`application`: its uid, "" for nobody's and for one that leaves. `labels`: its own and those of its pods.
    `title`: "Deployment shop/web". `state`: its health, or that it leaves; `turn`: its place among all of them,
    rollouts under way first, then the worst.

    `in_force`: hash of the template that should run. `held`: a pin keeps it from being Git's. `canary`: its phase.
    """

    uid: str
    kind: str
    namespace: str
    name: str
    application: str
    created_at: float
    leaving: bool
    labels: Mapping[str, str]
    replicas: int
    pin: Mapping[str, Any]
    in_force: str
    held: bool
    progressed_at: float
    health: Health
    canary: str
    title: str = field(init=False, compare=False)
    state: State = field(init=False, compare=False)
    turn: tuple[tuple[bool, int], str, str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        state = TERMINATING if self.leaving else state_of(self.health)
        object.__setattr__(self, "title", f"{self.kind} {self.namespace}/{self.name}")
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "turn", (TURN[state.tone], self.namespace, self.name))


def in_force(pin: Mapping[str, Any], live_hash: str) -> str:
    """The template hash that should run. A pin whose skipped template Git has left is over already."""
    held = pin and pin.get("skipped_hash") == live_hash
    return str(pin["template_hash"]) if held else live_hash


def judged(
    paused: bool, generation: int, replicas: int, progress: Mapping[str, Any], conditions: Iterable[Mapping[str, Any]],
    pin: Mapping[str, Any], live_hash: str,
) -> Health:  # fmt: skip
    held = (pin.get("automatic") or pin.get("aborted")) and pin.get("skipped_hash") == live_hash
    return deployment_health(
        paused=paused,
        generation=generation,
        desired=replicas,
        progress=Progress(**progress),
        message=next((str(one["message"]) for one in conditions if one["type"] == "Progressing"), ""),
        rolled_back=str(pin.get("reason") or "it was rolled back automatically") if held else "",
    )


def facts(of: Q | None = None) -> Iterator[Facts]:
    rows: Any = Deployment.objects.filter(of) if of is not None else Deployment.objects.all()
    return (_facts(*row) for row in rows.values_list(*_COLUMNS))


DEPLOYMENTS: Table[Facts] = Table(
    lambda of: ((one.namespace, one.name, one) for one in facts(of)), frozenset({"Deployment", "Rollout"})
)


def _facts(
    uid: str, kind: str, namespace: str, name: str, application: str | None, created_at: float,
    deleted_at: float | None, paused: bool, generation: int, live_hash: str, *texts: str | None,
) -> Facts:  # fmt: skip
    """`texts`: JSON, in the order of the columns, and the canary's phase."""
    labels, of_pods, asks_for_pause, asked, scale, progress, pin, conditions = map(parsed, texts[:-1])
    replicas, wanted = scaled(asked, scale), in_force(pin, live_hash)
    health = judged(paused or bool(asks_for_pause), generation, replicas, progress, conditions or (), pin, live_hash)
    return Facts(
        uid=uid,
        kind=kind,
        namespace=namespace,
        name=name,
        application="" if deleted_at is not None or application is None else application,
        created_at=created_at,
        leaving=deleted_at is not None,
        labels={**(of_pods or {}), **labels},
        replicas=0 if deleted_at is not None else replicas,
        pin=pin,
        in_force=wanted,
        held=wanted != live_hash,
        progressed_at=float(progress.get("last_progress_at") or 0),
        health=health,
        canary=texts[-1] or "",
    )
