"""How cost grows with nodes, pods and applications, on simulated hosts.

    .venv/bin/python -m tests.benchmarks.scale [--size 1000 5000 20000] [--only pass change loss]

For each size (a process of its own each): a pass without change (every workload and every node is looked at), one
changed Deployment from the poll of its repository to its first Docker call, 5 % of the nodes found dead until every
replacement has a node, a heartbeat's round, one router's pass, the database, some pages. Loops, rows and Git are the
real ones; one thread does everything, on SQLite.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.database import empty_database
from tests.benchmarks.estate import At, Estate, Size, app_name, manifest, names, space_name
from tests.benchmarks.figures import show
from tests.benchmarks.git_host import git_host

SIZES = (Size(10, 10, 100), Size(10, 50, 200), Size(100, 500, 2_000), Size(1_000, 5_000, 20_000),
         Size(1_000, 5_000, 50_000))  # fmt: skip
ASKED = Size(1_000, 5_000, 20_000)
"""The size that the bars are for."""
BARS = {"pass": (20.0, 5.0), "change": (1.0, 0.3), "loss": (10.0, 3.0), "page": (200.0, 80.0)}
ROUNDS = 5
LOST_PERCENT = 5
SETTLING_SECONDS, WATCHED_SECONDS = 20, 65
"""The safety net looks once a minute."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--size", type=int, nargs=3, metavar=("NODES", "APPLICATIONS", "PODS"))
    arguments.add_argument("--only", nargs="*", choices=tuple(PARTS), default=tuple(PARTS))
    options = arguments.parse_args()
    if options.size:
        measure(Size(*options.size), options.only)
        return
    codes = [_apart(size, options.only) for size in SIZES]
    sys.exit(max(codes))


def _apart(size: Size, parts: Sequence[str]) -> int:
    words = ["--size", *map(str, (size.nodes, size.applications, size.pods)), "--only", *parts]
    return subprocess.run([sys.executable, "-m", "tests.benchmarks.scale", *words], check=False).returncode


def measure(size: Size, parts: Sequence[str]) -> None:
    with empty_database() as folder, shop(folder, size) as (served, at):
        began = time.process_time()
        (folder / "run").mkdir(mode=0o700)
        estate = Estate.build(folder / "run", size, at)
        print(f"== {size}, built in {time.process_time() - began:.0f} s of CPU", flush=True)
        scene = Scene(estate, folder, served)
        for name, part in PARTS.items():
            if name in parts:
                part(scene)


@dataclass(frozen=True)
class Scene:
    """`served`: the repository that all applications follow, as its owners see it."""

    estate: Estate
    folder: Path
    served: Any


def tell(estate: Estate, what: str, values: Any, unit: str, bar: str = "") -> None:
    at_least, aim = BARS[bar] if bar and estate.size == ASKED else (None, None)
    show(f"{estate.size}: {what}", values, unit, at_least=at_least, aim=aim)


def passes(estate: Estate) -> None:
    """The first one, which also looks for images that nobody needs, does not count."""
    found = [_pass(estate) for _ in range(ROUNDS + 1)][1:]
    tell(estate, "a pass without change, CPU", [sum(row) for row in found], "s", "pass")
    tell(estate, "of it the workloads", [row[0] for row in found], "s")
    tell(estate, "of it the nodes", [row[1] for row in found], "s")


def _pass(estate: Estate) -> tuple[float, float]:
    from control.models import Work

    world = estate.world
    Work.objects.filter(loop="converge").update(due_at=0)
    began = time.process_time()
    woken = world.resync()
    between = time.process_time()
    for uid in estate.uids:
        world.run("converge", uid)
    ended = time.process_time()
    assert woken == 0
    assert not world.work.due(world.clock.now()), "something was woken"
    return between - began, ended - between


def rounds(estate: Estate) -> None:
    """What the watch process does every second or two, but for waiting for the hosts."""
    _tick(estate)
    tell(estate, "a round of the heartbeat, CPU", [_cpu(lambda: _tick(estate)) for _ in range(ROUNDS)], "s")


def _tick(estate: Estate) -> None:
    from control.models import Node
    from control.store import heartbeats

    estate.world.clock.at += 2
    estate.world.heart.tick([heartbeats.host(row) for row in Node.objects.order_by("name")])


def processes(estate: Estate, folder: Path) -> None:
    """`up` on all of it, after it has looked at everything once. Routers are not set up, and to try costs more than all
    the rest, so what it takes of the processors is not told."""
    from control.models import NEVER, Work
    from tests.benchmarks.processes import memory_mb
    from tests.engines.control_plane import ControlPlane

    plane = ControlPlane(folder)
    spread = WATCHED_SECONDS / len(estate.uids)
    for number, uid in enumerate(estate.uids):
        Work.objects.filter(loop="converge", key=uid).update(due_at=time.time() + SETTLING_SECONDS + number * spread)
    plane.start()
    try:
        time.sleep(SETTLING_SECONDS + WATCHED_SECONDS)
        for word in ("web", "worker", "watch", "--nursery"):
            tell(estate, f"memory of {word.strip('-')}", memory_mb(plane.processes(f"run {word}")), "MB")
    finally:
        plane.stop()
    Work.objects.update(due_at=NEVER, leased_until=0)


def changes(estate: Estate, folder: Path, served: Any) -> None:
    from deployer.adapters.git import GitSource
    from deployer.adapters.repository_source import RepositorySource

    estate.world.source = RepositorySource(GitSource(folder / "git"))
    images = ["shop/web:1"] * estate.size.applications
    found = []
    for number in range(ROUNDS + 1):
        images[(number * 37 + 5) % len(images)] = f"shop/web:{number + 2}"
        _push(served, estate.size, images)
        found.append(_change(estate))
    what = "one changed Deployment, poll -> its first Docker call"
    tell(estate, what, [row[0] for row in found[1:]], "s", "change")
    tell(estate, f"{what}, CPU", [row[1] for row in found[1:]], "s")


def _change(estate: Estate) -> tuple[float, float]:
    """The first round clones the repository, as nobody has asked for it before."""
    from control.models import NEVER, Work
    from deployer.adapters.simulated import SimulatedEngine

    world = estate.world
    began, cpu, found = time.perf_counter(), time.process_time(), list[tuple[float, float]]()
    create = SimulatedEngine.create

    def called(*arguments: Any) -> str:
        found.append((time.perf_counter() - began, time.process_time() - cpu))
        return create(*arguments)

    with replaced(SimulatedEngine, "create", called):
        world.work.wake("poll", estate.seed.repository.uid)
        drive(world, ("poll", "sync", "reconcile", "schedule", "converge"), lambda: bool(found))
    Work.objects.all().update(due_at=NEVER)
    return found[0]


def pages(estate: Estate) -> None:
    from tests.benchmarks.pages import measure as page

    space, name = space_name(7 % estate.size.applications), app_name(7 % estate.size.applications)
    for path in ("/", "/applications", f"/applications/{name}", f"/workloads/{space}/{name}", "/nodes", "/network"):
        row = page(path, 10)
        tell(estate, f"page {path.replace(space, 'SPACE').replace(name, 'NAME')}, p95", row[2], "ms", "page")


def loss(estate: Estate) -> None:
    """Hosts lose their power; what counts begins with the heartbeat's round that finds them dead."""
    from control.models import Node, Pod

    world, count = estate.world, max(estate.size.nodes * LOST_PERCENT // 100, 1)
    dead = estate.uids[:: estate.size.nodes // count][:count]
    gone = dict.fromkeys(dead, False)
    wanted = Pod.objects.filter(deleted_at=None).count()
    for uid in dead:
        world.access[uid].engine.host.power_off()
    began = cpu = 0.0
    for _ in range(30):
        for uid in estate.uids:
            if uid not in gone:
                world.heard(uid, world.clock.now() + 2, {node_label_of(one): False for one in dead})
        began, cpu = time.perf_counter(), time.process_time()
        _tick(estate)
        if Node.objects.filter(evicting_at__gt=0).count() == count:
            break
    found = time.perf_counter() - began
    placed = Pod.objects.filter(deleted_at=None, node__evicting_at=0)
    drive(world, ("reconcile", "schedule"), lambda: placed.count() == wanted)
    what = f"{LOST_PERCENT} % of the nodes found dead -> all replacements placed"
    tell(estate, what, time.perf_counter() - began, "s", "loss")
    tell(estate, f"{what}, CPU", time.process_time() - cpu, "s")
    tell(estate, "of it the round that finds them", found, "s")
    assert placed.count() == wanted, f"{placed.count()} of {wanted}"


def node_label_of(uid: str) -> str:
    from deployer.core.network.endpoints import node_label

    return node_label(uid)


def routers(estate: Estate) -> None:
    """One node's, with all Services: looked at again with nothing to do. To set one up costs the simulation most."""
    from control.models import NEVER, Work

    world, uid = estate.world, estate.uids[-1]

    def one() -> None:
        Work.objects.filter(loop="route").update(due_at=NEVER)
        Work.objects.filter(loop="route", key=uid).update(due_at=0)
        world.run("route", uid)

    one()
    tell(estate, "one router's pass without change, CPU", [_cpu(one) for _ in range(ROUNDS)], "s")


def database(estate: Estate, folder: Path) -> None:
    tell(estate, "database", sum(path.stat().st_size for path in folder.glob("db.sqlite3*")) / 1e6, "MB")


PARTS: dict[str, Callable[[Scene], None]] = {
    "pass": lambda scene: passes(scene.estate),
    "heartbeat": lambda scene: rounds(scene.estate),
    "database": lambda scene: database(scene.estate, scene.folder),
    "processes": lambda scene: processes(scene.estate, scene.folder),
    "change": lambda scene: changes(scene.estate, scene.folder, scene.served),
    "pages": lambda scene: pages(scene.estate),
    "loss": lambda scene: loss(scene.estate),
    "router": lambda scene: routers(scene.estate),
}
"""In this order: a part may leave behind what the later ones do not mind."""


def drive(world: Any, loops: tuple[str, ...], done: Callable[[], bool]) -> None:
    """What is due of these loops, in the order in which workers would get it, until `done` or nothing is due."""
    from control.models import Work

    while True:
        now = world.clock.now()
        rows = Work.objects.filter(due_at__lte=now, leased_until__lte=now, loop__in=loops)
        due = list(rows.order_by("due_at", "loop", "key").values_list("loop", "key")[:500])
        if not due:
            return
        for loop, keys in _in_turn(due):
            world.run_all(loop, keys)
            if loop in ("converge", "schedule") and done():
                return


def _in_turn(due: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """What is due, in bundles as workers get it."""
    from control import hints

    for loop, rows in itertools.groupby(due, key=lambda one: one[0]):
        for keys in hints.bundles(loop, [key for _, key in rows]):
            yield loop, keys


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _cpu(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


@contextmanager
def shop(folder: Path, size: Size) -> Iterator[tuple[Any, At]]:
    """A repository with a folder for each application, served over HTTP by a process of its own."""
    from tests.contracts.git_servers import Served

    (folder / "served").mkdir()
    served = Served.make(folder / "served" / "all.git")
    head = _push(served, size, ["shop/web:1"] * size.applications)
    lines = served.git("ls-tree", f"{head}:apps").splitlines()
    trees = {name: fields.split()[2] for fields, name in (line.split("\t") for line in lines)}
    with git_host(folder / "served") as address:
        yield served, At(f"{address}all.git", head, trees)


def _push(served: Any, size: Size, images: list[str]) -> str:
    return str(
        served.push({
            f"apps/{name}/web.yaml": "---\n".join(manifest(name, size.each, image))
            for name, image in zip(names(size), images, strict=True)
        })
    )  # fmt: skip


if __name__ == "__main__":
    main()
