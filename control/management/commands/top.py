"""`manage.py top nodes|pods [NAME ...]`: what they use, with kubectl's columns."""

from __future__ import annotations

import math
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from control.management.commands.get import selector
from control.management.failure import Command as PierheadCommand
from control.management.output import table
from control.selectors.kinds import find_kinds
from control.selectors.objects import find
from control.selectors.usage import PodPoint, latest_pod_usage, node_usage

UNKNOWN = "<unknown>"
ENDED = ("Succeeded", "Failed")
NODES, PODS = ("nodes", "node", "no"), ("pods", "pod", "po")
Line = tuple[tuple[float, float], list[str]]
"""What lines are sorted by, (CPU, memory), and the cells."""


class Command(PierheadCommand):
    help = "Shows the CPU and memory that pods and nodes use: top pods -n NS, top pods -A, top nodes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", metavar="nodes|pods", choices=(*NODES, *PODS))
        parser.add_argument("name", nargs="*", metavar="NAME")
        parser.add_argument("-n", "--namespace", default="default", help="the namespace (%(default)s)")
        parser.add_argument("-A", "--all-namespaces", action="store_true", help="all namespaces")
        parser.add_argument("-l", "--selector", type=selector, help="labels: app=web,tier!=db,env in (a,b)")
        parser.add_argument("--sort-by", choices=("cpu", "memory"), help="the most first")
        parser.add_argument("--no-headers", action="store_true", help="without the first line")

    def handle(self, **options: Any) -> None:
        namespace = None if options["all_namespaces"] else options["namespace"]
        (kind,) = find_kinds("nodes" if options["kind"] in NODES else "pods")
        rows = find(kind, namespace, options["name"], options["selector"])
        header, lines = _nodes(rows) if kind.name == "Node" else _pods(rows, namespace)
        if not lines:
            self.stderr.write("No resources found" + (f" in namespace {namespace}." if kind.namespaced else "."))
            return
        if options["sort_by"]:
            lines.sort(key=lambda line: line[0][options["sort_by"] == "memory"], reverse=True)
        self.stdout.write(table(header, [cells for _, cells in lines], heading=not options["no_headers"]), ending="")
        if unknown := sum(UNKNOWN in cells for _, cells in lines):
            self.stderr.write(_explained(unknown, len(lines), kind.plural))


def _nodes(rows: Sequence[Any]) -> tuple[list[str], list[Line]]:
    found = node_usage(rows, time.time())
    lines: list[Line] = []
    for row in rows:
        one = found.get(row.uid)
        cpu, memory = _cells(one.point if one else None)
        parts = [f"{one.cpu_percent}%", f"{one.memory_percent}%"] if one else [UNKNOWN] * 2
        lines.append((_weight(one.point if one else None), [row.name, cpu, parts[0], memory, parts[1]]))
    return ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"], lines


def _pods(rows: Sequence[Any], namespace: str | None) -> tuple[list[str], list[Line]]:
    """Without those that have ended."""
    found = latest_pod_usage(namespace, time.time())
    lines: list[Line] = []
    for row in rows:
        one = found.get((row.namespace, row.name))
        if row.phase not in ENDED:
            before = [row.namespace] if namespace is None else []
            lines.append((_weight(one), [*before, row.name, *_cells(one)]))
    return [*(["NAMESPACE"] if namespace is None else []), "NAME", "CPU(cores)", "MEMORY(bytes)"], lines


def _cells(point: PodPoint | None) -> tuple[str, str]:
    """As kubectl rounds them: 0.2 millicores are 1m, whatever is left of a mebibyte is dropped."""
    if point is None:
        return UNKNOWN, UNKNOWN
    return f"{math.ceil(point.cpu_millicores)}m", f"{point.memory_bytes >> 20}Mi"


def _weight(point: PodPoint | None) -> tuple[float, float]:
    return (point.cpu_millicores, point.memory_bytes) if point else (-1.0, -1.0)


def _explained(unknown: int, total: int, plural: str) -> str:
    return (
        f"{unknown} of {total} {plural} have no figures: they come within a minute of a start, as long as the watch "
        "process runs and the host answers."
    )
