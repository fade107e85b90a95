"""What is asked before something is done to a node: what it would do, and why it would be refused.

`seen` is the state that the answer is about. A form that comes back with another one is shown anew, and nothing done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db.models import QuerySet

from control.models import Node, Pod
from control.selectors.kubernetes_nodes import held
from control.selectors.words import State, sentence
from deployer.core.survival.states import CUT_OFF

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Going:
    """A pod that would go, and how: `state` is the short word for it, `why` what it waits for."""

    namespace: str
    name: str
    state: State
    why: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A check box of the form. `needed`: nothing is done without it."""

    name: str
    word: str
    hint: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True)
class NodeQuestion:
    """`facts`: what would happen, in sentences. `refusal`: why it cannot be done now, "" when it can."""

    node: str
    title: str
    button: str
    seen: str
    facts: tuple[str, ...] = ()
    refusal: str = ""
    box: Box | None = None
    pods: tuple[Going, ...] = ()
    more: int = 0


def cordon_question(name: str) -> NodeQuestion | None:
    row = _node(name)
    if row is None:
        return None
    facts = ("No new pods are placed on it. Those that are there stay.",)
    refusal = f"{name} is cordoned already." if row.cordoned else ""
    return NodeQuestion(name, f"Cordon {name}", "Cordon", seen_of(row), facts, refusal)


def uncordon_question(name: str) -> NodeQuestion | None:
    row = _node(name)
    if row is None:
        return None
    ends = ("Its drain ends: what is still there stays.",) if row.draining else ()
    refusal = "" if row.cordoned or row.draining else f"{name} is not cordoned."
    facts = ("New pods may be placed on it again.", *ends)
    return NodeQuestion(name, f"Uncordon {name}", "Uncordon", seen_of(row), facts, refusal)


def dead_question(name: str) -> NodeQuestion | None:
    """Who sees it decides whether it may be declared dead: its pods may be writing to their volumes."""
    row = _node(name)
    if row is None:
        return None
    pods = list(_pods(row).filter(deleted_at=None))
    going = [Going(pod.namespace, pod.name, State("replaced elsewhere", "idle")) for pod in pods]
    facts = (
        f"{len(pods)} {_pods_are(len(pods))} replaced elsewhere, also those that wait for this host.",
        "It holds until the host answers again; what runs there still is stopped then.",
        f"What is known of it: {sentence(held(row)) or 'nothing'}.",
    )
    title = f"Declare {name} dead"
    return with_pods(NodeQuestion(name, title, "Declare it dead", seen_of(row), facts, _not_dead(row)), going)


def remove_question(name: str) -> NodeQuestion | None:
    row = _node(name)
    if row is None:
        return None
    staying = list(_pods(row) if row.ready else _pods(row).filter(deleted_at=None))
    going = [Going(pod.namespace, pod.name, State("forgotten here", "warn")) for pod in staying]
    facts = (
        "It is taken off the record, with its labels, its taints and the keys that open its engine.",
        "Containers on it are left as they are. Its router goes as far as the host can be reached, and the router's "
        "certificate is not accepted any more.",
    )  # fmt: skip
    word = f"Forget {len(staying)} {'pod' if len(staying) == 1 else 'pods'}, and have them run elsewhere"
    hint = "Drain the node first instead: then nothing runs twice, and nothing is lost." if row.ready else ""
    box = Box("force", word, hint, needed=True) if staying else None
    question = NodeQuestion(name, f"Remove {name}", "Remove", digest(seen_of(row), len(staying)), facts, box=box)
    return with_pods(question, going)


def seen_of(row: Node) -> str:
    return digest(row.ready, row.reason, row.cordoned, row.draining)


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _not_dead(row: Node) -> str:
    if row.ready:
        return f"{row.name} answers, so it is not dead. To move its pods away, drain it."
    seeing = sorted(peer for peer, sees in row.witnesses.items() if sees)
    if row.reason == CUT_OFF and seeing:
        return sentence(
            f"{row.name} is not dead: {', '.join(seeing)} {'sees' if len(seeing) == 1 else 'see'} it, so its pods run "
            "on. Switch the host off first, or repair the way from here to it."
        )
    return ""


def with_pods(question: NodeQuestion, going: Iterable[Going]) -> NodeQuestion:
    """Cut."""
    those = list(going)
    return replace(question, pods=tuple(those[:SHOWN]), more=max(len(those) - SHOWN, 0))


def _pods_are(count: int) -> str:
    return "pod is" if count == 1 else "pods are"


def _node(name: str) -> Node | None:
    return Node.objects.defer("credentials", "images").filter(name=name).first()


def _pods(row: Node) -> QuerySet[Pod]:
    return Pod.objects.filter(node=row).only("uid", "namespace", "name").order_by("namespace", "name")
