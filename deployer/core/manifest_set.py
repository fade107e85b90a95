"""What is wrong between the objects of one commit: two that take the same, and one that counts on what is not so.

A Secret of another application is not here, and is looked for when the router is configured; what analyses and Rollouts
name can also be on record (`Known`). Of two that take the same, the later one is told, and the earlier one named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from deployer.core.canary.templates import BadAnalysis, analysis_of
from deployer.core.manifest_checks.finding import Path, field_text, shown
from deployer.core.manifest_checks.marks import (
    AnalysisUse,
    Claim,
    IngressUse,
    Mark,
    PortsOffered,
    PortUse,
    Selects,
    ServiceUse,
    StableUse,
    TemplateOffered,
    TemplateUse,
    TlsDoubt,
    TlsUse,
)
from deployer.core.objects.analysis import AnalysisTemplateSpec

ObjectKey = tuple[str, str, str]
M = TypeVar(
    "M",
    Claim,
    TlsUse,
    TlsDoubt,
    PortUse,
    PortsOffered,
    TemplateOffered,
    TemplateUse,
    AnalysisUse,
    ServiceUse,
    Selects,
    StableUse,
    IngressUse,
)
WORKLOADS = ("Deployment", "Rollout")
"""Two kinds of the same thing: of one name there is one of them."""


@dataclass(frozen=True, slots=True)
class Known:
    """What stays on record beside the commit: AnalysisTemplates' specs by namespace and name, Services, Ingresses."""

    templates: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    services: frozenset[tuple[str, str]] = frozenset()
    ingresses: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Placed:
    """One valid object of a commit: where it stands, and its marks with the line of the field that each is about."""

    key: ObjectKey
    title: str
    file: str
    line: int
    marks: tuple[tuple[Mark, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """`message` about the field at `path` of an object, which is at `line` of its file."""

    about: Placed
    line: int
    path: Path
    message: str
    remedy: str
    is_warning: bool = False


def conflicts(placed: Iterable[Placed], known: Known | None = None, broken: Collection[str] = ()) -> Iterator[Conflict]:
    """In the order of the objects within each kind of conflict.

    `broken`: titles of objects that could not be read. They are there all the same, and nothing is told of what counts
    on them.
    """
    found = list(placed)
    by_key: dict[ObjectKey, Placed] = {}
    for one in found:
        first = by_key.setdefault(one.key, one)
        if first is not one:
            message = f"stands in {first.file}:{first.line} as well"
            yield Conflict(one, one.line, ("metadata", "name"), message, "remove one of the two")
    marked = [one for one in found if one.marks]
    yield from _claims(marked)
    yield from _certificates(marked, by_key)
    yield from _ports(marked, by_key)
    yield from _workloads(found)
    surroundings = _Surroundings(by_key, known or Known(), frozenset(broken), _offered(marked))
    yield from surroundings.services(marked)
    yield from surroundings.ingresses(marked)
    yield from surroundings.analyses(marked)


def _claims(placed: list[Placed]) -> Iterator[Conflict]:
    """An object that stands in two places has been told already: it takes nothing from itself."""
    holders: dict[tuple[str, ...], tuple[Placed, Claim, int]] = {}
    for one, claim, line in _each(placed, Claim):
        holder, first, place = holders.setdefault(claim.thing, (one, claim, line))
        if first is not claim and (holder is one or holder.key != one.key):
            message = f"{claim.text} is taken by {holder.title} ({holder.file}:{place})"
            yield Conflict(one, line, claim.path, message, "change one of them")


def _certificates(placed: list[Placed], by_key: Mapping[ObjectKey, Placed]) -> Iterator[Conflict]:
    """What is wrong with a Secret is told once, with the first Ingress that wants it."""
    users: dict[ObjectKey, Placed] = {}
    for one, use, _ in _each(placed, TlsUse):
        users.setdefault(("Secret", one.key[1], use.secret), one)
    for key, user in users.items():
        secret = by_key.get(key)
        for about, doubt, line in _each([secret] if secret else [], TlsDoubt):
            yield Conflict(about, line, doubt.path, f"{doubt.message}: {user.title} serves with it", doubt.remedy)


def _ports(placed: list[Placed], by_key: Mapping[ObjectKey, Placed]) -> Iterator[Conflict]:
    for one, use, line in _each(placed, PortUse):
        service = by_key.get(("Service", one.key[1], use.service))
        for holder, offered, _ in _each([service] if service else [], PortsOffered):
            if use.port not in offered.ports:
                listed = ", ".join(str(port) for port in offered.ports) or "none"
                message = f"{holder.title} has no port {shown(str(use.port))}"
                yield Conflict(one, line, use.path, message, f"its ports: {listed}")


def _workloads(placed: list[Placed]) -> Iterator[Conflict]:
    there: dict[tuple[str, str], Placed] = {}
    for one in placed:
        kind, namespace, name = one.key
        if kind not in WORKLOADS:
            continue
        first = there.setdefault((namespace, name), one)
        if first.key[0] != kind:
            message = f"is taken by {first.title} ({first.file}:{first.line}): of one name there is one workload"
            yield Conflict(one, one.line, ("metadata", "name"), message, "remove one of the two")


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What an object can count on: the commit, what stays on record, and what is in the commit and broken."""

    by_key: Mapping[ObjectKey, Placed]
    known: Known
    broken: frozenset[str]
    own: Mapping[str, Mapping[str, AnalysisTemplateSpec]]

    def services(self, placed: list[Placed]) -> Iterator[Conflict]:
        for one, use, line in _each(placed, ServiceUse):
            service = self.by_key.get(("Service", one.key[1], use.service))
            if service is None:
                if not self.is_broken("Service", one, use.service) and not self.has_service(one, use.service):
                    message = f"there is no Service {shown(use.service)} yet"
                    yield Conflict(one, line, use.path, message, "commit it, or mend the name", is_warning=True)
                continue
            for _, selects, _ in _each([service], Selects):
                wanted = [f"{key}={value}" for key, value in selects.selector.items() if use.labels.get(key) != value]
                if wanted or not selects.selector:
                    what = ", ".join(sorted(wanted))
                    what = f"{shown(what)}, which this Rollout's pods do not have" if wanted else "no pods"
                    message = f"{service.title} selects {what}"
                    yield Conflict(one, line, use.path, message, "let its selector match the template's labels")

    def ingresses(self, placed: list[Placed]) -> Iterator[Conflict]:
        """Those that lead to a Service of stable pods alone: split when the Rollout names them, and told otherwise."""
        leading: dict[tuple[str, str], list[tuple[Placed, PortUse, int]]] = {}
        for one, use, line in _each(placed, PortUse):
            leading.setdefault((one.key[1], use.service), []).append((one, use, line))
        for one, named, line in _each(placed, IngressUse):
            users = leading.get((one.key[1], named.service), [])
            if not any(user.key[2] == named.ingress for user, _, _ in users):
                yield from self._leads_elsewhere(one, named, line)
        for one, stable, _ in _each(placed, StableUse):
            for user, use, line in leading.get((one.key[1], stable.service), []):
                if user.key[2] not in stable.ingresses:
                    yield Conflict(user, line, use.path[:-1], *_all_stable(one, use.service), is_warning=True)

    def _leads_elsewhere(self, one: Placed, use: IngressUse, line: int) -> Iterator[Conflict]:
        name = use.ingress
        if self.by_key.get(("Ingress", one.key[1], name)) is not None:
            message = f"no rule of Ingress {shown(name)} leads to Service {shown(use.service)}"
            yield Conflict(one, line, use.path, message, "name the Ingress whose requests are to be split")
        elif not self.is_broken("Ingress", one, name) and (one.key[1], name) not in self.known.ingresses:
            message = f"there is no Ingress {shown(name)} yet"
            yield Conflict(one, line, use.path, message, "commit it, or mend the name", is_warning=True)

    def has_service(self, one: Placed, name: str) -> bool:
        return (one.key[1], name) in self.known.services

    def analyses(self, placed: list[Placed]) -> Iterator[Conflict]:
        """A template that is missing is told where it is named; then nothing more is told of the analysis."""
        missing: set[tuple[ObjectKey, str]] = set()
        for one, named, line in _each(placed, TemplateUse):
            if not self.has_template(one, named.template):
                missing.add((one.key, named.template))
                message = f"there is no AnalysisTemplate {shown(named.template)} in namespace {one.key[1]}"
                yield Conflict(one, line, named.path, message, "commit it, or mend the name")
        for one, use, line in _each(placed, AnalysisUse):
            offered = self.offered(one.key[1])
            if any((one.key, asked.template_name) in missing for asked in use.analysis.templates):
                continue
            try:
                analysis_of(use.analysis, offered, use.about, ends=use.ends)
            except BadAnalysis as wrong:
                if not self.is_known_already(one, wrong):
                    yield _told(one, use, line, wrong)

    def has_template(self, one: Placed, name: str) -> bool:
        return name in self.offered(one.key[1]) or self.is_broken("AnalysisTemplate", one, name)

    def offered(self, namespace: str) -> dict[str, Mapping[str, Any] | AnalysisTemplateSpec]:
        return {**self.known.templates.get(namespace, {}), **self.own.get(namespace, {})}

    def is_broken(self, kind: str, one: Placed, name: str) -> bool:
        return f"{kind} {one.key[1]}/{name}" in self.broken

    def is_known_already(self, one: Placed, wrong: BadAnalysis) -> bool:
        """It is about a template that is missing or broken, and that has been told of the template itself."""
        if wrong.path and wrong.path[-1] == "templateName":
            return True
        return self.is_broken("AnalysisTemplate", one, wrong.template)


def _all_stable(rollout: Placed, service: str) -> tuple[str, str]:
    message = f"leads to Service {shown(service)}, to stable pods of {rollout.title} alone: a canary gets nothing of it"
    return message, "name this Ingress in its trafficRouting.nginx.stableIngress, or lead to a Service of all its pods"


def _offered(placed: list[Placed]) -> dict[str, dict[str, AnalysisTemplateSpec]]:
    found: dict[str, dict[str, AnalysisTemplateSpec]] = {}
    for one, offered, _ in _each(placed, TemplateOffered):
        found.setdefault(one.key[1], {})[one.key[2]] = offered.spec
    return found


def _told(one: Placed, use: AnalysisUse, line: int, wrong: BadAnalysis) -> Conflict:
    if not wrong.template:
        return Conflict(one, line, (*use.path, *wrong.path), wrong.message, wrong.remedy)
    message = f"AnalysisTemplate {shown(wrong.template)}, {field_text(('spec', *wrong.path))}: {wrong.message}"
    return Conflict(one, line, (*use.path, "templates"), message, wrong.remedy)


def _each(placed: Iterable[Placed], kind: type[M]) -> Iterator[tuple[Placed, M, int]]:
    return ((one, mark, line) for one in placed for mark, line in one.marks if isinstance(mark, kind))
