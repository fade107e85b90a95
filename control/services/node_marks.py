"""A node's labels and taints as people write them, for the command and for the page: `zone=a`, `gpu=yes:NoSchedule`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from django.db import transaction

from control.models import Node
from control.services.audit import Actor
from control.services.refusal import Refused
from control.services.taints import without_time

FIXED = ("kubernetes.io/arch", "kubernetes.io/hostname", "kubernetes.io/os")
"""Labels that say what the host is. The page leaves them alone."""
_TAINT = re.compile(r"(?P<key>[^=:\s]+?)(?:=(?P<value>[^=:\s]*))?(?::(?P<effect>[A-Za-z]+))?(?P<gone>-)?")
_PAIR = re.compile(r"(?P<key>[^=]+?)(?:=(?P<value>.*)|(?P<gone>-))")
Taint = dict[str, str]
"""{key, value, effect}"""


def label_change(text: str) -> tuple[str, str | None]:
    """`k=v` sets, `k-` removes. Refused for anything else."""
    found = _PAIR.fullmatch(text)
    if not found:
        raise Refused(f"{text!r}: write key=value, or key- to remove it")
    return found["key"], None if found["gone"] else found["value"]


def taint_change(text: str) -> Taint | str:
    """`k=v:Effect` and `k:Effect` set; `k:Effect-` and `k-` remove (answered as a text). Refused for anything else."""
    found = _TAINT.fullmatch(text)
    if found and found["gone"]:
        return f"{found['key']}:{found['effect']}" if found["effect"] else found["key"]
    if not found or not found["effect"]:
        raise Refused(f"{text!r}: write key=value:NoSchedule, or key:NoSchedule- to remove it")
    return {"key": found["key"], "value": found["value"] or "", "effect": found["effect"]}


def change(
    name: str, labels: Mapping[str, str], taints: Iterable[Taint], actor: Actor, known: tuple[object, object]
) -> int:
    """Give a node these labels, beside the fixed ones, and these taints, and no others. Returns how many changed.

    `known`: its (labels, taints) when they were looked at; refused when somebody changed them meanwhile. Both are
    written, or neither.
    """
    from control.services import nodes

    wanted = {(one["key"], one["effect"]): one for one in taints}
    with transaction.atomic():
        row = Node.objects.select_for_update().filter(name=name).first()
        if row is None:
            raise Refused(f"node {name} is not registered (any more)")
        if (row.labels, row.taints) != known:
            raise Refused("somebody changed them since you opened this page; nothing was done")
        own = {key: value for key, value in row.labels.items() if key not in FIXED}
        changes: dict[str, str | None] = {key: None for key in own if key not in labels}
        changes |= {key: value for key, value in labels.items() if row.labels.get(key) != value}
        there = {(one["key"], one["effect"]): without_time(one) for one in row.taints}
        fresh = [one for key, one in wanted.items() if there.get(key) != one]
        gone = [f"{key}:{effect}" for key, effect in there if (key, effect) not in wanted]
        if changes:
            nodes.label(name, changes, actor)
        if fresh or gone:
            nodes.taint(name, fresh, gone, actor)
    return len(changes) + len(fresh) + len(gone)
