"""Plots of CPU and memory over the last hour: of a workload by revision, of one pod."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from control.selectors.plots import LINES, Plot, minute_of, plot, revision_words, span
from control.selectors.usage import pod_usage, workload_usage
from control.selectors.words import cpus, size

Point = tuple[int, str, float, float]
"""When, of which line, millicores, bytes."""


def workload_plots(namespace: str, deployment: str, now: float) -> Iterable[Plot]:
    """Sums over the pods of each revision, the newest revisions; nothing when nothing was measured."""
    since, until = span(now)
    points = workload_usage(namespace, deployment, since, until)
    newest = sorted({point.revision for point in points})[-LINES:]
    return _plots(since, [
        (point.at, revision_words(point.revision), point.total.cpu_millicores, point.total.memory_bytes)
        for point in points
        if point.revision in newest
    ])  # fmt: skip


def pod_plots(namespace: str, name: str, now: float) -> Iterable[Plot]:
    since, until = span(now)
    return _plots(since, [
        (point.at, name, point.cpu_millicores, point.memory_bytes) for point in pod_usage(namespace, name, since, until)
    ])  # fmt: skip


def _plots(since: int, points: Iterable[Point]) -> Iterable[Plot]:
    """Of several points within a minute, the mean."""
    found: dict[str, dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for at, word, millicores, memory in points:
        minute = minute_of(at, since)
        if minute is not None:
            found[word][minute].append((millicores, memory))
    if not found:
        return
    for index, (key, title) in enumerate((("cpu", "CPU"), ("memory", "Memory"))):
        values = {
            word: {minute: sum(pair[index] for pair in pairs) / len(pairs) for minute, pairs in minutes.items()}
            for word, minutes in sorted(found.items())
        }
        words, floor = (_cpus, 10.0) if key == "cpu" else (_size, float(1 << 20))
        yield plot(key, title, values, words, floor)


def _cpus(millicores: float) -> str:
    return f"{cpus(round(millicores)) or 0} CPUs"


def _size(count: float) -> str:
    return size(int(count))
