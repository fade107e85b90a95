"""Nobody who is told of something in the middle of a turn has to wait for it."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from deployer.core.container import LABEL_POD_UID, ContainerSeen
from deployer.core.node import PodPlaced, settled_digest
from deployer.core.pod_outcome import PodOutcome
from deployer.loops import converge
from deployer.loops.converge import Turn


@pytest.mark.parametrize(
    ("named", "again"),
    [
        pytest.param({"uid-web"}, True, id="a probe's result was found"),
        pytest.param({"c1=137"}, True, id="its container died"),
        pytest.param({"uid-other"}, False, id="another pod was meant"),
    ],
)
def test_what_happens_to_a_pod_in_mid_turn_is_looked_at_after_it(named: set[str], again: bool) -> None:
    seen = ContainerSeen("c1", "pierhead-shop-web-web-0", {LABEL_POD_UID: "uid-web"}, "running")
    store: Any = SimpleNamespace(
        placed=lambda _: [PodPlaced("uid-web", settled=settled_digest([seen]))], orphans=lambda _: set(),
        save=lambda *_: None, broken_off=lambda *_: None,
    )  # fmt: skip
    clock: Any = SimpleNamespace(now=lambda: 100.0)
    work: Any = SimpleNamespace(fenced=lambda _: contextlib.nullcontext(), wake=None)
    node: Any = SimpleNamespace(uid="n", name="n")
    under_way: Future[PodOutcome] = Future()
    turn = Turn(node, "c", work, store, clock, lease=None, in_flight={under_way: "uid-web"}, dirty=named)
    turn.observed, turn.listed_at = {"uid-web": [seen]}, 100.0
    turn._look()
    under_way.set_result(PodOutcome("uid-web", None, observed=(seen,)))
    assert (turn._collect(), "uid-web" in turn.dirty) == (again, again)


@pytest.mark.parametrize(("woken", "hints"), [(True, ["n"]), (False, [])])
def test_a_node_that_was_woken_after_its_last_look_is_looked_at_at_once(
    woken: bool, hints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint of whoever woke it came while the key was held, and the dispatcher's round may be a second away."""
    told: list[str] = []
    work: Any = SimpleNamespace(
        claim=lambda *_: "lease", release=lambda *_: woken, wake=lambda _loop, key: told.append(key)
    )
    monkeypatch.setattr(Turn, "run", lambda _: 200.0)
    monkeypatch.setattr(Turn, "collect", lambda _: None)
    node: Any = SimpleNamespace(uid="n")
    clock: Any = SimpleNamespace(now=lambda: 100.0)
    converge.run(node, "c", work, None, clock)  # type: ignore[arg-type]
    assert told == hints
