"""The plug pulled on the control plane: nothing is lost, nothing is doubled, nothing that runs is touched."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.control_plane import HOME, ControlPlane, eventually
from tests.engines.hosts import Hosts
from tests.engines.shop import Shop, all_are_gone, shop_on, web

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def shop(plane: ControlPlane, hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Six pods, which these stories share: each leaves six behind, of whichever image."""
    all_are_gone(hosts)  # those of other stories: a deleted database knows nothing of them
    with shop_on(plane, hosts, tmp_path_factory.mktemp("crashes"), web(replicas=6)) as made:
        yield made


@pytest.fixture(autouse=True)
def goes_on(plane: ControlPlane, hosts: Hosts) -> Iterator[None]:
    """A story that fails in its middle leaves to the next ones what they need: a control plane that knows the hosts."""
    yield
    if not plane.is_running():
        plane.start()
    for host in hosts:
        if plane.attempt("get", "node", host.name)[0]:
            plane.add(host)


def another(shop: Shop) -> str:
    """An image that these pods do not run."""
    return "test/web:1" if shop.images() == {"test/web:2"} else "test/web:2"


def test_containers_outlive_the_control_plane(shop: Shop) -> None:
    before = shop.containers()
    shop.plane.kill()
    victim = next(iter(before.values()))
    host = next(host for host in shop.hosts if victim in host.docker("ps", "-q", "--no-trunc"))
    os.kill(int(host.docker("inspect", "-f", "{{.State.Pid}}", victim)), signal.SIGKILL)
    eventually(lambda: host.docker("inspect", "-f", "{{.RestartCount}} {{.State.Running}}", victim) == "1 true", 20)
    shop.plane.start()
    shop.wait(lambda: sum(pod["status"]["containerStatuses"][0]["restartCount"] for pod in shop.pods()) == 1)
    assert shop.containers() == before


@pytest.mark.parametrize("victim", ["run worker", "run watch", "up"])
def test_a_process_killed_in_mid_rollout_loses_and_doubles_nothing(shop: Shop, victim: str) -> None:
    for _ in range(2):
        image = another(shop)
        shop.push(web(image, replicas=6))
        shop.sync()
        shop.wait(lambda: len(shop.containers(all_of_them=True)) > 6)
        if victim == "up":
            shop.plane.kill()
            shop.plane.start()
        else:
            for pid in shop.plane.processes(victim):
                os.kill(pid, signal.SIGKILL)
        shop.wait_ready(6, image=image, seconds=60)
        shop.wait(lambda: len(shop.containers(all_of_them=True)) == 6)
        names = {pod["metadata"]["name"] for pod in shop.pods()}
        assert {name for name in names if any(f"-{name}-" in one for one in shop.containers())} == names


def test_with_the_database_deleted_running_containers_are_adopted(shop: Shop, hosts: Hosts) -> None:
    plane, before = shop.plane, shop.containers()
    plane.stop()
    for path in plane.folder.glob("db.sqlite3*"):
        path.unlink()
    plane.start()
    for host in hosts:
        plane.add(host)
    plane.follow(shop.checkout.origin, name=shop.name, namespace=shop.name)
    shop.wait_ready(6)
    shop.sync("--wait")
    assert shop.containers(all_of_them=True) == before, "none was restarted, removed or doubled"
    image = another(shop)
    shop.push(web(image, replicas=6))
    shop.sync("--wait")
    shop.wait_ready(6, image=image)


def test_on_an_empty_machine_a_backup_takes_over_what_runs(shop: Shop, tmp_path: Path) -> None:
    plane, file, image = shop.plane, tmp_path / "pierhead.tar.gz", another(shop)
    assert "(3 nodes, 1 applications, 6 pods)" in plane.manage("backup", str(file))
    shop.push(web(image, replicas=6))  # what happens after a backup, it cannot know
    shop.sync("--wait")
    shop.wait(lambda: len(shop.containers(all_of_them=True)) == 6)  # the old ones are stopped
    before = started(shop)
    plane.kill()
    for path in plane.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = plane.command("restore", str(file), timeout=180)  # all migrations, beside other tests
    assert done.returncode == 0, done.stdout + done.stderr
    plane.start()
    shop.sync("--wait")
    shop.wait_ready(6, image=image, seconds=60)
    shop.wait(lambda: len(shop.containers(all_of_them=True)) == len(before), 30)
    assert started(shop) == before, "none was restarted, removed or doubled"


def test_a_new_version_takes_over_while_pods_run(shop: Shop) -> None:
    """Over the database that the version before this one would have left."""
    shop.wait(lambda: len(shop.containers(all_of_them=True)) == 6)
    plane, before = shop.plane, started(shop)
    *_, previous, latest = sorted(path.stem for path in (HOME / "control" / "migrations").glob("0*.py"))
    plane.stop()
    assert plane.command("migrate", "control", previous).returncode == 0
    plane.start()
    said = plane.said()
    assert "brought to a new version" in said, said
    assert list((plane.folder / "backups").glob("before-*.tar.gz"))
    shop.wait_ready(6)
    shop.sync("--wait")
    assert started(shop) == before, f"{latest}: none was restarted, removed or doubled"


def started(shop: Shop) -> dict[str, str]:
    """Name -> starting time of every container of the shop that runs."""
    lines: list[str] = []
    for host in shop.hosts:
        names = host.docker("ps", "-q", "--filter", f"name=pierhead-{shop.name}-").split()
        lines += host.docker("inspect", "-f", "{{.Name}} {{.State.StartedAt}}", *names).splitlines() if names else []
    return dict(line.split() for line in lines)
