"""What all scenarios need: time that is theirs alone."""

from __future__ import annotations

import pytest

from deployer.loops import single_flight


@pytest.fixture(autouse=True)
def nobody_looks_at_a_real_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that takes seconds, on a machine that does other things beside, would have its lease prolonged by a thread
    with a connection of its own; that waits for the test's transaction, in vain."""
    monkeypatch.setattr(single_flight, "KEEP_SECONDS", 3600.0)
