"""A hint without a broker: the row is due anyway, so nobody is kept waiting."""

from __future__ import annotations

import pytest

from control import hints


def test_a_broker_that_is_away_keeps_nobody_waiting(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to itself, kombu rests for two seconds and tries once more: a click would take that long for each hint."""
    rests: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", rests.append)
    hints.send("schedule", "cluster")
    assert rests == []
    assert "the broker does not answer (OperationalError); schedule waits for the dispatcher" in caplog.text
