"""Deploy, roll, undo and heal on three real hosts: Pierhead, Docker Swarm and `docker run` in one run.

    .venv/bin/python -m tests.benchmarks.rollouts [--rounds 3] [--only run|bridge|swarm|network|pierhead] [--large]

Needs root and docker.io. The image is on every host. Times are wall-clock seconds, medians over the rounds; the
engines, the control plane and this script share the machine, so compare figures of one run only.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.benchmarks import bare_engines
from tests.benchmarks.figures import OURS, show
from tests.engines import images
from tests.engines.cgroups import members
from tests.engines.control_plane import Checkout, ControlPlane, control_plane, deployment, eventually
from tests.engines.hosts import Host, Hosts, hosts
from tests.engines.servers import Registry, registry

FAR = "registry.invalid:5000/web:1"
COMMAND = ["/bin/httpd", "-f", "-p", "8080", "-h", "/"]
Figures = dict[str, list[float]]
IMAGES = ["", ""]
"""The two versions of the image, as this run's registry names them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("run", "bridge", "swarm", "network", "pierhead"))
    parser.add_argument("--large", action="store_true", help="deploy 100 as well")
    options = parser.parse_args()
    sizes = (3, 20, 100) if options.large else (3, 20)
    with hosts(3) as three, registry(three) as near:
        IMAGES[:] = _publish(three, near)
        measured: dict[str, Figures] = {}
        for name, measure in CONTENDERS:
            if options.only in (None, name.lower().split()[-1]):
                measured[name] = measure(three, sizes, options.rounds)
        report(measured)


def _publish(three: Hosts, near: Registry) -> list[str]:
    """Two versions in a registry that answers, and on every host already."""
    references = []
    for name in ("web:1", "web:2"):
        three[0].load(images.web(f"test/{name}"))
        references.append(near.push(three[0], f"test/{name}", name))
    for host in three:
        for reference in references:
            host.docker("pull", "-q", reference)
    three.load(images.web(FAR))
    return references


def pierhead(three: Hosts, sizes: tuple[int, ...], rounds: int) -> Figures:
    figures: Figures = defaultdict(list)
    with control_plane() as plane, tempfile.TemporaryDirectory() as name:
        checkout = Checkout(Path(name))
        checkout.push("begin", {"k8s/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: marker}\n"})
        for host in three:
            plane.add(host)
        plane.follow(checkout.origin)
        watch = Seen(plane)
        for number in range(rounds):
            for size in sizes:
                figures[f"deploy {size}"].append(_deploy(plane, checkout, watch, f"web{number}-{size}", size))
                if size == 20:
                    _roll_and_undo(plane, checkout, watch, figures, f"web{number}-{size}")
                if size == 3:
                    figures["container killed"].append(_kill(three, watch, f"web{number}-{size}"))
                    figures["scale 3 to 20"].append(_scale(plane, watch, f"web{number}-{size}"))
                    if number == rounds - 1:
                        _idle_engines(three, figures)
                _clear(checkout, plane, watch, f"web{number}-{size}")
            figures["deploy 20, registry away"].append(_deploy(plane, checkout, watch, f"far{number}", 20, image=FAR))
            _clear(checkout, plane, watch, f"far{number}")
        figures["idle, % of a core"].append(_idle_cpu(plane))
        figures["idle, MB"].append(_memory(plane))
    return figures


class Seen:
    """What Pierhead's records say, read from its database without a process start in between."""

    def __init__(self, plane: ControlPlane) -> None:
        import sqlite3

        self._rows = sqlite3.connect(f"file:{plane.folder}/db.sqlite3?mode=ro", uri=True, timeout=20)

    def ready(self, name: str, image: str = "") -> int:
        sql = "select count(*) from control_pod where owner = ? and ready and deleted_at is null"
        values = [f"Deployment/{name}"]
        if image:
            sql += " and replica_set_id in (select uid from control_replicaset where spec like ?)"
            values.append(f'%"{image}"%')
        return int(self._rows.execute(sql, values).fetchone()[0])

    def others(self, name: str, image: str) -> int:
        sql = (
            "select count(*) from control_pod where owner = ? and replica_set_id not in "
            "(select uid from control_replicaset where spec like ?)"
        )
        return int(self._rows.execute(sql, [f"Deployment/{name}", f'%"{image}"%']).fetchone()[0])

    def restarts(self, name: str) -> int:
        sql = "select coalesce(sum(restarts), 0) from control_pod where owner = ? and ready"
        return int(self._rows.execute(sql, [f"Deployment/{name}"]).fetchone()[0])

    def left(self, name: str) -> int:
        return int(
            self._rows.execute("select count(*) from control_pod where owner = ?", [f"Deployment/{name}"]).fetchone()[0]
        )


def _deploy(plane: ControlPlane, checkout: Checkout, watch: Seen, name: str, size: int, image: str = "") -> float:
    """From the sync being asked for (the commit is pushed, the command has started up) to all pods ready."""
    checkout.push(
        f"add {name}", {f"k8s/{name}.yaml": deployment(name, replicas=size, image=image or IMAGES[0], command=COMMAND)}
    )
    began = _sync(plane)
    _until(lambda: watch.ready(name) == size, 180)
    return time.time() - began


def _sync(plane: ControlPlane) -> float:
    """Ask for a sync; the moment at which the request was on record."""
    import sqlite3

    plane.manage("application", "sync", "shop")
    rows = sqlite3.connect(f"file:{plane.folder}/db.sqlite3?mode=ro", uri=True, timeout=20)
    sql = "select at from control_auditentry where action = 'application sync' order by id desc limit 1"
    return float(rows.execute(sql).fetchone()[0])


def _roll_and_undo(plane: ControlPlane, checkout: Checkout, watch: Seen, figures: Figures, name: str) -> None:
    text = deployment(name, replicas=20, image=IMAGES[1], command=COMMAND)
    checkout.push(f"roll {name}", {f"k8s/{name}.yaml": text})
    began = _sync(plane)
    _until(lambda: watch.ready(name, IMAGES[1]) == 20 and watch.ready(name) == 20, 180)
    figures["roll 20"].append(time.time() - began)
    _until(lambda: watch.others(name, IMAGES[1]) == 0, 60)
    plane.manage("rollout", "undo", f"deployment/{name}", "-n", "shop")
    began = time.time()
    _until(lambda: watch.ready(name, IMAGES[0]) == 20 and watch.ready(name) == 20, 180)
    figures["undo 20"].append(time.time() - began)


def _scale(plane: ControlPlane, watch: Seen, name: str) -> float:
    plane.manage("scale", f"deployment/{name}", "--replicas", "20", "-n", "shop")
    began = time.time()
    _until(lambda: watch.ready(name) == 20, 180)
    return time.time() - began


def _kill(three: Hosts, watch: Seen, name: str) -> float:
    """SIGKILL to a container's process on its host; until it runs again and the record says so."""
    before = watch.restarts(name)
    victim = next(one for host in three if (one := _pid(host, name)))
    subprocess.run(["kill", "-9", str(victim)], check=True)
    began = time.time()
    _until(lambda: watch.restarts(name) > before and watch.ready(name) == 3, 60)
    return time.time() - began


def _pid(host: Host, name: str) -> int:
    listed = host.docker("ps", "-q", "--filter", f"name=-{name}-").split()
    return int(host.docker("inspect", "-f", "{{.State.Pid}}", listed[0])) if listed else 0


def _clear(checkout: Checkout, plane: ControlPlane, watch: Seen, name: str) -> None:
    checkout.push(f"remove {name}", {f"k8s/{name}.yaml": None})
    plane.manage("application", "sync", "shop")
    _until(lambda: watch.left(name) == 0, 120)


def _idle_cpu(plane: ControlPlane, seconds: float = 20) -> float:
    before = _ticks(plane)
    time.sleep(seconds)
    return (_ticks(plane) - before) / seconds


def _ticks(plane: ControlPlane) -> float:
    return _cpu(plane.processes())


def _memory(plane: ControlPlane) -> float:
    return _megabytes(plane.processes())


def _idle_engines(three: Hosts, figures: Figures, seconds: float = 20) -> None:
    """What the engines themselves take while 20 containers run and nothing happens."""
    time.sleep(5)
    there = [pid for host in three for pid in members(f"{host.group}/engine")]
    before = _cpu(there)
    time.sleep(seconds)
    figures["idle, engines with 20 containers, % of a core"].append((_cpu(there) - before) / seconds)
    figures["idle, engines with 20 containers, MB"].append(_megabytes(there))


def _cpu(processes: Iterable[int]) -> float:
    """In hundredths of a second (one tick)."""
    total = 0.0
    for pid in processes:
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total


def _megabytes(processes: Iterable[int]) -> float:
    total = 0
    for pid in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) if line.startswith("Pss:") else 0
    return total / 1024


def swarm(three: Hosts, sizes: tuple[int, ...], rounds: int) -> Figures:
    """On the engines' default bridge, as `docker service create` does when it is told nothing."""
    figures: Figures = defaultdict(list)
    with in_swarm(three):
        for number in range(rounds):
            for size in sizes:
                _swarm_round(three, figures, f"s{number}-{size}", size, is_last=number == rounds - 1)
    return figures


def swarm_network(three: Hosts, sizes: tuple[int, ...], rounds: int) -> Figures:
    """On a network of the services' own, where they find each other by name, as pods do in their namespace's."""
    figures: Figures = defaultdict(list)
    with in_swarm(three):
        three[0].docker("network", "create", "-d", "overlay", "app")
        for number in range(rounds):
            for size in sizes:
                figures[f"deploy {size}"].append(_swarm_deploy(three[0], f"n{number}-{size}", size, "--network", "app"))
                _swarm_clear(three, f"n{number}-{size}")
    return figures


@contextlib.contextmanager
def in_swarm(three: Hosts) -> Iterator[None]:
    first = three[0]
    first.docker("swarm", "init", "--advertise-addr", first.ip)
    token = first.docker("swarm", "join-token", "-q", "worker")
    for host in list(three)[1:]:
        host.docker("swarm", "join", "--token", token, f"{first.ip}:2377")
    try:
        yield
    finally:
        for host in reversed(list(three)):
            host.docker("swarm", "leave", "--force")


def _swarm_deploy(first: Host, name: str, size: int, *options: str) -> float:
    began = time.time()
    first.docker("service", "create", "-d", "--name", name, "--replicas", str(size), *options, IMAGES[0])
    _until(lambda: _tasks(first, name) == size, 180)
    return time.time() - began


def _swarm_clear(three: Hosts, name: str) -> None:
    three[0].docker("service", "rm", name)
    _until(lambda: not any(host.docker("ps", "-q", "--filter", f"name={name}.") for host in three), 120)


def _swarm_round(three: Hosts, figures: Figures, name: str, size: int, *, is_last: bool) -> None:
    first = three[0]
    figures[f"deploy {size}"].append(_swarm_deploy(first, name, size))
    if size == 20:
        began = time.time()
        update = ["--update-parallelism", "5", "--update-delay", "0s", "--stop-grace-period", "2s"]
        update += ["--rollback-parallelism", "5", "--rollback-delay", "0s"]
        first.docker("service", "update", "-d", *update, "--image", IMAGES[1], name)
        _until(lambda: _tasks(first, name, IMAGES[1]) == size, 180)
        figures["roll 20"].append(time.time() - began)
        began = time.time()
        first.docker("service", "rollback", "-d", name)
        _until(lambda: _tasks(first, name, IMAGES[0]) == size, 180)
        figures["undo 20"].append(time.time() - began)
    if size == 3:
        victim = next(pid for host in three if (pid := _swarm_pid(host, name)))
        ids = _task_ids(first, name)
        subprocess.run(["kill", "-9", str(victim)], check=True)
        began = time.time()
        _until(lambda: _tasks(first, name) == size and _task_ids(first, name) != ids, 60)
        figures["container killed"].append(time.time() - began)
        first.docker("service", "scale", "-d", f"{name}=20")
        began = time.time()
        _until(lambda: _tasks(first, name) == 20, 180)
        figures["scale 3 to 20"].append(time.time() - began)
        if is_last:
            _idle_engines(three, figures)
    _swarm_clear(three, name)


def _tasks(host: Host, name: str, image: str = "") -> int:
    form = "{{.CurrentState}} {{.Image}}"
    lines = host.docker("service", "ps", name, "--filter", "desired-state=running", "--format", form).splitlines()
    return sum(line.startswith("Running") and image in line for line in lines)


def _task_ids(host: Host, name: str) -> set[str]:
    return set(host.docker("service", "ps", name, "-q", "--filter", "desired-state=running").split())


def _swarm_pid(host: Host, name: str) -> int:
    listed = host.docker("ps", "-q", "--filter", f"name={name}.").split()
    return int(host.docker("inspect", "-f", "{{.State.Pid}}", listed[0])) if listed else 0


def docker_run(three: Hosts, sizes: tuple[int, ...], rounds: int) -> Figures:
    """`docker run -d` of as many, four at a time, spread over the hosts."""
    figures: Figures = defaultdict(list)
    for number in range(rounds):
        for size in sizes:
            began = time.time()
            with ThreadPoolExecutor(4) as pool:
                ids = list(pool.map(lambda n: (n % 3, three[n % 3].docker("run", "-d", IMAGES[0])), range(size)))
            figures[f"deploy {size}"].append(time.time() - began)
            if size == 20 and number == rounds - 1:
                _idle_engines(three, figures)
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda one: three[one[0]].docker("rm", "-f", one[1]), ids))
    return figures


def bare(network: str) -> Callable[[Hosts, tuple[int, ...], int], Figures]:
    """The engines' API alone, on this network."""

    def measure(three: Hosts, sizes: tuple[int, ...], rounds: int) -> Figures:
        return {
            f"deploy {size}": [bare_engines.deploy(three, IMAGES[0], size, network) for _ in range(rounds)]
            for size in sizes
        }

    return measure


def report(measured: dict[str, Figures]) -> None:
    for contender, figures in measured.items():
        for row, values in figures.items():
            name, _, unit = row.rpartition(", ") if row.startswith("idle") else (row, "", "s")
            show(name + (f" ({unit})" if name.startswith("idle") else ""), values, unit, of=contender)


def _until(true: Callable[[], object], seconds: float) -> None:
    eventually(true, seconds, times=3)  # it is timed by this


CONTENDERS = (
    ("docker run", docker_run),
    ("engines alone, default bridge", bare("bridge")),
    ("engines alone, own network", bare(bare_engines.NETWORK)),
    ("Docker Swarm", swarm),
    ("Swarm, own network", swarm_network),
    (OURS, pierhead),
)

if __name__ == "__main__":
    main()
