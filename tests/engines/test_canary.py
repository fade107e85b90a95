"""Canaries on three real hosts, with real traffic: a bad one is gone before many are hurt, a good one takes over."""

from __future__ import annotations

import json

import pytest

from tests.engines.canaries import CALLER, IMAGE, QUICK, asked_for, dialled, rollout
from tests.engines.control_plane import deployment, eventually
from tests.engines.hosts import Hosts
from tests.engines.load import load
from tests.engines.net import Client, address, client, served, service
from tests.engines.router_image import dial
from tests.engines.shop import OpenShop, Shop

pytestmark = pytest.mark.engines
QUIET = deployment("caller", image=IMAGE, replicas=1, command=CALLER)
STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]


@pytest.fixture
def shop(open_shop: OpenShop, hosts: Hosts) -> Shop:
    hosts.load(dial(IMAGE))
    return open_shop(dialled("1", QUICK), service("web"), QUIET)


def push(shop: Shop, document: str, kind: str = "deployment") -> None:
    """Until the commit is what is asked for; how it fares is another matter."""
    sha = shop.push(document, service("web"), QUIET)
    shop.sync()
    eventually(lambda: asked_for(shop, sha, kind), 40, shop.tell)


def answers(shop: Shop, at: Client, wanted: set[str]) -> None:
    """Wait until nobody but these versions answers."""
    virtual = address(shop, "web")
    eventually(lambda: {at.fetch(virtual, path="/") for _ in range(30)} == wanted, 60, shop.tell)


def wait_paused(shop: Shop, share: float) -> None:
    """Paused at this share, as the Rollout's status says, and every router has it."""

    def paused() -> bool:
        status = json.loads(shop.plane.manage("get", "rollout", "web", "-n", shop.name, "-o", "json"))["status"]
        weight = ((status.get("canary") or {}).get("weights") or {}).get("canary") or {}
        return status.get("phase") == "Paused" and weight.get("weight") == round(share * 100)

    eventually(paused, 60, shop.tell)


def test_a_bad_canary_is_stopped_with_few_hurt_and_a_newer_good_commit_takes_over(shop: Shop) -> None:
    at = client(shop, "caller")
    assert served(shop, at, "web", "/") == "1"
    with load(at.host, at.container, f"{address(shop, 'web')}:80", clients=8, pause=0.05) as running:
        push(shop, dialled("2", QUICK, errors=3000))
        code, out, err = shop.plane.attempt("rollout", "status", "deployment/web", "-n", shop.name, "--timeout", "90s")
        assert code == 1, out + err
        assert "canary" in err.lower(), err
        shop.wait(lambda: len(shop.plane.ready_pods(shop.name)) == 4 == len(shop.pods()), 40)
    result = running.result
    assert result.failures.keys() <= {"500"}, result
    assert result.failed < 0.05 * result.sent, result  # a rolling update would have hurt 30 %
    answers(shop, at, {"1"})

    with load(at.host, at.container, f"{address(shop, 'web')}:80", clients=8, pause=0.05) as running:
        push(shop, dialled("3", QUICK))
        shop.plane.manage("rollout", "status", "deployment/web", "-n", shop.name, "--timeout", "120s")
        answers(shop, at, {"3"})
    assert not running.result.failed, running.result
    assert running.result.answers["3"] > 0


def test_a_rollouts_steps_are_exact_and_wait_for_a_person(shop: Shop) -> None:
    at = client(shop, "caller")
    push(shop, rollout("1", STEPS), "rollout")
    shop.wait(lambda: len(shop.plane.ready_pods(shop.name)) == 4 == len(shop.pods()), 60)
    push(shop, rollout("2", STEPS), "rollout")
    for share in (0.2, 0.6):
        wait_paused(shop, share)
        with load(at.host, at.container, f"{address(shop, 'web')}:80", pause=0.001, requests=4000) as running:
            found = running.wait()
        assert not found.failed, found
        assert abs(found.answers["2"] / found.sent - share) < 0.03, found
        shop.plane.manage("rollout", "resume", "rollout/web", "-n", shop.name)
    shop.plane.manage("rollout", "status", "rollout/web", "-n", shop.name, "--timeout", "90s")
    answers(shop, at, {"2"})
