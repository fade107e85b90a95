"""A repository that is rendered, through the whole loop: applied, changed, refused, kept, forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from control.models import Application, Deployment, RenderedManifests, Secret, Service, Sync
from control.selectors.rendered import text_of
from control.store import collection
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db

COMPOSE = """\
services:
  web:
    image: shop/web:${TAG:-1}
    ports: ["8080:80"]
    env_file: web.env
    deploy: {replicas: 2}
  db: {image: "postgres:16", expose: [5432]}
"""
ENV = "PASSWORD=hunter2-hunter2\n"
KUSTOMIZATION = """\
resources: [web.yaml]
replicas: [{name: web, count: 2}]
secretGenerator: [{name: s, envs: [web.env]}]
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.follow()
    return made


def push(world: World, **files: str) -> str:
    """`compose_yaml=...` is compose.yaml. It is found and applied; what is to run is left to whoever asks for it."""
    sha = world.source.push({name.replace("_", "."): text for name, text in files.items()}, "x", world.clock.now())
    application = Application.objects.get()
    world.work.wake("poll", application.repository_id)
    world.run("poll", application.repository_id)
    world.run("sync", application.uid)
    return sha


def wanted(name: str = "web") -> dict[str, Any]:
    found: dict[str, Any] = Deployment.objects.get(name=name).spec
    return found


def attempts() -> list[Sync]:
    return list(Sync.objects.order_by("id").select_related("rendered"))


def test_a_compose_file_runs(world: World) -> None:
    world.add_node("a")
    push(world, compose_yaml=COMPOSE, web_env=ENV)
    world.pass_time(10)
    assert (world.ready("web"), world.ready("db")) == (2, 1)
    assert sorted(Service.objects.values_list("name", flat=True)) == ["db", "web", "web-published"]
    assert Secret.objects.get().sealed.load() == {"PASSWORD": "aHVudGVyMi1odW50ZXIy"}
    assert Deployment.objects.get(name="web").source_file == "compose.yaml"

    push(world, compose_yaml=COMPOSE, web_env=ENV, _env="TAG=2\n")
    assert wanted()["template"]["spec"]["containers"][0]["image"] == "shop/web:2"


def test_a_commit_that_is_refused_says_where_and_changes_nothing(world: World) -> None:
    push(world, compose_yaml=COMPOSE, web_env=ENV)
    push(world, compose_yaml=COMPOSE + "    ulimits: {nofile: 1}\n", web_env=ENV)
    push(world, compose_yaml=COMPOSE.replace("8080:80", "8080:80/x"), web_env=ENV)
    good, *bad = attempts()
    assert (good.phase, [one.phase for one in bad]) == (Sync.SUCCEEDED, [Sync.FAILED] * len(bad))
    assert bad[-1].message.endswith(
        'refused, nothing was changed: compose.yaml:4: services.web.ports[0]: "8080:80/x" is not a port (write "80", '
        '"8080:80" or "127.0.0.1:8080:80")'
    )
    assert bad[-1].errors[0]["line"] == 4
    assert bad[-1].rendered is None
    assert wanted()["replicas"] == 2

    push(world, compose_yaml=COMPOSE.replace("replicas: 2", "replicas: 1"), web_env=ENV)
    assert wanted()["replicas"] == 1


def test_a_kustomization_runs_and_what_it_came_to_is_kept_once(world: World) -> None:
    push(world, kustomization_yaml=KUSTOMIZATION, web_yaml=web(), web_env=ENV)
    assert wanted()["replicas"] == 2
    push(world, kustomization_yaml=KUSTOMIZATION + "# nothing\n", web_yaml=web(), web_env=ENV)
    first, second = attempts()
    assert first.rendered is not None
    assert (first.rendered_id, first.rendered.way, first.rendered.count) == (second.rendered_id, "kustomize", 2)
    text = text_of(first.rendered)
    assert "# web.yaml\napiVersion: apps/v1" in text
    assert "replicas: 2" in text
    assert "PASSWORD: '***'" in text
    everything = "".join(str(vars(row)) for row in (*attempts(), *Application.objects.all(), *Deployment.objects.all()))
    assert "hunter2" not in everything + text
    assert "aHVudGVyMi1odW50ZXIy" not in everything + text


def test_what_kustomize_refuses_is_kept_for_whoever_looks(world: World) -> None:
    push(world, kustomization_yaml="resources: [web.yaml]\nnamePrefix: UPPER-\n", web_yaml=web())
    (attempt,) = attempts()
    assert attempt.phase == Sync.FAILED
    assert "web.yaml: Deployment shop/UPPER-web: metadata.name: " in attempt.message
    assert "[rendered by kustomize]" in attempt.message
    assert "name: UPPER-web" in text_of(attempt.rendered)


def test_plain_files_are_kept_too_and_go_with_the_last_attempt_that_shows_them(world: World) -> None:
    push(world, a_yaml=web())
    push(world, a_yaml=web(replicas=1))
    assert [one.rendered.way for one in attempts() if one.rendered] == ["plain", "plain"]
    assert RenderedManifests.objects.count() == 2
    collection.forget_the_past(world.clock.now() + 90 * 86400, 30)
    assert [one.rendered_id for one in attempts()] == list(RenderedManifests.objects.values_list("digest", flat=True))
    assert Sync.objects.count() == 1


def test_files_of_values_are_for_charts(world: World) -> None:
    Application.objects.update(values=["prod.yaml"])
    push(world, compose_yaml=COMPOSE, web_env=ENV)
    assert attempts()[0].message.endswith(
        "compose.yaml: files of values (prod.yaml) are for charts, and . is none (add the application without --values)"
    )
