"""Where an engine is, and how a connection to it is made.

    unix:///var/run/docker.sock      tcp://10.0.0.5:2376 (mutual TLS)      ssh://deploy@host:22

Plain TCP is refused except on loopback: whoever reaches an engine's port is root on its host. Nothing of the
surroundings has a say: no proxy variables, no ~/.docker/config.json, no public certificate authorities, no ~/.ssh.
A connection over the network notices a host that vanished within seconds even in the middle of a long call
(TCP keep-alive and user timeout), so long calls may have long timeouts.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProtocolError, SSLError

from deployer.adapters.docker_errors import unreachable
from deployer.ports import EngineError, EngineUnreachable

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,45}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_UNIX_PATH_BYTES = 107
_TLS_PORT, _PLAIN_PORT, _SSH_PORT = 2376, 2375, 22
_SILENCE_MILLISECONDS = 7_000

MakePool = Callable[[], HTTPConnectionPool]


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """`ca`, `cert`, `key`, `ssh_key` and `known_hosts` are texts (PEM, OpenSSH formats), not paths."""

    url: str
    ca: str = field(default="", repr=False)
    cert: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)
    known_hosts: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Location:
    """A checked URL. `host` is a socket's path for unix, a simulated engine's name for sim."""

    scheme: Literal["unix", "tcp", "ssh", "sim"]
    host: str
    port: int = 0
    user: str = ""

    @property
    def label(self) -> str:
        """How sentences call the host."""
        return f"{self.host}:{self.port}" if self.scheme == "tcp" else self.host


def locate(address: EngineAddress) -> Location:
    """Check `address` without connecting. Raises EngineError("InvalidAddress"), which says what to write instead."""
    scheme = address.url.partition("://")[0]
    match scheme:
        case "unix":
            return _unix(address.url)
        case "tcp":
            return _tcp(address)
        case "ssh":
            return _ssh(address)
        case "sim":
            return _simulated(address.url)
    raise _invalid(f"{address.url!r} is not an engine's address: write unix://PATH, tcp://HOST:PORT or ssh://USER@HOST")


def unix_pool(path: str, maxsize: int) -> HTTPConnectionPool:
    pool = HTTPConnectionPool("localhost", maxsize=maxsize)
    pool.ConnectionCls = type("UnixConnection", (_UnixConnection,), {"path": path})
    return pool


def tcp_pool(location: Location, context: ssl.SSLContext | None, maxsize: int) -> HTTPConnectionPool:
    if context is None:
        return HTTPConnectionPool(location.host, location.port, maxsize=maxsize, socket_options=_socket_options())
    return HTTPSConnectionPool(
        location.host, location.port, maxsize=maxsize, ssl_context=context, socket_options=_socket_options()
    )


def tls_context(address: EngineAddress) -> ssl.SSLContext | None:
    """A context that trusts `address.ca` alone. The key touches the disk (mode 0600) only while it is read."""
    if not address.ca:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=address.ca)
        with tempfile.NamedTemporaryFile("w") as pair:  # created with mode 0600
            pair.write(f"{address.cert.strip()}\n{address.key.strip()}\n")
            pair.flush()
            context.load_cert_chain(pair.name, password=_no_passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise _invalid(
            f"{address.url}: the TLS texts cannot be read ({getattr(error, 'reason', None) or error}): "
            "ca, cert and key must be PEM, the key without a passphrase and belonging to the certificate"
        ) from None
    return context


def explain_reset(address: EngineAddress, location: Location, error: EngineUnreachable) -> EngineUnreachable:
    """A better word for a connection that broke: with TLS 1.3 an engine refuses our certificate after the handshake,
    and its alert is often lost to the reset that follows. With TLS 1.2 it is part of the handshake."""
    broke = error.reason == "Unreachable" and isinstance(error.__cause__, ProtocolError | SSLError)
    context = tls_context(address) if broke else None
    if context is None:
        return error
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        with socket.create_connection((location.host, location.port), timeout=1) as connection:
            context.wrap_socket(connection, server_hostname=location.host).close()
    except ssl.SSLError as refused:
        if "ALERT" in str(refused):
            return unreachable(location.label, "reach the engine", SSLError(refused), 0)
    except OSError:
        return error
    return error


class _UnixConnection(HTTPConnection):
    path = ""

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        timeout = self.timeout
        connection.settimeout(timeout if isinstance(timeout, (int, float)) else None)
        try:
            connection.connect(self.path)
        except TimeoutError:
            connection.close()
            raise ConnectTimeoutError(self, f"{self.path} does not accept a connection") from None
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, f"{self.path}: {error.strerror}") from error
        return connection


def _unix(url: str) -> Location:
    path = url.removeprefix("unix://")
    if not path.startswith("/") or "\0" in path or len(path.encode()) > _UNIX_PATH_BYTES:
        raise _invalid(f"{url!r}: write unix:// and an absolute path of at most {_UNIX_PATH_BYTES} bytes")
    return Location("unix", path)


def _tcp(address: EngineAddress) -> Location:
    host, port, user = _authority(address.url)
    if user:
        raise _invalid(f"tcp://{host}: an engine has no users, write tcp://{host}:{port or _TLS_PORT}")
    given = (address.ca, address.cert, address.key)
    if any(given) and not all(given):
        raise _invalid(f"tcp://{host}: mutual TLS needs all three of ca, cert and key")
    if not any(given) and not _is_loopback(host):
        raise _invalid(
            f"tcp://{host}: plain TCP gives root to whoever reaches it: give ca, cert and key (--tls DIR), or use ssh://"
        )
    return Location("tcp", host, port or (_TLS_PORT if any(given) else _PLAIN_PORT))


def _ssh(address: EngineAddress) -> Location:
    host, port, user = _authority(address.url)
    if not user or not _USER.fullmatch(user):
        raise _invalid(f"{address.url!r}: write ssh://USER@HOST with the user who may use the engine")
    if not (address.ssh_key and address.known_hosts):
        raise _invalid(
            f"ssh://{host}: give the private key (--ssh-key), and known_hosts with the host's key (--known-hosts, as "
            "ssh-keyscan prints it); one of them is missing or empty"
        )
    return Location("ssh", host, port or _SSH_PORT, user)


def _simulated(url: str) -> Location:
    name = url.removeprefix("sim://")
    if not _NAME.fullmatch(name):
        raise _invalid(f"{url!r}: write sim:// and a name of letters, digits, '-', '_' and '.'")
    return Location("sim", name)


def _authority(url: str) -> tuple[str, int, str]:
    """Host, port (0: not given) and user of `url`. No password, path or query is taken."""
    try:
        parts = urlsplit(url)
        host, port, user = parts.hostname or "", parts.port or 0, parts.username or ""
    except ValueError:
        raise _invalid("the engine's address is not a URL: write tcp://HOST:PORT or ssh://USER@HOST:PORT") from None
    if parts.password is not None:
        raise _invalid(f"{parts.scheme}://{host}: an address holds no password: use a key")
    if not _HOST.fullmatch(host) or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _invalid(f"{url!r}: write {parts.scheme}://HOST:PORT, a name or an IP address and nothing behind it")
    return host, port, user


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted with a passphrase")


def _invalid(sentence: str) -> EngineError:
    return EngineError("InvalidAddress", sentence, retryable=False)


def _socket_options() -> list[tuple[int, int, int]]:
    """No delay; and a peer that acknowledges nothing for seven seconds is gone (the finer knobs are Linux's)."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    finer = {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": _SILENCE_MILLISECONDS}
    for name, value in finer.items():
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options
