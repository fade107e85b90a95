"""Pages of applications: the list and its filters, one of them, previews of a sync and of a rollback."""

from __future__ import annotations

import re
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.management.descriptions.records import describe_application
from control.models import Application, AuditEntry, ConfigMap, Repository, Sync
from control.services import workloads
from control.services.audit import Actor
from control.store import objects
from deployer.composition import composition
from tests.control import factories, pages_data
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e"


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "NOW", time.time())


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def words(client: Client, path: str, status: int = 200, **form: str) -> str:
    """What a reader sees, in one line."""
    answer = client.post(path, form) if form else client.get(path)
    html = answer.content.decode()
    assert answer.status_code == status, html
    return " ".join(re.sub(r"<[^>]*>", " ", html[max(html.rfind("<main"), 0) :]).split())


def words_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def field(client: Client, path: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', client.get(path).content.decode())
    assert found, name
    return found[1]


# The list


def test_one_application_is_not_many(ann: Client) -> None:
    factories.application("shop", namespace="shop")
    assert "<title>1 application - Pierhead</title>" in ann.get("/applications").content.decode()
    factories.application("mail", namespace="mail")
    assert "<title>2 applications - Pierhead</title>" in ann.get("/applications").content.decode()


def three() -> None:
    factories.application("shop", namespace="shop")
    factories.application("mail", namespace="mail", sync_status="OutOfSync")
    other = factories.repository("other", url="https://git.example.com/other.git")
    factories.application("billing", namespace="shop", repository=other, commit="")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"shop", "mail", "billing"}),
        ("?sync=OutOfSync", {"mail"}),
        ("?namespace=shop", {"shop", "billing"}),
        ("?namespace=shop&repository=other", {"billing"}),
        ("?health=Missing", {"billing"}),
        ("?words=OTHER+billing", {"billing"}),
        ("?words=nothing", set()),
        ("?sync=%3Cscript%3E", set()),
        ("?page=99", {"shop", "mail", "billing"}),
        ("?page=-1", {"shop", "mail", "billing"}),
        ("?as=tiles&sync=OutOfSync", {"mail"}),
    ],
)
def test_the_server_filters(ann: Client, query: str, found: set[str]) -> None:
    three()
    html = ann.get(f"/applications{query}").content.decode()
    assert set(re.findall(r'id="application-([a-z]+)"', html)) == found
    assert "<script>" not in html.replace("<script src", "")


def test_each_filter_counts_what_it_would_leave(ann: Client) -> None:
    three()
    text = words(ann, "/applications?namespace=shop")
    assert "2 applications of 3" in text
    assert "Repository other 1 shop 1" in text
    assert "Namespace mail 1 shop 2" in text
    assert 'href="?namespace=shop&amp;repository=other"' in ann.get("/applications?namespace=shop").content.decode()


def labelled() -> None:
    """Of shop the workload has a label of its own, of mail its pods alone; billing is a bare pod."""
    three()
    for name, own, of_pods in (("shop", {"app": "web", "tier": "front"}, {"app": "pod"}), ("mail", {}, {"app": "web"})):
        spec = {"template": {"metadata": {"labels": of_pods}, "spec": {"containers": []}}}
        owner = Application.objects.get(name=name)
        factories.deployment(name, namespace=name, application=owner, labels=own, spec=spec)
    factories.pod(None, "biller", labels={"app": "bill"}, application=Application.objects.get(name="billing"))


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("", {"shop", "mail", "billing"}),
        ("app=web", {"shop", "mail"}),
        ("app==web,tier=front", {"shop"}),
        ("app in (web,bill)", {"shop", "mail", "billing"}),
        ("app notin (web)", {"billing"}),
        ("app!=bill", {"shop", "mail"}),
        ("tier", {"shop"}),
        ("!tier", {"mail", "billing"}),
        ("app=pod", set()),
    ],
)
def test_labels_of_workloads_narrow_the_list(ann: Client, selector: str, found: set[str]) -> None:
    """Kubernetes' grammar; of a workload without labels those of its pods count."""
    labelled()
    html = ann.get("/applications", {"label": selector}).content.decode()
    assert set(re.findall(r'id="application-([a-z]+)"', html)) == found
    assert f'name="label" value="{selector}"' in html


def test_labels_are_counted_and_held_with_the_other_filters(ann: Client) -> None:
    labelled()
    text = words(ann, "/applications?label=app%3Dweb&namespace=shop")
    assert "1 application of 3" in text and "Namespace mail 1 shop 1" in text
    assert "Label app=web 2" in words(ann, "/applications")
    html = ann.get("/applications?label=app%3Dweb").content.decode()
    assert 'href="?namespace=shop&amp;label=app%3Dweb"' in html, "a link keeps the selector"
    assert 'class="chip chosen"' in html, "it can be taken away"


@pytest.mark.parametrize("selector", ["app=web tier=front", "app in web", "=web", "a=b" * 1000, "<script>"])
def test_a_selector_that_cannot_be_read_is_said_and_lists_nothing(ann: Client, selector: str) -> None:
    labelled()
    html = ann.get("/applications", {"label": selector}).content.decode()
    assert "is not a label selector: write app=web" in words_of(html)
    assert 'id="application-' not in html and 'href="?"' in html.replace('href="/applications"', 'href="?"')


def test_the_list_is_paged(ann: Client) -> None:
    source = factories.repository()
    Application.objects.bulk_create(
        Application(name=f"app-{number:03}", repository=source, commit="a" * 40) for number in range(60)
    )
    assert "Page 1 of 2" in words(ann, "/applications")
    second = ann.get("/applications?page=2").content.decode()
    assert len(re.findall(r'id="application-', second)) == 10


# One of them


def test_an_application_says_how_it_is_and_what_it_holds(ann: Client) -> None:
    pages_data.story()
    text = words(ann, "/applications/shop")
    assert "shop: Degraded, Synced" in text
    assert f"caused by Deployment shop/api: {pages_data.ROLLBACK}" in text
    assert "front-new-1" in text
    assert f"search-0 Pending 0 : {pages_data.NO_ROOM}" in text.replace("0:", "0 :")
    assert "deploy/&lt;i&gt;.yaml:3" in words(ann, "/applications/billing")


def test_what_is_not_there_is_404(ann: Client) -> None:
    for path in ("", "/resume", "/sync", "/policy"):
        assert ann.get(f"/applications/none{path}").status_code == 404


def test_history_goes_on_by_number(ann: Client) -> None:
    row = factories.application()
    for number in range(25):
        factories.attempt(row, actor=f"person-{number:02}")
    first = ann.get("/applications/shop").content.decode()
    older = re.search(r"\?before=(\d+)", first)
    assert older
    assert "person-24" in first
    assert "person-04" not in first
    assert "person-04" in ann.get(f"/applications/shop?before={older[1]}").content.decode()


def test_words_from_git_are_shown_and_not_obeyed(ann: Client) -> None:
    row = factories.application(message=HOSTILE, sync_status="OutOfSync")
    factories.attempt(row, Sync.FAILED, commit_message=HOSTILE, commit_author=HOSTILE, message=HOSTILE, actor=HOSTILE)
    html = ann.get("/applications/shop").content.decode()
    assert "&lt;script&gt;" in html
    assert "alert('x')</script>" not in html
    assert not set("\x1b\u202e") & set(html)


# Rolling back and syncing


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(composition(), "source", made.source)
    made.add_node("a")
    made.push(web(replicas=1, image="shop/web:1"), web("old", replicas=1))
    made.pass_time(20)
    made.push(web(replicas=2, image="shop/web:2"))
    made.pass_time(20)
    return made


def rollback_page(world: World) -> tuple[str, dict[str, str]]:
    first = world.source.commits[0][0]
    return f"/applications/shop/rollback/{first}", {"commit": first}


def test_a_rollback_says_first_what_it_does(ann: Client, world: World) -> None:
    path, _ = rollback_page(world)
    text = words(ann, path)
    assert "shop/web shop/web:2 → shop/web:1" in text
    assert "spec.replicas: 2 -&gt; 1" in text
    assert "Create Deployment shop/ old" in text
    assert not Application.objects.get().pin


def test_one_more_click_rolls_back(ann: Client, world: World) -> None:
    path, form = rollback_page(world)
    answer = ann.post(path, {**form, "state": field(ann, path, "state")}, follow=True)
    assert answer.redirect_chain == [("/applications/shop", 302)]
    assert "goes back to" in answer.content.decode()
    world.pass_time(20)
    assert world.deployment().spec["replicas"] == 1
    assert "pinned to" in words(ann, "/applications/shop")
    assert "nothing would be changed" in words(ann, "/applications/shop/sync"), "a sync applies what the pin holds"
    assert AuditEntry.objects.get(action="application rollback").actor == "ann"
    assert ann.post("/applications/shop/resume", {"x": "y"}).status_code == 302
    assert not Application.objects.get().pin


def test_the_second_of_two_who_roll_back_is_told(ann: Client, world: World) -> None:
    path, form = rollback_page(world)
    form["state"] = field(ann, path, "state")
    assert ann.post(path, form).status_code == 302
    second = ann.post(path, form)
    assert second.status_code == 409
    assert "It has changed since you opened this page" in second.content.decode()
    assert AuditEntry.objects.filter(action="application rollback").count() == 1


def test_a_sync_shows_what_is_pending_and_applies_it(ann: Client, world: World) -> None:
    Application.objects.update(automatic=False)
    world.push(web(replicas=3, image="shop/web:3"))
    world.pass_time(60)
    assert "Git is at" in words(ann, "/applications/shop")
    text = words(ann, "/applications/shop/sync")
    assert "shop/web:2 → shop/web:3" in text
    assert "Ada" in text
    form = {name: field(ann, "/applications/shop/sync", name) for name in ("commit", "state")}
    world.push(web(replicas=9, image="shop/web:9"))  # nobody has looked at this one, and nobody has polled
    assert ann.post("/applications/shop/sync", form).status_code == 302
    world.pass_time(20)
    assert world.deployment().spec["replicas"] == 3


def test_a_commit_that_would_be_refused_says_so_and_has_no_button(ann: Client, world: World) -> None:
    world.push(web().replace("replicas", "replica"))
    world.pass_time(40)
    html = ann.get("/applications/shop/sync").content.decode()
    assert "would be refused" in html
    assert "spec.replica" in html
    assert "Sync now" not in html


def test_git_that_is_away_is_a_sentence(ann: Client, world: World) -> None:
    Repository.objects.update(head="")
    world.source.failure = "git.example.com: cannot be reached"
    assert "git.example.com: cannot be reached" in words(ann, "/applications/shop/sync", 409)


def test_a_secret_is_masked_in_a_preview(ann: Client, world: World) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: {}}}\n"
    world.push(web(replicas=2, image="shop/web:2"), secret.format("hunter2"))
    world.pass_time(20)
    Application.objects.update(automatic=False)
    world.push(web(replicas=2, image="shop/web:2"), secret.format("hunter3"))
    world.pass_time(40)
    html = ann.get("/applications/shop/sync").content.decode()
    assert "***" in html
    assert "hunter" not in html
    assert "aHVudGVy" not in html


def test_how_it_is_synced_is_changed_by_a_form(ann: Client, world: World) -> None:
    path = "/applications/shop/policy"
    assert path in ann.get("/applications/shop").content.decode()
    seen = field(ann, path, "seen")
    answer = ann.post(path, {"automatic": "yes", "seen": seen}, follow=True)
    assert answer.redirect_chain == [("/applications/shop", 302)]
    assert "shop is synced so from now on: automatic, no prune, no self-heal." in answer.content.decode()
    assert "by itself, keeps what Git gave up, only tells what is changed live" in words(ann, "/applications/shop")
    assert AuditEntry.objects.get(action="application set").detail == "automatic, no prune, no self-heal"
    for given, said in (
        ({"seen": seen}, "somebody was faster, it is automatic, no prune, no self-heal by now"),
        ({"automatic": "yes", "seen": field(ann, path, "seen")}, "is so already: automatic, no prune, no self-heal"),
    ):
        refused = ann.post(path, given)
        assert (refused.status_code, said in refused.content.decode()) == (409, True), said
    assert ann.post(path, {"seen": field(ann, path, "seen")}).status_code == 302
    world.push(web(replicas=3, image="shop/web:3"))
    world.settle()
    assert Application.objects.get().sync_status == "OutOfSync"
    ann.post(path, {"automatic": "yes", "prune": "yes", "self_heal": "yes", "seen": field(ann, path, "seen")})
    world.settle()
    assert Application.objects.get().sync_status == "Synced", "the commit that waited was applied"


def test_what_was_changed_live_is_told_with_the_fields(ann: Client, world: World) -> None:
    Application.objects.update(self_heal=False)
    settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: red}\n"
    world.push(web(replicas=2, image="shop/web:2"), settings)
    world.settle()
    world.look()
    row = ConfigMap.objects.get(name="settings")
    row.spec = {**row.spec, "data": {"colour": HOSTILE}}
    objects.update([row], ["spec"])
    world.look()
    text = words(ann, "/applications/shop")
    assert "OutOfSync by itself, prunes, only tells what is changed live" in text
    assert "Changed live, away from Git ConfigMap shop/settings: data.colour differs from Git" in text
    preview = ann.get("/applications/shop/sync").content.decode()
    assert "data.colour" in preview
    assert "<script>alert" not in preview
    form = {name: field(ann, "/applications/shop/sync", name) for name in ("commit", "state")}
    assert ann.post("/applications/shop/sync", form).status_code == 302
    Application.objects.update(self_heal=True)
    world.settle()
    assert ConfigMap.objects.get(name="settings").spec["data"] == {"colour": "red"}
    text = words(ann, "/applications/shop")
    assert "Synced by itself, prunes, puts back what is changed live" in text
    assert "Changed live, away" not in text
    assert "left alone" not in text
    workloads.scale("shop", "web", 5, Actor("ann"))
    workloads.pause("shop", "web", Actor("ann"))
    held = "Deployment shop/web: 5 replicas by ann, Git says 2; paused by hand"
    assert f"Decided by somebody, and left alone {held}" in words(ann, "/applications/shop")
    assert f"Left Alone:\n  {held}\n" in describe_application(Application.objects.get(), time.time())


def test_anything_is_found_by_its_name(ann: Client) -> None:
    pages_data.story()
    found: list[Any] = ann.get("/find?words=shop/ap").json()["found"]
    assert ["Deployment", "shop/api", "/workloads/shop/api"] in found
    assert all(name.startswith("shop/") for kind, name, _ in found if kind in ("Pod", "Deployment"))
    assert ann.get("/find?words=" + "x" * 5000).json() == {"found": []}
