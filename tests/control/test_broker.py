"""The embedded broker, both of them: a real redis-server, and fakeredis where there is none."""

import contextlib
import os
import queue
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker

from control import broker, servers
from control.data import HOME, DataError, private_folder

DEADLINE_SECONDS = 10.0


def eventually(condition: Callable[[], object], sentence: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, sentence
        time.sleep(0.01)


@pytest.fixture(params=["redis", "fakeredis"])
def command(request: pytest.FixtureRequest, tmp_path: Path, require: Callable[[object, str], None]) -> list[str]:
    if request.param == "redis":
        require(broker.server(), "no redis-server on PATH: apt-get install redis-server")
    path = str(tmp_path / "run" / "redis.sock")
    return [sys.executable, "-m", "control.broker", path, *(["--embedded"] if request.param == "fakeredis" else [])]


@pytest.fixture
def socket_path(command: list[str]) -> Iterator[Path]:
    """The socket of a running broker."""
    path = Path(command[3])
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: broker.listens(path), "the broker does not listen")
            yield path
        finally:
            process.terminate()


@pytest.fixture
def client(socket_path: Path) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=str(socket_path), socket_timeout=DEADLINE_SECONDS) as client:
        yield client


def test_only_this_user_reaches_it(socket_path: Path) -> None:
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700


def test_it_keeps_values_runs_scripts_and_pipelines(client: redis.Redis) -> None:
    client.set("large", b"x" * 5_000_000)
    assert client.get("large") == b"x" * 5_000_000
    assert client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, "count", 3) == 3
    with client.pipeline() as pipeline:
        for number in range(500):
            pipeline.rpush("list", number)
        assert pipeline.execute()[-1] == 500


def test_a_blocked_client_is_woken_by_another(socket_path: Path, client: redis.Redis) -> None:
    got: queue.Queue[object] = queue.Queue()

    def wait() -> None:
        with redis.Redis(unix_socket_path=str(socket_path), socket_timeout=DEADLINE_SECONDS) as waiting:
            got.put(waiting.blpop(["list"], timeout=DEADLINE_SECONDS))

    thread = threading.Thread(target=wait)
    thread.start()
    client.rpush("list", "here")
    assert got.get(timeout=DEADLINE_SECONDS) == (b"list", b"here")
    thread.join()


def test_published_messages_are_pushed_to_every_subscriber(client: redis.Redis) -> None:
    with client.pubsub() as first, client.pubsub() as second:
        for subscriber in (first, second):
            subscriber.subscribe("pages")
            assert subscriber.get_message(timeout=DEADLINE_SECONDS)["type"] == "subscribe"
        assert client.publish("pages", "changed") == 2
        for subscriber in (first, second):
            assert subscriber.get_message(timeout=DEADLINE_SECONDS)["data"] == b"changed"


def test_a_client_that_leaves_is_forgotten(socket_path: Path, client: redis.Redis) -> None:
    with redis.Redis(unix_socket_path=str(socket_path)) as leaving, leaving.pubsub() as subscriber:
        subscriber.subscribe("pages")
        subscriber.get_message(timeout=DEADLINE_SECONDS)
    eventually(lambda: client.publish("pages", "anyone?") == 0, "a closed subscription still counts")


# Celery leaves its broker connections to the garbage collector when an application goes away.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_celery_round_trip(socket_path: Path) -> None:
    got: queue.Queue[int] = queue.Queue()
    app = Celery("round-trip", broker=servers.celery_broker_url(f"unix://{socket_path}"), set_as_current=False)
    app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1)

    @app.task(name="keep", shared=False)
    def keep(number: int) -> None:
        got.put(number)

    with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False, shutdown_timeout=DEADLINE_SECONDS):
        for number in range(20):
            keep.delay(number)
        assert sorted(got.get(timeout=DEADLINE_SECONDS) for _ in range(20)) == list(range(20))
    app.close()


def test_it_does_not_outlive_a_killed_parent(command: list[str]) -> None:
    program = (
        "import os, subprocess, sys; r, w = os.pipe()\n"
        "child = subprocess.Popen([*sys.argv[1:], '--lifeline', str(r)], pass_fds=[r], stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", program, *command], cwd=HOME, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        try:
            eventually(lambda: broker.listens(Path(command[3])), "the broker does not listen")
            parent.kill()
            eventually(lambda: not is_running(pid), "the broker outlived its parent")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """Whether the process does anything: one that has ended may wait to be reaped by whoever adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_long_data_folder_gets_a_short_socket() -> None:
    near, far = Path("/srv/pierhead"), Path("/srv") / ("deep/" * 30)
    assert broker.socket_path(near) == near / "run" / "redis.sock"
    assert len(os.fsencode(broker.socket_path(far))) <= broker.LONGEST_SOCKET_PATH_BYTES
    assert broker.socket_path(far) == broker.socket_path(far) != broker.socket_path(far / "other")


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(DataError, match="mode 0700"):
        private_folder(tmp_path)
