"""Objects that are changed live, away from Git, with and without self-heal; and what is no drift at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from control.models import Application, Change, ConfigMap, Deployment, Event, Namespace, Pod, Secret, Service, Sync
from control.services import repositories, workloads
from control.services.audit import Actor
from control.store import drift as drift_store
from control.store import objects
from control.store.on_record import MODELS
from deployer.core.repository import SourceTree
from deployer.loops import drift
from deployer.ports import SourceError
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
ANN = Actor("ann")
HUSH = "aHVzaC1odXNo"
SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: {team: a}}\ndata: {colour: red}\n"
OTHERS = f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: shop, labels: {{team: a}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: key}}
stringData: {{plain: text}}
data: {{key: {HUSH}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web}}
spec: {{defaultBackend: {{service: {{name: web, port: {{number: 80}}}}}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: web}}
spec: {{podSelector: {{}}, ingress: [{{}}]}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: web}}
spec: {{minAvailable: 1, selector: {{matchLabels: {{app: web}}}}}}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {{name: judged}}
spec: {{metrics: [{{name: judged, provider: {{plugin: {{pierhead.io/judge: {{}}}}}}}}]}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: other}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: other}}}}
  template: {{metadata: {{labels: {{app: other}}}}, spec: {{containers: [{{name: other, image: "shop/other:1"}}]}}}}
  strategy: {{canary: {{}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: once}}
spec: {{restartPolicy: Never, containers: [{{name: once, image: "shop/once:1"}}]}}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An application with an object of every kind; and whoever looks at the log has begun."""
    made = World(tmp_path)
    drift.run(made.work, drift_store)
    made.push(web(replicas=1), SETTINGS, OTHERS)
    made.settle()
    assert application().sync_status == "Synced", application().message
    return made


def application() -> Application:
    return Application.objects.get(name="shop")


def tampered() -> None:
    """What somebody may do past Pierhead: values, labels, an object gone, one that is nobody's."""
    settings, key = ConfigMap.objects.get(name="settings"), Secret.objects.get(name="key")
    settings.spec, settings.labels = {**settings.spec, "data": {"colour": "blue"}}, {}
    objects.update([settings], ["spec", "labels"])
    key.sealed.store({**key.sealed.load(), "key": "b3RoZXI="})
    objects.update([key], ["sealed"])
    other = Deployment.objects.get(name="other")
    other.spec = {**other.spec, "replicas": 2}
    objects.update([other], ["spec"])
    objects.delete([Service.objects.get(name="web")])
    namespace = Namespace.objects.get(name="shop")
    namespace.application = None
    objects.update([namespace], ["application"])


DIFFERENCES = [
    "Service shop/web is missing",
    "Namespace shop belongs to no application any more",
    "ConfigMap shop/settings: metadata.labels.team, data.colour differ from Git",
    "Secret shop/key: data.key differs from Git",
    "Rollout shop/other: spec.replicas differs from Git",
]


def contents() -> dict[str, Any]:
    """What Git says of every object, as it is on record; and the pods."""
    kinds = {kind: model for kind, model in MODELS.items() if kind != "Pod"}
    columns = ("name", "application__name", "labels", "annotations", "spec", "manifest_hash")
    found: dict[str, Any] = {k: list(m._default_manager.order_by("name").values(*columns)) for k, m in kinds.items()}
    pods = Pod.objects.exclude(name="once").order_by("uid").values_list("uid", "deleted_at")
    return {**found, "secret": Secret.objects.get(name="key").sealed.load(), "pods": list(pods)}


def attempts() -> list[tuple[str, str]]:
    return list(Sync.objects.filter(application__name="shop").order_by("id").values_list("trigger", "message"))


def told(reason: str) -> list[str]:
    rows = Event.objects.filter(kind="Application", reason=reason).order_by("id")
    return list(rows.values_list("message", flat=True))


def test_what_is_changed_live_is_put_back_by_the_next_look_and_only_once(world: World) -> None:
    before, pushed, held = contents(), attempts(), application().holds
    assert world.look() == 0  # whatever Pierhead wrote itself is as Git says, of every kind
    objects.delete([Pod.objects.get(name="once")])  # it has done its work, and is not run again
    assert world.look() == 0
    tampered()
    assert contents() != before
    real, world.source.files = world.source.files, away  # type: ignore[method-assign, assignment]
    assert world.look() == 1
    assert application().message == "the repository is away"
    world.source.files = real  # type: ignore[method-assign]
    world.pass_time(60)
    assert contents() == before  # no pod was replaced
    done = [("poll", "the repository is away"), ("self-heal", "1 created, 4 changed, 0 pruned, 5 unchanged")]
    assert attempts() == [*pushed, *done]
    assert told("SelfHealed") == [f"{one}: put back" for one in DIFFERENCES]
    row = application()
    assert (row.sync_status, row.drift, row.suspected, row.holds) == ("Synced", "", 0, held)
    assert HUSH not in repr(list(Event.objects.values_list("message", flat=True)))
    for _ in range(2):
        assert world.look() == 0
        world.work.wake("sync", row.uid)
        world.settle()
    assert (attempts(), contents()) == ([*pushed, *done], before)


def test_without_self_heal_it_is_told_and_stays_until_somebody_syncs_or_git_changes(world: World) -> None:
    Application.objects.update(self_heal=False)
    before, pushed = contents(), attempts()
    tampered()
    changed = contents()
    assert [world.look(), world.look(), world.look()] == [1, 0, 0]
    row = application()
    assert (row.sync_status, row.drift.splitlines()) == ("OutOfSync", DIFFERENCES)
    assert row.message == (
        "changed live: Service shop/web is missing (and 4 more); it stays so until Git changes it: "
        "`manage.py application sync shop` puts it back"
    )
    assert (contents(), attempts(), told("ChangedLive")) == (changed, pushed, [row.message])
    objects.update([world.deployment()], ["progress"])
    assert world.look() == 1  # it may be right again, and is not: nothing new is told
    assert Event.objects.get(reason="ChangedLive").count == 1
    world.source.commits.append((sha := "e" * 40, *world.source.commits[-1][1:]))  # a commit elsewhere
    world.pass_time(60)
    assert (application().commit, application().sync_status, contents()) == (sha, "OutOfSync", changed)
    repositories.sync("shop", ANN)
    world.settle()
    assert (contents(), application().sync_status, application().drift) == (before, "Synced", "")
    assert world.look() == 0
    paint("blue")
    assert (world.look(), application().sync_status) == (1, "OutOfSync")
    paint("red")  # put right by hand
    assert (world.look(), application().sync_status, application().drift) == (1, "Synced", "")
    paint("blue")
    world.look()
    world.push(web(replicas=2), SETTINGS, OTHERS)
    world.settle()
    assert (colour(), application().sync_status, application().drift) == ("red", "Synced", "")


@pytest.mark.parametrize("policy", [{"self_heal": False}, {"automatic": False}], ids=["not healed", "manual"])
def test_a_commit_that_is_refused_by_now_is_no_attempt_where_nobody_heals(
    world: World, policy: dict[str, bool]
) -> None:
    Application.objects.update(**policy)
    before = attempts()
    world.source.files = lambda *_: SourceTree((), (("web.yaml", "is a symbolic link"),))  # type: ignore[method-assign]
    paint("blue")
    assert world.look() == 1
    words = "what was changed live could not be compared: commit "
    assert [one.startswith(words) for one in told("NotCompared")] == [True]
    assert (attempts(), colour(), application().sync_status) == (before, "blue", "Synced")
    Application.objects.update(automatic=True, self_heal=True)
    paint("green")
    assert world.look() == 1
    assert attempts()[len(before) :][0][0] == "self-heal"
    assert colour() == "green"  # nothing was changed


def test_what_a_person_decided_is_no_drift_and_outlives_a_heal(world: World) -> None:
    first = application().commit
    world.push(web(replicas=1, image="shop/web:2"), SETTINGS, OTHERS)
    world.settle()
    workloads.undo("shop", "web", ANN)
    workloads.scale("shop", "web", 3, ANN)
    workloads.pause("shop", "other", ANN)
    world.settle()
    assert (world.look(), application().sync_status) == (0, "Synced")
    tampered()
    assert world.look() == 1
    row, other = world.deployment(), world.deployment("other")
    assert (row.pin["by"], row.replicas, other.paused, other.spec["replicas"]) == ("ann", 3, True, 0)
    world.push(web(replicas=1), SETTINGS.replace("red", "green"), OTHERS)
    world.settle()
    repositories.rollback("shop", first, ANN)
    world.settle()
    paint("blue")
    assert world.look() == 1  # it is healed to what it is pinned to
    assert (colour(), application().commit, application().pin["commit"]) == ("red", first, first)


def test_a_manual_application_is_told_and_compared_with_what_it_has(world: World) -> None:
    Application.objects.update(automatic=False)
    paint("blue")
    world.push(web(replicas=5), SETTINGS.replace("red", "green"), OTHERS)
    assert world.look() == 1
    row = application()
    assert (row.sync_status, row.drift) == ("OutOfSync", "ConfigMap shop/settings: data.colour differs from Git")
    paint("red")
    assert world.look() == 1
    assert (application().sync_status, application().drift) == ("OutOfSync", "")  # Git is ahead still
    assert (world.deployment().replicas, len(attempts())) == (1, 1)


def test_what_belongs_to_another_application_is_fought_over_by_nobody(world: World) -> None:
    other = Application.objects.create(name="other", repository=application().repository, path="o", namespace="shop")
    objects.touch("Application", "", "other")
    namespace = Namespace.objects.get(name="shop")
    namespace.application, namespace.labels, namespace.manifest_hash = other, {}, "of the other"
    objects.update([namespace], ["application", "labels", "manifest_hash"])
    world.look()
    assert (application().sync_status, len(attempts())) == ("Synced", 1)
    repositories.remove_application("other", ANN)  # which leaves it to nobody
    assert world.look() == 1
    assert (Namespace.objects.get(name="shop").application, attempts()[-1][0]) == (application(), "self-heal")
    objects.delete([Service.objects.get(name="web")])
    other.save(force_insert=True)
    objects.touch("Application", "", "other")
    objects.create([Service(namespace="shop", name="web", application=other)])
    paint("blue")
    assert [world.look(), world.look()] == [1, 0]
    assert "Service shop/web belongs to application other already" in attempts()[-1][1]
    assert colour() == "blue"


def test_a_look_costs_what_was_written_and_a_log_that_does_not_reach_back_makes_it_look_at_everything(
    world: World, django_assert_max_num_queries: Any
) -> None:
    world.look()
    with django_assert_max_num_queries(2):
        assert drift.run(world.work, drift_store) == 0  # nothing at all
    objects.touch("Application", "", "shop")
    with django_assert_max_num_queries(7):
        assert drift.run(world.work, drift_store) == 0  # nothing that is from Git: no object is read
    tampered()
    Change.objects.all().delete()
    objects.touch("Application", "", "shop")
    assert world.look() == 1
    assert told("SelfHealed") == [f"{one}: put back" for one in DIFFERENCES]


def away(*_: Any) -> SourceTree:
    raise SourceError("Unreachable", "the repository is away")


def paint(value: str) -> None:
    row = ConfigMap.objects.get(name="settings")
    row.spec = {**row.spec, "data": {"colour": value}}
    objects.update([row], ["spec"])


def colour() -> str:
    return str(ConfigMap.objects.get(name="settings").spec["data"]["colour"])
