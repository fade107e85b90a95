"""The bytes of a commit -> objects, or errors with file, line, field and what to do.

    file -> documents -> objects of kinds that are served -> fields (Kubernetes' schema, then ours) -> meaning
    all objects -> what is wrong between them (`manifest_set`)

All errors of all files are told, ordered by file, line and field; whoever calls applies nothing while there is one.
What Kubernetes ignores in a manifest (status, read-only metadata) is dropped with a warning. A value that stands in a
Secret never appears in an error or a warning, and nothing that a file holds makes the reader raise.

Knows neither Git nor the database: files come as bytes, the namespaces' allowances as policies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from deployer.core.manifest_checks import configs, objects
from deployer.core.manifest_checks.fields import read_object
from deployer.core.manifest_checks.finding import Finding, Path, field_text, shown
from deployer.core.manifest_checks.marks import marks
from deployer.core.manifest_checks.privileges import Rights
from deployer.core.manifest_objects import Item, admitted, items, stripped
from deployer.core.manifest_set import Conflict, Known, Placed, conflicts
from deployer.core.objects import schema
from deployer.core.objects.kinds import KubernetesObject, Secret
from deployer.core.repository import SourceFile
from deployer.core.yaml_documents import Document, read_documents

ObjectKey = tuple[str, str, str]

MAX_ERRORS_OF_A_FILE = 200


@dataclass(frozen=True, slots=True)
class Manifest:
    """One valid object. `namespace` is "" for a Namespace.

    `spec` is JSON-like data as written, without nulls: the `spec` of a Deployment, Service or Pod; of a ConfigMap
    {data, binaryData, immutable}, of a Secret {data (base64, with stringData), type, immutable}, of a Namespace {}.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Mapping[str, Any] = field(repr=False)
    file: str
    line: int

    @property
    def key(self) -> ObjectKey:
        return (self.kind, self.namespace, self.name)

    @property
    def title(self) -> str:
        return _title(self.kind, self.namespace, self.name)

    @property
    def place(self) -> str:
        """Where it comes from; what a tool rendered has a file and no line."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class ManifestError:
    """An error, or a warning. `object` is "Deployment shop/web", or "" where none is known; a `line` of 0 the file."""

    file: str
    line: int
    field: str
    message: str
    remedy: str
    object: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        where = ": ".join(part for part in (place, self.object, self.field) if part)
        return (f"{where}: " if where else "") + self.message + (f" ({self.remedy})" if self.remedy else "")


@dataclass(frozen=True, slots=True)
class ReadResult:
    """All valid manifests, in the order of files and documents, and all that is wrong with the others."""

    manifests: tuple[Manifest, ...]
    errors: tuple[ManifestError, ...]
    warnings: tuple[ManifestError, ...]


@dataclass(frozen=True, slots=True)
class _FileReading:
    """What one file led to; `placed` goes with `result.manifests`, one by one."""

    result: ReadResult
    placed: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class NamespacePolicy:
    """What an operator allows a namespace: `privileged`, `host-path`, `host-network`, `capabilities`."""

    allowances: frozenset[str] = frozenset()


def read_manifests(
    files: Iterable[SourceFile],
    *,
    default_namespace: str,
    policies: Mapping[str, NamespacePolicy],
    cache: MutableMapping[Any, Any] | None = None,
    known: Known | None = None,
) -> ReadResult:
    """Read every file; never raises for what they hold. `known`: what is on record beside them.

    `cache` keeps what a file led to, by its path and content, the default namespace and the policies; never of one
    that was decrypted. Whoever passes one bounds it; the values in it are immutable but for the manifests' data, which
    nobody may change.
    """
    context = _Context(default_namespace, policies)
    readings = [_cached(one, context, cache) for one in sorted(files, key=lambda one: one.path)]
    results = [reading.result for reading in readings]
    manifests = tuple(manifest for result in results for manifest in result.manifests)
    errors = [error for result in results for error in result.errors]
    warnings = [warning for result in results for warning in result.warnings]
    broken = {error.object for error in errors}
    for one in conflicts((placed for reading in readings for placed in reading.placed), known, broken):
        (warnings if one.is_warning else errors).append(_told(one))
    return ReadResult(manifests, _sorted(errors), _sorted(warnings))


class _Context:
    """What reading depends on besides the files."""

    def __init__(self, default_namespace: str, policies: Mapping[str, NamespacePolicy]) -> None:
        self.default_namespace = default_namespace
        self.policies = policies
        allowed = sorted((name, sorted(policy.allowances)) for name, policy in policies.items() if policy.allowances)
        self.key = hashlib.sha256(repr((default_namespace, allowed)).encode()).hexdigest()

    def rights(self, namespace: str) -> Rights:
        return Rights(namespace, self.policies.get(namespace, NamespacePolicy()).allowances)


def _cached(file: SourceFile, context: _Context, cache: MutableMapping[Any, Any] | None) -> _FileReading:
    if cache is None or file.decrypted:
        return _read_file(file, context)
    key = (hashlib.sha256(file.data).hexdigest(), file.path, context.key)
    found: _FileReading | None = cache.get(key)
    if found is None:
        found = cache[key] = _read_file(file, context)
    return found


def _read_file(file: SourceFile, context: _Context) -> _FileReading:
    manifests: list[Manifest] = []
    placed: list[Placed] = []
    told: list[tuple[ManifestError, bool]] = []
    for document in read_documents(file.data):
        if document.problems:  # what could not be read as text would only lead to wrong conclusions
            wrong = document.problems
            told.extend((ManifestError(file.path, one.line, "", one.message, one.remedy), False) for one in wrong)
            continue
        for item in items(document.data):
            reading = _Reading(file, document, item, context)
            manifest = reading.manifest()
            told.extend((reading.error(one), one.is_warning) for one in reading.findings)
            if manifest is not None:
                manifests.append(manifest)
                placed.append(reading.placed(manifest))
    errors = [one for one, is_warning in told if not is_warning]
    if len(errors) > MAX_ERRORS_OF_A_FILE:
        rest = f"has {len(errors) - MAX_ERRORS_OF_A_FILE} more errors"
        errors[MAX_ERRORS_OF_A_FILE:] = [ManifestError(file.path, 0, "", rest, "mend those first")]
    result = ReadResult(tuple(manifests), tuple(errors), tuple(one for one, is_warning in told if is_warning))
    return _FileReading(result, tuple(placed))


class _Reading:
    """One object on its way from data to a manifest, gathering findings."""

    def __init__(self, file: SourceFile, document: Document, item: Item, context: _Context) -> None:
        self.file, self.document, self.item, self.context = file.path, document, item, context
        self.decrypted = file.decrypted
        self.findings: list[Finding] = list(item.findings)
        self.title = ""
        self.typed: KubernetesObject | None = None

    def manifest(self) -> Manifest | None:
        """The manifest, if nothing is wrong with it."""
        found = admitted(self.item.data)
        self.findings.extend(found.findings)
        if found.kind is None:
            return None
        data = schema.settle_nulls(found.kind, self.item.data) if self.document.has_nulls else self.item.data
        data, dropped = stripped(data)
        self.findings.extend(dropped)
        namespace, name = self.identity(found.kind, data)
        self.title = _title(found.kind, namespace, name)
        typed = self.checked(found.kind, namespace, data)
        if typed is None or any(not one.is_warning for one in self.findings):
            return None
        self.typed = typed
        line = self.document.line_of(self.item.path)
        return _manifest(found.kind, namespace, typed, data, self.file, line)

    def placed(self, manifest: Manifest) -> Placed:
        found = marks(self.typed) if self.typed is not None else ()
        lines = tuple((mark, self.document.line_of((*self.item.path, *mark.path))) for mark in found)
        return Placed(manifest.key, manifest.title, manifest.file, manifest.line, lines)

    def identity(self, kind: str, data: Mapping[str, Any]) -> tuple[str, str]:
        """(namespace, name) as far as they can be read."""
        metadata = data.get("metadata")
        told = metadata if isinstance(metadata, dict) else {}
        namespace = "" if kind == "Namespace" else told.get("namespace") or self.context.default_namespace
        return str(namespace), str(told.get("name") or "")

    def checked(self, kind: str, namespace: str, data: dict[str, Any]) -> KubernetesObject | None:
        """Fields, then meaning; of meaning only what does not follow from a field that is wrong already."""
        read = read_object(kind, data, lambda path: self.document.written((*self.item.path, *path)))
        self.findings.extend(read.findings)
        if read.typed is None:
            return None
        wrong = [finding.path for finding in read.findings]
        for finding in objects.check(read.typed, self.context.rights(namespace)):
            if self.decrypted and finding.message == configs.IN_PLAIN_TEXT:
                continue
            path = read.original(finding.path)
            if not any(_related(path, one) for one in wrong):
                self.findings.append(Finding(path, finding.message, finding.remedy, finding.is_warning))
        return read.typed

    def error(self, finding: Finding) -> ManifestError:
        line = self.document.line_of((*self.item.path, *finding.path))
        return ManifestError(self.file, line, field_text(finding.path), finding.message, finding.remedy, self.title)


def _related(path: Path, other: Path) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def _manifest(
    kind: str, namespace: str, typed: KubernetesObject, data: Mapping[str, Any], file: str, line: int
) -> Manifest:
    return Manifest(
        api_version=typed.api_version, kind=kind, namespace=namespace, name=typed.metadata.name,
        labels=typed.metadata.labels, annotations=typed.metadata.annotations, spec=_spec(kind, typed, data), file=file,
        line=line,
    )  # fmt: skip


def _spec(kind: str, typed: KubernetesObject, data: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(typed, Secret):
        return {"data": configs.folded(typed), "type": typed.type, "immutable": typed.immutable}
    if kind == "ConfigMap":
        return {name: data.get(name, empty) for name, empty in (("data", {}), ("binaryData", {}), ("immutable", False))}
    spec: Mapping[str, Any] = data["spec"] if kind != "Namespace" else {}
    return spec


def _told(found: Conflict) -> ManifestError:
    about = found.about
    return ManifestError(about.file, found.line, field_text(found.path), found.message, found.remedy, about.title)


def _title(kind: str, namespace: str, name: str) -> str:
    whole = "/".join(part for part in (namespace, name) if part) if name else ""
    return shown(f"{kind} {whole}".rstrip())


def _sorted(errors: Iterable[ManifestError]) -> tuple[ManifestError, ...]:
    return tuple(sorted(set(errors), key=lambda one: (one.file, one.line, one.field, one.message)))
