"""`node`, `logs`, `namespace`, `user`, `repository`: hosts are simulated, refusals are one sentence."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from control.models import Application, AuditEntry, Node, Pod, Repository
from control.services import logs, repositories
from deployer.composition import composition
from deployer.core.source import GitCredentials
from tests.control import factories
from tests.control.commands import Run, World, runner, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> World:
    return world(monkeypatch)


def test_a_simulated_host_is_added_labelled_tainted_and_removed(run: Run) -> None:
    added = run("node", "add", "s1", "sim://cli-1", "--label", "zone=a", "--label", "disk=ssd")
    assert (added.code, added.out) == (0, "node/s1 added: a simulated engine, 4 CPUs, 8Gi\n")
    assert run("node", "label", "s1", "zone=b", "disk-").code == 0
    assert run("node", "taint", "s1", "gpu=yes:NoSchedule", "old:PreferNoSchedule").out == "node/s1 tainted\n"
    assert run("node", "taint", "s1", "old:PreferNoSchedule-").out == "node/s1 untainted\n"
    row = Node.objects.get()
    assert (row.labels["zone"], "disk" in row.labels) == ("b", False)
    assert row.taints == [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
    assert run("node", "taint", "s1", "gpu-").code == 0, "by its key alone, as the help says"
    assert Node.objects.get().taints == []
    assert "Simulated" in run("node", "list").out
    assert run("node", "add", "s2", "sim://cli-1").err == ("error: this engine is registered already, as node s1\n")
    assert run("node", "remove", "s1").out.startswith("node/s1 removed")
    assert AuditEntry.objects.filter(source="command line").count() == 6


def test_a_taint_that_evicts_says_whom_and_counts_from_the_first_time(run: Run) -> None:
    factories.shop(2)
    for_a_while = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3600}
    factories.pod(name="tool", spec=factories.template(tolerations=[for_a_while])["spec"], scheduled_at=time.time())
    found = run("node", "taint", "n1", "gpu=a:NoExecute")
    said = "2 pods are evicted, 1 more when the time that they tolerate it for has passed"
    assert found.out == f"node/n1 tainted; {said}\n"
    row = Node.objects.get()
    [stored] = row.taints
    assert time.time() - 60 < datetime.fromisoformat(stored["timeAdded"]).timestamp() <= time.time()
    assert ("evict", row.uid) in composition().work.due(time.time())
    run("node", "taint", "n1", "gpu=a:NoExecute", "old:NoSchedule")
    assert Node.objects.get().taints == [stored, {"key": "old", "value": "", "effect": "NoSchedule"}]
    whole = stored["timeAdded"].partition(".")[0] + "Z"
    assert json.loads(run("get", "node", "n1", "-o", "json").out)["spec"]["taints"] == [
        {"key": "gpu", "value": "a", "effect": "NoExecute", "timeAdded": whole}, {"key": "old", "effect": "NoSchedule"},
    ]  # fmt: skip
    shown = run("describe", "node", "n1").out
    assert f"gpu=a:NoExecute since {whole}" in shown
    why = "node n1 has the taint gpu=a:NoExecute, which it"
    assert re.search(rf"shop +web-1 +now +{why} does not tolerate", shown)
    assert re.search(rf"shop +tool +in \S+ +{why} tolerates for 3600 s", shown)
    run("node", "taint", "n1", "gpu=b:NoExecute")
    assert Node.objects.get().taints[0]["timeAdded"] > stored["timeAdded"], "another value is another taint"
    Node.objects.update(ready=False)
    assert run("node", "taint", "n1", "gpu=b:NoExecute").out.startswith(
        f"node/n1 tainted; {said}, but not before it answers, since nothing on it can be stopped now; if the host is "
    )
    assert run("node", "taint", "n1", "gpu-").out == "node/n1 untainted\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("taint", "n1", "node.kubernetes.io/unschedulable:NoSchedule"), "is not set by hand: use `node cordon`"),
        (("taint", "n1", "node.kubernetes.io/unreachable:NoExecute"), "Pierhead says so by itself while the host does"),
        (("taint", "n1", "node.kubernetes.io/out-of-service:NoExecute"), "use `node declare-dead`"),
        (("add", "n2", "http://x"), "is not an engine's address"),
        (("add", "N_1", "sim://x"), "is not a DNS name"),
        (("add", "n2", "sim://x", "--mesh-address", "h:8443"), "is neither a host name nor an address"),
        (("add", "n2", "tcp://10.0.0.1:2375"), "plain TCP gives root"),
        (("add", "n2", "tcp://h", "--tls", "/nowhere"), "/nowhere/ca.pem cannot be read"),
        (("cordon", "n9"), "node n9 does not exist"),
        (("remove", "n9"), "node n9 is not registered"),
        (("taint", "n9", "a=b:Never"), "node n9 is not registered"),
    ],
)
def test_refusals_are_one_sentence(run: Run, words: tuple[str, ...], part: str) -> None:
    factories.node()
    found = run("node", *words)
    assert (found.code, found.out) == (1, "")
    assert part in found.err
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("label", "n1", "x"), ("taint", "n1", "a=b"), ("add", "n1"), ("drain", "n1", "--timeout", "x")]
)
def test_wrong_usage_ends_with_2(run: Run, words: tuple[str, ...]) -> None:
    assert run("node", *words).code == 2


def test_cordon_says_when_it_was_done_before(run: Run) -> None:
    factories.node()
    assert [run("node", word, "n1").out for word in ("cordon", "cordon", "uncordon", "uncordon")] == [
        "node/n1 cordoned\n", "node/n1 already cordoned\n", "node/n1 uncordoned\n", "node/n1 already uncordoned\n",
    ]  # fmt: skip


def test_drain_tells_of_each_pod_and_ends_when_none_is_left(run: Run, here: World) -> None:
    _, _, pods = factories.shop(2)
    here.plays(
        lambda: Pod.objects.all().update(deleted_at=time.time()),
        lambda: Pod.objects.filter(pk=pods[0].pk).delete(),
        lambda: Pod.objects.filter(pk=pods[1].pk).delete(),
    )
    found = run("node", "drain", "n1")
    assert found.code == 0
    assert found.out.splitlines() == [
        "node/n1 cordoned", "evicting pod shop/web-1", "evicting pod shop/web-2", "pod/shop/web-1 evicted (1 of 2)",
        "pod/shop/web-2 evicted (2 of 2)", "node/n1 drained",
    ]  # fmt: skip


def test_drain_says_what_is_left_when_time_is_up(run: Run, here: World) -> None:
    factories.shop(2)
    found = run("node", "drain", "n1", "--timeout", "3s")
    assert found.code == 1
    assert found.err == (
        "error: node n1 was not drained within 3 s: 0 of 2 pods moved, 2 pods are left: 2 wait: shop/web-1, "
        "shop/web-2; it stays cordoned and goes on draining\n"
    )


# --- logs ---


class Engine:
    """What `logs` asks of a host."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.closed = False

    def host_time(self) -> float:
        return 5000.0

    def logs(self, container: str, **how: Any) -> Iterator[bytes]:
        self.asked = {"container": container, **how}
        yield b"\x1b[32mgreen\x1b[0m \x1b[2J\xc3"
        yield b"\xa9t\xc3\xa9\n"

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(logs, "engine_of", lambda _row: made)
    return made


def test_logs_are_read_from_the_container_and_cut_anywhere(run: Run, engine: Engine) -> None:
    factories.shop(1)
    found = run("logs", "web-1", "-n", "shop", "--tail", "5", "--since", "10m", "--timestamps")
    assert found.out == "\x1b[32mgreen\x1b[0m \x1b[2Jété\n"  # a pipe gets what was printed
    assert engine.asked == {
        "container": "c" * 64, "tail": 5, "since": 4400.0, "follow": False, "timestamps": True,
    }  # fmt: skip
    assert engine.closed


def test_a_terminal_gets_colours_and_nothing_worse(run: Run, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.shop(1)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run("logs", "web-1", "-n", "shop").out == "\x1b[32mgreen\x1b[0m été\n"


def test_logs_of_a_workload_are_those_of_one_of_its_pods(run: Run, engine: Engine) -> None:
    _, current, _ = factories.shop(2)
    factories.pod(current, "web-0", ready=False)
    found = run("logs", "deployment/web", "-n", "shop")
    assert (found.code, found.err) == (0, "Found 3 pods, using pod/web-1\n")
    assert engine.asked["container"] == "c" * 64
    assert run("logs", "pod/web-1", "-n", "shop").err == ""
    assert run("logs", "deploy/nope", "-n", "shop").err == "error: deployment nope does not exist in namespace shop\n"
    assert run("logs", "ns/shop").err == (
        "error: a Namespace prints nothing: name a pod, or a workload such as deployment/web\n"
    )


def test_logs_of_a_run_that_ended(run: Run) -> None:
    _, current, _ = factories.shop(1)
    factories.crashed_pod(current, name="web-x")
    assert run("logs", "web-x", "-n", "shop", "--previous").out == "Traceback\nboom\n"
    assert run("logs", "web-1", "-n", "shop", "--previous").code == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("web-1", "-c", "db"), "pod shop/web-1 has no container db; it has: web"),
        (("web-p",), "pod shop/web-p is on no node yet: 0 of 1 nodes fit: 1 is cordoned"),
        (("web-c",), "pod shop/web-c has no container to read a log from yet: pulling nginx"),
        (("web-9",), "pod web-9 does not exist in namespace shop"),
    ],
)
def test_logs_that_cannot_be_read_say_why(run: Run, words: tuple[str, ...], sentence: str) -> None:
    _, current, _ = factories.shop(1)
    factories.pod(current, "web-p", node=None, ready=False, message="0 of 1 nodes fit: 1 is cordoned")
    factories.pod(current, "web-c", ready=False, message="pulling nginx")
    assert run("logs", *words, "-n", "shop").err == f"error: {sentence}\n"


# --- namespaces, people, repositories ---


def test_allowances_are_given_and_taken_back(run: Run) -> None:
    assert run("namespace", "allow", "ops", "host-path").out == "namespace/ops is allowed: host-path\n"
    assert run("namespace", "deny", "ops", "host-path").out == (
        "namespace/ops is allowed: nothing beyond the default\n"
    )
    assert "is not one of" in run("namespace", "allow", "ops", "root").err
    assert run("namespace", "list").lines[1][0] == "ops"


def test_a_users_password_is_shown_once_and_kept_as_a_hash(run: Run) -> None:
    shown = run("user", "add", "ann", "--admin").out
    password = shown.split("password ")[1].split()[0]
    row = get_user_model().objects.get(username="ann")
    assert row.check_password(password)
    assert row.is_superuser
    assert password not in row.password
    assert run("user", "password", "ann").out.split("password ")[1].split()[0] != password
    assert not get_user_model().objects.get(username="ann").check_password(password)
    assert "exists already" in run("user", "add", "ann").err
    assert "only administrator" in run("user", "remove", "ann").err
    assert password not in str(list(AuditEntry.objects.values_list("detail", "object")))


def test_a_token_comes_from_a_file_or_the_environment_never_from_an_argument(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[GitCredentials] = []

    def add(name: str, url: str, _actor: object, *, credentials: GitCredentials, **_: Any) -> Repository:
        given.append(credentials)
        return Repository(name=name, url=url, head="4" * 40)

    monkeypatch.setattr(repositories, "add_repository", add)
    monkeypatch.setenv("PIERHEAD_TOKEN", "from-environment")
    (tmp_path / "token").write_text("from-file\n")
    words = ("repository", "add", "code", "https://git.example.com/a.git", "--username", "bot")
    assert run(*words).out == "repository/code added: main is at 4444444\n"
    run(*words, "--token-file", str(tmp_path / "token"))
    run("repository", "add", "code", "git@git.example.com:a.git")
    assert [one.token for one in given] == ["from-environment", "from-file", ""]
    refused = run(*words, "--token", "x-secret-x")
    assert refused.code == 2
    assert given[3:] == []


def test_a_repository_in_use_is_not_removed(run: Run) -> None:
    factories.application()
    assert run("repository", "remove", "shop").err == (
        "error: repository shop is followed by shop: remove it first, `application remove shop`\n"
    )
    Application.objects.all().delete()
    assert run("repository", "remove", "shop").out == "repository/shop removed\n"
    assert run("repository", "add", "x", "file:///tmp/x").code == 1
