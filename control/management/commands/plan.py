"""`manage.py plan PATH`: what a sync of these manifests would change. It writes nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError

from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure
from control.management.manifest_files import read_path
from control.management.output import indented
from control.models import Application
from control.selectors.kinds import BY_NAME
from control.selectors.manifests import stored_body, wanted_body
from control.selectors.objects import get
from control.selectors.rendered import yaml_of
from deployer.core.compose.mounts import object_name
from deployer.core.difference import difference, render_difference
from deployer.core.manifest_set import Known
from deployer.core.manifests import Manifest, ManifestError, NamespacePolicy, ReadResult
from deployer.core.rendering.kept import Kept
from deployer.core.rendering.ways import WORDS
from deployer.core.sync import SyncPlan, decide, title

NOBODY = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What the manifests are compared with: an application's objects, or nothing."""

    application: Application | None
    namespace: str


class Command(PierheadCommand):
    help = "Shows what a sync of local manifests would create, change and prune, without changing anything."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, metavar="PATH", help="a folder or a file with manifests")
        parser.add_argument("--application", metavar="NAME", help="compare with what this application has applied")
        parser.add_argument("-n", "--namespace", help="for objects that name none; default: the application's")
        parser.add_argument(
            "--values", action="append", metavar="FILE", help="of a chart, from the repository's root; may be repeated"
        )
        parser.add_argument("--show", action="store_true", help="also print the manifests, Secrets masked")

    def handle(self, **options: Any) -> None:
        target = _target(options["application"], options["namespace"])
        read, kept = _read(options["path"], target, options["values"])
        if options["show"]:
            self.stdout.write(yaml_of(kept.text))
        if kept.way != "plain":
            self.stdout.write(f"rendered by {WORDS[kept.way]}: {kept.count} object{'' if kept.count == 1 else 's'}")
        for warning in read.warnings:
            self.stdout.write(f"warning: {warning}")
        if read.errors:
            self.stdout.write("".join(f"{error}\n" for error in read.errors), ending="")
            self.stdout.flush()
            raise Failure(errors_sentence(read.errors))
        plan = _plan(read, target)
        self._show(plan)
        if plan.refusal:
            raise Failure(plan.refusal)

    def _show(self, plan: SyncPlan) -> None:
        for one in plan.create:
            self.stdout.write(f"create  {title(one.key)}   ({one.place})")
        for one in plan.update:
            self.stdout.write(f"change  {title(one.key)}   ({one.place})")
            self.stdout.write(indented(changes_of(one), 8), ending="")
        for key in plan.prune:
            self.stdout.write(f"prune   {title(key)}")
        for key in plan.kept:
            self.stdout.write(f"keep    {title(key)}   (no longer in Git; this application does not prune)")
        self.stdout.write(
            f"{len(plan.create)} to create, {len(plan.update)} to change, {len(plan.prune)} to prune, "
            f"{len(plan.unchanged)} unchanged"
        )


def changes_of(one: Manifest) -> str:
    """The difference to what is on record; a Secret's values are masked."""
    row = BY_NAME[one.kind].model._default_manager.filter(namespace=one.namespace, name=one.name).first()
    before = stored_body(row) if row is not None else {}
    text = render_difference(difference(before, wanted_body(one)), mask=one.kind == "Secret")
    return text or "the same content, now of this application"


def errors_sentence(errors: tuple[ManifestError, ...]) -> str:
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return f"{count}, so a sync would change nothing; the first: {errors[0]}"


def _target(application: str | None, namespace: str | None) -> Target:
    row = get(BY_NAME["Application"], application) if application else None
    return Target(row, namespace or (row.namespace if row else "default"))


def _read(path: Path, target: Target, values: list[str] | None) -> tuple[ReadResult, Kept]:
    """As a sync would, by the same renderer. Without an application, the folder's name stands for its name."""
    from deployer.adapters.rendering import ToolRenderer
    from deployer.loops.rendering import read_tree
    from deployer.ports import SourceError

    row = target.application
    given = values if values is not None else list(row.values) if row else []
    tree, inside = read_path(path, given)
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    name = row.name if row else object_name(folder.name) or "application"
    try:
        return read_tree(
            ToolRenderer(), tree, lambda: _age_identities(target), path=inside, application=name,
            namespace=target.namespace, values=given, policies=_policies(target), known=_known(target),
        )  # fmt: skip
    except SourceError as error:
        raise Failure(error.sentence) from error


def _age_identities(target: Target) -> list[str]:
    """Those of the application's repository; whoever names no application holds none."""
    from control.store.repositories import age_identities

    return age_identities(target.application.repository_id) if target.application is not None else []


def _policies(target: Target) -> dict[str, NamespacePolicy]:
    """What namespaces are allowed. Manifests can be checked where Pierhead was never started: nothing is, then."""
    from control.store.sync import policies

    try:
        return policies()
    except DatabaseError:
        if target.application is not None:
            raise
        return {}


def _known(target: Target) -> Known:
    """What stays on record beside the files. Nothing where Pierhead was never started."""
    from control.store.sync import known

    row = target.application
    try:
        return known(row.uid if row else "", prunes=row is not None and row.prune)
    except DatabaseError:
        if row is not None:
            raise
        return Known()


def _plan(read: ReadResult, target: Target) -> SyncPlan:
    from control.store.sync import stored

    row = target.application
    if row is None:
        return decide(read.manifests, (), application=NOBODY, prune=False, confirmed=False)
    observed = stored(row.uid, read.manifests)
    return decide(read.manifests, observed, application=row.name, prune=row.prune, confirmed=False)
