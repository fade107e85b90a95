"""Many applications in one repository: a commit wakes those that it concerns, and one fetch serves all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from control.models import Application, Deployment, Repository, Sync
from control.selectors.applications import application_list
from control.services import repositories as services
from control.services.audit import Actor
from control.store.repositories import access
from deployer.core.source import CommitInfo, Origin, RepositoryAccess
from deployer.ports import SourceError
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
NAMES = ("a", "b", "c", "d")
ANN = Actor("ann")


class Monorepo(World):
    """Four applications, each a folder of one repository; what is asked of Git is counted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.images = dict.fromkeys(NAMES, 1)
        self.asked: list[str] = []
        self.fetch_fails = ""
        fetch, content_ids = self.source.fetch, self.source.content_ids

        def counted(repository: RepositoryAccess, sha: str) -> CommitInfo:
            self.asked.append("fetch")
            if self.fetch_fails:
                raise SourceError("TimedOut", self.fetch_fails)
            return fetch(repository, sha)

        def looked(repository: RepositoryAccess, sha: str, origins: Sequence[Origin]) -> dict[Origin, str]:
            self.asked.append(f"trees of {len(origins)}")
            return content_ids(repository, sha, origins)

        self.source.fetch, self.source.content_ids = counted, looked  # type: ignore[method-assign]
        self.repository = Repository.objects.create(name="all", url="fake", poll_seconds=30)
        self.applied()

    def applied(self) -> None:
        """All of them at a first commit, as a sync leaves them."""
        sha = self.change()
        trees = self.source.content_ids(self.repository_access(), sha, [Origin(f"apps/{name}") for name in NAMES])
        for name in NAMES:
            tree = trees[Origin(f"apps/{name}")]
            row = Application.objects.create(
                name=name, repository=self.repository, path=f"apps/{name}", namespace=name, commit=sha, tree=tree,
                sync_status="Synced",
            )  # fmt: skip
            (spec,) = [one["spec"] for one in yaml.safe_load_all(web(replicas=0, image="shop/web:1"))]
            Deployment.objects.create(namespace=name, name="web", application=row, commit=sha, spec=spec)
            Sync.objects.create(application=row, commit=sha, phase=Sync.SUCCEEDED)
        Repository.objects.update(head=sha, told_head=sha)
        self.work.wake("poll", self.repository.uid, at=self.clock.now() + 30)

    def repository_access(self) -> RepositoryAccess:
        return access(Repository.objects.get())

    def add(self, name: str, **more: Any) -> Application:
        row = Application.objects.create(
            name=name, repository=self.repository, path=f"apps/{name}", namespace=name, **more
        )
        self.work.wake("sync", row.uid)
        return row

    def change(self, *names: str) -> str:
        """A commit that gives these another image, and the poll that finds it."""
        for name in names:
            self.images[name] = self.images.get(name, 0) + 1
        files = {f"apps/{name}/web.yaml": web(replicas=0, image=f"shop/web:{tag}") for name, tag in self.images.items()}
        sha = self.source.push(files, f"change {names}", self.clock.now())
        self.asked.clear()
        self.work.wake("poll", self.repository.uid)
        return sha

    def at(self, sha: str) -> list[str]:
        return [*Application.objects.filter(commit=sha, sync_status="Synced").values_list("name", flat=True)]

    def attempts(self, sha: str) -> list[str]:
        return sorted(Sync.objects.filter(commit=sha).values_list("application__name", flat=True))

    def image(self, name: str) -> str:
        spec = Deployment.objects.get(namespace=name).spec
        return str(spec["template"]["spec"]["containers"][0]["image"])

    def due(self, loop: str) -> int:
        return sum(one == loop for one, _ in self.work.due(self.clock.now()))


@pytest.fixture
def world(tmp_path: Path) -> Monorepo:
    return Monorepo(tmp_path)


def poll(world: Monorepo) -> None:
    """This one alone: nobody else has come to anything yet."""
    world.run("poll", world.repository.uid)


def test_only_the_one_that_changed_is_woken_and_one_fetch_serves_all(world: Monorepo) -> None:
    sha = world.change("b")
    poll(world)
    assert world.asked == ["fetch", "trees of 4"]
    assert world.due("sync") == 1
    assert world.at(sha) == ["a", "c", "d"], "the others are at this commit, and nobody had to look"
    world.settle()
    assert world.at(sha) == [*NAMES]
    assert world.attempts(sha) == ["b"]
    assert world.image("b") == "shop/web:2"


def test_a_poll_without_news_asks_the_server_and_nobody_else(world: Monorepo) -> None:
    world.asked.clear()
    world.pass_time(65)
    assert world.asked == []
    assert world.due("sync") == 0


def test_what_one_application_found_by_being_asked_is_told_to_the_others(world: Monorepo) -> None:
    """A sync that somebody asked for may see a commit before any poll does."""
    sha = world.change("a", "b")
    Application.objects.filter(name="a").update(request={"id": "1", "by": "ann", "trigger": "request"})
    world.work.wake("sync", Application.objects.get(name="a").uid)
    world.run("sync", Application.objects.get(name="a").uid)
    assert Repository.objects.get().head == sha
    world.pass_time(40)
    assert world.image("b") == "shop/web:2"
    assert world.at(sha) == [*NAMES]


def test_one_that_was_added_meanwhile_is_synced(world: Monorepo) -> None:
    sha = world.change("a", "e")
    origins = services_origins()
    late: list[Application] = []

    def during(uid: str) -> Sequence[Origin]:
        found = origins(uid)
        late.append(world.add("e"))  # after they were read, before anything was written
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("control.store.repositories.origins", during)
        poll(world)
    assert late
    world.settle()
    assert world.at(sha) == ["a", "b", "c", "d", "e"]


def services_origins() -> Any:
    from control.store import repositories

    return repositories.origins


def test_a_pin_holds_out_and_what_is_newer_ends_it(world: Monorepo) -> None:
    first = Application.objects.get(name="b").commit
    bad = world.change("b")
    world.settle()
    tree = Application.objects.get(name="b").tree
    pin = {"commit": first, "skipped_commit": bad, "skipped_tree": tree, "by": "ann", "at": 1.0, "reason": "x"}
    Application.objects.filter(name="b").update(pin=pin, request={"id": "1", "by": "ann", "trigger": "rollback"})
    world.work.wake("sync", Application.objects.get(name="b").uid)
    world.settle()
    assert world.image("b") == "shop/web:1"
    world.change("a")
    poll(world)
    assert world.due("sync") == 1, "b is held, and a alone has changed"
    world.settle()
    assert world.image("b") == "shop/web:1"
    world.change("b")
    world.settle()
    assert world.image("b") == "shop/web:3"
    assert Application.objects.get(name="b").pin == {}


def test_a_manual_one_is_told_that_it_is_behind_only_when_it_is(world: Monorepo) -> None:
    Application.objects.filter(name__in=["a", "b"]).update(automatic=False)
    sha = world.change("a")
    world.settle()
    found = dict(Application.objects.values_list("name", "sync_status"))
    assert found == {"a": "OutOfSync", "b": "Synced", "c": "Synced", "d": "Synced"}
    assert world.image("a") == "shop/web:1"
    assert world.at(sha) == ["b", "c", "d"]


def test_a_fetch_that_hangs_is_told_once_and_done_again_and_what_runs_stays(world: Monorepo) -> None:
    began = world.clock.now()
    world.fetch_fails = "git.example.com/all.git: timed out after 60 s"
    sha = world.change("b")
    world.settle()
    row = Repository.objects.get()
    assert (row.head, row.failures, row.message) == (sha, 1, world.fetch_fails)
    assert row.told_head != sha
    assert row.failing_since == began
    assert world.attempts(sha) == []
    assert [world.image(name) for name in NAMES] == ["shop/web:1"] * 4
    world.pass_time(100)
    row.refresh_from_db()
    assert row.failures == 2, "it backs off although the server names its head"
    assert row.failing_since == began
    (line, *_) = application_list({}, 1, None, world.clock.now()).lines
    since = "Git could not be read since 2025-06-15T15:06:40Z, 2 times in a row: git.example.com"
    assert line.trouble.startswith(since)
    world.fetch_fails = ""
    world.pass_time(200)
    assert world.at(sha) == [*NAMES]
    row.refresh_from_db()
    assert (row.failures, row.failing_since, row.message) == (0, 0, "")


def test_a_repository_that_vanishes_leaves_what_runs_and_is_followed_again_when_it_is_back(world: Monorepo) -> None:
    world.source.failure = "git.example.com/all.git: there is no such repository, or these credentials may not see it"
    world.pass_time(35)
    assert Repository.objects.get().failing_since > 0
    assert [world.image(name) for name in NAMES] == ["shop/web:1"] * 4
    assert set(Application.objects.values_list("sync_status", flat=True)) == {"Synced"}
    sha = world.change("c")
    world.source.failure = ""
    world.pass_time(120)
    assert world.at(sha) == [*NAMES]


def test_a_branch_that_is_moved_back_by_force_takes_its_applications_back(world: Monorepo) -> None:
    before = world.change("a", "b")
    world.settle()
    world.change("a")
    world.settle()
    world.source.commits.append(next(one for one in world.source.commits if one[0] == before))
    world.work.wake("poll", world.repository.uid)
    poll(world)
    assert world.due("sync") == 1
    world.settle()
    assert world.image("a") == "shop/web:2"
    assert world.at(before) == [*NAMES]


@pytest.mark.parametrize("point", ["origins", "polled"])
def test_killed_anywhere_a_poll_is_done_again(world: Monorepo, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = world.change("b", "d")

    def killed(*_: object) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"control.store.repositories.{point}", killed)
        patch.setattr(world.work, "release", killed)
        with pytest.raises(KeyboardInterrupt):
            poll(world)
    assert world.at(sha) == []
    world.new_worker()
    world.pass_time(15)
    assert world.at(sha) == [*NAMES]
    assert world.attempts(sha) == ["b", "d"]


def test_one_that_applies_another_commit_at_that_moment_is_not_overruled(world: Monorepo) -> None:
    """Its row changes between being read and being noted: it looks for itself."""
    from control.store import repositories

    sha = world.change("a")
    note = repositories._note

    def raced(row: Repository, commit: str, uids: Sequence[str], wake: Any) -> None:
        Application.objects.filter(name="c").update(commit="f" * 40, tree="other")
        note(row, commit, uids, wake)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repositories, "_note", raced)
        poll(world)
    assert Application.objects.get(name="c").commit == "f" * 40
    assert world.due("sync") == 2
    world.settle()
    assert world.at(sha) == [*NAMES]


def test_a_commit_that_nobody_signed_is_noted_by_nobody(world: Monorepo) -> None:
    """Each application looks at it for itself and refuses it, those too whose content it leaves alone."""
    sha = world.change("a")
    world.source.unsigned[sha] = "commit is not signed"
    world.settle()
    assert world.at(sha) == []
    assert world.attempts(sha) == [*NAMES]
    assert {one.trouble for one in application_list({}, 1, None, world.clock.now()).lines} != {""}
    signed = world.change("b")
    world.settle()
    assert world.at(signed) == [*NAMES]
    assert world.image("a") == "shop/web:2"


def test_whoever_rolls_back_holds_out_against_what_git_has_at_the_path(world: Monorepo) -> None:
    """The service and the poll ask for one and the same id."""
    first = Application.objects.get(name="b").commit
    world.change("b")
    world.settle()
    here = services.composition()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(here, "source", world.source)
        row, _ = services.rollback("b", first, ANN)
    assert row.pin["skipped_tree"] == Application.objects.get(name="b").tree


def test_a_bad_commit_that_is_reverted_is_no_trouble_any_more(world: Monorepo) -> None:
    """The revert is what is applied already: it is noted, and what the bad one said has gone by."""
    files = dict(world.source.commits[-1][1])
    bad = world.source.push({**files, "apps/b/web.yaml": "kind: [\n"}, "bad", world.clock.now())
    world.work.wake("poll", world.repository.uid)
    world.settle()
    trouble = {one.name: one.trouble for one in application_list({}, 1, None, world.clock.now()).lines}
    assert f"commit {bad[:7]} was refused" in trouble["b"]
    sha = world.source.push(files, "revert", world.clock.now())
    world.work.wake("poll", world.repository.uid)
    world.settle()
    assert world.at(sha) == [*NAMES]
    assert {one.trouble for one in application_list({}, 1, None, world.clock.now()).lines} == {""}
