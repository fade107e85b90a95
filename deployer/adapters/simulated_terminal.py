"""A terminal in a simulated container: a shell that echoes what is typed and knows the words of `simulated_programs`.

Beyond them: `stty size`, `exit [CODE]`, Ctrl-C, Ctrl-D, Backspace. A program that would run for more than a second
holds the terminal until Ctrl-C. A command other than a shell is such a program, or is over when it has printed.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Sequence

from deployer.adapters.simulated_host import SimulatedHost
from deployer.adapters.simulated_programs import Machine, is_missing, run
from deployer.ports import EngineUnreachable

_SHELLS = ("sh", "bash", "ash")
_PROMPT = "$ "
_HOLDS_AFTER_SECONDS = 1.0
_INTERRUPTED = 130
_KILLED = 137
_LOOKS_SECONDS = 0.2


class SimulatedTerminal:
    def __init__(
        self, host: SimulatedHost, container: str, command: Sequence[str], machine: Machine, columns: int, rows: int,
        runs: Callable[[], bool],
    ) -> None:  # fmt: skip
        """`runs`: whether the container still does; the terminal ends with it."""
        self._host, self._container, self._command, self._machine = host, container, tuple(command), machine
        self._runs = runs
        self._size = (columns, rows)
        self._changed = threading.Condition()
        self._printed, self._line = "", ""
        self._exit_code: int | None = None
        self._is_held = self._closed = False
        self._begin()

    def read(self) -> bytes:
        if is_missing(self._command):
            sentence = f"run {self._command[0]} in {self._container}: executable file not found"
            raise self._host.error("CommandNotFound", sentence, retryable=False)
        with self._changed:
            while not self._changed.wait_for(self._has_news, _LOOKS_SECONDS):
                if not self._runs():
                    self._exit_code = _KILLED
            printed, self._printed = self._printed, ""
            return b"" if self._closed else printed.encode()

    def _has_news(self) -> bool:
        return bool(self._printed) or self._closed or self._exit_code is not None

    def write(self, data: bytes) -> None:
        self._host.answer("terminal")
        if self._closed:
            raise EngineUnreachable("Closed", f"{self._host.name}: the connection was closed")
        with self._changed:
            for character in data.decode(errors="replace"):
                if self._exit_code is None:
                    self._typed(character)
            self._changed.notify_all()

    def resize(self, columns: int, rows: int) -> None:
        self._host.answer("terminal")
        self._size = (columns, rows)

    def exit_code(self) -> int | None:
        return self._exit_code

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._exit_code = _INTERRUPTED - 1 if self._exit_code is None else self._exit_code  # 129: of SIGHUP
            self._changed.notify_all()

    def _begin(self) -> None:
        if is_missing(self._command):
            return
        if self._command[0].rpartition("/")[2] in _SHELLS and len(self._command) == 1:
            self._printed = _PROMPT
            return
        self._run(self._command)
        self._exit_code = None if self._is_held else self._exit_code or 0

    def _typed(self, character: str) -> None:
        match character:
            case "\x03":
                self._is_held, self._line = False, ""
                self._printed += f"^C\r\n{_PROMPT}"
            case _ if self._is_held:
                self._printed += character
            case "\x04" if not self._line:
                self._exit_code = 0
            case "\x7f" if self._line:
                self._line = self._line[:-1]
                self._printed += "\b \b"
            case "\r" | "\n":
                line, self._line = self._line, ""
                self._printed += "\r\n"
                self._entered(line)
            case _ if character.isprintable():
                self._line += character
                self._printed += character

    def _entered(self, line: str) -> None:
        words = _words(line)
        match words:
            case ["stty", "size"]:
                columns, rows = self._size
                self._printed += f"{rows} {columns}\r\n"
            case ["exit", *code]:
                self._exit_code = int(code[0]) if code and code[0].isdigit() else 0
                return
            case [_, *_]:
                self._run(("sh", "-c", line))
        if not self._is_held:
            self._printed += _PROMPT

    def _run(self, words: Sequence[str]) -> None:
        outcome = run(words, "", self._machine)
        self._printed += "".join(f"{text}\r\n" for _, text in outcome.lines)
        lasts = outcome.ends_after_seconds
        self._is_held = lasts is None or lasts > _HOLDS_AFTER_SECONDS


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an open quote
        return line.split()
