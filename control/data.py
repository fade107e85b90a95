"""The data folder: what one installation keeps beside its database.

    DIR/lock         held by the `up` that runs on this folder; contains its process id
    DIR/keys         Django's secret key and the key that encrypts credentials (mode 0600)
    DIR/cluster      the cluster id, which labels every container: kept when the database is lost
    DIR/db.sqlite3   the database, unless DATABASE_URL names another
    DIR/run          sockets and signs of life      DIR/logs   what the processes of `up` say

Everything here may be called by several processes at once: a file is written aside and linked into place, so that
whoever comes second reads what the first wrote. Standard library only: the supervisor runs on it.
"""

import base64
import binascii
import fcntl
import ipaddress
import json
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

HOME = Path(__file__).resolve().parent.parent
KEY_BYTES = 32
CLUSTER_ID = re.compile(r"[0-9a-f]{12}")
LONGEST_POD_PREFIX = 20
HIGHEST_PORT = 65535
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
"""RFC 1918, and RFC 6598 (shared address space, which some sites use inside)."""


class DataError(Exception):
    """The data folder cannot be used; says which file or variable, why, and what to do."""


@dataclass(frozen=True)
class Settings:
    """What the rest of Pierhead asks of its installation: `settings.PIERHEAD`."""

    data_dir: Path
    cluster_id: str  # 12 hexadecimal digits
    secret_key: str = field(repr=False)
    encryption_key: bytes = field(repr=False)  # 32 bytes
    allow_local_repositories: bool = False
    allow_local_registries: bool = False
    allow_local_notifications: bool = False
    allow_local_providers: bool = False
    event_retention_days: int = 30
    pause_image: str = "registry.k8s.io/pause:3.10"
    router_image: str = "haproxy:3.4-alpine"
    dns_image: str = "registry.k8s.io/dns/k8s-dns-dnsmasq-nanny:1.26.7"
    pod_range: str = "10.208.0.0/12"
    mesh_port: int = 8443


def load(environment: Mapping[str, str]) -> Settings:
    """The settings of the installation that `environment` names; makes the folder, keys and id that are missing.

    Raises DataError.
    """
    data_dir = folder(environment)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret_key, encryption_key = _keys(data_dir, environment)
        cluster_id = _cluster_id(data_dir, environment)
    except OSError as error:
        raise DataError(f"Data folder {data_dir} cannot be used: {error.strerror}. Name one with --data.") from error
    return Settings(
        data_dir=data_dir,
        cluster_id=cluster_id,
        secret_key=secret_key,
        encryption_key=encryption_key,
        allow_local_repositories=flag(environment, "PIERHEAD_ALLOW_LOCAL_REPOSITORIES"),
        allow_local_registries=flag(environment, "PIERHEAD_ALLOW_LOCAL_REGISTRIES"),
        allow_local_notifications=flag(environment, "PIERHEAD_ALLOW_LOCAL_NOTIFICATIONS"),
        allow_local_providers=flag(environment, "PIERHEAD_ALLOW_LOCAL_PROVIDERS"),
        event_retention_days=number(environment, "PIERHEAD_EVENT_RETENTION_DAYS", Settings.event_retention_days),
        pause_image=environment.get("PIERHEAD_PAUSE_IMAGE") or Settings.pause_image,
        router_image=environment.get("PIERHEAD_ROUTER_IMAGE") or Settings.router_image,
        dns_image=environment.get("PIERHEAD_DNS_IMAGE") or Settings.dns_image,
        pod_range=pod_range(environment),
        mesh_port=port(environment, "PIERHEAD_MESH_PORT", Settings.mesh_port),
    )


def folder(environment: Mapping[str, str]) -> Path:
    """PIERHEAD_DATA, or `.pierhead` beside manage.py; absolute."""
    return Path(environment.get("PIERHEAD_DATA") or HOME / ".pierhead").expanduser().absolute()


def private_folder(path: Path) -> Path:
    """`path`, made with mode 0700 where it is missing; refused when it is someone else's or open to others."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if path.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise DataError(f"{path} must be a folder of this user with mode 0700: remove it, or chmod 700 it.")
    return path


def flag(environment: Mapping[str, str], name: str) -> bool:
    """Whether the variable is switched on: 1, true, yes or on."""
    value = environment.get(name, "").strip().lower()
    if value in ("", "0", "false", "no", "off"):
        return False
    if value in ("1", "true", "yes", "on"):
        return True
    raise DataError(f"{name} is {value!r}: use 1 or 0.")


def address(environment: Mapping[str, str], name: str) -> str:
    """The variable as the address of a site, without a slash at its end; "" when it is not set."""
    value = environment.get(name, "").strip().rstrip("/")
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc):
        raise DataError(f"{name} is not an address such as https://deploy.example.com.")
    if parts.path:
        raise DataError(f"{name} has the path {parts.path!r}: Pierhead answers at the root of a name of its own.")
    return value


def number(environment: Mapping[str, str], name: str, default: int) -> int:
    """The variable as a whole number of at least 1."""
    value = environment.get(name, "").strip() or str(default)
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise DataError(f"{name} is {value!r}: use a whole number of at least 1.")
    return int(value)


def port(environment: Mapping[str, str], name: str, default: int) -> int:
    """The variable as the number of a port."""
    value = number(environment, name, default)
    if value > HIGHEST_PORT:
        raise DataError(f"{name} is {value}: use the number of a port, 1 to {HIGHEST_PORT}.")
    return value


def pod_range(environment: Mapping[str, str]) -> str:
    """PIERHEAD_POD_RANGE: the addresses that pod networks are cut from, as a.b.c.d/n."""
    value = environment.get("PIERHEAD_POD_RANGE", "").strip() or Settings.pod_range
    try:
        found = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise DataError(
            f"PIERHEAD_POD_RANGE is {value!r}, no range of IPv4 addresses ({error}): write one such as "
            f"{Settings.pod_range}."
        ) from error
    if not any(found.subnet_of(ipaddress.IPv4Network(one)) for one in PRIVATE_RANGES):
        raise DataError(f"PIERHEAD_POD_RANGE is {found}: use a part of {', '.join(PRIVATE_RANGES)}.")
    if found.prefixlen > LONGEST_POD_PREFIX:
        raise DataError(
            f"PIERHEAD_POD_RANGE is {found}, too small for a pod network: use at least a /{LONGEST_POD_PREFIX}, better "
            "a /12, which is room for 255 of them."
        )
    return str(found)


def secret(environment: Mapping[str, str], name: str) -> str | None:
    """The value of variable `name`, or the content of the file that `name`_FILE names, or None."""
    if environment.get(name):
        return environment[name]
    path = environment.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}_FILE names {path}, which cannot be read: {error}.") from error


class Claim:
    """The right to run on a data folder: an flock, so that a killed owner leaves nothing to clean up."""

    def __init__(self, data_dir: Path) -> None:
        """Raises DataError, naming the folder and the process that holds it."""
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = (data_dir / "lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise DataError(
                f"Pierhead already runs on {data_dir} (process {owner}): stop it first, or name another folder "
                "with --data."
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def _keys(data_dir: Path, environment: Mapping[str, str]) -> tuple[str, bytes]:
    given = secret(environment, "PIERHEAD_SECRET_KEY"), secret(environment, "PIERHEAD_ENCRYPTION_KEY")
    kept = {} if all(given) else _kept_keys(data_dir / "keys")
    return (
        given[0] or kept["secret_key"],
        _encryption_key(given[1], "PIERHEAD_ENCRYPTION_KEY")
        if given[1]
        else _encryption_key(kept["encryption_key"], str(data_dir / "keys")),
    )


def _kept_keys(path: Path) -> dict[str, str]:
    fresh = {
        "secret_key": secrets.token_urlsafe(50),
        "encryption_key": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode(),
    }
    try:
        kept = json.loads(_write_once(path, json.dumps(fresh, indent=1) + "\n"))
        return {name: str(kept[name]) for name in fresh}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged: put back the copy that belongs to this database; without it, stored credentials "
            "are lost."
        ) from error


def _encryption_key(text: str, origin: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise DataError(f"{origin}: the encryption key must be 32 bytes as base64. Make one: openssl rand -base64 32")
    return key


def _cluster_id(data_dir: Path, environment: Mapping[str, str]) -> str:
    given = environment.get("PIERHEAD_CLUSTER_ID")
    cluster_id = given or _write_once(data_dir / "cluster", secrets.token_hex(6) + "\n").strip()
    if not CLUSTER_ID.fullmatch(cluster_id):
        origin = "PIERHEAD_CLUSTER_ID" if given else str(data_dir / "cluster")
        raise DataError(f"{origin} is {cluster_id!r}: a cluster id is 12 hexadecimal digits in lower case.")
    return cluster_id


def _write_once(path: Path, content: str) -> str:
    """What `path` contains; when it does not exist, it contains `content` from now on, with mode 0600."""
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        pass
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        path.hardlink_to(aside)
    except FileExistsError:
        pass  # another process was first: its content counts
    finally:
        Path(aside).unlink()
    return path.read_text(encoding="ascii")
