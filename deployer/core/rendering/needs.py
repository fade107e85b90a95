"""What each way of rendering needs of a commit, and how it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from deployer.core.compose.needs import collecting_compose
from deployer.core.rendering.chart import collecting_chart
from deployer.core.rendering.collecting import Asked, Collected, Found, drive
from deployer.core.rendering.kustomization import collecting_kustomization
from deployer.core.rendering.ways import Way


def collect(way: Way, values: Sequence[str], look: Callable[[Asked], Mapping[str, Found]]) -> Collected:
    """All files that rendering takes, of a way that is not plain. `values`: a chart's files of values."""
    match way.kind:
        case "kustomize":
            return drive(collecting_kustomization(way), look)
        case "compose":
            return drive(collecting_compose(way), look)
        case "helm":
            return drive(collecting_chart(way, values), look)
    return Collected({})
