"""From AnalysisTemplates and the arguments that a Rollout gives them to an Analysis.

Templates are merged as in Argo: their metrics together, names once; an argument's default is the first that is said.
`{{args.NAME}}` is filled in everywhere below `metrics`. Two kinds of value are not known here: the pods' template
hashes (they are marked, and `filled` puts them in when a run begins) and what stands in a Secret, which never leaves
it: only a header of a provider can take it, and is told which Secret and key to look into.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from deployer.core.canary import expressions, settings
from deployer.core.canary.amounts import BadAmount, duration
from deployer.core.canary.expression_values import ExpressionError
from deployer.core.canary.values import Analysis, Judge, Metric, Prometheus, Provider, Traffic
from deployer.core.objects import analysis as written
from deployer.core.objects.analysis import metric_data
from deployer.core.objects.rollout import AnalysisArg, RolloutAnalysis

STABLE, LATEST = "{{pierhead.stable-hash}}", "{{pierhead.latest-hash}}"
DEFAULT_TIMEOUT_SECONDS = 30.0
MOST_TEMPLATES = 50
LONGEST_MESSAGE = 500
Path = tuple[str | int, ...]
Templates = Mapping[str, Mapping[str, Any] | written.AnalysisTemplateSpec]
FIELDS_REMEDY = "write metadata.name, metadata.namespace, metadata.labels['KEY'] or metadata.annotations['KEY']"
_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_FIELD = re.compile(r"metadata\.(?:(name|namespace)|(labels|annotations)\['([^']+)'\])")
_PATTERN = re.compile(r"\^?(?:[A-Za-z0-9_ ./-]|\.\*){0,253}\$?")
_ANY_HASH = "bcdf234567"
_WHOLE = re.compile(r"-?\d{1,10}")
_TRAFFIC = TypeAdapter(Traffic)
_NOT_THE_JUDGES = ("interval", "initialDelay", "count", "successCondition", "failureCondition", "failureLimit",
              "inconclusiveLimit", "consecutiveErrorLimit", "consecutiveSuccessLimit")  # fmt: skip


class BadAnalysis(ValueError):
    """`path` leads from the analysis (`template` "") or from the spec of the template to what is wrong."""

    def __init__(self, message: str, path: Path = (), template: str = "", remedy: str = "") -> None:
        message = "".join(one if one.isprintable() else "?" for one in message[:LONGEST_MESSAGE])
        super().__init__(message)
        self.message, self.path, self.template, self.remedy = message, path, template, remedy


@dataclass(frozen=True, slots=True)
class About:
    """Whose analysis it is: what a `fieldRef` can ask for."""

    name: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def field(self, path: str) -> str | None:
        """What `metadata.name` or `metadata.labels['region']` is ("" where there is none); None for another path."""
        found = _FIELD.fullmatch(path)
        if found is None:
            return None
        if found[1]:
            return self.name if found[1] == "name" else self.namespace
        return (self.labels if found[2] == "labels" else self.annotations).get(found[3], "")


@dataclass(frozen=True, slots=True)
class _Arguments:
    """`secrets`: argument -> (Secret, key)."""

    values: Mapping[str, str]
    secrets: Mapping[str, tuple[str, str]]


def analysis_of(asked: RolloutAnalysis, templates: Templates, about: About, *, ends: bool = False) -> Analysis:
    """Raises BadAnalysis. `ends`: a step waits for it, so it must end by itself."""
    found = dict(_reached(asked, templates))
    arguments = _arguments(asked, found, about)
    names: set[str] = set()
    judges: list[Judge] = []
    metrics: list[Metric] = []
    for template, spec in found.items():
        for index, one in enumerate(spec.metrics):
            filling = _Filling(template, ("metrics", index), arguments)
            if one.name in names:
                filling.fail(("name",), f"two metrics are called {one.name}", "rename one of them")
            names.add(one.name)
            made = filling.metric(one)
            if isinstance(made, Judge):
                judges.append(made)
                continue
            if ends and not made.count:
                filling.fail(("count",), f"{one.name} would never end, and a step waits for it", "write a count")
            metrics.append(made)
    if len(judges) > 1:
        raise BadAnalysis("more than one of its metrics is the judge", ("templates",), remedy="leave one of them out")
    if not names:
        raise BadAnalysis("has no metrics", ("templates",), remedy="name a template that has some")
    patterns = [(one, template) for template, spec in found.items() for one in spec.dry_run]
    dry = _dry_run([*((one, "") for one in asked.dry_run), *patterns], names)
    metrics = [replace(one, dry_run=True) if one.name in dry else one for one in metrics]
    return Analysis(judges[0] if judges else None, tuple(metrics), tuple(found))


def arguments_in(text: str) -> list[str]:
    """What stands in double braces, such as `args.service`."""
    return [found.strip() for found in _TAG.findall(text)]


def filled(analysis: Analysis, stable_hash: str, latest_hash: str) -> Analysis:
    """With the template hashes of the stable pods and of the canary in place of their marks."""
    return replace(analysis, metrics=tuple(_marked(one, stable_hash, latest_hash) for one in analysis.metrics))


def _marked(metric: Metric, stable_hash: str, latest_hash: str) -> Metric:
    def put(text: str) -> str:
        return text.replace(STABLE, stable_hash).replace(LATEST, latest_hash)

    provider: Provider = metric.provider
    if isinstance(provider, Prometheus):
        headers = tuple((name, put(value)) for name, value in provider.headers)
        prefixes = tuple((name, put(value)) for name, value in provider.secret_prefixes)
        provider = replace(
            provider, address=put(provider.address), query=put(provider.query), headers=headers,
            secret_prefixes=prefixes,
        )  # fmt: skip
    conditions = put(metric.success_condition), put(metric.failure_condition)
    return replace(metric, provider=provider, success_condition=conditions[0], failure_condition=conditions[1])


def _reached(asked: RolloutAnalysis, templates: Templates) -> Iterator[tuple[str, written.AnalysisTemplateSpec]]:
    """The templates that are named, and those that they name in turn, each once."""
    waiting = [(one.template_name, ("templates", n), "") for n, one in enumerate(asked.templates)]
    seen: set[str] = set()
    while waiting:
        name, path, by = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if len(seen) > MOST_TEMPLATES:
            raise BadAnalysis(f"needs more than {MOST_TEMPLATES} templates", ("templates",), remedy="name fewer")
        if name not in templates:
            remedy = "commit it, or name one that is there"
            raise BadAnalysis(f"there is no AnalysisTemplate {name}", (*path, "templateName"), by, remedy)
        try:
            spec = written.AnalysisTemplateSpec.model_validate(templates[name])
        except ValidationError:
            raise BadAnalysis(f"AnalysisTemplate {name} cannot be read", (*path, "templateName"), by) from None
        yield name, spec
        waiting += [(one.template_name, ("templates", n), name) for n, one in enumerate(spec.templates)]


def _arguments(asked: RolloutAnalysis, found: Mapping[str, written.AnalysisTemplateSpec], about: About) -> _Arguments:
    given = {one.name: _given(index, one, about) for index, one in enumerate(asked.args)}
    values: dict[str, str] = {}
    secrets: dict[str, tuple[str, str]] = {}
    defaults: dict[str, str] = {}
    needed: dict[str, tuple[str, int]] = {}
    for template, spec in found.items():
        for index, one in enumerate(spec.args):
            needed.setdefault(one.name, (template, index))
            if one.value is not None:
                if defaults.setdefault(one.name, one.value) != one.value:
                    message = f"the argument {one.name} has another value in another template"
                    raise BadAnalysis(message, ("args", index, "value"), template, "write the same in both")
            elif one.value_from:
                secrets.setdefault(one.name, (one.value_from.secret_key_ref.name, one.value_from.secret_key_ref.key))
    for name, (template, _) in needed.items():
        if name in given:
            values[name] = given[name]
        elif name in defaults:
            values[name] = defaults[name]
        elif name not in secrets:
            message = f"AnalysisTemplate {template} needs the argument {name}"
            raise BadAnalysis(message, ("args",), remedy=f"write - name: {name} and its value")
    return _Arguments(values, {name: place for name, place in secrets.items() if name not in values})


def _given(index: int, one: AnalysisArg, about: About) -> str:
    source = one.value_from
    if source is None:
        return one.value
    if source.pod_template_hash_value:
        return STABLE if source.pod_template_hash_value == "Stable" else LATEST
    if source.field_ref is None:
        return one.value
    found = about.field(source.field_ref.field_path)
    if found is None:
        path: Path = ("args", index, "valueFrom", "fieldRef", "fieldPath")
        raise BadAnalysis("only the Rollout's metadata can be asked for", path, remedy=FIELDS_REMEDY)
    return found


def _dry_run(patterns: list[tuple[written.DryRun, str]], names: set[str]) -> set[str]:
    """The metrics that do not count. As in Argo, a pattern that finds none is an error."""
    found: set[str] = set()
    for one, template in patterns:
        matching = {name for name in names if _matches(one.metric_name, name)}
        if not matching:
            message = f"no metric is called {one.metric_name}"
            remedy = "name one, or a part of its name, or *; of regular expressions only . .* ^ and $ are known"
            raise BadAnalysis(message, ("dryRun",), template, remedy)
        found |= matching
    return found


def _matches(pattern: str, name: str) -> bool:
    """Argo takes any regular expression here. These need no more time than the name is long, whoever wrote them."""
    if pattern == "*":
        return True
    if not _PATTERN.fullmatch(pattern):
        return False
    pieces = pattern.removeprefix("^").removesuffix("$").split(".*")
    pieces = pieces if pattern.startswith("^") else ["", *pieces]
    pieces = pieces if pattern.endswith("$") else [*pieces, ""]
    place = 0
    for index, piece in enumerate(pieces[:-1]):
        found = (re.match if index == 0 else re.search)(_piece(piece), name[place:])
        if found is None:
            return False
        place += found.end()
    rest = name[place:]
    if len(pieces) == 1:
        return re.fullmatch(_piece(pieces[0]), rest) is not None
    return len(rest) >= len(pieces[-1]) and re.search(_piece(pieces[-1]) + r"\Z", rest) is not None


def _piece(text: str) -> str:
    return re.escape(text).replace(r"\.", ".")


@dataclass(frozen=True, slots=True)
class _Filling:
    """One metric of a template, its arguments filled in."""

    template: str
    path: Path
    arguments: _Arguments

    def fail(self, path: Path, message: str, remedy: str = "") -> NoReturn:
        raise BadAnalysis(message, (*self.path, *path), self.template, remedy)

    def metric(self, one: written.Metric) -> Metric | Judge:
        provider = one.provider
        plugin = provider.plugin or written.MetricPlugins()
        kinds = [kind for kind in (provider.prometheus, plugin.traffic, plugin.judge) if kind is not None]
        if len(kinds) != 1:
            self.fail(("provider",), "must be exactly one of prometheus and a plugin of Pierhead's")
        if plugin.judge is not None:
            return self.judge(one, plugin.judge)
        made: Provider = self.traffic(plugin.traffic) if plugin.traffic else self.prometheus(provider.prometheus)
        return self.counted(one, made)

    def judge(self, one: written.Metric, asked: written.JudgeMetric) -> Judge:
        for name in _NOT_THE_JUDGES:
            if name in metric_data(one):
                self.fail((name,), "is not for the judge", "leave it out: it has settings of its own")
        place: Path = ("provider", "plugin", written.JUDGE)
        settings_of = asked.model_dump(by_alias=True, exclude_unset=True)
        settings_of = {
            name: self.text(value, (*place, name)) if isinstance(value, str) else value
            for name, value in settings_of.items()
        }
        for path, wanted in settings.problems(settings_of):
            self.fail((*place, *path), f"must be {wanted}")
        return settings.judge(settings_of)

    def traffic(self, asked: written.TrafficMetric) -> Traffic:
        place: Path = ("provider", "plugin", written.TRAFFIC)
        measure, of = self.text(asked.measure, (*place, "measure")), self.text(asked.of, (*place, "of"))
        try:
            return _TRAFFIC.validate_python({"measure": measure, "of": of})
        except ValidationError as wrong:
            name = str(wrong.errors()[0]["loc"][0])
            words = get_args(get_type_hints(Traffic)[name])
            self.fail((*place, name), f"must be one of {', '.join(words)}")

    def prometheus(self, asked: written.PrometheusMetric | None) -> Prometheus:
        place: Path = ("provider", "prometheus")
        asked = asked or written.PrometheusMetric()
        address, query = self.text(asked.address, (*place, "address")), self.text(asked.query, (*place, "query"))
        if not address.startswith(("http://", "https://")):
            self.fail((*place, "address"), "must begin with http:// or https://")
        if not query.strip():
            self.fail((*place, "query"), "is required")
        headers, secrets, prefixes = [], [], []
        for index, header in enumerate(asked.headers):
            path: Path = (*place, "headers", index, "value")
            found = self.secret_of(header.value)
            if found is None:
                headers.append((header.key, self.text(header.value, path)))
                continue
            prefix, argument = found
            secrets.append((header.key, *self.arguments.secrets[argument]))
            if prefix:
                prefixes.append((header.key, self.text(prefix, path)))
        return Prometheus(
            address=address, query=query, timeout_seconds=float(asked.timeout or DEFAULT_TIMEOUT_SECONDS),
            insecure=asked.insecure, headers=tuple(headers), secret_headers=tuple(secrets),
            secret_prefixes=tuple(prefixes),
        )  # fmt: skip

    def secret_of(self, text: str) -> tuple[str, str] | None:
        """(what stands before it, the argument) of a text that ends in the value of a Secret."""
        tags = list(_TAG.finditer(text))
        if not tags or tags[-1].end() != len(text):
            return None
        name = tags[-1][1].strip().removeprefix("args.")
        return (text[: tags[-1].start()], name) if name in self.arguments.secrets else None

    def counted(self, one: written.Metric, provider: Provider) -> Metric:
        interval = self.seconds(one.interval, "interval")
        count = self.number(one.count, "count", 0, 0)
        if count > 1 and not interval:
            self.fail(("interval",), "is required: count is more than 1")
        made = Metric(
            name=one.name, provider=provider, interval_seconds=interval,
            initial_delay_seconds=self.seconds(one.initial_delay, "initialDelay"),
            count=count if count or interval else 1,
            success_condition=self.condition(one.success_condition, "successCondition"),
            failure_condition=self.condition(one.failure_condition, "failureCondition"),
            failure_limit=self.number(one.failure_limit, "failureLimit", 0, -1),
            inconclusive_limit=self.number(one.inconclusive_limit, "inconclusiveLimit", 0, 0),
            consecutive_error_limit=self.number(one.consecutive_error_limit, "consecutiveErrorLimit", 4, 0),
            consecutive_success_limit=self.number(one.consecutive_success_limit, "consecutiveSuccessLimit", 0, 0),
        )  # fmt: skip
        self.limits(made, count)
        return made

    def limits(self, made: Metric, count: int) -> None:
        """Argo's rules for limits that could never be reached (`utils/analysis`, ValidateMetric)."""
        successes = made.consecutive_success_limit
        if made.failure_limit < 0 and not successes:
            self.fail(("failureLimit",), "is -1 and there is no consecutiveSuccessLimit: it could never fail")
        if count and count < max(made.failure_limit, 0) + successes:
            self.fail(("count",), "must be no less than failureLimit and consecutiveSuccessLimit together")
        if count and count < made.inconclusive_limit:
            self.fail(("count",), "must be no less than inconclusiveLimit")

    def condition(self, text: str, name: str) -> str:
        found = self.text(text, (name,))
        # A hash is put in only when the analysis begins; it is a word of letters and digits.
        asked = found.replace(STABLE, _ANY_HASH).replace(LATEST, _ANY_HASH)
        if asked.strip():
            try:
                expressions.check(asked)
            except ExpressionError as wrong:
                self.fail((name,), f"cannot be read: {wrong}")
        return found

    def seconds(self, text: str, name: str) -> float:
        found = self.text(text, (name,))
        try:
            return duration(found, days=False) if found else 0.0
        except BadAmount as wrong:
            self.fail((name,), f"must be {wrong}")

    def number(self, value: int | str | None, name: str, default: int, least: int) -> int:
        text = self.text(str(value), (name,)) if value is not None else str(default)
        if not _WHOLE.fullmatch(text) or not least <= int(text) < 2**31:
            self.fail((name,), f"must be a whole number of at least {least}")
        return int(text)

    def text(self, text: str, path: Path) -> str:
        def put(tag: re.Match[str]) -> str:
            name = tag[1].strip()
            argument = name.removeprefix("args.")
            if name.startswith("args.") and argument in self.arguments.secrets:
                message = f"the argument {argument} stands in a Secret: only the end of a header can take it"
                self.fail(path, message, "write it out, or use it in a header")
            if not name.startswith("args.") or argument not in self.arguments.values:
                known = ", ".join(sorted(self.arguments.values)) or "none"
                self.fail(path, f"{{{{{name}}}}} is no argument", f"arguments that are there: {known}")
            return self.arguments.values[argument]

        return _TAG.sub(put, text)
