"""A program at a terminal in a container of one host.

What Docker does not allow: to end, or to signal, a program that was started in a running container. When the connection
goes, the program stays, unseen, until its container ends. So closing hangs up as a real terminal does: a second
program sends SIGHUP to whatever has the mark of this terminal in its environment, which is the program and all that
was started from it. That takes a shell, `tr` and `grep` in the image. Where they are missing the end of input (Ctrl-D)
is typed, which a program that reads its terminal obeys; one that does neither runs on.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Sequence

from urllib3.exceptions import ProtocolError

from deployer.adapters.docker_commands import Commands
from deployer.adapters.docker_errors import refusal, unreachable
from deployer.adapters.docker_line import Line
from deployer.adapters.docker_wire import Request, Wire, json_body
from deployer.ports import EngineError

_HANG_UP_SECONDS = 5.0
_MARK = "_PIERHEAD_TERMINAL"
_HANG_UP = (
    "for one in /proc/[0-9]*; do"
    """ if tr '\\000' '\\n' <"$one/environ" | grep -qx "$0"; then kill -HUP "${one#/proc/}"; fi;"""
    " done 2>/dev/null"
)
_END_OF_INPUT = b"\x04"
_COULD_NOT_RUN = b"OCI runtime exec failed"


class Terminals:
    def __init__(self, wire: Wire, commands: Commands) -> None:
        self._wire, self._commands = wire, commands

    def open(self, container: str, called: str, command: Sequence[str], columns: int, rows: int) -> DockerTerminal:
        """`container` is an id, `called` what sentences call it."""
        mark, what = f"{_MARK}={secrets.token_hex(8)}", f"open a terminal in {called}"
        body = {
            "Cmd": list(command), "Tty": True, "AttachStdin": True, "AttachStdout": True, "AttachStderr": True,
            "Env": [mark, "TERM=xterm-256color"], "ConsoleSize": [rows, columns],
        }  # fmt: skip
        path = f"/containers/{container}/exec"
        made = self._wire.json(Request("POST", path, what, body=json_body(body), asked="start"))
        start = {"Detach": False, "Tty": True, "ConsoleSize": [rows, columns]}
        path = f"/exec/{made['Id']}/start"
        line = self._wire.take_over(Request("POST", path, what, body=json_body(start), asked="start", once=True))
        opened = DockerTerminal(self._wire, self._commands, line, made["Id"], container, called, mark)
        try:
            opened.resize(columns, rows)  # engines before 23.0 do not look at ConsoleSize
        except EngineError:
            opened.close()
            raise
        return opened


class DockerTerminal:
    def __init__(
        self, wire: Wire, commands: Commands, line: Line, execution: str, container: str, called: str, mark: str
    ) -> None:
        self._wire, self._commands, self._line = wire, commands, line
        self._execution, self._container, self._called, self._mark = execution, container, called, mark
        self._what = f"use the terminal in {called}"
        self._said_something = self._closed = False
        self._lock = threading.Lock()

    def read(self) -> bytes:
        try:
            piece = self._line.read()
            if not self._said_something and piece.startswith(_COULD_NOT_RUN):
                raise self._refused(piece)
        except OSError as error:
            raise self._broken(error) from error
        self._said_something = True
        return piece

    def write(self, data: bytes) -> None:
        try:
            self._line.write(data)
        except OSError as error:
            raise self._broken(error) from error

    def resize(self, columns: int, rows: int) -> None:
        """A program that has ended meanwhile has no size: that counts as done."""
        query = {"h": str(rows), "w": str(columns)}
        path, done = f"/exec/{self._execution}/resize", (400, 404, 409, 500)
        self._wire.call(Request("POST", path, self._what, query, done=done))

    def exit_code(self) -> int | None:
        state = self._wire.json(Request("GET", f"/exec/{self._execution}/json", self._what))
        return None if state.get("Running") or state.get("ExitCode") is None else int(state["ExitCode"])

    def close(self) -> None:
        with self._lock:
            first, self._closed = not self._closed, True
        if not first:
            return
        self._line.end_reading()
        try:
            self._hang_up()
        finally:
            self._line.close()

    def _hang_up(self) -> None:
        with contextlib.suppress(EngineError):  # the host is away, or the container is: nothing more can be done
            if self.exit_code() is not None:
                return
            if not self._was_hung_up():
                with contextlib.suppress(OSError):
                    self._line.write(_END_OF_INPUT)

    def _was_hung_up(self) -> bool:
        command = ("sh", "-c", _HANG_UP, self._mark)
        try:
            self._commands.execute(self._container, self._called, command, _HANG_UP_SECONDS)
        except EngineError as error:
            if error.reason != "CommandNotFound":
                raise
            return False
        return True

    def _refused(self, first: bytes) -> EngineError:
        said = first
        while piece := self._line.read():
            said += piece
        what = f"run the command in {self._called}"
        return refusal(self._wire.host, what, 400, said.decode(errors="replace"), "start")

    def _broken(self, error: OSError) -> EngineError:
        return unreachable(self._wire.host, self._what, ProtocolError(str(error) or type(error).__name__), 0)
