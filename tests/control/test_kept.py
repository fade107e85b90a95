"""What pages keep between requests: never stale, never somebody else's."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template import Context, Template, TemplateSyntaxError
from django.test import Client

from control.models import Application, Deployment, Node, Pod, RoleBinding, Service, Sync
from control.selectors.applications import application_lines
from control.selectors.backing import backings
from control.selectors.connecting import connecting
from control.selectors.deployment_facts import facts
from control.selectors.overview_nodes import lined
from control.selectors.words import Moment
from tests.control import factories

pytestmark = pytest.mark.django_db
NOW = factories.NOW


def html(person: str, path: str) -> str:
    client = Client()
    client.force_login(User.objects.get(username=person))
    return client.get(path).content.decode()


def only_in(namespace: str) -> str:
    person = User.objects.create_user(f"of-{namespace}")
    RoleBinding.objects.create(subject=person, role="viewer", namespace=namespace)
    return person.username


# --- rows ---


@pytest.mark.parametrize(
    "changes",
    [
        {"paused": True},
        {"generation": 9},
        {"spec": {"replicas": 7, "template": factories.template()}},
        {"pin": {"revision": 1, "template_hash": "h1", "skipped_hash": "h2", "reason": "it broke", "automatic": True}},
    ],
)
def test_a_deployment_that_changed_is_judged_anew(changes: dict[str, Any]) -> None:
    """Without a resource version too: what is kept is kept by the row's text."""
    row, _, _ = factories.shop()
    (before,) = facts()
    assert facts().__next__() == before
    Deployment.objects.filter(pk=row.pk).update(**changes)
    (after,) = facts()
    assert after != before


def test_a_service_and_its_pods_that_changed_are_counted_anew() -> None:
    _, _, pods = factories.shop()
    row = factories.service()
    assert [one.ready for one in backings(connecting(Service))] == [3]
    Pod.objects.filter(pk=pods[0].pk).update(ready=False)
    assert [one.ready for one in backings(connecting(Service))] == [2]
    Pod.objects.filter(pk=pods[1].pk).update(labels={"app": "other"})
    assert [one.selected for one in backings(connecting(Service))] == [2]
    Service.objects.filter(pk=row.pk).update(spec={**row.spec, "selector": {"app": "other"}})
    assert [one.selected for one in backings(connecting(Service))] == [1]


def test_a_service_made_again_under_its_name_is_another() -> None:
    row = factories.service()
    Service.objects.filter(pk=row.pk).delete()
    other = factories.service()
    assert [one.uid for one in connecting(Service)] == [other.uid]


def test_an_attempt_that_ended_is_told() -> None:
    row = factories.application()
    attempt = factories.attempt(row, Sync.RUNNING)
    assert [line.sync.word for line in application_lines(NOW)] == ["Syncing"]
    Sync.objects.filter(pk=attempt.pk).update(phase=Sync.FAILED, message="no such path", commit="")
    Application.objects.filter(pk=row.pk).update(sync_status="OutOfSync", message="")
    (line,) = application_lines(NOW)
    assert (line.sync.word, line.trouble) == ("OutOfSync", "no such path")


def test_what_one_node_holds_is_read_of_that_node(django_assert_num_queries: Any) -> None:
    """Its page read the pods of all nodes for it."""
    for number in range(3):
        factories.node(f"n{number}")
    nodes = list(Node.objects.select_related("router").order_by("name"))
    _, _, pods = factories.shop()
    placed = {"cpu": 250, "memory": 1 << 30}
    Pod.objects.filter(pk__in=[pod.pk for pod in pods]).update(node=nodes[0], placement=placed)
    Pod.objects.filter(pk=pods[2].pk).update(node=nodes[1], placement={**placed, "cpu": 100})
    with django_assert_num_queries(1):
        found = [line for _, line in lined(nodes[:2], NOW)]
    assert [(line.pods, line.cpu.requested) for line in found] == [(2, "0.5"), (1, "0.1")]
    assert lined(nodes * 8, NOW)[2][1].pods == 0, "of many, all pods are read at once"


# --- markup ---


def test_two_moments_are_equal_when_they_read_the_same() -> None:
    assert Moment(100.2, 104) == Moment(100.7, 104.1)
    assert hash(Moment(100.2, 104)) == hash(Moment(100.7, 104.1))
    assert Moment(100, 104) != Moment(100, 106), "its age is another"
    assert Moment(100, 104) != Moment(101, 104), "its time is another"
    assert Moment(0, 104) == Moment(0, 5), "neither ever came"
    assert Moment(0, 0) != Moment(0.5, 0) != None  # noqa: E711


def test_a_row_is_made_again_when_its_age_has_another_word(monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_superuser("ann")
    began = time.time()
    factories.application(applied_at=began - 60)
    assert re.search(r">1m</time>", html("ann", "/applications"))
    monkeypatch.setattr(time, "time", lambda: began + 300)
    assert re.search(r">6m</time>", html("ann", "/applications"))


def test_a_row_that_one_person_saw_is_not_shown_to_another() -> None:
    """The same process, the same rows, one after the other, and back."""
    User.objects.create_superuser("ann")
    for namespace in ("shop", "mail"):
        owner = factories.application(namespace, namespace=namespace)
        factories.service(namespace=namespace, application=owner)
    shop = only_in("shop")
    for _ in range(2):
        assert "application-mail" in html("ann", "/") and "application-mail" in html("ann", "/applications")
        for path in ("/", "/applications", "/network"):
            assert "mail" not in html(shop, path), path
        assert "service-mail-web" in html("ann", "/network")


def test_a_button_is_for_those_who_may_press_it() -> None:
    User.objects.create_superuser("ann")
    looks = User.objects.create_user("bob")
    RoleBinding.objects.create(subject=looks, role="viewer", namespace="")
    row, _, _ = factories.shop()
    factories.pin(row, 1)
    for _ in range(2):
        assert "resume-deployment" in html("ann", "/")
        assert "resume-deployment" not in html("bob", "/")


def test_kept_markup_sees_what_it_is_given_and_nothing_else() -> None:
    template = Template("{% kept line=line %}{{ line }}{{ user }}{% endkept %}")
    assert template.render(Context({"line": "<b>", "user": "ann"})) == "&lt;b&gt;"
    assert template.render(Context({"line": "b", "user": "ann"})) == "b"


@pytest.mark.parametrize(
    "source", ["{% kept %}{% endkept %}", "{% kept line %}{% endkept %}", "{% kept a=a %}{% csrf_token %}{% endkept %}"]
)
def test_kept_refuses_what_it_cannot_keep(source: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        Template(source)


# --- filters ---


def test_a_chosen_value_can_be_taken_away_however_many_there_are() -> None:
    """Of many namespaces the first twelve were shown, and the chosen one was not."""
    User.objects.create_superuser("ann")
    source = factories.repository()
    for number in range(20):
        factories.application(f"app-{number:02}", repository=source, namespace=f"team-{number:02}")
    page = html("ann", "/applications?namespace=team-17")
    assert re.search(r'class="chip chosen"[^>]*>team-17', page)
    assert page.count('class="chip') == 12 and "and 8 more" in page
