"""Wake-ups within the second ring at their time; the clock is the test's."""

from __future__ import annotations

import threading

from control.alarms import AHEAD_SECONDS, Alarms

NOW = 1_000_000.0
DEADLINE_SECONDS = 10


class Bell:
    """What rang. The thread of the alarms never looks at the clock: it is stopped before it begins."""

    def __init__(self) -> None:
        self.at = NOW
        self.rung: list[str] = []
        self.alarms = Alarms(lambda loop, key: self.rung.append(key), lambda: self.at)
        self.alarms._thread = threading.current_thread()

    def later(self, seconds: float) -> list[str]:
        self.at += seconds
        return [key for _, key in self.alarms.due()]


def test_each_rings_at_its_time() -> None:
    bell = Bell()
    for key, after in (("c", 1.0), ("a", 0.25), ("b", 0.375)):
        bell.alarms.set("route", key, NOW + after)
    assert [bell.later(0.125) for _ in range(4)] == [[], ["a"], ["b"], []]
    assert bell.later(0.5) == ["c"]
    assert bell.rung == []


def test_what_is_due_already_rings_at_once() -> None:
    bell = Bell()
    bell.alarms.set("route", "a", NOW)
    assert (bell.rung, bell.later(9)) == (["a"], [])


def test_what_is_far_away_is_the_dispatchers() -> None:
    bell = Bell()
    bell.alarms.set("route", "a", NOW + AHEAD_SECONDS + 0.1)
    assert bell.later(9) == []


def test_one_time_of_a_key_is_kept_once() -> None:
    bell = Bell()
    for at in (0.2, 0.2, 0.3):
        bell.alarms.set("route", "a", NOW + at)
    assert bell.later(1) == ["a", "a"]


def test_an_earlier_alarm_is_not_kept_waiting_by_a_later_one() -> None:
    """With its thread, which sleeps until the first of them; the clock stands until both are set."""
    at, rung, is_rung = [NOW], [], threading.Event()

    def ring(_loop: str, key: str) -> None:
        rung.append(key)
        is_rung.set()

    alarms = Alarms(ring, lambda: at[0])
    alarms.set("route", "late", NOW + 1.0)
    alarms.set("route", "soon", NOW + 0.01)
    at[0] = NOW + 0.5
    assert is_rung.wait(DEADLINE_SECONDS)
    assert rung == ["soon"]
