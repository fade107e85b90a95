"""Pages of a workload and of a pod: what they say, what their buttons do, and what they never show."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from control.models import AuditEntry, Deployment, Measurement, RoleBinding
from control.services import workloads
from control.services.audit import Actor
from control.services.refusal import Refused
from control.store import objects
from tests.control import factories, pages_data
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
ANN = Actor("ann")
HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\u202e"
QUERIES_AT_MOST = 20


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "NOW", time.time())


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def words(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    html = answer.content.decode()
    assert answer.status_code == status, html
    return " ".join(re.sub(r"<[^>]*>", " ", html[max(html.rfind("<main"), 0) :]).split())


# What they say


def test_a_rollout_under_way_is_told_by_node(ann: Client) -> None:
    pages_data.rolling(None, time.time())
    html = ann.get("/workloads/shop/front").content.decode()
    assert "<title>shop/front: Progressing - Pierhead</title>" in html
    text = words(ann, "/workloads/shop/front")
    assert "1 of 4 new pods ready, 3 old" in text
    assert len(re.findall(r'class="pod-mark new', html)) == 3  # two pods, and the legend
    assert len(re.findall(r'class="pod-mark old', html)) == 4
    assert "front-new-1, ContainerCreating" in text


def test_a_rollback_says_why_and_leads_back(ann: Client) -> None:
    pages_data.rolled_back(None)
    text = words(ann, "/workloads/shop/api")
    assert pages_data.ROLLBACK in text
    assert "Pinned to revision 2" in text
    assert "&lt;b&gt;connection&lt;/b&gt; to postgres refused" in text
    assert 'href="/workloads/shop/api/undo?revision=1"' in ann.get("/workloads/shop/api").content.decode()
    html = ann.get("/workloads/shop/api/undo?revision=1").content.decode()
    assert re.search(r'value="1" required\s+checked', html)


def test_traffic_is_plotted_by_revision(ann: Client) -> None:
    row = pages_data.healthy(None, "web")
    factories.service("web")
    now = int(time.time()) // 60 * 60
    for minute in range(1, 10):
        Measurement.objects.create(
            resolution=15, namespace="shop", service="web", at=now - 60 * minute, port="80", revision=2, requests=600,
            errors=6, buckets=[0, 594, 6, *([0] * 13)],
        )  # fmt: skip
    text = words(ann, f"/workloads/shop/{row.name}")
    assert "revision 2: 10.0/s" in text
    assert "revision 2: 1.0 %" in text
    assert "Latency, 95th percentile" in text


def test_queries_do_not_grow_with_the_pods(ann: Client) -> None:
    row = factories.deployment("web", replicas=60)
    counts = []
    for number in range(60):
        factories.pod(row.replica_sets.first() or factories.replica_set(row), f"web-{number:02}")
        if number in (0, 59):
            with CaptureQueriesContext(connection) as queries:
                assert ann.get("/workloads/shop/web").status_code == 200
            counts.append(len(queries))
    assert counts[1] <= counts[0] <= QUERIES_AT_MOST  # one more while the rollout goes on: what it waits for
    first, second = (ann.get(f"/workloads/shop/web?page={number}").content.decode() for number in (1, 2))
    assert "Page 1 of 2" in first
    assert "Page 2 of 2" in second
    shown = [set(re.findall(r'data-row href="/pods/shop/(web-\d\d)"', page)) for page in (first, second)]
    assert [len(names) for names in shown] == [50, 10]
    assert len(shown[0] | shown[1]) == 60


ENVIRONMENT = [
    {"name": "LEVEL", "value": "info"},
    {"name": "DATABASE_PASSWORD", "value": "hunter2"},
    {"name": "DATABASE_URL", "value": "postgres://shop:hunter3@db/shop"},
    {"name": "API", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}},
    {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    {"name": HOSTILE, "value": HOSTILE},
]


def test_the_environment_is_told_and_secrets_are_masked(ann: Client) -> None:
    container = {"name": "job", "image": "x:1", "env": ENVIRONMENT, "envFrom": [{"secretRef": {"name": "all"}}]}
    factories.pod(None, "job", spec={"containers": [container]})
    text, html = words(ann, "/pods/shop/job"), ann.get("/pods/shop/job").content.decode()
    assert "LEVEL info" in text
    assert "Secret keys, key api" in text
    assert "every key of Secret all" in text
    assert "its pod" in text or "spec.nodeName" in text
    assert "hunter" not in html
    assert "<img" not in html
    assert not set("\x1b\u202e") & set(html)


def test_a_pod_that_crashes_says_why_with_its_last_lines(ann: Client) -> None:
    status = {"phase": "Running", "containerStatuses": [{
        "name": "web", "ready": False, "restartCount": 4, "image": "x",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "\x1b[31mno memory\x1b[0m"}},
    }]}  # fmt: skip
    factories.pod(None, "job", ready=False, status=status, waiting="CrashLoopBackOff", message="exit code 137")
    text = words(ann, "/pods/shop/job")
    assert "CrashLoopBackOff" in text
    assert "OOMKilled, exit code 137" in text
    assert "no memory" in text


def test_a_pod_without_room_says_so(ann: Client) -> None:
    pages_data.stuck(None)
    assert pages_data.NO_ROOM in words(ann, "/pods/shop/search-0")


@pytest.mark.parametrize("path", ["/workloads/shop/none", "/pods/shop/none", "/pods/shop/none/logs"])
def test_what_is_not_there_is_404(ann: Client, path: str) -> None:
    assert ann.get(path).status_code == 404


# Buttons


@pytest.mark.parametrize(
    ("path", "action", "after"),
    [
        ("pause", "rollout pause", lambda row: row.paused),
        ("restart", "rollout restart", lambda row: row.restarted_at > 0),
    ],
)
def test_buttons_ask_first(ann: Client, path: str, action: str, after: Callable[[Deployment], Any]) -> None:
    pages_data.healthy(None, "web")
    assert ann.get(f"/workloads/shop/web/{path}").status_code == 200
    assert not AuditEntry.objects.exists()
    assert ann.post(f"/workloads/shop/web/{path}").status_code == 302
    assert after(Deployment.objects.get())
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.source) == (action, "ann", "127.0.0.1")


def test_what_is_paused_goes_on_by_a_button(ann: Client) -> None:
    pages_data.healthy(None, "web")
    ann.post("/workloads/shop/web/pause")
    assert 'id="go-on"' in ann.get("/workloads/shop/web").content.decode()
    second = ann.post("/workloads/shop/web/pause")
    assert (second.status_code, "is paused already" in second.content.decode()) == (409, True)
    assert ann.post("/workloads/shop/web/go-on").status_code == 302
    assert not Deployment.objects.get().paused


def test_scaling_is_for_whoever_saw_how_it_is(ann: Client) -> None:
    pages_data.healthy(None, "web")
    form = {"seen": "3", "replicas": "5"}
    assert ann.post("/workloads/shop/web/scale", form).status_code == 302
    assert Deployment.objects.get().replicas == 5
    second = ann.post("/workloads/shop/web/scale", form)
    assert (second.status_code, "Somebody was faster" in second.content.decode()) == (409, True)
    for wrong in ("", "-1", "x", "9" * 9):
        assert ann.post("/workloads/shop/web/scale", {"seen": "5", "replicas": wrong}).status_code == 400
    assert "scaled to 5 by ann; Git asks for 3" in words(ann, "/workloads/shop/web")


# Scaling, through the loops


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.add_node("a")
    made.push(web(replicas=2))
    made.pass_time(20)
    return made


def ready(world: World) -> int:
    return sum(pod.ready for pod in world.pods())


def test_a_scale_holds_until_git_asks_for_another_number(world: World) -> None:
    workloads.scale("shop", "web", 4, ANN)
    world.pass_time(20)
    assert ready(world) == 4
    assert world.deployment().progress["reason"] == "NewReplicaSetAvailable"
    world.push(web(replicas=2, image="shop/web:2"))
    world.pass_time(30)
    assert ready(world) == 4, "Git still asks for 2, as it did"
    world.push(web(replicas=3, image="shop/web:2"))
    world.pass_time(20)
    assert ready(world) == 3


def test_to_nothing_and_back_to_what_git_asks_for(world: World) -> None:
    workloads.scale("shop", "web", 0, ANN)
    world.pass_time(20)
    assert not world.pods()
    workloads.scale("shop", "web", 2, ANN)
    assert world.deployment().scale == {}
    world.pass_time(20)
    assert ready(world) == 2


@pytest.mark.parametrize("replicas", [-1, 10_001])
def test_absurd_scales_are_refused(replicas: int) -> None:
    factories.deployment()
    with pytest.raises(Refused, match="are not between 0 and 10000"):
        workloads.scale("shop", "web", replicas, ANN)


def test_scale_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    factories.deployment()
    call_command("scale", "deployment/web", "-n", "shop", "--replicas", "5", "--current-replicas", "3")
    assert capsys.readouterr().out == "deployment.apps/web scaled\n"
    with pytest.raises(CommandError, match="has 5 replicas, not 3"):
        call_command("scale", "deployment/web", "-n", "shop", "--replicas", "6", "--current-replicas", "3")
    with pytest.raises(CommandError, match="has 5 replicas already"):
        call_command("scale", "deploy", "web", "-n", "shop", "--replicas", "5")


def test_a_budget_counts_what_was_scaled_to() -> None:
    from control.models.budgets import budgets

    row = factories.deployment(replicas=3)
    owner = factories.replica_set(row)
    for number in range(3):
        factories.pod(owner, f"web-{number}")
    row.scale = {"replicas": 10, "instead_of": 3, "by": "ann", "at": 1.0}
    objects.update([row], ["scale"])
    budget = factories.made(
        factories.PodDisruptionBudget(
            namespace="shop", name="web", spec={"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
        )
    )
    assert budgets([budget])[0].expected == 10


# All of them


def test_workloads_are_listed_narrowed_and_paged(ann: Client) -> None:
    """Of many, the first page showed thirty and named a command for the others."""
    row, _, _ = factories.shop()
    factories.pin(row, 1)
    for number in range(60):
        factories.deployment(f"job-{number:02}", namespace="batch", replicas=0, labels={"app": "batch"})
    factories.pod(None, "lonely", namespace="batch")
    text = words(ann, "/workloads")
    assert "62 workloads" in text and "Kind Deployment 61 Pod 1" in text and "Page 1 of 2" in text
    assert "all workloads" in words(ann, "/")
    assert "1 workload of 62" in words(ann, "/workloads?kind=Pod")
    found = ann.get("/workloads?label=app%21%3Dbatch&namespace=shop").content.decode()
    assert re.findall(r'id="deployment-([a-z]+)-', found) == ["shop"] and "resume-deployment-shop-web" in found
    assert "1 workload of 62" in words(ann, "/workloads?words=shop/web")
    assert "No workload is like that" in words(ann, "/workloads?words=nothing")
    assert "is not a label selector" not in words(ann, "/workloads?label=b%3D"), "an empty value is one"
    assert "is not a label selector" in words(ann, "/workloads?label=%3Db")


def test_of_workloads_those_of_other_namespaces_are_not_counted(client: Client) -> None:
    factories.shop()
    factories.deployment("mailer", namespace="mail")
    looks = User.objects.create_user("bob")
    RoleBinding.objects.create(subject=looks, role="viewer", namespace="shop")
    client.force_login(looks)
    html = client.get("/workloads").content.decode()
    assert "1 workload<" in html.replace("</h1>", "<") and "mail" not in html
