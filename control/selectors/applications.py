"""Applications: sync and health with the cause, filtered and counted for the list.

Health is the worst of what an application holds, so that counting it for a filter means judging all of them: as many
queries however many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any

from django.db.models import Q

from control.models import Pod, Sync
from control.selectors.application_rows import APPLICATIONS, ApplicationRow, Attempted, application_rows
from control.selectors.deployment_facts import DEPLOYMENTS, Facts
from control.selectors.followed import each, followed
from control.selectors.health import application_health, health_of_nothing
from control.selectors.labels import parse_selector
from control.selectors.narrowing import Labels, Narrowed, narrow
from control.selectors.raw import KEPT, parsed
from control.selectors.spans import within
from control.selectors.words import WORST_FIRST, Moment, State, commit, sentence, state_of, subject
from deployer.core.health import Health

_SYNC: dict[str, State] = {
    "Synced": State("Synced", "good"),
    "OutOfSync": State("OutOfSync", "warn"),
    "Unknown": State("Unknown", "idle"),
}
_RANK = {tone: rank for rank, tone in enumerate(WORST_FIRST)}


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """`trouble`: why Git says something else than what is applied, "" when nothing is wrong. `pin`: the banner.

    `turn`: its place among all of them, the worst first.
    """

    name: str
    repository: str
    path: str
    namespace: str
    automatic: bool
    sync: State
    health: State
    cause: str
    commit: str
    subject: str
    trouble: str
    pin: str
    applied: Moment
    turn: tuple[bool, int, int, str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        turn = (not self.trouble, _RANK[self.health.tone], _RANK[self.sync.tone], self.name)
        object.__setattr__(self, "turn", turn)

    def seen(self, now: float) -> ApplicationLine:
        return replace(self, applied=Moment(self.applied.at, now))

    @property
    def searched(self) -> str:
        return f"{self.name} {self.repository} {self.path} {self.namespace} {self.commit} {self.subject}"


FACETS: dict[str, Callable[[ApplicationLine], str]] = {
    "sync": lambda line: line.sync.word,
    "health": lambda line: line.health.word,
    "namespace": lambda line: line.namespace,
    "repository": lambda line: line.repository,
}


def application_list(
    asked: Mapping[str, str], number: int, visible: Collection[str] | None, now: float
) -> Narrowed[ApplicationLine]:
    """One page of those that are asked for. `visible`: the namespaces that the reader may see, None for all.

    "label" is a selector: those are asked for that have a workload whose labels fit. Raises BadSelector.
    """
    names = None if visible is None else within(visible)
    test = parse_selector(asked.get("label", ""))
    rows, deployments = followed.now(APPLICATIONS, DEPLOYMENTS)
    everything = list(each(deployments))
    labels = labels_of_applications(everything)
    by_name = {row.name: labels.get(row.uid, []) for row in each(rows)}
    by_label: Labels[ApplicationLine] = Labels(
        asked.get("label", ""),
        lambda line: any(map(test, by_name[line.name])),
        lambda line: (f"{key}={value}" for those in by_name[line.name] for key, value in those.items()),
    )
    lines = summarised(each(rows), application_health(None, everything=everything), names)
    found = narrow(lines, asked, FACETS, lambda line: line.searched, number, by_label)
    return replace(found, lines=tuple(line.seen(now) for line in found.lines))


def labels_of_applications(everything: Iterable[Facts]) -> dict[str, list[Mapping[str, str]]]:
    """Application uid -> the labels of each of its workloads. One query, for bare pods."""
    found: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for one in everything:
        if not one.leaving:
            found[one.application].append(one.labels)
    bare = Pod.objects.filter(replica_set=None, deleted_at=None, application__isnull=False)
    for application, labels in bare.values_list("application_id", "labels"):
        found[application].append(labels)
    return found


def application_lines(
    now: float, *, health: Mapping[str, Health] | None = None, names: Collection[str] | None = None
) -> list[ApplicationLine]:
    """The worst first. `health`: by uid, where it is at hand; `names`: of these only."""
    if names is None:
        (all_of_them,) = followed.now(APPLICATIONS)
        everything = summarised(each(all_of_them), application_health(None) if health is None else health)
        return [line.seen(now) for line in everything]
    rows = application_rows(Q(name__in=names))
    found = application_health(rows) if health is None else health
    return [line.seen(now) for line in summarised(rows, found)]


def summarised(
    rows: Iterable[ApplicationRow], health: Mapping[str, Health], names: Collection[str] | None = None
) -> list[ApplicationLine]:
    """The worst first, each without how long ago it was applied: `line.seen(now)`. `names`: of these only."""
    shown = [row for row in rows if names is None or row.name in names]
    return sorted((_told(row, health.get(row.uid) or health_of_nothing(row)) for row in shown), key=attrgetter("turn"))


@lru_cache(KEPT)
def _told(row: ApplicationRow, health: Health) -> ApplicationLine:
    last, current = _attempted(row.last), _attempted(row.current)
    running = last is not None and last.phase == Sync.RUNNING
    return ApplicationLine(
        name=row.name,
        repository=row.repository,
        path=row.path,
        namespace=row.namespace,
        automatic=row.automatic,
        sync=State("Syncing", "busy") if running else _SYNC.get(row.sync_status, _SYNC["Unknown"]),
        health=state_of(health),
        cause=sentence(health.message),
        commit=commit(row.commit),
        subject=subject(current.commit_message) if current else "",
        trouble=_trouble(row, last),
        pin=_pin(parsed(row.pin)),
        applied=Moment(row.applied_at, 0),
    )


def _attempted(told: str | None) -> Attempted | None:
    return Attempted(**parsed(told)) if told else None


def _trouble(row: ApplicationRow, last: Attempted | None) -> str:
    """What Git says is not what is applied, because ..."""
    if row.failures:
        tries = "once" if row.failures == 1 else f"{row.failures} times in a row"
        since = f" since {Moment(row.failing_since, 0).iso}" if row.failing_since else ""
        return sentence(f"Git could not be read{since}, {tries}: {row.told}")
    gone_by = last is not None and row.sync_status == "Synced" and last.commit not in ("", row.commit)
    if last is not None and last.phase == Sync.FAILED and not gone_by:  # what failed was reverted since
        return sentence(row.message or last.message)
    return "" if row.sync_status == "Synced" else sentence(row.message)


def _pin(pin: Mapping[str, Any]) -> str:
    if not pin:
        return ""
    skipped = commit(str(pin.get("skipped_commit", "")))
    return sentence(
        f"pinned to {commit(str(pin.get('commit', '')))}, Git is at {skipped}: {pin.get('reason', '')}. "
        "Resume, or push the revert"
    )
