"""Production: PostgreSQL, Redis, and every process of docker-compose.yml on its own, two of the workers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.data import HOME
from tests.control.installed import counts, emptied, left, manage, without
from tests.control.production import Installation, installation
from tests.control.servers import PostgreSQL, Redis, postgresql, redis_server
from tests.engines.control_plane import Checkout, deployment, eventually

REPLICAS = 8
READY_SECONDS = 60.0  # aim: 5
ROLLED_SECONDS = 90.0  # aim: 12; a killed worker's leases last for 10
# Two pods at a time, each for a second: a rollout that takes long enough to be disturbed in its middle.
SLOWLY = """minReadySeconds: 1
strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 0}}
"""


@pytest.fixture(scope="session")
def database() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def broker() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def shop(database: PostgreSQL, broker: Redis) -> Iterator[Installation]:
    """An installation that the stories below share, in their order; none leaves a process dead."""
    with (
        tempfile.TemporaryDirectory(prefix="ph-prod-", dir="/tmp") as folder,
        installation(Path(folder), database.create("pierhead"), broker.url) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def checkout(shop: Installation, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("git"))
    made.push("first", {"k8s/web.yaml": web("shop/web:1")})
    shop.follow(made.origin)
    await_rolled(shop, 1)
    return made


def test_a_push_runs(shop: Installation, checkout: Checkout) -> None:
    assert len(shop.ready_pods()) == REPLICAS
    with urllib.request.urlopen(f"http://127.0.0.1:{shop.port}/", timeout=10) as answer:
        assert answer.url.endswith("/sign-in?next=/")
    assert shop.healthy()
    assert shop.dead() == []


def test_a_worker_is_killed_in_mid_rollout(shop: Installation, checkout: Checkout) -> None:
    checkout.push("second", {"k8s/web.yaml": web("shop/web:2")})
    await_mixed(shop)
    shop.kill_one("worker-1")
    await_rolled(shop, 2)
    shop.start_one("worker-1")


def test_redis_is_emptied_and_started_again_in_mid_rollout(
    shop: Installation, checkout: Checkout, broker: Redis
) -> None:
    checkout.push("third", {"k8s/web.yaml": web("shop/web:3")})
    await_mixed(shop)
    broker.flush()
    broker.end()
    broker.start()
    eventually(lambda: shop.tend() or _rolled(shop, 3), ROLLED_SECONDS, lambda: f"{shop.revisions()}\n{shop.said()}")
    await_rolled(shop, 3)


def test_beat_is_killed_in_mid_rollout_and_its_standby_takes_over(shop: Installation, checkout: Checkout) -> None:
    shop.start_one("beat-2")
    checkout.push("fourth", {"k8s/web.yaml": web("shop/web:4")})
    await_mixed(shop)
    shop.kill_one("beat")
    await_rolled(shop, 4)
    shop.start_one("beat")


def test_a_worker_is_paused_with_a_lease_in_mid_rollout_and_goes_on_beside_who_took_over(
    shop: Installation, checkout: Checkout
) -> None:
    checkout.push("fifth", {"k8s/web.yaml": web("shop/web:5")})
    await_mixed(shop)
    with shop.paused("worker-1"):
        await_rolled(shop, 5)
    checkout.push("sixth", {"k8s/web.yaml": web("shop/web:6")})
    await_rolled(shop, 6)
    assert [shop.happened(action, 5) for action in ("create", "start")] == [REPLICAS, REPLICAS]


def web(image: str) -> str:
    return deployment(image=image, replicas=REPLICAS, more=SLOWLY)


def await_mixed(shop: Installation) -> None:
    """A rollout that has begun, and has not ended: containers of two revisions run."""
    eventually(lambda: len(set(shop.revisions())) == 2, READY_SECONDS, shop.said)


def await_rolled(shop: Installation, revision: int) -> None:
    """Every replica runs that revision and nothing else is there; each container was made once and started once."""
    eventually(lambda: _rolled(shop, revision), ROLLED_SECONDS, lambda: f"{shop.revisions()}\n{shop.said()}")
    assert [shop.happened(action, revision) for action in ("create", "start")] == [REPLICAS, REPLICAS]


def _rolled(shop: Installation, revision: int) -> bool:
    assert shop.doubled() == []
    return shop.revisions() == [revision] * REPLICAS and len(shop.ready_pods()) == REPLICAS


def test_the_stories_and_leases_hold_on_postgresql_too(database: PostgreSQL, tmp_path: Path) -> None:
    names = (
        "control/test_work", "control/test_contention", "control/on_postgresql", "control/test_sign_in",
        "control/test_objects", "control/test_canaries", "control/test_analyses", "control/test_splits",
        "control/test_usage", "scenarios/test_story",
    )  # fmt: skip
    files = [f"tests/{name}.py" for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'run'}", *files],
        cwd=HOME, env={**os.environ, "TEST_DATABASE_URL": database.create("stories")}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]


def test_a_backup_moves_between_sqlite_and_postgresql(database: PostgreSQL, tmp_path: Path) -> None:
    """And each end has the same rows: what SQLite wrote, PostgreSQL has read, and SQLite has read again."""
    before = left(tmp_path / "before")
    manage(before, "prepare")
    files = [tmp_path / f"{number}.tar.gz" for number in (1, 2)]
    manage(before, "backup", str(files[0]))
    server = {"DATABASE_URL": database.create("restored")}
    assert "(3 nodes, 1 applications, 4 pods)" in manage(tmp_path / "server", "restore", str(files[0]), **server)
    manage(tmp_path / "server", "backup", str(files[1]), **server)
    assert "the database holds" in manage(tmp_path / "server", "restore", str(files[0]), code=1, **server)
    again = emptied(tmp_path / "again")
    manage(again, "restore", str(files[1]))
    assert without(counts(again)) == without(counts(before))
    assert "web" in manage(tmp_path / "server", "get", "pods", "-n", "shop", **server)
    said = manage(tmp_path / "server", "node", "cordon", "sim-1", **server)
    assert "cordoned" in said, "numbers go on where they were"
