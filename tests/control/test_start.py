"""`manage.py up` and what it stands on: the data folder, the servers' URLs, the bootstrap."""

import os
import re
import socket
import stat
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from control import child, data, pulse, servers, supervisor
from control.management.commands import prepare

KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="  # 32 times "A"
param = pytest.param


# --- the data folder ---


def test_a_new_folder_gets_keys_that_only_its_owner_reads(tmp_path: Path) -> None:
    first = data.load({"PIERHEAD_DATA": str(tmp_path / "new")})
    assert stat.S_IMODE(first.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((first.data_dir / "keys").stat().st_mode) == 0o600
    assert len(first.encryption_key) == 32
    assert re.fullmatch("[0-9a-f]{12}", first.cluster_id)
    assert data.load({"PIERHEAD_DATA": str(tmp_path / "new")}) == first
    assert sorted(path.name for path in first.data_dir.iterdir()) == ["cluster", "keys"]


def test_keys_are_not_shown(tmp_path: Path) -> None:
    loaded = data.load({"PIERHEAD_DATA": str(tmp_path)})
    assert loaded.secret_key not in repr(loaded)
    assert repr(loaded.encryption_key) not in repr(loaded)


def test_the_environment_wins_over_the_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    loaded = data.load(
        {
            "PIERHEAD_DATA": str(tmp_path),
            "PIERHEAD_SECRET_KEY_FILE": str(secret),
            "PIERHEAD_ENCRYPTION_KEY": KEY,
            "PIERHEAD_CLUSTER_ID": "0123456789ab",
            "PIERHEAD_ALLOW_LOCAL_REPOSITORIES": "1",
            "PIERHEAD_EVENT_RETENTION_DAYS": "7",
            "PIERHEAD_PAUSE_IMAGE": "registry.example.com/pause:1",
            "PIERHEAD_ROUTER_IMAGE": "registry.example.com/haproxy:3.2",
            "PIERHEAD_DNS_IMAGE": "registry.example.com/dnsmasq:1",
            "PIERHEAD_POD_RANGE": "172.28.0.0/14",
            "PIERHEAD_MESH_PORT": "9443",
        }
    )
    assert loaded == data.Settings(
        data_dir=tmp_path,
        cluster_id="0123456789ab",
        secret_key="from a file",
        encryption_key=b"A" * 32,
        allow_local_repositories=True,
        event_retention_days=7,
        pause_image="registry.example.com/pause:1",
        router_image="registry.example.com/haproxy:3.2",
        dns_image="registry.example.com/dnsmasq:1",
        pod_range="172.28.0.0/14",
        mesh_port=9443,
    )
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        param("PIERHEAD_ENCRYPTION_KEY", "c2hvcnQ=", "must be 32 bytes as base64", id="a short key"),
        param("PIERHEAD_ENCRYPTION_KEY", "???", "must be 32 bytes as base64", id="a key that is not base64"),
        param("PIERHEAD_CLUSTER_ID", "Production", "12 hexadecimal digits", id="a cluster id with a name"),
        param("PIERHEAD_SECRET_KEY_FILE", "/nonexistent", "cannot be read", id="a secret file that is missing"),
        param("PIERHEAD_EVENT_RETENTION_DAYS", "0", "at least 1", id="no retention"),
        param("PIERHEAD_POD_RANGE", "10.208.0.0", "too small for a pod network", id="a pod range of one address"),
        param("PIERHEAD_POD_RANGE", "10.208.16.0/21", "too small for a pod network", id="a small pod range"),
        param("PIERHEAD_POD_RANGE", "10.208.1.0/12", "no range of IPv4 addresses", id="a range with a host in it"),
        param("PIERHEAD_POD_RANGE", "8.0.0.0/12", "use a part of 10.0.0.0/8", id="public addresses"),
        param("PIERHEAD_POD_RANGE", "fd00::/48", "no range of IPv4 addresses", id="an IPv6 range"),
        param("PIERHEAD_MESH_PORT", "70000", "the number of a port, 1 to 65535", id="no port"),
        param("PIERHEAD_ALLOW_LOCAL_REPOSITORIES", "maybe", "use 1 or 0", id="a flag that is neither"),
    ],
)
def test_a_bad_value_is_refused_by_name(tmp_path: Path, variable: str, value: str, sentence: str) -> None:
    with pytest.raises(data.DataError, match=sentence) as refused:
        data.load({"PIERHEAD_DATA": str(tmp_path), variable: value})
    assert variable in str(refused.value)


def test_damaged_keys_are_reported_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("{")
    with pytest.raises(data.DataError, match="put back the copy"):
        data.load({"PIERHEAD_DATA": str(tmp_path)})
    assert (tmp_path / "keys").read_text() == "{"


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    claim = data.Claim(tmp_path)
    with pytest.raises(data.DataError, match=rf"already runs on {tmp_path} \(process \d+\)"):
        data.Claim(tmp_path)
    claim.release()
    data.Claim(tmp_path).release()


def test_a_process_is_alive_once_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIERHEAD_DATA", str(tmp_path))
    monkeypatch.setattr(pulse, "_written_at", {})
    assert pulse.main(["worker"]) == 1
    pulse.beat("worker")
    assert pulse.main(["worker"]) == 0 == pulse.main(["worker", "--any-host"])
    assert pulse.main(["worker", "--within", "-1"]) == 1
    pulse.forget(tmp_path, "worker")
    assert not pulse.heard(tmp_path, "worker")


# --- the servers' URLs ---


def test_without_urls_there_is_sqlite_and_a_socket(tmp_path: Path) -> None:
    database = servers.database({}, tmp_path)
    assert database["NAME"] == tmp_path / "db.sqlite3"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert servers.redis_url({}, tmp_path) == f"unix://{tmp_path}/run/redis.sock"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        param("postgres://u:p@db:5433/pierhead", ("pierhead", "u", "p", "db", "5433", {}), id="whole"),
        param("postgresql://u:p%40%2F%3A@db/a%20b", ("a b", "u", "p@/:", "db", "", {}), id="percent-encoded"),
        param("postgresql:///d?host=/run/postgresql", ("d", "", "", "/run/postgresql", "", {}), id="socket"),
        param("postgres://u@[::1]:5432/d", ("d", "u", "", "::1", "5432", {}), id="IPv6"),
        param("postgres://db/d?sslmode=require", ("d", "", "", "db", "", {"sslmode": "require"}), id="option"),
    ],
)
def test_database_url(tmp_path: Path, url: str, expected: tuple[Any, ...]) -> None:
    found = servers.database({"DATABASE_URL": url}, tmp_path)
    options = {name: value for name, value in found["OPTIONS"].items() if name not in ("pool", "connect_timeout")}
    assert (*(found[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")), options) == expected
    assert found["CONN_MAX_AGE"] == 0 < found["OPTIONS"]["pool"]["max_size"]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        param("mysql://u:hunter2@db/d", "must begin with postgresql://", id="another database"),
        param("postgres://u:hunter2@db", "names no database", id="no name"),
        param("postgres://u:hunter2@db:port/d", "no valid port", id="a bad port"),
        param("postgres://u:hunter2/x@db/d", "no valid port", id="a password with a slash"),
        param("postgres://u:hunter2@db/d?mode=1", "unknown options: mode", id="an unknown option"),
    ],
)
def test_a_bad_database_url_is_refused_without_its_password(tmp_path: Path, url: str, sentence: str) -> None:
    with pytest.raises(data.DataError, match=sentence) as refused:
        servers.database({"DATABASE_URL": url}, tmp_path)
    assert "hunter2" not in str(refused.value)
    assert "DATABASE_URL" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "celery", "warned"),
    [
        param("unix:///run/r.sock?db=2", "redis+socket:///run/r.sock?virtual_host=2", False, id="socket"),
        param("redis://localhost:6379/0", "redis://localhost:6379/0", False, id="loopback by name"),
        param("redis://127.0.0.2/0", "redis://127.0.0.2/0", False, id="loopback by address"),
        param("redis://:pw@redis:6379/0", "redis://:pw@redis:6379/0", False, id="with a password"),
        param("redis://redis:6379/0", "redis://redis:6379/0", True, id="open to its network"),
        param("rediss://redis/0", "rediss://redis/0", True, id="encrypted and open"),
    ],
)
def test_redis_url(tmp_path: Path, url: str, celery: str, warned: bool) -> None:
    assert servers.celery_broker_url(servers.redis_url({"REDIS_URL": url}, tmp_path)) == celery
    assert bool(servers.redis_warning(url)) == warned


# --- settings ---


def test_every_variable_is_documented() -> None:
    files = [data.HOME / "manage.py", *(data.HOME / "control").rglob("*.py"), *(data.HOME / "deployer").rglob("*.py")]
    code = "\n".join(file.read_text() for file in files)
    read = set(re.findall(r"""["'](PIERHEAD_[A-Z_]+)["']""", code))
    read |= {f"{name}_FILE" for name in re.findall(r"""secret\([\w.]+, "(\w+)"\)""", code)}
    documentation = (data.HOME / "control/settings.py").read_text()
    assert read == set(re.findall(r"^    (PIERHEAD_[A-Z_]+)", documentation, re.MULTILINE))


def test_beat_asks_for_tasks_that_exist_and_lets_stale_ones_expire() -> None:
    defined = set(re.findall(r"""name="(deployer\.tasks\.\w+)\"""", (data.HOME / "deployer/tasks.py").read_text()))
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["task"] in defined
        assert entry["options"]["expires"] == entry["schedule"]


@pytest.mark.django_db
def test_healthz_answers_with_safe_headers() -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert (answer["X-Frame-Options"], answer["X-Content-Type-Options"]) == ("DENY", "nosniff")


# --- the first start ---


@pytest.mark.django_db
def test_the_password_is_shown_once_and_kept_as_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = prepare.first_user()
    password = re.search(r"as admin with the password (\S{20})", sentence or "")
    assert password
    admin = get_user_model().objects.get()
    assert (admin.username, admin.is_superuser) == ("admin", True)
    assert admin.check_password(password[1])
    assert password[1] not in admin.password
    assert prepare.first_user() is None


@pytest.mark.django_db
def test_a_given_password_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIERHEAD_ADMIN_PASSWORD", "correct horse battery")
    sentence = prepare.first_user()
    assert sentence and "correct horse" not in sentence
    assert get_user_model().objects.get().check_password("correct horse battery")


@pytest.mark.parametrize(
    ("local", "simulated", "expected"),
    [
        param("Registered it.", 0, ["Registered it."], id="an engine"),
        param(None, 0, ["No Docker engine here. Add a host: python3 manage.py node add NAME ADDRESS"], id="no engine"),
        param("Yes.", 3, ["Yes.", "3 hosts."], id="simulated hosts"),
    ],
)
def test_hosts_are_registered(
    monkeypatch: pytest.MonkeyPatch, local: str | None, simulated: int, expected: list[str]
) -> None:
    nodes = ModuleType("control.services.nodes")
    nodes.register_local = lambda: local  # type: ignore[attr-defined]
    nodes.register_simulated = "{} hosts.".format  # type: ignore[attr-defined]
    services = ModuleType("control.services")
    services.nodes = nodes  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "control.services", services)
    assert prepare.register_hosts(simulated) == expected


# --- children ---


def test_what_a_child_sees(tmp_path: Path) -> None:
    seen = supervisor.environment({"PATH": "/bin", "PIERHEAD_ALLOWED_HOSTS": "a.example"}, tmp_path, "10.0.0.5")
    assert seen["PIERHEAD_DATA"] == str(tmp_path)
    assert seen["PIERHEAD_ALLOWED_HOSTS"] == "a.example,10.0.0.5"
    assert (seen["PIERHEAD_NO_BOOTSTRAP"], seen["MALLOC_ARENA_MAX"], seen["PATH"]) == ("1", "2", "/bin")
    assert supervisor.environment({}, tmp_path, "0.0.0.0")["PIERHEAD_ALLOWED_HOSTS"] == ""


def test_a_child_that_dies_again_waits_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(child, "time", Namespace(monotonic=lambda: now))
    log = child.Log(tmp_path / "logs" / "web.log")
    web = child.Child("web", ["-c", "print('no such table'); raise SystemExit(3)"], {}, [], log)
    waits = []
    for lifetime in (1.0, 1.0, 1.0, 100.0):
        output = web.start()
        assert output is not None
        while web.pump(output) is not None:
            pass
        os.close(output)
        now += lifetime
        while (how := web.ended()) is None:
            pass
        assert how == "exit code 3"
        waits.append(round(web.seconds_to_start(), 1))
        assert not web.is_due()
        now += web.seconds_to_start()
        assert web.is_due()
    assert waits == [0.2, 1.0, 2.0, 0.2]
    assert web.last_words() == "no such table"
    log.close()


@pytest.mark.parametrize(
    ("code", "words"), [(1, "exit code 1"), (-9, "killed by SIGKILL"), (-50, "killed by signal 50")]
)
def test_how_it_ended(code: int, words: str) -> None:
    assert child.describe(code) == words


def test_a_log_does_not_grow_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "LOG_BYTES", 100)
    log = child.Log(tmp_path / "logs" / "web.log")
    for number in range(100):
        log.write(f"line {number}\n".encode() * 3)
    log.close()
    assert sorted(path.name for path in log.path.parent.iterdir()) == ["web.log", "web.log.1"]
    assert all(path.stat().st_size < 150 for path in log.path.parent.iterdir())
    assert log.path.read_text().endswith("line 99\n")


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(supervisor.StartError, match=f"{port} on 127.0.0.1 cannot be used: Address already in use"):
            supervisor.listen("127.0.0.1", port)
        command = [sys.executable, "manage.py", "up", "--port", str(port), "--data", str(tmp_path)]
        alone = {"PIERHEAD_NO_BOOTSTRAP": "1"}
        done = subprocess.run(command, cwd=data.HOME, env=alone, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"pierhead: Port {port} on 127.0.0.1 cannot be used")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
