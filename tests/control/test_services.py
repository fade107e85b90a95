"""What people ask for and may not have: one sentence, and nothing is written. And what holds when they may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.apps import apps

from control.models import Application, AuditEntry, Deployment, Node, Repository, Sync
from control.services import nodes, repositories, workloads
from control.services.audit import Actor
from control.services.refusal import Refused
from deployer.adapters.docker_address import EngineAddress
from deployer.composition import composition
from tests.control import factories
from tests.control.factories import COMMITS
from tests.scenarios.world import FakeSource, World, web

pytestmark = pytest.mark.django_db
ANN = Actor("ann")
URL = "https://git.example.com/shop.git"
SIM = EngineAddress(url="sim://one")
NAMES = ["", "-x", "Shop", "a/b", "../x", "a" * 64, "a\nb", "$(id)", "a;b", "shop\n"]
NO_NAME = "{} name {!r} is not valid: lower-case letters, digits and '-', at most 63 characters"


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    made = FakeSource()
    made.push({}, "x", 0)
    monkeypatch.setattr(composition(), "source", made)
    return made


def written() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    return {
        model.__name__: list(model._default_manager.values()) for model in apps.get_app_config("control").get_models()
    }


def refusal(call: Callable[[], object]) -> str:
    """The sentence of a refusal, which wrote nothing and fits into one line."""
    before = written()
    with pytest.raises(Refused) as caught:
        call()
    assert written() == before
    assert "\n" not in caught.value.sentence
    return caught.value.sentence


# Repositories and applications


@pytest.mark.parametrize("name", NAMES)
def test_names_are_plain(source: FakeSource, name: str) -> None:
    factories.repository()
    found = {
        "repository": lambda: repositories.add_repository(name, URL, ANN),
        "application": lambda: repositories.add_application(name, "shop", "k8s", ANN),
        "namespace": lambda: repositories.add_application("shop", "shop", "k8s", ANN, namespace=name),
    }
    assert {what: refusal(call) for what, call in found.items()} == {what: NO_NAME.format(what, name) for what in found}
    assert refusal(lambda: workloads.allow(name, "privileged", ANN)) == NO_NAME.format("namespace", name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"url": "--upload-pack=touch x"}, "--upload-pack=touch x: a repository URL cannot start with '-'"),
        ({"url": "ext::sh -c id"}, "ext::sh -c id: remote helpers (`name::address`) run programs; use https:// or ssh"),
        ({"url": "https://ann:hush@h.example/x"}, "https://h.example/x: leave user names, passwords and tokens out"),
        ({"url": "https://ann:hush@h.example"}, "https://h.example: leave user names"),
        ({"url": "ssh://ann:hush@h.example/x"}, "ssh://h.example/x: leave the password out of the URL"),
        ({"url": f"{URL}\n--upload-pack=x"}, f"the repository URL {URL}?--upload-pack=x holds a control character"),
        ({"url": "ssh://-oProxyCommand=id/x"}, "ssh://-oProxyCommand=id/x: the host name is missing or holds"),
        ({"url": "git@h.example:-x"}, "git@h.example:-x: the path on the server cannot start with '-'"),
        ({"url": "git://h.example/x"}, "git://h.example/x: git:// is not supported; use https:// or ssh://"),
        ({"url": "http://h.example/x"}, "http://h.example/x: http:// sends tokens and manifests in the clear"),
        ({"url": "https://h.example/"}, "https://h.example/ names a server but no repository on it"),
        ({"url": "https://169.254.169.254/x"}, "https://169.254.169.254/x: 169.254.169.254 is a link-local address"),
        (
            {"url": "https://2130706433/x"},
            "https://2130706433/x: 2130706433 is a loopback address; repeat with --allow",
        ),
        ({"url": "file:///srv/x"}, "file:///srv/x is on this machine: repeat with --allow-local if that is meant"),
        ({"url": "/srv/x"}, "/srv/x is on this machine: repeat with --allow-local if that is meant"),
        ({"url": "../x"}, "../x is not a repository URL: write https://host/path"),
        ({"url": ""}, "the repository URL is empty"),
        ({"url": f"https://h.example/{'x' * 1024}"}, "the repository URL has 1042 characters; at most 1024 are"),
        ({"ref": "--upload-pack=x"}, "--upload-pack=x: a ref cannot start with '-'"),
        ({"ref": "a..b"}, "a..b is not a ref name that Git admits"),
        ({"ref": "a b"}, "a b is not a ref name that Git admits"),
        ({"ref": "a\nb"}, "the ref a?b holds a control character (U+000A)"),
        ({"ref": ""}, "the ref is empty"),
        ({"ref": "x" * 256}, "the ref has 256 characters; at most 255 are admitted"),
        ({"poll_seconds": 0.5}, "--poll 0.5 is not between 1 and 86400 seconds"),
        ({"poll_seconds": -1}, "--poll -1 is not between 1 and 86400 seconds"),
        ({"poll_seconds": 1e300}, "--poll 1e+300 is not between 1 and 86400 seconds"),
        ({"poll_seconds": float("nan")}, "--poll nan is not between 1 and 86400 seconds"),
        ({"poll_seconds": float("inf")}, "--poll inf is not between 1 and 86400 seconds"),
        ({"name": "taken"}, "repository taken is registered already; remove it first, or use another name"),
    ],
)
def test_a_repository_is_refused(source: FakeSource, change: dict[str, Any], sentence: str) -> None:
    factories.repository("taken")
    source.failure = "the server was asked"
    given = {"name": "code", "url": URL, **change}
    said = refusal(lambda: repositories.add_repository(given.pop("name"), given.pop("url"), ANN, **given))
    assert said.startswith(sentence)
    assert "hush" not in said


def test_a_repository_is_asked_for_before_it_is_stored(source: FakeSource) -> None:
    source.failure = "git.example.com: branch main does not exist: push it, or register another --ref"
    assert refusal(lambda: repositories.add_repository("code", URL, ANN)) == source.failure
    source.failure = ""
    assert repositories.add_repository("code", URL, ANN).head == source.commits[0][0]
    assert repositories.add_repository("local", "/srv/x", ANN, allow_local=True).allow_local
    assert AuditEntry.objects.filter(action="repository add", actor="ann").count() == 2


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("../x", "../x: a path cannot leave the repository ('..')"),
        ("k8s/../../x", "k8s/../../x: a path cannot leave the repository ('..')"),
        ("/etc", "/etc: write a path relative to the repository's root"),
        ("-x", "-x: write a path relative to the repository's root"),
        ("./-x", "./-x: write a path relative to the repository's root"),
        ("~root", "~root: write a path relative to the repository's root"),
        ("a\\b", "a\\b: write a path relative to the repository's root"),
        (".git/hooks", ".git/hooks: '.git' is not part of a commit"),
        ("a\nb", "the path a?b holds a control character (U+000A)"),
        ("x" * 1025, "the path has 1025 characters; at most 1024 are admitted"),
    ],
)
def test_a_path_stays_inside_its_repository(path: str, sentence: str) -> None:
    factories.repository()
    assert refusal(lambda: repositories.add_application("web", "shop", path, ANN)).startswith(sentence)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: repositories.add_application("web", "x", "k8s", ANN),
         "repository x is not registered; registered: shop"),
        (lambda: repositories.add_application("shop", "shop", "k8s", ANN),
         "application shop exists already; remove it first, or use another name"),
        (lambda: repositories.remove_repository("x", ANN), "repository x is not registered; registered: shop"),
        (lambda: repositories.remove_repository("shop", ANN),
         "repository shop is followed by shop: remove it first, `application remove shop`"),
        (lambda: repositories.remove_application("x", ANN), "application x does not exist; there are: shop"),
        (lambda: repositories.sync("x", ANN), "application x does not exist; there are: shop"),
        (lambda: repositories.rollback("x", COMMITS[2], ANN), "application x does not exist; there are: shop"),
        (lambda: repositories.resume("x", ANN), "application x does not exist; there are: shop"),
        (lambda: repositories.resume("shop", ANN), "application shop is not pinned; there is nothing to resume"),
        *((lambda wanted=wanted: repositories.rollback("shop", wanted, ANN),
           f"application shop: {wanted} was never applied; applied before: 2222222, 1111111")
          for wanted in ("3333333", "222", "HEAD", "--all", "2222-", ".*", "")),
    ],
)  # fmt: skip
def test_an_application_is_refused(source: FakeSource, call: Callable[[], object], sentence: str) -> None:
    row = factories.application()
    factories.attempt(row, commit=COMMITS[1])
    factories.attempt(row)
    factories.attempt(row, Sync.FAILED, commit=COMMITS[3])
    assert refusal(call) == sentence


def test_two_commits_with_one_beginning_are_told_apart() -> None:
    row = factories.application()
    for commit in ("abcd" + "0" * 36, "abcd" + "1" * 36):
        factories.attempt(row, commit=commit)
    assert refusal(lambda: repositories.rollback("shop", "abcd", ANN)) == (
        "application shop: abcd names more than one commit; applied before: abcd111, abcd000"
    )


# Nodes


@pytest.mark.parametrize("name", [*NAMES, "a..b", "a.-b", ".a", "a."])
def test_a_node_has_a_dns_name(name: str) -> None:
    assert refusal(lambda: nodes.register(name, SIM, ANN)) == (
        f"node name {name!r} is not a DNS name: use lower-case letters, digits, '-' and '.'"
    )


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (EngineAddress("http://h"), "'http://h' is not an engine's address: write unix://PATH, tcp://HOST:PORT or ssh://"),
        (EngineAddress("-H tcp://h"), "'-H tcp://h' is not an engine's address"),
        (EngineAddress("unix://run/docker.sock"), "'unix://run/docker.sock': write unix:// and an absolute path"),
        (EngineAddress("unix:///nowhere/docker.sock"), "/nowhere/docker.sock"),
        (EngineAddress("tcp://10.0.0.1:2375"), "tcp://10.0.0.1: plain TCP gives root to whoever reaches it"),
        (EngineAddress("tcp://h:2376", ca="x"), "tcp://h: mutual TLS needs all three of ca, cert and key"),
        (EngineAddress("tcp://h:99999", ca="x", cert="x", key="x"), "the engine's address is not a URL"),
        (EngineAddress("ssh://h"), "'ssh://h': write ssh://USER@HOST with the user who may use the engine"),
        (EngineAddress("ssh://ann@h"), "ssh://h: give the private key (--ssh-key), and known_hosts"),
        (EngineAddress("ssh://-oProxyCommand=id@h", ssh_key="k", known_hosts="h"), "'ssh://-oProxyCommand=id@h': wri"),
        (EngineAddress("ssh://ann:hush@h", ssh_key="k", known_hosts="h"), "ssh://h: an address holds no password"),
        (EngineAddress("sim://../x"), "'sim://../x': write sim:// and a name of letters"),
    ],
)  # fmt: skip
def test_an_address_is_refused(address: EngineAddress, sentence: str) -> None:
    said = refusal(lambda: nodes.register("one", address, ANN))
    assert said.startswith(sentence)
    assert "hush" not in said


SYNTAX = "letters, digits, '-', '_' and '.', at most 63 characters"


@pytest.mark.parametrize(
    ("key", "value"),
    [("", "x"), ("a b", "x"), ("-a", "x"), ("a/b/c", "x"), ("/a", "x"), ("a" * 64, "x"), ("a", "b c"), ("a", "b/c"),
     ("a", "x" * 64), ("a", "-b"), ("a", "b;c"), ("a", "$(id)")],
)  # fmt: skip
def test_labels_and_taints_are_written_as_in_kubernetes(key: str, value: str) -> None:
    factories.node()
    said = f"label {key}={value} is not valid: {SYNTAX}"
    assert refusal(lambda: nodes.label("n1", {"zone": "a", key: value}, ANN)) == said
    assert refusal(lambda: nodes.register("two", SIM, ANN, {key: value})) == said
    one = {"key": key, "value": value, "effect": "NoSchedule"}
    assert refusal(lambda: nodes.taint("n1", [one], [], ANN)) == f"taint {said.removeprefix('label ')}"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: nodes.register("n1", SIM, ANN),
         "node n1 is registered already; `manage.py node remove n1` first, or use another name"),
        (lambda: nodes.register("two", EngineAddress("sim://n2"), ANN),
         "this engine is registered already, as node sim-two"),
        (lambda: nodes.taint("n1", [{"key": "a", "value": "", "effect": "Never"}], [], ANN),
         "taint effect 'Never' is not one of NoSchedule, PreferNoSchedule, NoExecute"),
        (lambda: nodes.remove("n1", ANN),
         "node n1 has 3 pods; run `manage.py node drain n1` first, or --force to forget them"),
        *((lambda act=act: act(), "node x is not registered; registered: n1, sim-two") for act in (
            lambda: nodes.cordon("x", ANN), lambda: nodes.drain("x", ANN), lambda: nodes.remove("x", ANN),
            lambda: nodes.label("x", {"a": "b"}, ANN), lambda: nodes.taint("x", [], ["a"], ANN))),
    ],
)  # fmt: skip
def test_a_node_is_refused(call: Callable[[], object], sentence: str) -> None:
    factories.shop()
    nodes.register("sim-two", EngineAddress("sim://n2"), ANN)
    assert Node.objects.count() == 2
    assert refusal(call) == sentence


# Workloads


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        *((lambda act=act: act("default", "web", ANN),
           "deployment web does not exist in namespace default; it exists in shop (-n)")
          for act in (workloads.undo, workloads.pause, workloads.unpin, workloads.restart)),
        (lambda: workloads.undo("shop", "x", ANN), "deployment x does not exist in namespace shop"),
        (lambda: workloads.undo("shop", "web", ANN),
         "deployment shop/web: there is no earlier revision to go back to: kept are 2 (current), 1 (failed)"),
        (lambda: workloads.undo("shop", "web", ANN, 7),
         "deployment shop/web: revision 7 is not kept: kept are 2 (current), 1 (failed)"),
        (lambda: workloads.undo("shop", "web", ANN, -1),
         "deployment shop/web: revision -1 is not kept: kept are 2 (current), 1 (failed)"),
        (lambda: workloads.undo("shop", "web", ANN, 2),
         "deployment shop/web: revision 2 is the one that is asked for already: kept are 2 (current), 1 (failed)"),
        (lambda: workloads.pause("shop", "web", ANN, paused=False), "deployment shop/web is not paused"),
        (lambda: workloads.unpin("shop", "web", ANN), "deployment shop/web is not pinned; there is nothing to resume"),
        (lambda: workloads.allow("shop", "everything", ANN),
         "allowance 'everything' is not one of capabilities, host-network, host-path, privileged"),
    ],
)  # fmt: skip
def test_a_workload_is_refused(call: Callable[[], object], sentence: str) -> None:
    row, _, _ = factories.shop()
    factories.replica_set(row, 1, failed=True)
    assert refusal(call) == sentence


def test_what_is_paused_is_not_paused_again() -> None:
    factories.shop()
    workloads.pause("shop", "web", ANN)
    assert refusal(lambda: workloads.pause("shop", "web", ANN)) == "deployment shop/web is paused already"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Revision 2 runs, revision 1 ran before."""
    made = World(tmp_path)
    monkeypatch.setattr(composition(), "source", made.source)
    made.add_node("a")
    for image in ("shop/web:1", "shop/web:2"):
        made.push(web(replicas=2, image=image))
        made.pass_time(20)
    return made


def images(world: World) -> list[str]:
    """What the containers that run were made of."""
    rows = Deployment.objects.get(name="web").replica_sets.values_list("revision", "spec")
    by_revision = {revision: spec["template"]["spec"]["containers"][0]["image"] for revision, spec in rows}
    return sorted(by_revision[pod.revision] for pod in world.pods() if pod.ready)


def test_a_restart_under_a_pin_restarts_what_is_pinned(world: World) -> None:
    workloads.undo("shop", "web", ANN, 1)
    world.pass_time(20)
    before = {pod.uid for pod in world.pods()}
    with time_machine.travel(world.clock.now(), tick=False):
        workloads.restart("shop", "web", ANN)
        assert refusal(lambda: workloads.restart("shop", "web", ANN)) == (
            "deployment shop/web was restarted within this second already"
        )
    world.pass_time(20)
    assert images(world) == ["shop/web:1", "shop/web:1"]
    assert not before & {pod.uid for pod in world.pods()}
    assert world.deployment().pin["reason"] == "ann rolled back to revision 1"
    workloads.unpin("shop", "web", ANN)
    world.pass_time(20)
    assert images(world) == ["shop/web:2", "shop/web:2"]


def test_a_restart_is_once_a_second(world: World) -> None:
    with time_machine.travel(world.clock.now(), tick=False):
        workloads.restart("shop", "web", ANN)
        assert "within this second" in refusal(lambda: workloads.restart("shop", "web", ANN))
    world.pass_time(20)
    assert images(world) == ["shop/web:2", "shop/web:2"]


def test_a_pin_survives_a_commit_that_scales_and_ends_with_one_that_changes_the_template(world: World) -> None:
    workloads.undo("shop", "web", ANN)
    world.pass_time(20)
    world.push(web(replicas=3, image="shop/web:2"))
    world.pass_time(20)
    assert images(world) == ["shop/web:1"] * 3
    assert world.deployment().pin
    world.push(web(replicas=3, image="shop/web:3"))
    world.pass_time(20)
    assert images(world) == ["shop/web:3"] * 3
    assert not world.deployment().pin


def test_an_application_goes_back_while_git_is_away(world: World) -> None:
    first, second = (commit[0] for commit in world.source.commits)
    world.source.failure = "git.example.com: cannot be reached"
    row, last = repositories.rollback("shop", first[:7], ANN)
    world.pass_time(20)
    assert images(world) == ["shop/web:1"] * 2
    answer = Sync.objects.filter(pk__gt=last).get()
    assert (answer.phase, answer.commit, answer.trigger, answer.actor) == (Sync.SUCCEEDED, first, "rollback", "ann")
    assert Application.objects.get(pk=row.pk).pin["skipped_commit"] == second
    world.pass_time(120)
    assert images(world) == ["shop/web:1"] * 2
    world.source.failure = ""
    world.pass_time(1000)
    assert images(world) == ["shop/web:1"] * 2  # Git came back with what is skipped
    third = world.push(web(replicas=2, image="shop/web:3"))
    world.pass_time(20)
    assert images(world) == ["shop/web:3"] * 2
    assert [*Application.objects.values_list("pin", "commit")] == [({}, third)]
    assert Repository.objects.get().failures == 0


def test_an_application_resumes_what_was_skipped(world: World) -> None:
    first, second = (commit[0] for commit in world.source.commits)
    repositories.rollback("shop", first, ANN)
    world.pass_time(20)
    assert images(world) == ["shop/web:1"] * 2
    repositories.resume("shop", ANN)
    world.pass_time(20)
    assert images(world) == ["shop/web:2"] * 2
    assert [*Application.objects.values_list("pin", "commit")] == [({}, second)]
