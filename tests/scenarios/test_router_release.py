"""How far a router has come with deletions: a pod that takes its time holds up nobody who was deleted before it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from deployer.core.network.runtime import Moves
from deployer.loops.router_turn import RouterTurn


@pytest.mark.parametrize(
    ("out", "waiting", "version"),
    [
        pytest.param("a b", "", 12, id="all are out"),
        pytest.param("a b", "svc.shop.web.80/shop.b", 8, id="the streams of the later one still end"),
        pytest.param("b", "", 4, id="the earlier one still serves"),
        pytest.param("a b", "svc.shop.web.80/shop.b_next", 8, id="one that stands in counts as the one it stands for"),
    ],
)
def test_deletions_are_answered_for_in_their_order(out: str, waiting: str, version: int) -> None:
    pods = tuple(SimpleNamespace(uid=f"uid-{name}", key=f"shop.{name}") for name in "abc")
    routed: Any = SimpleNamespace(
        cluster=SimpleNamespace(pods=pods), leaving={"uid-a": 5, "uid-b": 9, "uid-c": 0}, version=12
    )
    turn = RouterTurn(node=None, routed=routed, clock=None, epoch=1)  # type: ignore[arg-type]
    left = frozenset(f"uid-{name}" for name in out.split())
    assert turn._version(Moves(waiting=tuple(waiting.split()), left=left)) == version
