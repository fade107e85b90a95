"""The conversation with one engine: requests, answers, streams; every failure becomes an EngineError.

urllib3's pools are used directly. docker-py's client takes timeouts off its streams, asks again whether a container
has a terminal before reading its logs, keeps no more than ten TLS connections and reads the credentials of whoever
runs the process; working around each costs more than the few calls that are made here.

The API's version is asked for once, by the first call, and fixed: the engine's own, but at most 1.44 (Docker 25),
the newest that every engine up to 29 understands, and at least 1.40 (Docker 19.03). Calls are idempotent by contract,
so one that meets a connection gone stale (the engine was restarted) is made again once, on a new one. An engine that
does not answer is not asked by every caller in turn (`breaker.py`).
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from urllib3 import BaseHTTPResponse, Timeout
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from deployer.adapters.breaker import Breaker
from deployer.adapters.docker_address import MakePool
from deployer.adapters.docker_errors import Asked, not_docker, refusal, unreachable
from deployer.adapters.docker_line import Line, ask
from deployer.ports import EngineError, EngineUnreachable

_NEWEST, _OLDEST = (1, 44), (1, 40)
_PIECE_BYTES = 65536
_TRIAL_SECONDS = 1.0
_JSON = {"Content-Type": "application/json"}


class Silence(EngineUnreachable):
    """A stream said nothing for as long as its request would wait."""


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is below the version and already quoted. `what` continues "cannot ..." in an error's sentence."""

    method: str
    path: str
    what: str
    query: Mapping[str, str] | None = None
    body: bytes | None = None
    headers: Mapping[str, str] | None = None
    asked: Asked = "other"
    done: tuple[int, ...] = ()
    """Statuses >= 400 that are an answer rather than an error."""
    timeout_seconds: float | None = None
    once: bool = False
    """Never sent twice, not even when the connection was stale."""


class Wire:
    def __init__(self, host: str, make_pool: MakePool, timeout_seconds: float, prepare: Callable[[], None]) -> None:
        self.host, self.timeout_seconds = host, timeout_seconds
        self._make_pool, self._prepare = make_pool, prepare
        self._pool = make_pool()
        self._lock = threading.Lock()
        self._version = ""
        self._open: set[BaseHTTPResponse | Line] = set()
        self._closed = False
        self._breaker = Breaker(time.monotonic)

    @property
    def is_known(self) -> bool:
        """Whether it has ever answered."""
        return bool(self._version)

    def ping(self, timeout_seconds: float) -> None:
        """Raises NotDocker and TooOld as well as what every call does."""
        waiting = min(timeout_seconds, self.timeout_seconds)
        request = Request("GET", "/_ping", "reach the engine", timeout_seconds=waiting)
        response = self._send("/_ping", request, stream=False)
        version = response.headers.get("Api-Version", "")
        if response.status >= 500 and version:
            raise refusal(self.host, request.what, response.status, _message(response))
        if response.status != 200 or not version:
            raise not_docker(self.host, response.headers.get("Server", "") or f"HTTP status {response.status}")
        self._version = _agree(self.host, version)

    def call(self, request: Request) -> BaseHTTPResponse:
        """One request and its whole answer."""
        response = self._send(self._versioned(request), request, stream=False)
        return self._checked(response, request)

    def json(self, request: Request) -> Any:
        return json.loads(self.call(request).data)

    @contextmanager
    def stream(self, request: Request) -> Iterator[BaseHTTPResponse]:
        """An answer to be read piece by piece; `close()` of the wire ends it from another thread."""
        response = self._send(self._versioned(request), request, stream=True)
        with self._lock:
            self._open.add(response)
        try:
            yield self._checked(response, request)
        except ReadTimeoutError as error:
            failure = self._failure(request, error)
            raise Silence(failure.reason, failure.sentence) from error
        except HTTPError as error:
            raise self._failure(request, error) from error
        except (OSError, ValueError) as error:  # read from a connection that close() has taken away
            if not self._closed:
                raise
            raise EngineUnreachable("Closed", f"{self.host}: the connection was closed") from error
        finally:
            with self._lock:
                self._open.discard(response)
            response.close()

    def take_over(self, request: Request) -> Line:
        """The connection itself, a new one, which the engine hands over with its answer; the caller closes it.

        As all that goes over a wire it ends with the wire's `close`.
        """
        path = self._versioned(request)
        if self._closed:
            raise EngineUnreachable("Closed", f"{self.host}: the connection was closed")
        self._prepare()
        try:
            line = self._handed_over(path, request)
        except HTTPError as error:
            raise self._failure(request, error) from error
        with self._lock:
            self._open = {one for one in self._open if not getattr(one, "is_closed", False)} | {line}
        return line

    def close(self) -> None:
        with self._lock:
            self._closed = True
            streams = list(self._open)
        for response in streams:
            _interrupt(response)
        self._pool.close()

    def _versioned(self, request: Request) -> str:
        """Before every request but a ping. An engine that is known not to answer is asked for a sign of life first,
        by one caller, now and then; the others fail at once."""
        if self._breaker.is_open:
            if not self._breaker.may_try():
                raise EngineUnreachable("Unreachable", f"{self.host} {self._breaker.refusal()}")
            self.ping(_TRIAL_SECONDS)
        if not self._version:
            self.ping(self.timeout_seconds)
        return f"/v{self._version}{request.path}"

    def _send(self, path: str, request: Request, *, stream: bool) -> BaseHTTPResponse:
        try:
            response = self._tried(path, request, stream=stream)
        except EngineUnreachable as error:
            self._breaker.failed(error.sentence)
            raise
        self._breaker.answered()
        return response

    def _tried(self, path: str, request: Request, *, stream: bool) -> BaseHTTPResponse:
        if self._closed:
            raise EngineUnreachable("Closed", f"{self.host}: the connection was closed")
        self._prepare()
        url = f"{path}?{urlencode(request.query)}" if request.query else path
        pool = self._pool
        try:
            return self._once(pool, url, request, stream)
        except (ProtocolError, ClosedPoolError) as error:
            self._forget(pool)
            if request.once or _is_timeout(error):
                raise self._failure(request, error) from error
        except HTTPError as error:
            self._forget(pool)
            raise self._failure(request, error) from error
        try:
            return self._once(self._pool, url, request, stream)
        except HTTPError as error:
            raise self._failure(request, error) from error

    def _once(self, pool: HTTPConnectionPool, url: str, request: Request, stream: bool) -> BaseHTTPResponse:
        read = self.timeout_seconds if request.timeout_seconds is None else request.timeout_seconds
        return pool.urlopen(
            request.method,
            url,
            body=request.body,
            headers=dict(_JSON if request.headers is None else request.headers),
            retries=False,
            redirect=False,
            timeout=Timeout(connect=min(self.timeout_seconds, read), read=read),
            preload_content=not stream,
        )

    def _handed_over(self, path: str, request: Request) -> Line:
        connection = self._pool._new_conn()  # one that the pool does not know of, made as the pool's own are
        connection.timeout = self.timeout_seconds
        try:
            connection.connect()
            sock = connection.sock  # type: ignore[attr-defined]
            handed = ask(sock, connection.host, path, request.body or b"")
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(self._pool, path, "no answer") from error
        except ssl.SSLError as error:
            connection.close()
            raise SSLError(error) from error
        except OSError as error:
            connection.close()
            raise ProtocolError(str(error)) from error
        if handed.status >= 400:
            connection.close()
            raise refusal(self.host, request.what, handed.status, handed.message, request.asked)
        return Line(sock, handed.rest, self.timeout_seconds)

    def _checked(self, response: BaseHTTPResponse, request: Request) -> BaseHTTPResponse:
        if response.status >= 400 and response.status not in request.done:
            raise refusal(self.host, request.what, response.status, _message(response), request.asked)
        return response

    def _failure(self, request: Request, error: HTTPError) -> EngineError:
        waited = self.timeout_seconds if request.timeout_seconds is None else request.timeout_seconds
        if isinstance(error, ConnectTimeoutError | NewConnectionError):
            waited = min(waited, self.timeout_seconds)
        return unreachable(self.host, request.what, error, waited)

    def _forget(self, pool: HTTPConnectionPool) -> None:
        """Let go of every kept connection: after one has failed, the others are stale too."""
        with self._lock:
            if self._pool is not pool or self._closed:
                return
            self._pool = self._make_pool()
        pool.close()


def quoted(part: str) -> str:
    """`part` for one place in a path; the slashes, colons and at signs of image references stay."""
    return quote(part, safe="/:@")


def json_body(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def json_lines(response: BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream, each as soon as it is whole."""
    rest = b""
    while piece := response.read1(_PIECE_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
    if rest.strip():
        yield json.loads(rest)


def frames(response: BaseHTTPResponse, *, terminal: bool) -> Iterator[bytes]:
    """What a container wrote: with a terminal as it came, else unpacked from Docker's frames (8 bytes of header)."""
    if terminal:
        while piece := response.read1(_PIECE_BYTES):
            yield piece
        return
    while len(header := response.read(8)) == 8:
        if payload := response.read(int.from_bytes(header[4:], "big")):
            yield payload


def _agree(host: str, version: str) -> str:
    try:
        major, minor = (int(part) for part in version.split(".", 1))
    except ValueError:
        raise not_docker(host, f"API version {version!r}") from None
    if (major, minor) < _OLDEST:
        raise EngineUnreachable("TooOld", f"{host} speaks Docker API {version}: 1.40 (Docker 19.03) or newer is needed")
    return ".".join(map(str, min((major, minor), _NEWEST)))


def _message(response: BaseHTTPResponse) -> str:
    data = response.data
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")


def _is_timeout(error: Exception) -> bool:
    return isinstance(error.__cause__, TimeoutError)


def _interrupt(response: BaseHTTPResponse | Line) -> None:
    try:
        response.shutdown()
    except (OSError, ValueError, RuntimeError, AttributeError):
        response.close()
