"""Deployments: the selector, the template, and the numbers of a rollout (Kubernetes: apps/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deployer.core.manifest_checks import names, placement, pods
from deployer.core.manifest_checks.finding import Finding, Path
from deployer.core.manifest_checks.privileges import Rights
from deployer.core.objects.placement import LabelSelector
from deployer.core.objects.rollout import RolloutSpec
from deployer.core.objects.workload import DeploymentSpec, DeploymentStrategy

LONGEST_NAME = 63
MAX_REPLICAS = 10_000
"""Each replica is a row and a few containers: a slip of the keyboard must not fill the database and every host."""
_SPEC: Path = ("spec",)
_TEMPLATE: Path = ("spec", "template")
_STRATEGY: Path = ("spec", "strategy")
_PERCENT = re.compile(r"[0-9]{1,9}%")


def deployment(spec: DeploymentSpec, rights: Rights) -> Iterator[Finding]:
    yield from workload(spec, rights, "Deployment")
    yield from _strategy(spec.strategy)


def workload(spec: DeploymentSpec | RolloutSpec, rights: Rights, kind: str) -> Iterator[Finding]:
    """What holds for a Deployment and for a Rollout."""
    meta = spec.template.metadata
    yield from _selector(spec.selector, meta.labels)
    if spec.replicas > MAX_REPLICAS:
        message = f"must be at most {MAX_REPLICAS}"
        yield Finding((*_SPEC, "replicas"), message, f"write fewer, or spread them over several {kind}s")
    if spec.progress_deadline_seconds <= spec.min_ready_seconds:
        message = f"must be more than minReadySeconds ({spec.min_ready_seconds})"
        yield Finding((*_SPEC, "progressDeadlineSeconds"), message, "no rollout could succeed in time")
    yield from names.check_labels(meta.labels, (*_TEMPLATE, "metadata", "labels"))
    yield from names.check_annotations(meta.annotations, (*_TEMPLATE, "metadata", "annotations"))
    body = (*_TEMPLATE, "spec")
    pod = spec.template.spec
    if pod.restart_policy != "Always":
        message = f"must be Always in a {kind}, not {pod.restart_policy}"
        yield Finding((*body, "restartPolicy"), message, "leave it out, or write a Pod")
    if pod.active_deadline_seconds is not None:
        yield Finding((*body, "activeDeadlineSeconds"), f"is not for {kind}s", "remove it, or write a Pod")
    yield from pods.pod(pod, body, rights)


def _selector(selector: LabelSelector, labels: dict[str, str]) -> Iterator[Finding]:
    path = (*_SPEC, "selector")
    if not selector.match_labels and not selector.match_expressions:
        yield Finding(path, "is empty: it would take in every pod", "write matchLabels with the template's labels")
        return
    yield from placement.label_selector(selector, path)
    missing = [key for key, value in selector.match_labels.items() if labels.get(key) != value]
    if missing:
        wanted = ", ".join(f"{key}={selector.match_labels[key]}" for key in sorted(missing))
        where = "spec.template.metadata.labels"
        yield Finding((*path, "matchLabels", min(missing)), f"{where} do not have {wanted}", f"add it to {where}")
    for index, row in enumerate(selector.match_expressions):
        if not _holds(row.key, row.operator, row.values, labels):
            message = f"spec.template.metadata.labels do not match {row.key} {row.operator}"
            yield Finding((*path, "matchExpressions", index), message, "make the template's labels match the selector")


def _holds(key: str, operator: str, values: tuple[str, ...], labels: dict[str, str]) -> bool:
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "DoesNotExist":
            return key not in labels
        case _:
            return key in labels


def _strategy(strategy: DeploymentStrategy) -> Iterator[Finding]:
    path = (*_STRATEGY, "rollingUpdate")
    rolling = strategy.rolling_update
    if rolling is None:
        return
    if strategy.type == "Recreate":
        yield Finding(path, "is not for type: Recreate", "remove it, or write type: RollingUpdate")
    yield from bounds(rolling.max_surge, rolling.max_unavailable, path)


def bounds(surge: int | str, unavailable: int | str, path: Path) -> Iterator[Finding]:
    """How many pods more and fewer than there should be a rolling update may make."""
    broken = [
        *share(surge, (*path, "maxSurge"), most=None),
        *share(unavailable, (*path, "maxUnavailable"), most=100),
    ]
    yield from broken
    if not broken and _is_zero(surge) and _is_zero(unavailable):
        message = "maxSurge and maxUnavailable are both 0: no pod could ever be replaced"
        yield Finding((*path, "maxUnavailable"), message, "make one of them 1 or more")


def share(value: int | str, path: Path, most: int | None) -> Iterator[Finding]:
    """A count, or a percentage; only a surge may be above 100 %."""
    remedy = 'write a number such as 1, or a percentage such as "25%"'
    if isinstance(value, int):
        if not 0 <= value < 2**31:
            yield Finding(path, "must not be negative" if value < 0 else "is out of range", remedy)
    elif not _PERCENT.fullmatch(value):
        yield Finding(path, "is neither a number nor a percentage", remedy)
    elif most is not None and int(value[:-1]) > most:
        yield Finding(path, f"must be at most {most}%", remedy)


def _is_zero(value: int | str) -> bool:
    return int(str(value).rstrip("%")) == 0
