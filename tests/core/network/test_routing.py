"""How often a router is looked at that nothing woke."""

from __future__ import annotations

import pytest

from deployer.core.network.routing import resync_seconds


@pytest.mark.parametrize(
    ("pass_seconds", "hosts", "seconds"),
    [(0.1, 10, 60), (0.0, 1000, 60), (1.0, 100, 500), (3.0, 1000, 900), (10.0, 3, 150), (-5.0, 100, 60)],
)
def test_all_looks_together_take_a_fifth_of_a_core(pass_seconds: float, hosts: int, seconds: float) -> None:
    """Bug: to look at the routers of 100 hosts with 500 Services every minute was more than a minute's work."""
    assert resync_seconds(pass_seconds, hosts) == seconds
