"""What a drain would do, pod by pod, before it is begun: which go at once, and which a budget holds back now."""

from __future__ import annotations

from collections.abc import Iterable

from control.models import Node, Pod, PodDisruptionBudget
from control.models.budgets import budgets
from control.selectors.draining import why_there
from control.selectors.node_questions import Box, Going, NodeQuestion, seen_of, with_pods
from control.selectors.words import State, sentence
from deployer.core.workloads.budgets import Purse
from deployer.core.workloads.eviction import ASKED

ASK_NOBODY = Box(
    "no_budgets", "Do not ask PodDisruptionBudgets, and stop before replacing",
    "Faster, and requests are lost where a workload has no other pod.",
)  # fmt: skip
HELD, STAYS = State("held back for now", "warn"), State("stays", "idle")
_READ = (
    "uid", "namespace", "name", "ready", "phase", "replica_set", "deleted_at", "orphaned", "claimed_owner", "message",
)  # fmt: skip
_OVER = ("Succeeded", "Failed")


def drain_question(name: str) -> NodeQuestion | None:
    row = Node.objects.defer("credentials", "images").filter(name=name).first()
    if row is None:
        return None
    going = list(_going(row))
    question = NodeQuestion(
        node=name,
        title=f"Drain {name}",
        button="Drain",
        seen=seen_of(row),
        facts=tuple(_facts(going)),
        refusal="" if row.ready else _silent(row),
        box=ASK_NOBODY,
    )
    return with_pods(question, going)


def _going(row: Node) -> Iterable[Going]:
    """Those that are not ready first, as the drain takes them: they cost the others nothing."""
    pods = list(Pod.objects.filter(node=row).only(*_READ).order_by("ready", "namespace", "name"))
    rows = PodDisruptionBudget.objects.filter(namespace__in={pod.namespace for pod in pods}, deleted_at=None)
    purse = Purse(budgets(rows.order_by("namespace", "name")))
    return [_one(pod, purse) for pod in pods]


def _one(pod: Pod, purse: Purse) -> Going:
    if pod.deleted_at is not None:
        return Going(pod.namespace, pod.name, State("is being stopped", "idle"))
    if pod.orphaned:
        return Going(pod.namespace, pod.name, STAYS, sentence(why_there(pod)))
    if pod.phase in ASKED and (held := purse.spend(pod.uid, healthy=pod.ready)):
        return Going(pod.namespace, pod.name, HELD, sentence(held))
    if pod.replica_set_id:
        return Going(pod.namespace, pod.name, State("goes when its replacement serves", "good"))
    if pod.phase in _OVER:
        return Going(pod.namespace, pod.name, State("is removed, it has done its work", "idle"))
    return Going(pod.namespace, pod.name, State("is stopped, then made again elsewhere", "warn"))


def _facts(going: list[Going]) -> Iterable[str]:
    yield (
        "No new pods are placed on it, and those that are there move to other nodes. It goes on until it is empty or "
        "uncordoned."
    )
    held = sum(one.state == HELD for one in going)
    staying = sum(one.state == STAYS for one in going)
    if held:
        yield f"PodDisruptionBudgets hold {held} of {len(going)} pods back now; each goes once its budget lets it."
    if staying:
        yield f"{staying} of its pods belong to nobody on record: they stay until Git names them."
    if not going:
        yield "No pod is there: it is only cordoned."


def _silent(row: Node) -> str:
    return sentence(
        f"{row.name} does not answer ({row.reason or 'NeverSeen'}), so nothing on it can be stopped. If the host is "
        "gone, declare it dead: its pods are replaced elsewhere then."
    )
