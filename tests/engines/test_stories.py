"""What a person does, on three real hosts: push, scale, break, fix, undo, kill, remove by hand, look."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.engines.control_plane import ControlPlane
from tests.engines.hosts import Host, Hosts
from tests.engines.shop import OpenShop, Shop, shop_on, web

pytestmark = pytest.mark.engines
STEADY = 6


@pytest.fixture
def shop(open_shop: OpenShop) -> Shop:
    return open_shop(web())


@pytest.fixture(scope="module")
def steady(plane: ControlPlane, hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Six pods of test/web:1, for the stories that leave six of test/web:1 behind."""
    with shop_on(plane, hosts, tmp_path_factory.mktemp("steady"), web(replicas=STEADY)) as made:
        yield made


def test_a_push_runs_on_the_hosts(steady: Shop) -> None:
    assert len(steady.containers()) == STEADY
    steady.wait(
        lambda: (
            "successfully rolled out" in steady.plane.manage("rollout", "status", "deployment/web", "-n", steady.name)
        )
    )


def test_scaling_up_and_down(shop: Shop) -> None:
    kept = set(shop.containers().values())
    shop.push(web(replicas=6))
    shop.sync("--wait")
    assert len(shop.containers()) == 6
    shop.push(web(replicas=2))
    shop.sync("--wait")
    shop.wait(lambda: len(shop.containers()) == 2)
    assert kept & set(shop.containers().values()), "scaling never replaces what runs"


def test_a_new_image_rolls_and_undo_restores_the_old_one(shop: Shop) -> None:
    shop.push(web("test/web:2"))
    shop.sync("--wait")
    shop.wait_ready(3, image="test/web:2")
    shop.plane.manage("rollout", "undo", "deployment/web", "-n", shop.name)
    shop.wait_ready(3, image="test/web:1")
    said = shop.plane.manage("describe", "deployment", "web", "-n", shop.name)
    assert "pinned to revision" in said
    shop.push(web("test/web:2", replicas=2), message="only the replicas change")
    shop.sync("--wait")
    shop.wait_ready(2, image="test/web:1")
    shop.plane.manage("rollout", "resume", "deployment/web", "-n", shop.name)
    shop.wait_ready(2, image="test/web:2")


def test_a_crashing_version_is_rolled_back_with_its_last_words(shop: Shop) -> None:
    shop.push(web("test/web:2", command=["/bin/sh", "-c", "echo cannot reach the database; exit 3"]))
    code, out, err = shop.plane.attempt("application", "sync", shop.name, "--wait")
    assert code == 1, out
    assert "rolled back" in err
    shop.wait_ready(3, image="test/web:1")
    said = shop.plane.manage("describe", "deployment", "web", "-n", shop.name)
    assert "cannot reach the database" in said
    shop.push(web("test/web:2"), message="the fix")
    shop.sync("--wait")
    shop.wait_ready(3, image="test/web:2")


def test_an_image_that_nobody_has_hurts_nobody(shop: Shop) -> None:
    before = shop.containers()
    shop.push(web("127.0.0.1:1/nothing/here:9"))
    shop.sync()
    shop.wait(lambda: "ImagePull" in shop.plane.manage("get", "pods", "-n", shop.name))
    assert set(before.items()) - set(shop.containers().items()) == set() or shop.ready() >= 2
    shop.push(web("test/web:2"), message="a newer commit supersedes it")
    shop.sync("--wait")
    shop.wait_ready(3, image="test/web:2")


def test_broken_yaml_changes_nothing_and_says_where(shop: Shop) -> None:
    before = shop.containers()
    shop.push(web("test/web:2"), "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Not_A_Name\ndata: {}\n")
    code, _, err = shop.plane.attempt("application", "sync", shop.name, "--wait")
    assert code == 1
    assert "k8s/1.yaml:4" in err
    assert "metadata.name" in err
    assert shop.containers() == before
    shop.push(web("test/web:2"))
    shop.sync("--wait")
    shop.wait_ready(3, image="test/web:2")


def restarts(shop: Shop) -> int:
    return sum(pod["status"]["containerStatuses"][0]["restartCount"] for pod in shop.pods())


def told(shop: Shop) -> int:
    """How often anything has happened there: the same again is counted, not told anew."""
    return sum(event["count"] for event in shop.plane.objects("events", shop.name))


def victim(shop: Shop) -> tuple[Host, str]:
    """A container of the pod that was started again least often: those that end too often are held back for longer."""
    pods = sorted(shop.pods(), key=lambda pod: pod["status"]["containerStatuses"][0]["restartCount"])
    name = f"pierhead-{shop.name}-{pods[0]['metadata']['name']}-"
    found = ((host, one) for host in shop.hosts for one in host.docker("ps", "-q", "--filter", f"name={name}").split())
    return next(found)


def test_a_killed_container_comes_back_and_is_counted(steady: Shop) -> None:
    host, container = victim(steady)
    pid = host.docker("inspect", "-f", "{{.State.Pid}}", container)
    before = restarts(steady)
    subprocess.run(["kill", "-9", pid], check=True)
    steady.wait(lambda: restarts(steady) == before + 1)
    steady.wait_ready(STEADY)


@pytest.mark.parametrize(
    "by_hand", [("rm", "-f"), ("stop", "-t", "0"), ("kill",), ("pause",)], ids=lambda words: words[0]
)
def test_what_is_done_by_hand_is_undone_and_told(steady: Shop, by_hand: tuple[str, ...]) -> None:
    host, container = victim(steady)
    before = told(steady)
    host.docker(*by_hand, container)
    steady.wait(lambda: told(steady) > before)
    steady.wait_ready(STEADY)
    steady.wait(lambda: len(steady.containers()) == STEADY)
    assert host.docker("ps", "-q", "--filter", "status=paused") == ""


def test_foreign_containers_are_left_alone(shop: Shop) -> None:
    foreign = shop.hosts[0].docker("run", "-d", "--name", f"mine-{shop.name}", "test/web:1")
    shop.push(web("test/web:2"))
    shop.sync("--wait")
    assert foreign[:12] in shop.hosts[0].docker("ps", "-q")
    shop.hosts[0].docker("rm", "-f", foreign)


def test_a_config_map_reaches_the_pods_and_its_change_rolls(shop: Shop) -> None:
    container = "envFrom: [{configMapRef: {name: settings}}]\nvolumeMounts: [{name: files, mountPath: /etc/shop}]"
    uses = web(container=container).rstrip("\n") + "\n      volumes: [{name: files, configMap: {name: settings}}]\n"

    def settings(word: str) -> str:
        return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{GREETING: {word}}}\n"

    for word in ("hello", "goodbye"):
        shop.push(uses, settings(word))
        shop.sync("--wait")
        shop.wait_ready(3)
        shop.wait(lambda: len(shop.containers()) == 3)
        for host in shop.hosts:
            for one in host.docker("ps", "-q", "--filter", f"name=pierhead-{shop.name}-").split():
                assert f"GREETING={word}" in host.docker("exec", one, "/bin/env")
                assert host.docker("exec", one, "/bin/cat", "/etc/shop/GREETING") == word


def test_an_application_rolls_back_skips_the_bad_commit_and_resumes(shop: Shop) -> None:
    good = shop.checkout.push("same", {})
    shop.sync("--wait")
    shop.push(web("test/web:2"), message="bad")
    shop.sync("--wait")
    shop.plane.manage("application", "rollback", shop.name, "--to", good[:10], "--wait")
    shop.wait_ready(3, image="test/web:1")
    shop.sync("--wait")
    assert shop.images() == {"test/web:1"}, "the bad commit stays skipped, asked or not"
    shop.push(web("test/web:2", replicas=4), message="better")
    shop.wait_ready(4, image="test/web:2")


def test_init_containers_sidecars_and_several_containers_share_a_network(shop: Shop) -> None:
    pod = """apiVersion: v1
kind: Pod
metadata: {name: crowd}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
    - name: first
      image: test/web:1
      command: [/bin/sh, -c, "echo made > /share/file"]
      volumeMounts: &share [{name: share, mountPath: /share}]
    - name: side
      image: test/web:1
      restartPolicy: Always
      command: [/bin/httpd, -f, -p, "8081", -h, /share]
      volumeMounts: *share
  containers:
    - {name: main, image: "test/web:1", command: [/bin/sh, -c, "wget -qO- http://127.0.0.1:8081/file; exec sleep 3600"]}
  volumes: [{name: share, emptyDir: {}}]
"""
    shop.push(web(), pod)
    shop.sync("--wait")
    shop.wait(lambda: "crowd" in {pod["metadata"]["name"] for pod in shop.plane.ready_pods(shop.name)})
    shop.wait(lambda: "made" in shop.plane.manage("logs", "crowd", "-n", shop.name, "-c", "main"))


def test_a_plan_shows_and_changes_nothing(steady: Shop) -> None:
    before = steady.containers()
    folder = steady.checkout.work / "k8s"
    (folder / "0.yaml").write_text(web("test/web:2", replicas=STEADY))
    said = steady.plane.manage("plan", str(folder), "--application", steady.name)
    assert "test/web:2" in said
    assert steady.containers() == before
    steady.sync("--wait")
    assert steady.images() == {"test/web:1"}


def test_a_drained_node_is_empty_and_nothing_is_lost(steady: Shop) -> None:
    steady.plane.manage("node", "drain", "host-1")
    try:
        assert not steady.hosts[0].docker("ps", "-q", "--filter", f"name=pierhead-{steady.name}-")
        steady.wait_ready(STEADY)
    finally:
        steady.plane.manage("node", "uncordon", "host-1")


def test_objects_are_kubernetes_shaped(steady: Shop) -> None:
    found = json.loads(steady.plane.manage("get", "deployment", "web", "-n", steady.name, "-o", "json"))
    assert found["kind"] == "Deployment"
    assert found["status"]["readyReplicas"] == STEADY
    assert found["metadata"]["generation"] == found["status"]["observedGeneration"]
