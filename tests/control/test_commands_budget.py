"""PodDisruptionBudgets as people and tools read them, and a drain as its command tells of it."""

from __future__ import annotations

import json
import time

import pytest

from control.management import following
from control.models import AuditEntry, Node, Pod
from control.selectors.draining import left_words
from control.selectors.overview_nodes import node_summary
from control.selectors.pods import pod_words
from deployer.composition import composition
from tests.control import factories
from tests.control.commands import Run, World, runner, world

pytestmark = pytest.mark.django_db
HELD = "budget shop/web allows no disruption now: 2 healthy, 2 needed"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> World:
    return world(monkeypatch)


def test_get_shows_kubectls_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _, current, _ = factories.shop(3)
    factories.pod(current, "web-4", ready=False)
    factories.budget("all", minAvailable=2, selector={})
    factories.budget("none", maxUnavailable="50%", selector=None)
    factories.budget("half", minAvailable="50%", selector={"matchLabels": {"app": "web"}})
    for words in (("pdb",), ("poddisruptionbudgets",), ("poddisruptionbudget.policy",)):
        assert [[cell.strip() for cell in line[:-1]] for line in run("get", *words, "-n", "shop").lines] == [
            ["NAME", "MIN AVAILABLE", "MAX UNAVAILABLE", "ALLOWED DISRUPTIONS"],
            ["all", "2", "N/A", "1"],
            ["half", "50%", "N/A", "1"],
            ["none", "N/A", "50%", "0"],
        ]  # fmt: skip
    wide = run("get", "pdb", "-n", "shop", "-o", "wide").lines
    counts = [[cell.strip() for cell in line[-2:]] for line in wide]
    assert counts == [["HEALTHY", "NEEDED"], ["3", "2"], ["3", "2"], ["0", "0"]]
    assert run("get", "pdb", "-n", "shop", "-o", "name").out.splitlines()[0] == "poddisruptionbudget.policy/all"


def test_json_is_kubernetes(run: Run) -> None:
    factories.shop(3)
    factories.budget("web", maxUnavailable=1, selector={"matchLabels": {"app": "web"}})
    found = json.loads(run("get", "pdb", "web", "-n", "shop", "-o", "json").out)
    assert (found["apiVersion"], found["kind"]) == ("policy/v1", "PodDisruptionBudget")
    assert found["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    condition = {
        "type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods", "observedGeneration": 1,
        "message": "3 of 3 pods are healthy, 2 are needed",
    }  # fmt: skip
    assert found["status"] == {
        "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3, "disruptionsAllowed": 1, "observedGeneration": 1,
        "conditions": [condition],
    }  # fmt: skip
    Node.objects.update(ready=False)
    (condition,) = json.loads(run("get", "pdb", "web", "-n", "shop", "-o", "json").out)["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "InsufficientPods")


def test_what_counts_and_what_does_not() -> None:
    """A pod that ends, has ended, or is on a node that is not seen is not healthy; one that has ended is nobody's."""
    from control.models.budgets import budgets

    _, current, pods = factories.shop(5)
    Pod.objects.filter(pk=pods[0].pk).update(deleted_at=1.0)
    Pod.objects.filter(pk=pods[1].pk).update(phase="Failed", ready=False)
    factories.pod(current, "far", node=factories.node("n2", ready=False))
    factories.pod(name="tool")
    other = factories.deployment("other", replicas=7)
    factories.pod(factories.replica_set(other, 2, replicas=7), "other-1")
    (found,) = budgets([factories.budget(minAvailable="50%", selector={})])
    assert (found.expected, found.healthy) == (5 + 7 + 1, 5), "two Deployments and a bare pod"
    assert found.needed == 7


def test_describe_says_who_is_counted(run: Run) -> None:
    factories.shop(2)
    factories.budget("web", minAvailable=2, selector={"matchLabels": {"app": "web"}})
    said = run("describe", "pdb", "web", "-n", "shop").out
    for part in ("Min Available:", "2 of 2; 2 are needed", "Allowed Disruptions:  0", "web-1, web-2"):
        assert part in said
    assert "1 PodDisruptionBudget" in run("describe", "ns", "shop").out


# --- a drain, as its command tells of it ---


def test_a_drain_says_what_its_pods_wait_for(run: Run, here: World) -> None:
    _, _, pods = factories.shop(3)
    Pod.objects.filter(pk=pods[1].pk).update(message="pulling nginx")  # says nothing of the drain
    here.plays(
        lambda: Pod.objects.filter(pk=pods[0].pk).update(message=HELD),
        lambda: Pod.objects.filter(pk__in=[pods[1].pk, pods[2].pk]).update(deleted_at=time.time()),
        lambda: Pod.objects.filter(pk__in=[pods[1].pk, pods[2].pk]).delete(),
    )
    found = run("node", "drain", "n1", "--timeout", "5s")
    assert found.code == 1
    assert found.out.splitlines() == [
        "node/n1 cordoned", f"pod/shop/web-1 waits: {HELD}", "evicting pod shop/web-2", "evicting pod shop/web-3",
        "pod/shop/web-2 evicted (1 of 3)", "pod/shop/web-3 evicted (2 of 3)",
    ]  # fmt: skip
    assert found.err == (
        f"error: node n1 was not drained within 5 s: 2 of 3 pods moved, 1 pod is left: 1 waits: shop/web-1 ({HELD}); "
        "it stays cordoned and goes on draining\n"
    )


def test_a_host_that_falls_silent_while_it_is_drained(run: Run, here: World) -> None:
    factories.shop(1)
    here.plays(lambda: Node.objects.update(ready=False, reason="Unknown"))
    found = run("node", "drain", "n1", "--timeout", "1s")
    assert found.out.splitlines()[1:] == [
        "node n1 does not answer now (Unknown), so nothing on it can be stopped; the drain goes on when it does; if "
        "the host is gone, `manage.py node declare-dead n1` has its pods replaced elsewhere"
    ]
    assert run("node", "drain", "n1").err.startswith("error: node n1 does not answer (Unknown), so nothing on it can")


def test_ctrl_c_leaves_the_drain_going(run: Run, here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.shop(1)

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(here, "sleep", interrupted)
    monkeypatch.setattr(following, "time", here)
    found = run("node", "drain", "n1")
    assert found.err == "error: node n1 goes on draining; `node uncordon n1` ends that\n"
    assert Node.objects.get().draining


def test_without_asking_budgets_all_go_at_once_and_it_is_on_record(run: Run, here: World) -> None:
    factories.shop(2)
    factories.pod(name="tool")
    factories.budget("web", minAvailable=9, selector={})
    run("node", "drain", "n1", "--disable-eviction", "--timeout", "1s")
    assert not Pod.objects.filter(deleted_at=None).exists()
    assert Pod.objects.get(name="tool").replacement
    assert AuditEntry.objects.get(action="node drain").detail == "budgets were not asked"


def test_a_worker_moves_bare_pods_when_nobody_waits(run: Run, here: World) -> None:
    factories.pod(name="tool")
    node = Node.objects.get()
    run("node", "drain", "n1", "--timeout", "1s")
    assert Pod.objects.filter(deleted_at=None).count() == 1, "no worker was there"
    assert ("drain", node.uid) in composition().work.due(time.time())
    composition().run("drain", [node.uid])
    assert Pod.objects.get(name="tool").replacement


def test_the_first_page_and_describe_say_what_a_drain_waits_for(run: Run) -> None:
    _, _, pods = factories.shop(3)
    Node.objects.update(draining=True, cordoned=True)
    Pod.objects.filter(pk=pods[0].pk).update(message=HELD)
    Pod.objects.filter(pk=pods[1].pk).update(deleted_at=1.0)
    Pod.objects.filter(pk=pods[2].pk).update(orphaned=True, claimed_owner="Deployment/old")
    said = (
        f"3 pods are left: 1 is being stopped, 2 wait: shop/web-1 ({HELD}), shop/web-3 (it was found running, and "
        "Deployment/old is not on record: it stays until Git names it, or is stopped by hand)"
    )
    assert [line.drain for line in node_summary(30, factories.NOW).lines] == [said]
    assert said in run("describe", "node", "n1").out
    assert left_words([]) == "no pod is left"
    assert pod_words(pods[0]).ready == 1, "a pod that waits serves on"


def test_removing_says_what_becomes_of_the_pods(run: Run) -> None:
    factories.shop(2)
    Node.objects.update(ready=False, reason="Dead")
    assert run("node", "remove", "n1").err == (
        "error: node n1 has 2 pods; if the host is gone, --force forgets them, and they are replaced elsewhere; it is "
        "Dead\n"
    )
    assert run("node", "remove", "n1", "--force").out == (
        "node/n1 removed; 2 pods are replaced elsewhere; containers on it were left as they are\n"
    )
