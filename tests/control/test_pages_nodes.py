"""Nodes: the list, one of them, the form that registers a host, and what can be done to one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from control.models import AuditEntry, Node, Pod
from control.selectors.node_questions import seen_of
from control.services import nodes as service
from deployer.core.container import EngineInfo
from deployer.ports import EngineUnreachable
from tests.control import factories, people_data

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e\"><img src=x>"
QUERIES_AT_MOST = 20
KEY = "-----BEGIN PRIVATE KEY-----\nnobody-may-see-this\n-----END PRIVATE KEY-----"
HELD = "budget shop/web allows no disruption now: 2 healthy, 2 needed"
HOST = {"name": "harbour-9", "address": "tcp://10.0.0.9:2376", "ca": "CA", "cert": "CERT", "key": KEY}
HOST["labels"] = "zone=a"


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "NOW", time.time())


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of engines that were asked. Whoever asks one without saying so in a test finds it broken."""
    found: list[str] = []

    def refuse(address: Any, *_: Any, **__: Any) -> Any:
        found.append(address.url)
        raise EngineUnreachable("Unreachable", f"{address.url} does not answer: connection refused")

    monkeypatch.setattr(service, "open_engine", refuse)
    monkeypatch.setattr(service, "engine_of", lambda row: refuse(row))
    return found


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada", password="a long harbour wall"))
    return client


def page(client: Client, path: str = "/nodes", **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.content
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def press(client: Client, what: str, name: str = "n1", **given: str) -> Any:
    """Opens the form and sends it as it is, with `given`."""
    path = f"/nodes/{name}/{what}"
    seen = re.search(r'name="seen" value="([^"]*)"', client.get(path).content.decode())
    return client.post(path, {"seen": seen[1] if seen else "", **given})


def fleet() -> None:
    """One of each: well, drained, silent with witnesses, with a router in trouble."""
    now = factories.NOW
    factories.node("well", labels={"zone": "a"}, taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
    drained = factories.node("drained", cordoned=True, draining=True, drain_pods=4)
    for number in range(3):
        factories.pod(name=f"d-{number}", node=drained, message=HELD)
    silent = "3 heartbeats were missed (no answer within 1 s); 1 of 2 peers sees it, so its pods are left alone"
    factories.node(
        "silent", ready=False, reason="CutOff", message=silent, heartbeat_at=now - 70, reason_changed_at=now - 60,
        witnesses={"well": True, "drained": False},
    )  # fmt: skip
    routed = factories.node("routed")
    factories.router(routed, "Service shop/web: port 80 is taken", expires_at=now + 80 * 86400)


# --- the list ---


def test_every_node_says_how_it_is_and_who_sees_it(admin: Client) -> None:
    fleet()
    html = page(admin)
    text = words(html)
    assert "<title>4 nodes - Pierhead</title>" in html
    assert "silent Cut off tcp://10.0.0.5:2376, Docker 27.3.1" in text
    assert "We heard it 1m ago: 3 heartbeats were missed (no answer within 1 s)" in text
    assert "1 sees it: well 1 does not: drained" in text
    assert "not asked, it answers us" in text
    assert "1 of 4 pods moved" in text
    assert 'value="25"' in html
    assert "shop/d-0 budget shop/web allows no disruption now: 2 healthy, 2 needed" in text
    assert "zone=a" in text
    assert "gpu=yes:NoSchedule" in text
    assert "Service shop/web: port 80 is taken" in text
    assert "0.75 of 3.9" in text


def test_words_and_states_narrow_the_list(admin: Client) -> None:
    fleet()
    assert "1 node of 4" in words(page(admin, "/nodes?words=zone%3Da"))
    assert "1 node of 4" in words(page(admin, "/nodes?state=Draining"))
    assert "Ready 2" in words(page(admin, "/nodes?state=Draining"))  # what the others would leave
    nothing = page(admin, "/nodes?words=nowhere")
    assert "No node is like that." in words(nothing)
    assert "0 nodes of 4" in words(nothing)


def test_the_list_is_cut_by_the_server(admin: Client) -> None:
    for number in range(120):
        factories.node(f"n{number:03}")
    html = page(admin)
    assert html.count("<tbody") == 50
    assert "Page 1 of 3" in html
    assert page(admin, "/nodes?page=3").count("<tbody") == 20
    assert page(admin, "/nodes?page=99").count("<tbody") == 20
    assert page(admin, "/nodes?page=%F0%9F%90%8B").count("<tbody") == 50


def test_an_empty_place_names_the_next_step(admin: Client) -> None:
    assert 'href="/nodes/add"' in page(admin)


def test_who_may_look_only_is_offered_nothing_to_press(client: Client) -> None:
    fleet()
    client.force_login(people_data.person("vic", {"": "viewer"}))
    assert "/nodes/add" not in page(client)
    assert "/nodes/well/" not in page(client, "/nodes/well")
    for path in ("add", "well/cordon", "well/drain", "well/remove", "well/declare-dead", "well/uncordon"):
        assert client.get(f"/nodes/{path}").status_code == 403
        assert client.post(f"/nodes/{path}").status_code == 403
    client.force_login(people_data.person("olga", {"": "operator"}))
    codes = [client.get(f"/nodes/{path}").status_code for path in ("add", "well/remove", "well/drain")]
    assert codes == [403, 403, 200]


# --- one ---


def test_one_node_tells_all(admin: Client) -> None:
    fleet()
    factories.event("Registered", "registered: Docker 27.3.1", kind="Node", namespace="", name="routed")
    factories.pod(name="web-9", node=Node.objects.get(name="routed"))
    text = words(page(admin, "/nodes/routed"))
    assert "routed: Ready" in text
    assert "1 pod " in text
    assert "web-9" in text
    assert "Registered" in text
    assert "The engine answers" in text
    assert "The router works" in text
    assert "ends in 79d" in text or "ends in 80d" in text
    assert "Service shop/web: port 80 is taken" in text
    assert "The engine does not answer" in words(page(admin, "/nodes/silent"))


def test_its_pods_are_cut_by_the_server_and_those_in_trouble_come_first(admin: Client) -> None:
    row = factories.node()
    for number in range(60):
        factories.pod(name=f"p{number:02}", node=row)
    factories.pod(name="zz", node=row, ready=False)
    html = page(admin, "/nodes/n1")
    assert html.count('<tbody id="pod-') == 50
    assert html.index("pod-shop-zz") < html.index("pod-shop-p00")
    assert page(admin, "/nodes/n1?page=2").count('<tbody id="pod-') == 11


def test_a_node_that_is_not_there(admin: Client) -> None:
    response = admin.get("/nodes/none")
    assert response.status_code == 404
    assert "Node none is not registered" in response.content.decode()


def test_nodes_are_for_those_who_see_all_namespaces(client: Client) -> None:
    fleet()
    client.force_login(people_data.person("eve", {"shop": "admin"}))
    for path in ("/nodes", "/nodes/well", "/nodes/well/drain"):
        assert client.get(path).status_code == 403
    assert "eve may not look at what belongs to no namespace" in client.get("/nodes").content.decode()


def test_whatever_comes_from_outside_is_shown_and_not_obeyed(admin: Client) -> None:
    row = factories.node(
        "n1", ready=False, reason=HOSTILE[:60], message=HOSTILE, labels={HOSTILE: HOSTILE}, witnesses={HOSTILE: True},
        taints=[{"key": HOSTILE, "value": HOSTILE, "effect": "NoSchedule"}], cordoned=True, draining=True,
        operating_system=HOSTILE, declared_dead_by=HOSTILE, engine_version=HOSTILE,
        annotations={"pierhead.io/mesh-address": HOSTILE},
    )  # fmt: skip
    factories.router(row, HOSTILE, ready=False, reason=HOSTILE[:60], message=HOSTILE)
    said = {"message": HOSTILE, "log_tail": HOSTILE, "claimed_owner": HOSTILE}
    factories.pod(name="p", node=row, ready=False, orphaned=True, **said)
    factories.event(HOSTILE, HOSTILE, kind="Node", namespace="", name="n1")
    for what in ("", "/n1", "/n1/drain", "/n1/remove", "/n1/declare-dead", "/n1/cordon"):
        html = page(admin, path := f"/nodes{what}")
        assert not re.search(r"<script>|<img|\x1b|\u202e", html), path


def test_queries_do_not_grow(admin: Client) -> None:
    counts = {}
    for many in (1, 50):
        for number in range(Node.objects.count(), many):
            row = factories.node(f"n{number}", draining=number % 2 == 0, cordoned=True)
            factories.router(row, "odd")
            factories.budget(f"b{number}")
            factories.pod(name=f"p{number}", node=row)
            factories.pod(name=f"q{number}", node=Node.objects.get(name="n0"), namespace=f"s{number}")
        for path in ("/nodes", "/nodes/n0", "/nodes/n0/drain", "/nodes/n0/remove"):
            with CaptureQueriesContext(connection) as queries:
                page(admin, path)
            assert len(queries) <= QUERIES_AT_MOST
            assert counts.setdefault(path, len(queries)) == len(queries), path


def test_no_host_is_asked_by_looking(admin: Client, asked: list[str]) -> None:
    fleet()
    for what in ("", "/cordon", "/uncordon", "/drain", "/remove", "/declare-dead"):
        page(admin, f"/nodes/silent{what}")
    page(admin), page(admin, "/nodes/add")
    assert asked == []


# --- adding ---


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A host that answers; the addresses that it was asked by."""
    found: list[Any] = []

    class Engine:
        def info(self) -> EngineInfo:
            return EngineInfo(
                engine_id="e9", name="e9", version="27.3.1", operating_system="Debian", architecture="x86_64",
                cpu_millicores=4000, memory_bytes=8 << 30,
            )  # fmt: skip

        def containers(self) -> list[Any]:
            return []

        def close(self) -> None:
            pass

    def open_it(address: Any, *_: Any, **__: Any) -> Engine:
        found.append(address)
        return Engine()

    monkeypatch.setattr(service, "open_engine", open_it)
    yield found


def test_a_host_is_tested_and_what_it_has_is_said(admin: Client, engine: list[Any]) -> None:
    response = admin.post("/nodes/add", {**HOST, "key": KEY.replace("\n", "\r\n")}, follow=True)
    assert response.redirect_chain == [("/nodes/harbour-9", 302)]
    assert "harbour-9 is registered: Docker 27.3.1, 4 CPUs, 8 GiB." in response.content.decode()
    row = Node.objects.get()
    assert row.labels["zone"] == "a"
    assert row.credentials.load() == {"ca": "CA\n", "cert": "CERT\n", "key": KEY + "\n"}
    assert engine[0].url == "tcp://10.0.0.9:2376"
    assert AuditEntry.objects.get(action="node add").actor == "ada"


def test_a_refusal_keeps_what_was_typed_but_never_a_key(admin: Client) -> None:
    response = admin.post("/nodes/add", HOST)
    html = response.content.decode()
    assert response.status_code == 409
    assert "tcp://10.0.0.9:2376 does not answer: connection refused" in html
    assert 'value="harbour-9"' in html
    assert "CERT</textarea>" in html
    assert "zone=a</textarea>" in html
    assert "nobody-may-see-this" not in html
    assert "Paste the private key again" in html
    assert not Node.objects.exists()


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        pytest.param({"name": ""}, 400, "This field is required", id="no name"),
        pytest.param({"name": "Not A Name"}, 409, "is not a DNS name", id="a name that is none"),
        pytest.param({"labels": "zone"}, 400, "zone: write key=value, one a line", id="a label without a value"),
        pytest.param({"labels": "a=b!"}, 409, "label a=b! is not valid", id="a label that is none"),
        pytest.param({"ssh_key": KEY}, 400, "give one of them", id="keys for both"),
        pytest.param({"mesh_address": "a:1"}, 409, "leave the port out", id="a mesh address with a port"),
        pytest.param({"name": HOSTILE}, 409, "is not a DNS name", id="markup"),
    ],
)
def test_what_is_wrong_is_said(admin: Client, engine: list[Any], given: dict[str, str], status: int, said: str) -> None:
    response = admin.post("/nodes/add", {**HOST, **given})
    html = response.content.decode()
    assert (response.status_code, said in words(html)) == (status, True), words(html)
    assert "nobody-may-see-this" not in html
    assert "<script>" not in html
    assert not engine


# --- acting ---


def test_cordon_and_uncordon(admin: Client) -> None:
    factories.node()
    assert press(admin, "cordon").status_code == 302
    assert Node.objects.get().cordoned
    assert "Uncordon" in page(admin, "/nodes/n1")
    assert press(admin, "uncordon")["Location"] == "/nodes/n1"
    assert not Node.objects.get().cordoned
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["node uncordon", "node cordon"]


def test_the_second_of_two_is_told(admin: Client) -> None:
    factories.node()
    seen = {"seen": re.search(r'name="seen" value="([^"]*)"', page(admin, "/nodes/n1/cordon"))[1]}  # type: ignore[index]
    assert admin.post("/nodes/n1/cordon", seen).status_code == 302
    second = admin.post("/nodes/n1/cordon", seen)
    assert second.status_code == 409
    assert "It has changed since you opened this page" in second.content.decode()
    assert AuditEntry.objects.count() == 1


def test_a_drain_says_first_what_goes_and_what_is_held_back(admin: Client) -> None:
    factories.shop()
    factories.budget(minAvailable=3)
    factories.pod(name="bare", labels={"app": "other"})
    factories.pod(name="found", labels={}, orphaned=True, claimed_owner="Deployment/old")
    text = words(page(admin, "/nodes/n1/drain"))
    assert "PodDisruptionBudgets hold 3 of 5 pods back now" in text
    assert "shop/ web-1 held back for now budget shop/web allows no disruption now: 3 healthy, 3 needed" in text
    assert "shop/ bare is stopped, then made again elsewhere" in text
    assert "shop/ found stays it was found running, and Deployment/old is not on record" in text
    response = press(admin, "drain")
    assert response["Location"] == "/nodes/n1"
    row = Node.objects.get()
    assert (row.draining, row.cordoned, row.drain_pods) == (True, True, 5)
    assert Pod.objects.filter(replica_set__isnull=False, deleted_at=None).count() == 3
    assert "0 of 5 pods moved" in words(page(admin, "/nodes/n1"))


def test_a_drain_that_asks_no_budgets(admin: Client) -> None:
    factories.shop()
    factories.budget(minAvailable=3)
    assert press(admin, "drain", no_budgets="yes").status_code == 302
    assert not Pod.objects.filter(deleted_at=None).exists()
    assert AuditEntry.objects.get(action="node drain").detail == "budgets were not asked"


def test_a_node_that_does_not_answer_is_not_drained(admin: Client) -> None:
    factories.node(ready=False, reason="Dead")
    html = page(admin, "/nodes/n1/drain")
    assert "so nothing on it can be stopped" in html
    assert '<button class="button main"' not in html
    assert admin.post("/nodes/n1/drain", {"seen": seen_of(Node.objects.get())}).status_code == 409


def test_only_what_nobody_sees_is_declared_dead(admin: Client) -> None:
    fleet()
    assert "silent is not dead: well sees it" in words(page(admin, "/nodes/silent/declare-dead"))
    assert press(admin, "declare-dead", "silent").status_code == 409
    assert "well answers, so it is not dead" in words(page(admin, "/nodes/well/declare-dead"))
    Node.objects.filter(name="silent").update(reason="Unknown", witnesses={})
    assert press(admin, "declare-dead", "silent").status_code == 302
    assert Node.objects.get(name="silent").declared_dead_by == "ada"


def test_removing_says_what_is_forgotten_and_wants_a_tick_for_pods(admin: Client) -> None:
    row = factories.node(ready=False, reason="Dead")
    factories.pod(node=row, name="left")
    text = words(page(admin, "/nodes/n1/remove"))
    assert "Forget 1 pod, and have them run elsewhere" in text
    assert "shop/ left" in text
    assert press(admin, "remove").status_code == 400
    assert press(admin, "remove", force="yes")["Location"] == "/nodes"
    assert not Node.objects.exists()
    assert AuditEntry.objects.get(action="node remove").detail == "1 pods forgotten"
    assert admin.get("/nodes/n1/remove").status_code == 404


def test_a_pod_that_came_meanwhile_is_not_forgotten_unseen(admin: Client) -> None:
    row = factories.node(ready=False, reason="Dead")
    seen = re.search(r'name="seen" value="([^"]*)"', page(admin, "/nodes/n1/remove"))
    assert seen
    factories.pod(node=row)
    assert admin.post("/nodes/n1/remove", {"seen": seen[1], "force": "yes"}).status_code == 409
    assert Node.objects.exists()
