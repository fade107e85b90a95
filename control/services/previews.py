"""What applying a commit would change, shown before anybody presses the button: of a sync, of a rollback.

Reads Git's mirror and the database, writes neither. A commit that the mirror does not hold is fetched first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from control.models import Application, Sync
from control.selectors.kinds import BY_NAME
from control.selectors.manifests import stored_body, wanted_body
from control.selectors.words import plain, sentence, subject
from control.services.refusal import Refused
from control.services.repositories import get_application, state
from control.store.repositories import access, age_identities
from control.store.sync import known, policies, stored
from deployer.composition import composition
from deployer.core.difference import Change, difference, render_difference
from deployer.core.manifests import Manifest, ReadResult
from deployer.core.rendering.ways import WORDS
from deployer.core.source import CommitInfo
from deployer.core.sync import ObjectKey, SyncPlan, decide
from deployer.loops.rendering import read_tree
from deployer.ports import SourceError

SHOWN = 200
"""Objects whose difference is shown; the rest is counted."""


@dataclass(frozen=True, slots=True)
class ObjectPreview:
    """`op`: create, change, prune or keep. `lines` are (sign, text): what differs, a Secret's values masked."""

    op: str
    kind: str
    namespace: str
    name: str
    place: str
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """`state`: what it was compared with. `refusal`: why nothing would be applied.

    `images`: (workload, before, after) where they differ. `way`: what made the manifests, "" for plain files.
    """

    application: str
    state: str
    commit: CommitInfo
    subject: str
    author: str
    objects: tuple[ObjectPreview, ...]
    images: tuple[tuple[str, str, str], ...]
    unchanged: int
    more: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    refusal: str
    pruned: int
    way: str = ""

    @property
    def is_possible(self) -> bool:
        return not self.refusal and not self.errors

    @property
    def is_empty(self) -> bool:
        return not self.objects


def preview(name: str, sha: str = "") -> Preview:
    """`sha`: a whole commit id; "" for what a sync would apply: what a pin holds, or else what Git is at.

    Refused when Git cannot be read.
    """
    row = get_application(name)
    here, repository = composition(), access(row.repository)
    try:
        wanted = sha or str(row.pin.get("commit", "")) or row.repository.head or here.source.head(repository)
        info = here.source.fetch(repository, wanted)
        tree = here.source.files(repository, wanted, row.path, row.values)
        unsigned = here.source.signature_refusal(repository, wanted) if _is_new(row, wanted) else ""
        read, kept = read_tree(
            here.renderer, tree, lambda: age_identities(row.repository_id), path=row.path, application=row.name,
            namespace=row.namespace, values=row.values, policies=policies(), known=known(row.uid, prunes=row.prune),
        )  # fmt: skip
    except SourceError as error:
        raise Refused(f"application {name}: {error.sentence}") from error
    found = _preview(row, info, read, kept.way)
    return replace(found, refusal=sentence(unsigned)) if unsigned else found


def _is_new(row: Application, sha: str) -> bool:
    """What was applied before was judged then."""
    return not row.syncs.filter(phase=Sync.SUCCEEDED, commit=sha).exists()


def _preview(row: Application, info: CommitInfo, read: ReadResult, way: str) -> Preview:
    plan = SyncPlan()
    if not read.errors:
        observed = stored(row.uid, read.manifests)
        plan = decide(read.manifests, observed, application=row.name, prune=row.prune, confirmed=False)
    objects, images = _objects(plan)
    return Preview(
        application=row.name,
        state=state(row),
        commit=info,
        subject=subject(info.message),
        author=sentence(info.author),
        objects=tuple(objects[:SHOWN]),
        images=tuple(images),
        unchanged=len(plan.unchanged),
        more=max(len(objects) - SHOWN, 0),
        errors=tuple(sentence(str(one)) for one in read.errors[:SHOWN]),
        warnings=tuple(sentence(str(one)) for one in read.warnings[:SHOWN]),
        refusal=sentence(plan.refusal),
        pruned=len(plan.prune),
        way="" if way == "plain" else WORDS.get(way, way),
    )


def _objects(plan: SyncPlan) -> tuple[list[ObjectPreview], list[tuple[str, str, str]]]:
    """What differs, and which images do."""
    objects: list[ObjectPreview] = []
    images: list[tuple[str, str, str]] = []
    for op, manifests in (("create", plan.create), ("change", plan.update)):
        for one in manifests:
            changes = _changes(one) if op == "change" else []
            objects.append(_object(op, one, changes))
            images += _images(one, changes)
    for op, keys in (("prune", plan.prune), ("keep", plan.kept)):
        objects += [ObjectPreview(op, *key, _place(key)) for key in keys]
    return objects, images


def _object(op: str, one: Manifest, changes: Iterable[Change]) -> ObjectPreview:
    text = render_difference(changes, mask=one.kind == "Secret")
    lines = tuple((line[:1], plain(line[2:])) for line in text.splitlines())
    return ObjectPreview(op, one.kind, one.namespace, one.name, one.place, lines)


def _changes(one: Manifest) -> list[Change]:
    row = BY_NAME[one.kind].model._default_manager.filter(namespace=one.namespace, name=one.name).first()
    return difference(stored_body(row) if row is not None else {}, wanted_body(one))


def _images(one: Manifest, changes: Iterable[Change]) -> Iterable[tuple[str, str, str]]:
    for change in changes:
        if change.path and change.path[-1] == "image":
            yield (f"{one.namespace}/{one.name}", plain(str(change.before or "")), plain(str(change.after or "")))


def _place(key: ObjectKey) -> str:
    """The file that an object on record came from."""
    kind, namespace, name = key
    found: Mapping[str, Any] | None = (
        BY_NAME[kind].model._default_manager.filter(namespace=namespace, name=name).values("source_file").first()
    )
    return str(found["source_file"]) if found else ""
