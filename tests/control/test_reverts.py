"""The revert after a rollback: previewed, pushed to a real repository, and nothing rolls for it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.models import Application, AuditEntry, Repository, Sync, Work
from control.services import reverts
from control.services.audit import Actor
from control.services.refusal import Refused
from control.services.repositories import rollback
from control.store import repositories, sync
from deployer.composition import composition
from deployer.core import git_hosts
from deployer.core.source import GitCredentials
from deployer.loops import poll as poll_loop
from deployer.loops import single_flight
from deployer.loops import sync as sync_loop
from tests.contracts.git_servers import Served
from tests.control import commands, factories, people_data
from tests.control.commands import Run
from tests.scenarios.world import web

pytestmark = pytest.mark.django_db
ANN = Actor("ann")
Files = dict[str, bytes | str]
GOOD: Files = {"k8s/web.yaml": web(replicas=1), "README.md": "a\n"}
BAD: Files = {"k8s/web.yaml": web(replicas=2), "README.md": "b\n"}


@pytest.fixture(autouse=True)
def nobody_looks_at_a_real_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a lease would be prolonged by a thread that waits for the test's transaction, in vain."""
    monkeypatch.setattr(single_flight, "KEEP_SECONDS", 3600.0)


class Town:
    """A real repository with a good and a bad commit, and an application that was rolled back to the good one."""

    def __init__(self, folder: Path, good: Files = GOOD, bad: Files = BAD, path: str = "k8s") -> None:
        self.served = Served.make(folder / "shop.git")
        self.good = self.served.push(good, message="Good one")
        self.bad = self.served.push(bad, message="Bad one\n\nlong")
        repository = factories.repository(url=str(self.served.path), allow_local=True, ref="main", head=self.bad)
        pin = {"commit": self.good, "skipped_commit": self.bad, "by": "ann", "at": 1.0, "reason": "rolled back by ann"}
        self.row = factories.application(repository=repository, path=path, commit=self.good, tree="", pin=pin)

    def really_rolled_back(self) -> None:
        """By the loop and the service, as it comes about."""
        Application.objects.update(pin={}, commit="")
        Repository.objects.update(head=self.good)
        self.synced()
        Repository.objects.update(head=self.bad)
        self.synced()
        rollback("shop", self.good, ANN)
        self.synced()
        assert self.now.commit == self.good

    def synced(self) -> None:
        here = composition()
        here.work.wake("sync", self.row.uid)
        sync_loop.run(self.row.uid, here.work, sync, here.source, here.renderer, here.clock)

    def poll(self) -> None:
        here, uid = composition(), self.row.repository_id
        here.work.wake("poll", uid)
        poll_loop.run(uid, here.work, repositories, here.source, here.clock, 0.0)

    @property
    def now(self) -> Application:
        return Application.objects.get()


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann", email="ann@example.com"))
    return client


def test_the_page_shows_what_it_pushes_and_then_nothing_rolls(town: Town, ann: Client) -> None:
    town.really_rolled_back()
    assert 'href="/applications/shop/revert"' in ann.get("/applications/shop").content.decode()
    html = ann.get("/applications/shop/revert").content.decode()
    assert 'Change</strong> <span class="name">k8s/web.yaml</span>' in html
    assert "README" not in html
    given = dict(re.findall(r'name="(head|state)" value="([^"]*)"', html))
    generations = list(town.row.__class__.objects.values_list("applied_at", flat=True))
    attempts = Sync.objects.count()
    answer = ann.post("/applications/shop/revert", {**given, "as": "commit"}, follow=True).content.decode()
    made = town.served.git("rev-parse", "main")
    assert f"commit {made[:7]} was pushed to main. When Git is looked at next, the pin ends" in answer
    assert town.served.git("rev-parse", f"{made}^") == town.bad
    assert town.served.git("show", f"{made}:README.md") == "b"
    message = town.served.git("log", "-1", "--format=%an <%ae>%n%B", made)
    assert message.startswith(f"ann <ann@example.com>\nRevert k8s to {town.good[:7]}\n\nApplication shop was rolled")
    assert f"From: {town.bad} Bad one\nBack to: {town.good} Good one" in message
    assert Work.objects.get(loop="poll").due_at == 0
    assert AuditEntry.objects.get(action="application revert").actor == "ann"
    town.poll()
    town.synced()
    assert town.now.pin == {}
    assert (town.now.commit, town.now.sync_status) == (made, "Synced")
    assert list(Application.objects.values_list("applied_at", flat=True)) == generations
    assert Sync.objects.count() == attempts  # there was nothing to apply


def test_git_or_somebody_was_faster(town: Town, ann: Client) -> None:
    shown = reverts.preview("shop", ANN)
    newer = town.served.push({**BAD, "k8s/web.yaml": web(replicas=3)})
    with pytest.raises(Refused, match=f"Git moved to {newer[:7]} meanwhile; look again"):
        reverts.push("shop", ANN, head=shown.head.sha, seen=shown.state)
    with pytest.raises(Refused, match="somebody was faster"):
        reverts.push("shop", ANN, head=newer, seen="another")
    answer = ann.post("/applications/shop/revert", {"head": shown.head.sha, "state": shown.state})
    assert answer.status_code == 409
    assert town.served.git("rev-parse", "main") == newer


def test_what_cannot_be_reverted_says_why(town: Town, ann: Client) -> None:
    town.served.push(GOOD)
    with pytest.raises(Refused, match="which holds at its path what is pinned already"):
        reverts.preview("shop", ANN)
    Application.objects.update(pin={})
    assert "is not pinned: it was not rolled back" in ann.get("/applications/shop/revert").content.decode()


def test_a_protected_branch_is_told(town: Town) -> None:
    hook = town.served.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho main is a protected branch >&2\nexit 1\n")
    hook.chmod(0o755)
    shown = reverts.preview("shop", ANN)
    with pytest.raises(Refused, match=r"application shop: .*the server does not take a push"):
        reverts.push("shop", ANN, head=shown.head.sha)
    assert not AuditEntry.objects.filter(action="application revert").exists()


def test_a_base_outside_its_path_comes_back_too(tmp_path: Path) -> None:
    base = {"base/kustomization.yaml": "resources: [web.yaml]\n"}
    overlay = {"prod/kustomization.yaml": "resources: [../base]\n", **base}
    good: Files = {**overlay, "base/web.yaml": web(replicas=1), "other.yaml": "a: 1\n"}
    bad: Files = {**overlay, "base/web.yaml": web(replicas=2), "other.yaml": "a: 2\n"}
    town = Town(tmp_path, good, bad, "prod")
    town.really_rolled_back()
    shown = reverts.preview("shop", ANN)
    assert [one.path for one in shown.files] == ["base/web.yaml"]
    made = reverts.push("shop", ANN, head=shown.head.sha)
    assert town.served.git("diff", "--name-only", town.bad, made.commit) == "base/web.yaml"
    town.poll()
    town.synced()
    assert (town.now.pin, town.now.commit) == ({}, made.commit)


def test_where_commits_have_to_be_signed_it_goes_through_a_pull_request(town: Town, ann: Client) -> None:
    row = town.row.repository
    row.signatures = "head"
    row.save()
    shown = reverts.preview("shop", ANN)
    with pytest.raises(Refused, match="its repository takes signed commits only, and this one is not"):
        reverts.push("shop", ANN, head=shown.head.sha)
    assert "Push to main" not in ann.get("/applications/shop/revert").content.decode()


def test_only_operators_of_its_namespace(town: Town) -> None:
    for roles, status in (({"shop": "viewer"}, 403), ({"mail": "operator"}, 404)):
        person = people_data.person(f"p{status}", roles)
        assert people_data.signed_in(person).get("/applications/shop/revert").status_code == status


def test_applications_that_share_files_are_named(town: Town) -> None:
    for name, path in (("around", "."), ("within", "k8s/sub"), ("beside", "k8s-other"), ("same", "k8s")):
        factories.application(name, path=path, repository=town.row.repository)
    assert reverts.preview("shop", ANN).neighbours == ("around", "same", "within")


def test_a_command(town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run: Run = commands.runner(monkeypatch, capsys)
    tried = run("application", "revert", "shop", "--dry-run")
    assert tried.out.startswith(f"Revert k8s to {town.good[:7]}\n")
    assert tried.out.endswith("  change  k8s/web.yaml\n")
    assert town.served.git("rev-parse", "main") == town.bad
    refused = run("application", "revert", "shop", "--pull-request")
    assert (refused.code, "which kind of host repository shop is at is not known" in refused.err) == (1, True)
    done = run("application", "revert", "shop")
    made = town.served.git("rev-parse", "main")
    assert done.out.endswith(f"application/shop: {made[:7]} was pushed to main\n")
    assert run("application", "revert", "shop").code == 1


class _Api(BaseHTTPRequestHandler):
    asked: list[tuple[str, dict[str, str], dict[str, Any]]]
    answer: tuple[int, dict[str, Any]]

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, dict(self.headers), body))
        data = json.dumps(self.answer[1]).encode()
        self.send_response(self.answer[0])
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def api() -> Iterator[tuple[str, type[_Api]]]:
    handler = type("Api", (_Api,), {"asked": [], "answer": (201, {"html_url": "https://git.example.com/pulls/7"})})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v1", handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_pull_request(town: Town, ann: Client, monkeypatch: pytest.MonkeyPatch, api: Any) -> None:
    """Its branch goes to the repository, the request to the host's API. A path has no host, so it is told one."""
    base, handler = api
    place = git_hosts.Place("gitea", base, "team/shop")
    monkeypatch.setattr(git_hosts, "place_of", lambda *_, **__: place)
    town.row.repository.credentials.store({"token": "s3cr3t-token"})
    town.row.repository.save()
    shown = reverts.preview("shop", ANN)
    given = {"head": shown.head.sha, "state": shown.state, "as": "pull-request"}
    handler.answer = (403, {"message": "token does not have at least one of required scope(s)"})
    answer = ann.post("/applications/shop/revert", given, follow=True).content.decode()
    assert "The pull request could not be opened, open it by hand: Gitea forbids it" in answer
    assert "needs write:repository and write:issue" in answer
    with pytest.raises(Refused, match=f"branch {shown.branch} exists already: open the pull request from it"):
        reverts.push("shop", Actor("bob"), head=shown.head.sha, pull_request=True)
    handler.answer = (201, {"html_url": "https://git.example.com/pulls/7"})
    answer = ann.post("/applications/shop/revert", given, follow=True).content.decode()
    assert "The pull request: https://git.example.com/pulls/7" in answer
    path, headers, body = handler.asked[-1]
    assert path == "/api/v1/repos/team/shop/pulls"
    assert headers["Authorization"] == "token s3cr3t-token"
    assert (body["head"], body["base"], body["title"]) == (shown.branch, "main", f"Revert k8s to {town.good[:7]}")
    assert town.served.git("rev-parse", "main") == town.bad
    assert town.served.git("rev-parse", f"{shown.branch}:k8s") == town.served.git("rev-parse", f"{town.good}:k8s")
    assert "s3cr3t" not in answer + str(list(AuditEntry.objects.values()))
    assert GitCredentials(token="s3cr3t-token").token not in repr(place)
