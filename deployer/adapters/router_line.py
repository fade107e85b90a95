"""The way to a running router's command line: HAProxy's runtime API, through the mesh port, by mutual TLS.

The server name takes the connection to the command line; only the control plane's certificate is let through. HAProxy
is put into its interactive mode, so that one connection carries any number of commands: an answer ends with a prompt
of its own line. Routers close idle connections after some seconds, and a reload leaves a connection with the process
that it replaced; neither is a failure: a kept connection is asked first whom it leads to, and replaced if need be.

A command that may have been carried out is never sent twice, unless it only reads.
"""

from __future__ import annotations

import re
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence

from deployer.ports import EngineError, RouterLine

_PROMPT = b"\n> "
_PAYLOAD_PROMPTS = re.compile(r"\A(?:\n?\+ )+")
_READ_ONLY = ("show ", "get ")
_PIECE_BYTES = 65536
_LONGEST_BYTES = 12_000
"""HAProxy hangs up on a command that does not fit into its buffer (16 KiB, less what it reserves)."""
_PAYLOAD = " <<"
_PIECES = re.compile(r"\\.?|;|[^\\;]+")
_RUNS = "Stopping: 0"


def open_line(
    host: str, port: int, server_name: str, certificate: str, key: str, authority: str, timeout_seconds: float
) -> RouterLine:
    """The command line of the router at `host`:`port`. Nothing is sent before the first command.

    `server_name` is the SNI, and what the router's certificate must be for. `certificate`, `key`, `authority`: PEM.
    `timeout_seconds` holds for connecting and for each command. Raises RouterRefused for PEM that cannot be read.
    """
    where = f"router at {host}:{port}"
    return TlsLine(where, (host, port), server_name, _context(where, certificate, key, authority), timeout_seconds)


class TlsLine:
    def __init__(
        self, where: str, address: tuple[str, int], server_name: str, context: ssl.SSLContext, timeout_seconds: float
    ) -> None:
        self._where, self._address, self._server_name = where, address, server_name
        self._context, self._timeout_seconds = context, timeout_seconds
        self._lock = threading.Lock()
        self._connection: ssl.SSLSocket | None = None
        self._closed = False

    def ask(self, commands: Sequence[str]) -> list[str]:
        """The answer to each command, stripped; one after the other, alone on the line.

        A command is one line (";" joins several, which go one by one, for releases of HAProxy differ in how many
        prompts they answer with; the answers are joined again), or ends its first with " <<" and
        has a payload of lines that are not empty. A long payload of `add map` is sent in parts.
        """
        parts = [[one for part in _parts(command) for one in statements(part)] for command in commands]
        with self._lock:
            self._let_go_if_over()
            return ["\n".join(filter(None, map(self._command, each))) for each in parts]

    def close(self) -> None:
        """Hang up. The next command connects again."""
        with self._lock:
            self._hang_up()

    def _let_go_if_over(self) -> None:
        """A kept connection may have been closed, or lead to the process that a reload has replaced."""
        if self._connection is None:
            return
        try:
            about = self._exchange(self._connection, "show info")
        except TimeoutError as error:
            self._hang_up()
            raise self._failure(error) from error
        except OSError:
            self._hang_up()
        else:
            if _RUNS not in about.splitlines():
                self._hang_up()

    def _command(self, command: str) -> str:
        is_kept = self._connection is not None
        try:
            return self._exchange(self._connected(), command)
        except OSError as error:
            self._hang_up()
            if isinstance(error, TimeoutError) or not is_kept or not _only_reads(command):
                raise self._failure(error) from error
        return self._command(command)

    def _connected(self) -> ssl.SSLSocket:
        """A connection with its prompt."""
        if self._connection is None:
            try:
                self._connection = self._connect()
                self._exchange(self._connection, "prompt")
            except OSError as error:
                self._hang_up()
                raise self._failure(error, is_first=True) from error
        return self._connection

    def _connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(self._address, self._timeout_seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._context.wrap_socket(plain, server_hostname=self._server_name)
        except BaseException:
            plain.close()
            raise

    def _exchange(self, connection: ssl.SSLSocket, command: str) -> str:
        """Raises OSError; ConnectionError when the router hung up."""
        until = time.monotonic() + self._timeout_seconds
        connection.settimeout(self._timeout_seconds)
        connection.sendall(f"{command}\n".encode())
        answer = bytearray()
        while not answer.endswith(_PROMPT):
            connection.settimeout(max(0.001, until - time.monotonic()))
            piece = connection.recv(_PIECE_BYTES)
            if not piece:
                raise ConnectionResetError("the router hung up")
            answer += piece
        text = answer.decode(errors="replace")
        given = (_PAYLOAD_PROMPTS.sub("", text) if "\n" in command else text).split(_PROMPT.decode())
        return "\n".join(filter(None, (one.strip() for one in given)))

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _failure(self, error: OSError, *, is_first: bool = False) -> EngineError:
        reason, words = _explained(error, self._server_name, self._timeout_seconds, is_first=is_first)
        return EngineError(reason, f"{self._where}: {words}")


def _explained(error: OSError, server_name: str, timeout_seconds: float, *, is_first: bool) -> tuple[str, str]:
    match error:
        case ssl.SSLCertVerificationError():
            words = f"its certificate is not one of this cluster's for {server_name} ({error.verify_message})"
            return "RouterRefused", f"{words}: is this the right host, and are the clocks right?"
        case ssl.SSLError() if "alert" in str(error).lower():
            return "RouterRefused", "it refuses the control plane's certificate: push the router's files again"
        case ssl.SSLError() if not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return "RouterUnreachable", "what answers there does not speak TLS: check the mesh port and address"
        case TimeoutError():
            return "RouterUnreachable", f"no answer within {timeout_seconds:g} s: can the mesh port be reached?"
        case ConnectionRefusedError():
            return "RouterUnreachable", "connection refused: is the router running, and is this its mesh port?"
        case socket.gaierror():
            return "RouterUnreachable", "the name is not known: give the node a mesh address that is"
        case ConnectionError() | ssl.SSLError() if is_first:
            return "RouterRefused", f"it hung up on the command line of {server_name}: push the router's files again"
        case ConnectionError() | ssl.SSLError():
            return "RouterUnreachable", "it hung up in the middle of a command, which may have been carried out"
    return "RouterUnreachable", (error.strerror or str(error)).lower()


def _context(where: str, certificate: str, key: str, authority: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=authority)
        # Python takes a certificate chain from a file only: a private one (mode 0600), gone at once.
        with tempfile.NamedTemporaryFile("w", prefix="pierhead-", suffix=".pem") as file:
            file.write(f"{certificate.rstrip()}\n{key.rstrip()}\n")
            file.flush()
            context.load_cert_chain(file.name, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        sentence = f"{where}: the control plane's certificate, key or authority cannot be read"
        raise EngineError("RouterRefused", sentence, retryable=False) from error
    return context


def _no_password() -> str:
    """Rather than have OpenSSL ask for one at the terminal."""
    return ""


def statements(command: str) -> list[str]:
    """What ";" joins in a command's line, unless it is escaped. A payload is part of the one that it belongs to."""
    line, newline, payload = command.partition("\n")
    if newline:
        return [command] if payload else statements(line)
    found = [""]
    for piece in _PIECES.findall(line):
        if piece == ";":
            found.append("")
        else:
            found[-1] += piece
    return found


def _only_reads(command: str) -> bool:
    return command.lstrip().startswith(_READ_ONLY)


def _parts(command: str) -> Iterator[str]:
    """What goes out for a command: itself, or several of the same kind when its payload is long."""
    first, *payload = command.rstrip("\n").split("\n")
    if (payload and not first.endswith(_PAYLOAD)) or any(not line.strip() for line in payload):
        raise ValueError("a command is one line, or ends with << and a payload without empty lines follows")
    if len(command.encode()) <= _LONGEST_BYTES:
        yield "\n".join([first, *payload, ""]) if payload else first
        return
    if not payload or not first.startswith(("add map ", "add acl ")):
        raise ValueError(f"a command of more than {_LONGEST_BYTES} bytes would not fit into HAProxy's buffer")
    while payload:
        size, count = len(first), 0
        while count < len(payload) and (not count or size + len(payload[count].encode()) < _LONGEST_BYTES):
            size += len(payload[count].encode()) + 1
            count += 1
        yield "\n".join([first, *payload[:count], ""])
        payload = payload[count:]
