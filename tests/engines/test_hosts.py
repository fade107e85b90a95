"""The hosts themselves: they die, are cut off, come back; and they are registered over a socket, mutual TLS and ssh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.core.container import LABEL_ATTEMPT, LABEL_POD_UID, ContainerSpec, RegistryAuth
from deployer.ports import Engine, EngineError, EngineUnreachable
from tests.engines import cgroups
from tests.engines.between import between
from tests.engines.certificates import Authority
from tests.engines.hosts import Host, Hosts
from tests.engines.hosts import hosts as start_hosts
from tests.engines.servers import PASSWORD, USER, Registry, ssh_key, ssh_server
from tests.engines.servers import registry as start_registry

pytestmark = pytest.mark.engines

HOME = Path(__file__).parents[2]


@contextmanager
def opened(address: EngineAddress, run_dir: Path, **options: Any) -> Iterator[Engine]:
    engine = open_engine(address, "test-hosts", run_dir=run_dir, **options)
    try:
        yield engine
    finally:
        engine.close()


def refused(address: EngineAddress, run_dir: Path) -> EngineError:
    """How registering `address` fails."""
    with pytest.raises(EngineError) as caught, opened(address, run_dir, timeout_seconds=2) as engine:
        engine.ping()
        engine.info()
    for secret in (address.key, address.ssh_key):
        assert not secret or not any(line in caught.value.sentence for line in secret.splitlines() if line)
    return caught.value


def eventually(condition: Callable[[], object], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not true after {seconds} s"
        time.sleep(0.05)


def answers(engine: Engine) -> bool:
    try:
        engine.ping()
    except EngineUnreachable:
        return False
    return True


def run(engine: Engine, name: str, restart: Any = "always") -> None:
    labels = {LABEL_POD_UID: name, LABEL_ATTEMPT: "0"}
    engine.create(ContainerSpec(name=name, image="test/web:1", labels=labels, restart=restart))
    engine.start(name)


@pytest.fixture
def host(hosts: Hosts, tmp_path: Path) -> Iterator[Host]:
    """The first host, emptied afterwards."""
    yield hosts[0]
    with opened(hosts[0].engine_address, tmp_path / "cleaning") as engine:
        for container in engine.containers():
            engine.remove(container.id)


# They live and die


def test_hosts_are_machines_of_their_own(hosts: Hosts, tmp_path: Path) -> None:
    infos = []
    for host in hosts:
        with opened(host.engine_address, tmp_path) as engine:
            infos.append(engine.info())
    assert [info.name for info in infos] == ["host-1", "host-2", "host-3"]
    assert len({info.engine_id for info in infos}) == 3
    assert hosts[0].docker("network", "ls", "-q") != hosts[1].docker("network", "ls", "-q")


def test_a_host_without_power_is_silent_and_comes_back_with_its_disk(host: Host, tmp_path: Path) -> None:
    with opened(host.engine_address, tmp_path) as engine:
        identity = engine.info().engine_id
        run(engine, "always", "always")
        run(engine, "never", "no")
        host.power_off()
        began = time.monotonic()
        assert not answers(engine)
        assert time.monotonic() - began < 1.5
        host.power_on()
        eventually(lambda: answers(engine))
        assert engine.info().engine_id == identity
        eventually(lambda: {c.name: c.state for c in engine.containers()} == {"always": "running", "never": "exited"})


def test_a_host_that_is_cut_off_runs_on(host: Host, tmp_path: Path) -> None:
    with opened(host.engine_address, tmp_path) as engine:
        run(engine, "survivor")
        host.cut_off()
        assert not answers(engine)
        assert host.docker("ps", "--format", "{{.Names}}") == "survivor"
        host.reconnect()
        eventually(lambda: answers(engine))
        (seen,) = engine.containers()
        assert seen.state == "running"


def test_a_long_call_notices_that_its_host_vanished(host: Host, tmp_path: Path) -> None:
    with opened(host.engine_address, tmp_path, timeout_seconds=3) as engine:
        engine.ping()
        began = time.time()
        stream = engine.events(began, began + 3600)
        host.cut_off()
        with pytest.raises(EngineUnreachable):
            list(stream)
        host.reconnect()
    assert time.time() - began < 30


def test_a_late_engine_is_asked_twice_and_one_that_fails_is_told_apart(hosts: Hosts, tmp_path: Path) -> None:
    host = hosts[1]
    with opened(host.engine_address, tmp_path, timeout_seconds=1) as engine:
        engine.ping()
        with between(host, late_seconds=2.5):
            for _ in range(2):
                with pytest.raises(EngineUnreachable, match="no answer within 1 s"):
                    engine.containers()
            began = time.monotonic()
            with ThreadPoolExecutor(20) as pool:
                errors = list(pool.map(lambda _: refused_listing(engine), range(100)))
            assert all("is not asked for" in error.sentence for error in errors[:20]), errors[0]
            assert time.monotonic() - began < 4, "a hundred callers wait no longer than the one who tries"
        engine.ping()
        with between(host, refused="/containers/"):
            engine.ping()
            error = refused_listing(engine)
            assert (error.reason, "input/output error" in error.sentence) == ("EngineFailed", True)
        assert engine.containers() == []


def refused_listing(engine: Engine) -> EngineError:
    with pytest.raises(EngineError) as caught:
        engine.containers()
    return caught.value


def test_an_engine_that_was_restarted_costs_no_failed_call(host: Host, tmp_path: Path) -> None:
    with opened(host.engine_address, tmp_path) as engine:
        run(engine, "steady")
        host.power_off()
        host.power_on()
        (seen,) = engine.containers()
        assert seen.name == "steady"


def test_closing_ends_a_stream_at_once(hosts: Hosts, tmp_path: Path) -> None:
    for address in (hosts[1].engine_address, EngineAddress(f"unix://{hosts[1].socket}")):
        engine = open_engine(address, "test-hosts", run_dir=tmp_path)
        now = engine.host_time()
        ended = threading.Event()

        def watch(engine: Engine = engine, now: float = now, ended: threading.Event = ended) -> None:
            try:
                list(engine.events(now, now + 3600))
            except EngineUnreachable:
                ended.set()

        thread = threading.Thread(target=watch)
        thread.start()
        time.sleep(0.2)
        engine.close()
        thread.join(2)
        assert ended.is_set()


def test_hosts_share_a_registry(hosts: Hosts, registry: Registry, tmp_path: Path) -> None:
    reference = registry.push(hosts[0], "test/web:2", "shop/web:2")
    with opened(hosts[1].engine_address, tmp_path) as engine:
        assert engine.pull(reference).digests[0].startswith(f"{registry.address}/shop/web@sha256:")


def test_a_private_registry_wants_credentials(hosts: Hosts, tmp_path: Path) -> None:
    with start_registry(hosts, private=True) as private, opened(hosts[1].engine_address, tmp_path) as engine:
        reference = private.push(hosts[0], "test/web:2", "shop/secret:2")
        for wrong in (None, RegistryAuth(USER, "guess", private.address)):
            with pytest.raises(EngineError) as caught:
                engine.pull(reference, wrong)
            assert caught.value.reason == "PullDenied" and "guess" not in caught.value.sentence
        assert engine.pull(reference, RegistryAuth(USER, PASSWORD, private.address)).digests


def test_a_killed_run_is_swept_up(hosts: Hosts, tmp_path: Path) -> None:
    """A test process that is killed leaves an engine, a container and a bridge; the next run takes them down."""
    script = """
import os, signal
from tests.engines import images
from tests.engines.hosts import hosts
with hosts(1) as one:
    one.load(images.busybox())
    one[0].docker("run", "-d", "--network", "none", "test/busybox:1")
    print(one[0].group, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, text=True, timeout=60)
    run = done.stdout.strip().partition("/")[0]
    assert run and traces(run)
    with start_hosts(0):
        pass
    assert not traces(run) and hosts[0].docker("ps", "-q") is not None


def traces(run: str) -> list[str]:
    folders = [*cgroups.trees(), Path("/run/netns"), Path("/sys/class/net"), Path("/tmp")]
    return [str(path) for folder in folders for path in folder.glob(f"{run}*")]


def test_hosts_can_form_a_swarm(hosts: Hosts) -> None:
    """For comparisons: the same hosts, run by Docker Swarm."""
    try:
        hosts[0].docker("swarm", "init", "--advertise-addr", hosts[0].ip)
        token = hosts[0].docker("swarm", "join-token", "-q", "worker")
        for host in (hosts[1], hosts[2]):
            host.docker("swarm", "join", "--token", token, f"{hosts[0].ip}:2377")
        hosts[0].docker("service", "create", "-d", "--replicas", "3", "--name", "s", "--no-resolve-image", "test/web:1")
        running = ("service", "ps", "s", "--filter", "desired-state=running", "--format", "{{.Node}} {{.CurrentState}}")
        eventually(lambda: hosts[0].docker(*running).count("Running") == 3)
    finally:
        for host in reversed(hosts):
            host.docker("swarm", "leave", "--force", check=False)


# They are registered


def test_mutual_tls_is_mutual(hosts: Hosts, tmp_path: Path) -> None:
    good = hosts[1].engine_address
    with opened(good, tmp_path) as engine:
        engine.ping()
    stranger = Authority("stranger")
    wrong = stranger.client("pierhead")
    assert refused(replace(good, ca=stranger.certificate), tmp_path).reason == "WrongCertificate"
    client = refused(replace(good, cert=wrong.certificate, key=wrong.key), tmp_path)
    assert (client.reason, "refuses our certificate" in client.sentence) == ("WrongCertificate", True), client.sentence


def test_a_port_that_is_not_docker(hosts: Hosts, registry: Registry, tmp_path: Path) -> None:
    good = hosts[1].engine_address
    assert refused(replace(good, url=f"tcp://{registry.address}"), tmp_path).reason == "NotDocker"
    nobody = refused(replace(good, url=f"tcp://{hosts.gateway}:9"), tmp_path)
    assert (nobody.reason, "refused" in nobody.sentence) == ("Unreachable", True)
    absent = refused(EngineAddress(f"unix://{tmp_path}/none.sock"), tmp_path)
    assert (absent.reason, "no such socket" in absent.sentence) == ("Unreachable", True)


def test_ssh_brings_the_engine_here(hosts: Hosts, tmp_path: Path) -> None:
    with ssh_server(hosts[1]) as server, opened(server.address, tmp_path) as engine:
        engine.ping()
        assert engine.info().name == "host-2"
        began = time.monotonic()
        for _ in range(20):
            engine.ping()
        assert time.monotonic() - began < 2


def test_an_ssh_tunnel_that_ended_is_opened_again(hosts: Hosts, tmp_path: Path) -> None:
    with ssh_server(hosts[1]) as server, opened(server.address, tmp_path) as engine:
        engine.ping()
        (tunnel,) = [path for path in tmp_path.iterdir() if path.name.startswith("ssh-")]
        end_ssh(tunnel)
        eventually(lambda: answers(engine))
    assert not tunnel.exists()


def test_an_ssh_host_is_refused_with_the_reason(hosts: Hosts, tmp_path: Path) -> None:
    with ssh_server(hosts[1]) as server:
        good = server.address
        _, other_public = ssh_key()
        other_private, _ = ssh_key()
        unknown = replace(good, known_hosts=f"192.0.2.9 {other_public}")
        changed = replace(good, known_hosts=f"{hosts[1].ip} {other_public}")
        assert refused(unknown, tmp_path).reason == "HostKeyUnknown"
        assert refused(changed, tmp_path).reason == "HostKeyChanged"
        assert refused(replace(good, ssh_key=other_private), tmp_path).reason == "AuthenticationFailed"
        assert refused(replace(good, ssh_key="nonsense"), tmp_path).reason == "AuthenticationFailed"
    assert refused(good, tmp_path).reason == "Unreachable"


def end_ssh(tunnel: Path) -> None:
    """Kill the ssh process that serves the socket in this folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(tunnel / "s").encode() in arguments:
            os.kill(int(process.name), signal.SIGKILL)
