"""A node's labels and taints, as its form shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from control.models import Node


@dataclass(frozen=True, slots=True)
class NodeMarks:
    """As they are on record."""

    node: str
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, str], ...]


def node_marks(name: str) -> NodeMarks | None:
    """None when there is no such node."""
    row = Node.objects.only("name", "labels", "taints").filter(name=name).first()
    return None if row is None else NodeMarks(row.name, row.labels, tuple(row.taints))
