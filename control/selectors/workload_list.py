"""All workloads, narrowed by the server: Deployments, Rollouts, and pods that nothing owns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from control.models import Pod
from control.selectors.deployment_facts import DEPLOYMENTS, TURN, Facts
from control.selectors.followed import each, followed
from control.selectors.health import bare_pods
from control.selectors.labels import parse_selector
from control.selectors.narrowing import PAGE, Labels, Narrowed, narrow
from control.selectors.overview_workloads import WorkloadLine, state_of_pod, workload_lines
from control.selectors.words import State


class Entry(NamedTuple):
    """What a line's place and the filters follow from; and of which row: a Deployment's facts, or a bare pod."""

    state: State
    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    facts: Facts | None
    pod: Pod | None

    @property
    def searched(self) -> str:
        return f"{self.namespace}/{self.name} {self.kind}"


FACETS: dict[str, Callable[[Entry], str]] = {
    "state": lambda one: one.state.word,
    "kind": lambda one: one.kind,
    "namespace": lambda one: one.namespace,
}


def workload_list(
    asked: Mapping[str, str], number: int, visible: Collection[str] | None, now: float
) -> Narrowed[WorkloadLine]:
    """One page, rollouts under way first, then the worst. "label" of `asked` is a selector; raises BadSelector.

    Six queries, however many workloads there are.
    """
    test = parse_selector(asked.get("label", ""))
    by_label: Labels[Entry] = Labels(
        asked.get("label", ""),
        lambda one: test(one.labels),
        lambda one: (f"{key}={value}" for key, value in one.labels.items()),
    )
    entries = sorted(_entries(visible), key=lambda one: (TURN[one.state.tone], one.namespace, one.name, one.kind))
    found = narrow(entries, asked, FACETS, lambda one: one.searched, number, by_label)
    deployments = [one.facts for one in found.lines if one.facts]
    pods = [one.pod for one in found.lines if one.pod]
    lines = tuple(workload_lines(deployments, pods, PAGE, now)) if found.lines else ()
    return Narrowed(lines, found.found, found.total, found.number, found.pages, found.facets)


def _entries(visible: Collection[str] | None) -> Iterator[Entry]:
    (deployments,) = followed.now(DEPLOYMENTS)
    for one in each(deployments, visible):
        yield Entry(one.state, one.kind, one.namespace, one.name, one.labels, one, None)
    for pod in bare_pods():
        if visible is None or pod.namespace in visible:
            yield Entry(state_of_pod(pod), pod.kind, pod.namespace, pod.name, pod.labels, None, pod)
