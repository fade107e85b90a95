"""What is said to Docker and what is read from it, as values: no engine is needed."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.docker_address import EngineAddress, Location, locate, tls_context
from deployer.adapters.docker_errors import refusal
from deployer.adapters.docker_render import archive, create_body, network_body, volume_body
from deployer.adapters.docker_seen import (
    container_listed,
    event_seen,
    health_said,
    networks_seen,
    seconds,
    subnets_seen,
    uptime_seconds,
)
from deployer.adapters.pause_image import pause_archive
from deployer.core.container import ContainerSpec, FileEntry, HealthCheck, Mount, PublishedPort, Subnet, VolumeSpec
from deployer.ports import EngineError
from tests.engines.certificates import Authority
from tests.environment import require


@pytest.mark.parametrize(
    ("status", "uptime", "health"),
    [
        ("Up Less than a second", 0, ""),
        ("Up 1 second", 1, ""),
        ("Up 45 seconds (healthy)", 45, "healthy"),
        ("Up About a minute (health: starting)", 60, "starting"),
        ("Up 3 minutes (unhealthy)", 180, "unhealthy"),
        ("Up About an hour", 3600, ""),
        ("Up 47 hours", 169_200, ""),
        ("Up 13 days", 1_123_200, ""),
        ("Up 3 weeks (Paused)", 1_814_400, ""),
        ("Up 5 months", 12_960_000, ""),
        ("Up 2 years", 63_072_000, ""),
        ("Restarting (1) 2 seconds ago", None, ""),
        ("Exited (137) 3 hours ago", None, ""),
        ("Created", None, ""),
        ("", None, ""),
    ],
)
def test_the_listing_tells_uptime_and_health(status: str, uptime: float | None, health: str) -> None:
    assert (uptime_seconds(status), health_said(status)) == (uptime, health)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000.123456789),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000.5),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
    ],
)
def test_times_have_nanoseconds_and_a_never(timestamp: str, expected: float) -> None:
    assert seconds(timestamp) == expected


def test_a_row_without_names_or_labels_is_read() -> None:
    row = {"Id": "abc", "Names": None, "Labels": None, "State": "dead", "Status": "Dead", "Image": "x"}
    assert (container_listed(row).name, container_listed(row).labels, container_listed(row).state) == ("", {}, "dead")


def test_an_event_carries_labels_apart_from_what_docker_adds() -> None:
    attributes = {"image": "web:1", "name": "web-1", "exitCode": "137", "team": "x"}
    found = {"Action": "die", "Actor": {"ID": "abc", "Attributes": attributes}, "timeNano": 1_700_000_000_500_000_000}
    event = event_seen(found)
    assert (event.action, event.container_id, dict(event.labels)) == ("die", "abc", {"team": "x"})
    assert (event.exit_code, event.at) == (137, 1_700_000_000.5)


# Rendering


def test_a_plain_container_asks_for_nothing_special() -> None:
    body = create_body(ContainerSpec(name="web", image="web:1", labels={"a": "b"}), "c1")
    host = body.pop("HostConfig")
    assert body == {
        "Image": "web:1",
        "Labels": {"a": "b", "pierhead.io/cluster": "c1"},
        "Env": [],
        "WorkingDir": "",
        "User": "",
        "Hostname": "",
        "StopTimeout": 30,
        "OpenStdin": False,
        "Tty": False,
        "Healthcheck": {"Test": ["NONE"]},
        "ExposedPorts": {},
    }
    assert host == {
        "NetworkMode": "none",
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "Mounts": [],
        "PortBindings": {},
        "ExtraHosts": [],
        "Dns": [],
        "DnsSearch": [],
        "Ulimits": [],
        "Memory": 0,
        "MemorySwap": 0,
        "MemoryReservation": 0,
        "NanoCpus": 0,
        "CpuShares": 0,
        "Privileged": False,
        "CapAdd": [],
        "CapDrop": [],
        "GroupAdd": [],
        "ReadonlyRootfs": False,
        "SecurityOpt": [],
        "Sysctls": {},
        "PidMode": "",
    }


def test_every_field_of_a_container_is_rendered() -> None:
    spec = ContainerSpec(
        name="web",
        image="web:1",
        labels={},
        entrypoint=("/web",),
        command=("--port", "80"),
        env=(("A", "1=2"),),
        group_add=("10",),
        network="shop",
        extra_hosts=(("db", "10.0.0.9"),),
        mounts=(Mount("vol", "/data"), Mount("/etc/x", "/x", read_only=True, is_host_path=True)),
        ports=(PublishedPort(80, 8080), PublishedPort(80, 8081, "127.0.0.1"), PublishedPort(53, 53, protocol="udp")),
        restart="on-failure",
        memory_bytes=64 << 20,
        cpu_millicores=250,
        health=HealthCheck(("/check",), 0.5, 1, 3, 2),
        no_new_privileges=True,
        seccomp_unconfined=True,
        sysctls=(("net.core.somaxconn", "99"),),
        pid_host=True,
    )
    body = create_body(spec, "c1")
    host = body["HostConfig"]
    assert (body["Entrypoint"], body["Cmd"], body["Env"]) == (["/web"], ["--port", "80"], ["A=1=2"])
    assert body["Healthcheck"] == {
        "Test": ["CMD", "/check"],
        "Interval": 500_000_000,
        "Timeout": 1_000_000_000,
        "Retries": 3,
        "StartPeriod": 2_000_000_000,
    }
    assert set(body["ExposedPorts"]) == {"80/tcp", "53/udp"}
    assert host["PortBindings"]["80/tcp"] == [
        {"HostIp": "", "HostPort": "8080"},
        {"HostIp": "127.0.0.1", "HostPort": "8081"},
    ]
    assert host["Mounts"] == [
        {"Type": "volume", "Source": "vol", "Target": "/data", "ReadOnly": False, "VolumeOptions": {"NoCopy": True}},
        {"Type": "bind", "Source": "/etc/x", "Target": "/x", "ReadOnly": True},
    ]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 << 20, 64 << 20, 250_000_000)
    assert (host["NetworkMode"], host["PidMode"], host["ExtraHosts"]) == ("shop", "host", ["db:10.0.0.9"])
    assert host["SecurityOpt"] == ["no-new-privileges", "seccomp=unconfined"]
    assert (host["GroupAdd"], host["Sysctls"]) == (["10"], {"net.core.somaxconn": "99"})


def test_a_fixed_address_names_and_limits_are_rendered() -> None:
    spec = ContainerSpec(
        "router",
        "h:1",
        {},
        network="mesh",
        address="10.208.8.1",
        dns=("10.208.16.1",),
        dns_search=("a.b",),
        open_files=9,
    )
    body = create_body(spec, "c1")
    host = body["HostConfig"]
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"mesh": {"IPAMConfig": {"IPv4Address": "10.208.8.1"}}}}
    assert (host["Dns"], host["DnsSearch"]) == (["10.208.16.1"], ["a.b"])
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 9, "Hard": 9}]


def test_a_network_has_the_addresses_it_is_given() -> None:
    subnet = Subnet("10.208.16.0/20", "10.208.16.0/21", "10.208.16.1")
    body = network_body("n", {}, "c1", subnet)
    config = [{"Subnet": subnet.range, "IPRange": subnet.pods, "Gateway": subnet.gateway}]
    assert body["IPAM"] == {"Driver": "default", "Config": config}
    assert subnets_seen(body) == [subnet]
    assert "IPAM" not in network_body("n", {}, "c1") and subnets_seen({"IPAM": {"Config": None}}) == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("running", {"a": "10.0.1.2", "b": "", "c": ""}),
        ("exited", {"a": "", "b": "10.0.0.9", "c": ""}),
    ],
)
def test_an_address_is_that_in_use_or_of_what_is_stopped_the_fixed_one(status: str, expected: dict[str, str]) -> None:
    endpoints = {
        "b": {"IPAddress": "", "IPAMConfig": {"IPv4Address": "10.0.0.9"}},
        "a": {"IPAddress": "10.0.1.2", "IPAMConfig": None},
        "c": {"IPAddress": "", "IPAMConfig": {}},
        "host": {"IPAddress": ""},
    }
    found = {"State": {"Status": status}, "NetworkSettings": {"Networks": endpoints}}
    assert networks_seen(found) == expected


def test_an_empty_command_is_not_the_images_own() -> None:
    assert create_body(ContainerSpec("a", "b", {}, entrypoint=(), command=()), "c")["Cmd"] == []
    assert "Cmd" not in create_body(ContainerSpec("a", "b", {}), "c")


def test_a_volume_in_memory_is_a_tmpfs() -> None:
    body = volume_body(VolumeSpec("v", {}, memory=True, size_bytes=4096), "c1")
    assert body["DriverOpts"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=4096"}
    assert "DriverOpts" not in volume_body(VolumeSpec("v", {}), "c1")


def test_an_archive_keeps_modes_and_owners() -> None:
    entries = [FileEntry("a", is_folder=True, mode=0o750), FileEntry("/a/key", b"secret", mode=0o400, uid=7, gid=8)]
    with tarfile.open(fileobj=BytesIO(archive(entries))) as tar:
        found = [(m.name, m.isdir(), m.mode, m.uid, m.gid, m.size) for m in tar.getmembers()]
    assert found == [("a", True, 0o750, 0, 0, 0), ("a/key", False, 0o400, 7, 8, 6)]


# Errors


@pytest.mark.parametrize(
    ("asked", "status", "message", "reason", "retryable"),
    [
        ("pull", 404, "manifest for web:9 not found: manifest unknown: manifest unknown", "ImageNotFound", True),
        ("pull", 500, "pull access denied for web, repository does not exist or may require 'docker login': denied: "
         "requested access to the resource is denied", "PullDenied", True),
        ("pull", 500, 'Get "https://r/v2/": unauthorized: authentication required', "PullDenied", True),
        ("pull", 500, 'Get "http://10.0.0.9:5000/v2/": dial tcp 10.0.0.9:5000: connect: connection refused',
         "RegistryUnreachable", True),
        ("pull", 500, 'Get "https://r/v2/": dial tcp: lookup r on 10.0.0.2:53: no such host',
         "RegistryUnreachable", True),
        ("pull", 500, 'Get "https://r/v2/": net/http: request canceled while waiting for connection (Client.Timeout '
         "exceeded while awaiting headers)", "RegistryUnreachable", True),
        ("pull", 500, "write /var/lib/docker/tmp/x: no space left on device", "DiskFull", True),
        ("pull", 400, "invalid reference format", "InvalidImageName", False),
        ("pull", 500, "unsupported media type", "ErrImagePull", True),
        ("create", 404, "No such image: web:1", "ImageNotFound", True),
        ("create", 400, "invalid mount config for type \"bind\": invalid mount path", "CreateContainerError", False),
        ("start", 500, "driver failed programming external connectivity on endpoint web: Bind for 0.0.0.0:80 failed: "
         "port is already allocated", "PortTaken", True),
        ("start", 500, "Ports are not available: listen tcp4 0.0.0.0:80: bind: address already in use",
         "PortTaken", True),
        ("start", 400, 'failed to create task: exec: "/x": stat /x: no such file or directory: unknown',
         "CommandNotFound", False),
        ("start", 400, 'exec: "web": executable file not found in $PATH: unknown', "CommandNotFound", False),
        ("start", 500, 'error while mounting volume \'/x/_data\': failed to mount local volume: no such device',
         "MountFailed", True),
        ("start", 404, "No such container: abc", "NoSuchContainer", True),
        ("start", 404, "network shop not found", "NetworkMissing", True),
        ("start", 500, "failed to create shim task: OCI runtime create failed: unable to apply caps",
         "RunContainerError", True),
        ("network", 403, "Pool overlaps with other one on this address space", "AddressesTaken", True),
        ("network", 403, "cannot create network 1 (br-1): conflicts with network 2 (br-2): networks have overlapping "
         "IPv4", "AddressesTaken", True),
        ("network", 500, "context deadline exceeded", "EngineFailed", True),
        ("attach", 403, "Address already in use", "AddressesTaken", True),
        ("attach", 404, "No such container: abc", "NoSuchContainer", True),
        ("files", 404, "Could not find the file /x in container abc", "FolderMissing", True),
        ("files", 403, "container rootfs is marked read-only", "ReadOnlyFolder", False),
        ("other", 500, "context deadline exceeded", "EngineFailed", True),
        ("other", 409, "volume is in use", "EngineRefused", True),
    ],
)  # fmt: skip
def test_dockers_prose_is_understood(asked: Any, status: int, message: str, reason: str, retryable: bool) -> None:
    error = refusal("host-1", "do it", status, message, asked)
    assert (error.reason, error.retryable) == (reason, retryable)
    assert ("PIERHEAD_POD_RANGE" in error.sentence) is ((asked, reason) == ("network", "AddressesTaken"))
    assert error.sentence.startswith("host-1: cannot do it: ") and "\n" not in error.sentence


# Addresses

PAIR = {"ca": "-", "cert": "-", "key": "-"}
SSH = {"ssh_key": "-", "known_hosts": "-"}


@pytest.mark.parametrize(
    ("url", "texts", "expected"),
    [
        ("unix:///var/run/docker.sock", {}, Location("unix", "/var/run/docker.sock")),
        ("tcp://10.0.0.5", PAIR, Location("tcp", "10.0.0.5", 2376)),
        ("tcp://[fd00::5]:2377", PAIR, Location("tcp", "fd00::5", 2377)),
        ("tcp://localhost", {}, Location("tcp", "localhost", 2375)),
        ("ssh://deploy@host-1.example", SSH, Location("ssh", "host-1.example", 22, "deploy")),
        ("sim://node-1", {}, Location("sim", "node-1")),
    ],
)
def test_addresses(url: str, texts: dict[str, str], expected: Location) -> None:
    assert locate(EngineAddress(url, **texts)) == expected


@pytest.mark.parametrize(
    ("url", "texts"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("http://host", {}, id="another scheme"),
        pytest.param("unix://relative.sock", {}, id="a relative path"),
        pytest.param("unix:///" + "x" * 120, {}, id="a path too long for the kernel"),
        pytest.param("tcp://10.0.0.5:2375", {}, id="plain tcp"),
        pytest.param("tcp://10.0.0.5", {"ca": "-"}, id="a half pair"),
        pytest.param("tcp://user@10.0.0.5", PAIR, id="a user on tcp"),
        pytest.param("tcp://10.0.0.5:99999", PAIR, id="no such port"),
        pytest.param("tcp://10.0.0.5/v1.41", PAIR, id="a path"),
        pytest.param("ssh://host", SSH, id="no user"),
        pytest.param("ssh://u:secret@host", SSH, id="a password"),
        pytest.param("ssh://-oProxyCommand=x@host", SSH, id="an option as user"),
        pytest.param("ssh://u@-oProxyCommand=x", SSH, id="an option as host"),
        pytest.param("ssh://u@h;id", SSH, id="a shell's semicolon"),
        pytest.param("ssh://u@host", {}, id="no key"),
        pytest.param("sim://../../etc", {}, id="a path as a name"),
    ],
)
def test_bad_addresses_are_refused_with_what_to_write(url: str, texts: dict[str, str]) -> None:
    with pytest.raises(EngineError) as caught:
        locate(EngineAddress(url, **texts))
    assert (caught.value.reason, caught.value.retryable) == ("InvalidAddress", False)
    assert "secret" not in caught.value.sentence


def test_tls_texts_that_cannot_be_read_are_not_repeated() -> None:
    authority = Authority()
    one, other = authority.client("one"), authority.client("other")
    for cert, key in (("nonsense", one.key), (one.certificate, "KEYTEXT"), (one.certificate, other.key)):
        with pytest.raises(EngineError) as caught:
            tls_context(EngineAddress("tcp://h", ca=authority.certificate, cert=cert, key=key))
        assert caught.value.reason == "InvalidAddress"
        assert key.splitlines()[-1] not in caught.value.sentence and "KEYTEXT" not in caught.value.sentence


def test_an_address_does_not_print_its_keys() -> None:
    assert "PRIVATE" not in repr(EngineAddress("ssh://u@h", key="PRIVATE", ssh_key="PRIVATE", known_hosts="PRIVATE"))


# The pause image


def test_the_pause_image_is_the_same_bytes_every_time() -> None:
    assert pause_archive("p:1", "x86_64") == pause_archive("p:1", "amd64")
    assert pause_archive("p:1", "aarch64") != pause_archive("p:1", "x86_64")
    assert pause_archive("p:1", "riscv64") is None


def test_the_pause_program_waits_and_ends_on_sigterm(tmp_path: Path) -> None:
    content = pause_archive("p:1", platform.machine())
    require(content, f"no pause program for {platform.machine()}: run this on x86-64 or ARM64")
    assert content is not None
    with tarfile.open(fileobj=BytesIO(content)) as image:
        manifest = json.load(image.extractfile("manifest.json") or BytesIO())
        layer = image.extractfile(manifest[0]["Layers"][0])
        assert manifest[0]["RepoTags"] == ["p:1"] and layer is not None
        with tarfile.open(fileobj=layer) as files:
            files.extract("pause", tmp_path, filter="data")
    os.chmod(tmp_path / "pause", 0o755)
    process = subprocess.Popen([str(tmp_path / "pause")])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
