"""Leases and wake-ups: one worker at a key, no wake-up lost, no write by a worker whose lease went."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections

from control.models import NEVER, Namespace, Work
from control.store import objects
from control.store.work import LEASE_SECONDS, WorkRows
from deployer.loops import single_flight
from deployer.ports import LeaseLost

NOW = 1_000_000.0


def rows(name: str = "one") -> WorkRows:
    return WorkRows(name, lambda loop, keys: None)


@pytest.mark.django_db
class TestLease:
    def test_a_key_that_is_not_due_is_not_claimed(self) -> None:
        work = rows()
        work.wake("sync", "a", at=NOW + 5)
        assert work.claim("sync", "a", NOW) is None
        assert work.claim("sync", "a", NOW + 5) is not None

    def test_a_key_that_nobody_woke_does_not_exist(self) -> None:
        assert rows().claim("sync", "a", NOW) is None

    def test_two_workers_never_hold_one_key(self) -> None:
        rows().wake("sync", "a")
        assert rows("one").claim("sync", "a", NOW) is not None
        assert rows("two").claim("sync", "a", NOW) is None

    def test_a_killed_workers_key_comes_due_by_itself(self) -> None:
        rows().wake("sync", "a")
        rows("one").claim("sync", "a", NOW)
        assert rows("two").due(NOW + LEASE_SECONDS - 1) == []
        assert rows("two").due(NOW + LEASE_SECONDS) == [("sync", "a")]
        assert rows("two").claim("sync", "a", NOW + LEASE_SECONDS) is not None

    def test_a_worker_that_was_paused_beyond_its_lease_writes_nothing(self) -> None:
        rows().wake("sync", "a")
        late = rows("one")
        lease = late.claim("sync", "a", NOW)
        assert rows("two").claim("sync", "a", NOW + LEASE_SECONDS) is not None
        with pytest.raises(LeaseLost), late.fenced(lease):  # type: ignore[arg-type]
            objects.create([Namespace(name="late")])
        assert not Namespace.objects.filter(name="late").exists()

    def test_one_that_keeps_time_by_itself_holds_on_and_is_followed_by_another(self) -> None:
        first, second = rows("one"), rows("two")
        lease = first.hold("heartbeat", "cluster", None, NOW)
        assert first.hold("heartbeat", "cluster", lease, NOW + 1) is lease, "nothing is written for a while"
        longer = first.hold("heartbeat", "cluster", lease, NOW + LEASE_SECONDS - 1)
        assert longer is not None
        assert longer.until == NOW + 2 * LEASE_SECONDS - 1
        assert second.hold("heartbeat", "cluster", None, NOW + LEASE_SECONDS) is None
        other = second.hold("heartbeat", "cluster", None, longer.until)
        assert other is not None
        with pytest.raises(LeaseLost), first.fenced(longer):
            pass
        assert first.hold("heartbeat", "cluster", longer, longer.until + 1) is None
        assert second.due(longer.until + 60) == [], "nobody is woken for it"

    def test_a_lease_that_ends_in_the_future_of_a_clock_that_was_set_back_holds_nobody_up(self) -> None:
        rows("one").hold("heartbeat", "cluster", None, NOW + 3600)
        assert rows("two").hold("heartbeat", "cluster", None, NOW) is not None

    def test_its_release_does_not_touch_the_new_holder(self) -> None:
        rows().wake("sync", "a")
        late = rows("one")
        lease = late.claim("sync", "a", NOW)
        rows("two").claim("sync", "a", NOW + LEASE_SECONDS)
        assert lease is not None
        assert not late.release(lease, None)
        assert Work.objects.get().owner == "two"

    def test_the_same_process_under_another_epoch_is_another_holder(self) -> None:
        work = rows()
        work.wake("sync", "a")
        first = work.claim("sync", "a", NOW)
        work.claim("sync", "a", NOW + LEASE_SECONDS)
        with pytest.raises(LeaseLost), work.fenced(first):  # type: ignore[arg-type]
            pass


@pytest.mark.django_db
class TestWake:
    def test_a_wake_up_while_the_key_is_held_is_not_lost(self) -> None:
        work = rows()
        work.wake("sync", "a")
        lease = work.claim("sync", "a", NOW)
        assert lease is not None
        assert not work.woken(lease)
        work.wake("sync", "a")
        assert work.woken(lease)
        assert work.release(lease, NOW + 60)
        assert work.due(NOW) == [("sync", "a")]

    def test_release_puts_the_next_look_where_the_plan_wants_it(self) -> None:
        work = rows()
        work.wake("sync", "a")
        lease = work.claim("sync", "a", NOW)
        assert lease is not None
        assert not work.release(lease, NOW + 60)
        assert work.due(NOW + 59) == []
        assert work.due(NOW + 60) == [("sync", "a")]

    def test_nothing_to_wait_for_is_never(self) -> None:
        work = rows()
        work.wake("sync", "a")
        lease = work.claim("sync", "a", NOW)
        assert lease is not None
        work.release(lease, None)
        assert Work.objects.get().due_at == NEVER

    def test_a_later_wake_up_does_not_put_off_an_earlier_one(self) -> None:
        work = rows()
        work.wake("sync", "a", at=NOW + 10)
        work.wake("sync", "a", at=NOW + 99)
        assert work.due(NOW + 10) == [("sync", "a")]

    @pytest.mark.django_db(transaction=True)
    def test_many_are_woken_at_once_and_only_those_that_were_not_due_are_hinted_at(self) -> None:
        hinted: list[str] = []
        work = WorkRows("one", lambda loop, keys: hinted.extend(keys))
        work.wake("route", "b")
        work.wake("route", "c", at=NOW + 60)
        lease = work.claim("route", "b", NOW)
        assert lease is not None
        many = [f"n{number:03}" for number in range(700)]
        work.wake("route", ["c", "b", *many, "c"])
        assert hinted == ["b", "b", "c", *many]
        assert work.woken(lease), "a wake-up while the key is held is not lost"
        work.wake("route", many)
        assert len(hinted) == 3 + len(many)
        work.wake("route", [])
        assert Work.objects.filter(due_at=0).count() == 2 + len(many)

    def test_dirty_containers_are_handed_over_once(self) -> None:
        work = rows()
        work.wake("converge", "n", dirty=["c1"])
        work.wake("converge", "n", dirty=["c2"])
        lease = work.claim("converge", "n", NOW)
        assert lease is not None
        assert lease.dirty == {"c1", "c2"}
        work.wake("converge", "n", dirty=["c3"])
        renewed, woken = work.renew(lease, NOW + 1)
        assert woken
        assert renewed.dirty == {"c3"}
        assert not work.release(renewed, None)

    def test_a_rolled_back_transaction_wakes_nobody(self) -> None:
        work = rows()
        with pytest.raises(ZeroDivisionError):
            _wake_and_fail(work)
        assert work.due(NOW) == []

    def test_the_only_control_plane_takes_over_at_its_start(self) -> None:
        rows("dead").wake("sync", "a")
        rows("dead").claim("sync", "a", NOW)
        rows("new").release_all()
        assert rows("new").claim("sync", "a", NOW) is not None


def _wake_and_fail(work: WorkRows) -> None:
    from django.db import transaction

    with transaction.atomic():
        work.wake("sync", "a")
        raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
def test_of_many_threads_one_gets_the_key() -> None:
    rows().wake("sync", "a")
    gate, won = threading.Barrier(8), []

    def race(name: str) -> None:
        gate.wait()
        if rows(name).claim("sync", "a", NOW) is not None:
            won.append(name)
        connections.close_all()

    threads = [threading.Thread(target=race, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


@pytest.mark.django_db
def test_versions_are_taken_in_order_and_logged() -> None:
    from control.models import Change

    made = [Namespace(name=name) for name in ("a", "b")]
    objects.create(made)
    made[0].labels = {"x": "y"}
    objects.update([made[0]], ["labels"])
    objects.delete([made[1]])
    logged = list(Change.objects.order_by("resource_version").values_list("type", "name"))
    assert logged == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


def test_a_slow_pass_keeps_its_lease_and_hears_who_wakes_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes its time: nobody else comes to wait for it, and nothing that is asked meanwhile is lost."""
    renewed, passes = threading.Event(), []

    class Patient(FakeWork):
        def renew(self, lease: str, now: float) -> tuple[str, bool]:
            renewed.set()
            return f"{lease}+", lease.startswith("lease 1")  # the second pass may be prolonged as well

    work = Patient()

    def one_pass(lease: str) -> float:
        passes.append(lease)
        if len(passes) == 1:
            assert renewed.wait(30)
        return 1000.0

    monkeypatch.setattr(single_flight, "KEEP_SECONDS", 0.001)
    single_flight.run(work, "poll", "a", FixedClock(), one_pass, slow=True)  # type: ignore[arg-type]
    assert passes == ["lease 1", "lease 2"], "woken while it was at it, it looks again"
    assert work.released[0][0].startswith("lease 1+")
    assert work.released[0][1] == 0.0


def test_a_slow_pass_that_lost_its_lease_goes_on_until_it_comes_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = threading.Event()

    class Lost(FakeWork):
        def renew(self, lease: str, now: float) -> tuple[str, bool]:
            lost.set()
            raise LeaseLost("gone")

    work = Lost()

    def one_pass(lease: str) -> float:
        assert lost.wait(30)
        raise LeaseLost("gone")

    monkeypatch.setattr(single_flight, "KEEP_SECONDS", 0.001)
    single_flight.run(work, "poll", "a", FixedClock(), one_pass, slow=True)  # type: ignore[arg-type]
    assert work.released == []


class FixedClock:
    def now(self) -> float:
        return 100.0


class FakeWork:
    """Leases of one key, as words."""

    def __init__(self) -> None:
        self.claims = 0
        self.released: list[tuple[str, float | None]] = []

    def claim(self, loop: str, key: str, now: float) -> str:
        self.claims += 1
        return f"lease {self.claims}"

    def release(self, lease: str, wake_at: float | None) -> bool:
        self.released.append((lease, wake_at))
        return False


class Alarm:
    def __init__(self) -> None:
        self.set: list[tuple[str, str, float]] = []

    def __call__(self, loop: str, key: str, at: float) -> None:
        self.set.append((loop, key, at))


@pytest.mark.django_db
class TestAlarm:
    def test_what_is_due_later_is_told_with_its_time(self, django_capture_on_commit_callbacks: Any) -> None:
        hints: list[str] = []
        alarm = Alarm()
        work = WorkRows("one", lambda loop, keys: hints.extend(keys), alarm)
        with django_capture_on_commit_callbacks(execute=True):
            work.wake("sync", "now")
            work.wake("sync", "later", at=NOW + 1)
            work.release(claimed(work, "released"), NOW + 2)
            work.release(claimed(work, "done"), None)
            woken = claimed(work, "woken")
            work.wake("sync", "woken")
            work.release(woken, NOW + 3)
        assert alarm.set == [("sync", "later", NOW + 1), ("sync", "released", NOW + 2)]
        assert hints == ["now", "released", "done", "woken", "woken"]

    def test_the_dispatcher_looks_ahead(self) -> None:
        work = rows()
        for key, at in (("a", 0.0), ("b", NOW + 0.5), ("c", NOW + 5), ("held", NOW - 1)):
            work.wake("sync", key, at=at)
        work.claim("sync", "held", NOW)
        assert work.coming(NOW, NOW + 1) == [("sync", "a", 0.0), ("sync", "b", NOW + 0.5)]
        assert work.due(NOW) == [("sync", "a")]


def claimed(work: WorkRows, key: str) -> Any:
    work.wake("sync", key)
    return work.claim("sync", key, NOW)
