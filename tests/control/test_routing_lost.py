"""The database was lost, and a host with running pods is registered again."""

from __future__ import annotations

import pytest

from control.store.routing import RouteRows
from deployer.adapters import authority
from tests.control import factories

pytestmark = pytest.mark.django_db
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("service", "applied", "left_alone"),
    [
        pytest.param(False, False, True, id="Git has not been read again: the router goes on with what it has"),
        pytest.param(True, False, False, id="the Services are known again"),
        pytest.param(False, True, False, id="a router that is ours already, and nothing to serve"),
    ],
)
def test_a_router_is_not_emptied_before_git_was_read_again(service: bool, applied: bool, left_alone: bool) -> None:
    node = factories.node("a")
    factories.router(node, applied_at=NOW if applied else 0)
    factories.pod(node=node, orphaned=True, claimed_owner="Deployment/web")
    if service:
        factories.service()
    assert (RouteRows(authority).load(node.uid, NOW) is None) == left_alone
