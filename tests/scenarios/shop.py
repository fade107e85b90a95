"""A shop that bad commits are pushed at: a Deployment that runs, a ConfigMap, a Secret; and all that can be lost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control.models import Application, ConfigMap, Event, Repository, Secret, Sync
from control.store.sync import MODELS
from deployer.core.repository import SourceFile, SourceTree
from deployer.core.source import CommitInfo, RepositoryAccess
from deployer.ports import SourceError
from tests.scenarios.world import FakeSource, World, web

HUSH = "aHVzaC1odXNo"
"""What Secrets hold here: no record, event or object may ever have it."""

WEB = "spec.template.spec"
BOX = f"{WEB}.containers[0]"
IN_WEB = "Deployment shop/web: "

numbers = itertools.count(1)


@dataclass(frozen=True)
class Hostile(CommitInfo):
    """A commit whose tree is not simply text: files as bytes, refusals of the Git adapter, or no tree at all."""

    tree: SourceTree
    failure: str


class Source(FakeSource):
    def push_tree(self, files: dict[str, bytes], refusals: tuple[tuple[str, str], ...], failure: str = "") -> str:
        sha = self.push({"is": str(next(numbers))}, "x", 0)
        held = tuple(SourceFile(path, data) for path, data in sorted(files.items()))
        hostile = Hostile(sha, "Eve", "x", 0.0, SourceTree(held, refusals), failure)
        self.commits[-1] = (sha, self.commits[-1][1], hostile)
        return sha

    def files(self, repository: RepositoryAccess, sha: str, path: str, values: Sequence[str] = ()) -> SourceTree:
        commit = self._commit(sha)[2]
        if not isinstance(commit, Hostile):
            return super().files(repository, sha, path)
        if commit.failure:
            raise SourceError("PathNotFound", commit.failure)
        return commit.tree


class Shop(World):
    """A Deployment with a ConfigMap and a Secret on one host, and whoever pushes to its repository."""

    source: Source

    def good(self, *documents: str, **deployment: Any) -> str:
        """A commit that is well; its number stands in a ConfigMap that nothing reads, so that no pod is replaced."""
        number = next(numbers)
        settings = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: number}}\ndata: {{number: '{number}'}}\n"
        secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: key}}\ndata: {{key: {HUSH}}}\n"
        sha = self.push(web(**{"replicas": 1, **deployment}), settings, secret, *documents)
        self.settle()
        application = Application.objects.get()
        assert (application.commit, application.sync_status) == (sha, "Synced"), application.message
        assert ConfigMap.objects.get(name="number").spec["data"] == {"number": str(number)}
        return sha

    def bad(self, files: dict[str, bytes], refusals: tuple[tuple[str, str], ...] = (), failure: str = "") -> list[Sync]:
        """Push it, let everybody look at it twice, and answer the attempts on record."""
        sha = self.source.push_tree(files, refusals, failure)
        for _ in range(2):
            for uid in Repository.objects.values_list("uid", flat=True):
                self.work.wake("poll", uid)
            self.settle()
            for uid in Application.objects.values_list("uid", flat=True):
                self.work.wake("sync", uid)
            self.settle()
        return list(Sync.objects.filter(commit=sha))

    def state(self) -> dict[str, Any]:
        """All that a commit might change: objects and pods with their versions, containers, what is applied."""
        rows = {
            kind: sorted(model._default_manager.values_list("uid", "name", "manifest_hash", "resource_version"))
            for kind, model in MODELS.items()
        }
        found = (one for engine in self.engines.values() for one in engine.containers())
        containers = sorted((one.id, one.name, one.state) for one in found)
        return {**rows, "containers": containers, "applied": list(Application.objects.values_list("commit", "tree"))}

    def told(self) -> str:
        """Everything that was said about anything so far."""
        said = [*Sync.objects.values_list("message", "errors"), *Event.objects.values_list("message", flat=True)]
        return repr([*said, *Application.objects.values_list("message"), *Secret.objects.values_list("spec")])


def opened(folder: Path) -> Shop:
    made = Shop(folder)
    made.source = Source()
    made.add_node("a")
    made.good()
    made.pass_time(20)
    assert made.ready() == 1
    return made


def refused(shop: Shop, attempts: list[Sync], sentence: str) -> Sync:
    """One record, which says it; and the application says the same."""
    (attempt,) = attempts
    assert attempt.phase == Sync.FAILED
    assert attempt.message.startswith(f"commit {attempt.commit[:7]} was refused, nothing was changed: {sentence}")
    assert len(attempt.message) < 1000
    assert not attempt.changes
    application = Application.objects.get()
    assert (application.sync_status, application.message) == ("OutOfSync", attempt.message)
    assert Event.objects.filter(reason="SyncFailed", message=attempt.message, count=1).count() == 1
    assert HUSH not in shop.told()
    assert "31337" not in shop.told()
    return attempt
