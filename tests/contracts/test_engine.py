"""What every engine promises: one suite against the simulated one and against real Docker, by socket and by TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployer.core.container import LABEL_CLUSTER, FileEntry, HealthCheck, PublishedPort
from deployer.ports import EngineUnreachable
from tests.contracts.bench import CLUSTER, IMAGE, Bench, reason_of, shell, simulated_bench, spec

# The host


def test_a_host_says_who_it_is_and_what_time_it_has(bench: Bench) -> None:
    bench.engine.ping()
    info = bench.engine.info()
    assert info.engine_id and info.name and info.version and info.architecture
    assert info.cpu_millicores >= 1000 and info.memory_bytes > 1 << 29
    assert bench.other.info().engine_id == info.engine_id
    first = bench.engine.host_time()
    bench.sleep(0.01)
    assert first < bench.engine.host_time() < first + 5


def test_a_closed_engine_says_so(bench: Bench, tmp_path: Path) -> None:
    with simulated_bench(tmp_path) as short_lived:
        short_lived.engine.close()
        assert reason_of(short_lived.engine.containers) == "Closed"


# Containers


def test_creating_and_starting_twice_is_done_once(bench: Bench) -> None:
    first = bench.engine.create(spec("twice"))
    assert bench.state("twice") == "created"
    assert bench.engine.create(spec("twice")) == first
    bench.engine.start("twice")
    bench.engine.start(first)
    (seen,) = bench.engine.containers()
    assert (seen.id, seen.name, seen.state, seen.image, seen.health) == (first, "twice", "running", IMAGE, "")
    assert seen.labels[LABEL_CLUSTER] == CLUSTER
    assert seen.uptime_seconds is not None and seen.uptime_seconds < 5
    assert seen.detail is None


def test_a_name_that_another_attempt_has_is_a_conflict(bench: Bench) -> None:
    bench.engine.create(spec("attempts", attempt=0))
    assert reason_of(bench.engine.create, spec("attempts", attempt=1)) == "NameConflict"


def test_an_inspection_tells_how_it_ended(bench: Bench) -> None:
    before = bench.engine.host_time()
    bench.run("ends", *shell("sleep 0.05; exit 3"))
    bench.eventually(lambda: bench.state("ends") == "exited")
    seen = bench.engine.inspect("ends")
    assert seen and seen.detail
    assert (seen.detail.exit_code, seen.detail.oom_killed, seen.detail.restart_count) == (3, False, 0)
    assert before <= seen.detail.started_at < seen.detail.finished_at <= bench.engine.host_time()
    assert seen.uptime_seconds is None and seen.detail.image_id.startswith("sha256:")
    assert bench.engine.inspect(seen.id) == seen


def test_stopping_and_removing_twice_is_done_once(bench: Bench) -> None:
    bench.run("stops")
    bench.engine.stop("stops", 0)
    bench.engine.stop("stops", 0)
    assert bench.state("stops") == "exited"
    bench.engine.start("stops")
    assert bench.state("stops") == "running"
    bench.engine.remove("stops")
    bench.engine.remove("stops")
    bench.engine.stop("stops", 0)
    assert bench.engine.containers() == [] and bench.engine.inspect("stops") is None


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(bench: Bench) -> None:
    bench.run("stubborn", *shell("trap '' TERM; sleep 3600"))
    before = bench.engine.host_time()
    bench.engine.stop("stubborn", 1)
    assert 0.9 <= bench.engine.host_time() - before < 5
    assert bench.detail("stubborn").exit_code == 137


def test_what_was_stopped_by_hand_is_not_restarted(bench: Bench) -> None:
    bench.run("by-hand", restart="always")
    bench.engine.stop("by-hand", 0)
    bench.sleep(0.5)
    assert bench.state("by-hand") == "exited"


def test_the_engine_restarts_what_crashes(bench: Bench) -> None:
    bench.run("crashes", *shell("exit 1"), restart="always")
    bench.eventually(lambda: bench.detail("crashes").restart_count >= 2)
    bench.eventually(lambda: bench.state("crashes") == "restarting")


@pytest.mark.parametrize(("code", "restarted"), [(0, False), (4, True)])
def test_on_failure_restarts_failures_alone(bench: Bench, code: int, restarted: bool) -> None:
    bench.run("sometimes", *shell(f"exit {code}"), restart="on-failure")
    bench.eventually(lambda: bench.state("sometimes") in ("exited", "restarting"))
    bench.sleep(0.5)
    assert (bench.detail("sometimes").restart_count > 0) == restarted


def test_health_is_seen_in_the_listing_and_follows_the_check(bench: Bench) -> None:
    check = HealthCheck(("test", "-e", "/ready"), interval_seconds=0.2, timeout_seconds=2, retries=2)
    bench.run("checked", health=check)
    assert bench.health("checked") == "starting"
    bench.eventually(lambda: bench.health("checked") == "unhealthy")
    bench.engine.execute("checked", ["touch", "/ready"], 5)
    bench.eventually(lambda: bench.health("checked") == "healthy")
    seen = bench.engine.inspect("checked")
    assert seen and seen.health == "healthy"


def test_env_and_files_are_there_when_it_starts(bench: Bench) -> None:
    wanted = spec("furnished", *shell("echo $COLOUR; cat /etc/greeting"), env=(("COLOUR", "blue"),))
    bench.engine.create(wanted, [FileEntry("etc/greeting", b"hello\n", mode=0o600)])
    bench.engine.start("furnished")
    bench.eventually(lambda: bench.state("furnished") == "exited")
    assert bench.output("furnished") == "blue\nhello\n"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"image": "test/absent:1"}, "ImageNotFound", id="no image"),
        pytest.param({"entrypoint": ("/bin/no-such-program",)}, "CommandNotFound", id="no program"),
        pytest.param({"network": "container:nobody"}, "", id="no pod"),
        pytest.param({"network": "nowhere"}, "NetworkMissing", id="no network"),
    ],
)
def test_what_cannot_start_says_why(bench: Bench, fields: dict[str, Any], reason: str) -> None:
    def create_and_start() -> None:
        bench.engine.create(spec("refused", **fields))
        bench.engine.start("refused")

    assert reason_of(create_and_start) == reason or not reason


def test_a_taken_port_is_named(bench: Bench) -> None:
    bench.engine.ensure_network("ports", {})
    port = PublishedPort(80, bench.free_port)
    bench.run("first", network="ports", ports=(port,))
    bench.engine.create(spec("second", network="ports", ports=(port,)))
    assert reason_of(bench.engine.start, "second") == "PortTaken"
    bench.engine.remove("first")
    bench.engine.start("second")
    assert bench.state("second") == "running"


def test_starting_what_is_not_there(bench: Bench) -> None:
    assert reason_of(bench.engine.start, "nobody") == "NoSuchContainer"
    assert reason_of(bench.engine.logs, "nobody") == "NoSuchContainer"
    assert reason_of(bench.engine.execute, "nobody", ["true"], 5) == "NoSuchContainer"


# Commands and logs


def test_a_command_is_run_in_a_container(bench: Bench) -> None:
    bench.run("host-of-commands")
    done = bench.engine.execute("host-of-commands", shell("echo out; exit 5"), 5)
    assert (done.exit_code, done.output) == (5, "out\n")
    assert reason_of(bench.engine.execute, "host-of-commands", ["/bin/no-such-program"], 5) == "CommandNotFound"
    with pytest.raises(EngineUnreachable, match=r"within 0\.3 s"):
        bench.engine.execute("host-of-commands", ["sleep", "30"], 0.3)


def test_logs_by_tail_and_time(bench: Bench) -> None:
    bench.run("talks", *shell("echo one; sleep 0.5; echo two; echo three"))
    bench.eventually(lambda: bench.state("talks") == "exited")
    assert list(bench.engine.logs("talks")) == [b"one\n", b"two\n", b"three\n"]
    assert b"".join(bench.engine.logs("talks", tail=1)) == b"three\n"
    assert b"".join(bench.engine.logs("talks", tail=0)) == b""
    later = bench.detail("talks").started_at + 0.3
    assert b"".join(bench.engine.logs("talks", since=later)) == b"two\nthree\n"
    stamp, text = next(bench.engine.logs("talks", timestamps=True, tail=1)).split(b" ", 1)
    assert text == b"three\n" and stamp.endswith(b"Z") and stamp[4:5] == b"-"


def test_logs_can_be_followed_to_the_end(bench: Bench) -> None:
    bench.run("tells", *shell("echo one; sleep 0.3; echo two; sleep 0.3"))
    assert [piece for piece in bench.engine.logs("tells", follow=True) if piece] == [b"one\n", b"two\n"]


# Events


def test_events_are_replayed_and_waited_for(bench: Bench) -> None:
    bench.sleep(0.01)
    since = bench.engine.host_time()
    container = bench.run("eventful", *shell("sleep 0.2; exit 7"))
    events = list(bench.engine.events(since, bench.engine.host_time() + 1.0))
    assert [event.action for event in events] == ["create", "start", "die"]
    assert {event.container_id for event in events} == {container}
    assert events[-1].exit_code == 7 and events[-1].labels[LABEL_CLUSTER] == CLUSTER
    assert since <= events[0].at <= events[1].at <= events[2].at
    assert [event.action for event in bench.engine.events(events[2].at, bench.engine.host_time())] == ["die"]


def test_events_of_others_and_of_probes_are_left_out(bench: Bench) -> None:
    bench.sleep(0.01)
    since = bench.engine.host_time()
    bench.other.create(spec("theirs"))
    bench.other.remove("theirs")
    bench.run("ours", health=HealthCheck(("true",), 0.1, 60, 1))
    bench.eventually(lambda: bench.engine.containers()[0].health == "healthy")
    bench.engine.remove("ours")
    bench.sleep(0.1)
    actions = [event.action for event in bench.engine.events(since, bench.engine.host_time())]
    assert actions == ["create", "start", "health_status: healthy", "die", "destroy"]
