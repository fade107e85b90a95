"""What a simulated container does: a handful of shell words are understood, everything else runs for ever.

    haproxy -c (its file must be there)   kill, ip (done, and nothing comes of it but a router's reload)
    echo TEXT   sleep SECONDS   exit CODE   true   false   cat FILE   touch FILE   test -e FILE   trap '' TERM
    crash (exit 1 after 0.1 s)      an image whose name holds "crash" does the same, whatever its command

Statements are joined by ";", "&&" or newlines, directly or in `sh -c`. Pure: files come in, files go out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_CRASHES_AFTER_SECONDS = 0.1
_TAKES_SECONDS = 0.01
"""How long the shortest program runs: one that is over before it is seen to start would be unlike any real one."""
_SHELLS = {"sh", "bash", "ash", "/bin/sh", "/bin/bash", "/bin/ash", "/busybox/sh"}
_NOT_FOUND = re.compile(r"missing|no-?such|not-?there|does-?not-?exist|nonexistent")
_RELOADS = (["-USR2", "1"], ["-s", "USR2", "1"])
_ENDS_WELL = re.compile(r"\d+(\.\d+)?")


@dataclass(slots=True)
class Run:
    """How a program went. `ends_after_seconds` None: it runs until it is stopped. `lines` are (seconds, text)."""

    lines: list[tuple[float, str]] = field(default_factory=list)
    ends_after_seconds: float | None = _TAKES_SECONDS
    exit_code: int = 0
    ignores_term: bool = False
    written: dict[str, bytes] = field(default_factory=dict)
    reloads: bool = False
    """Whether it told the container's own program (process 1) to read its configuration again."""


@dataclass(frozen=True, slots=True)
class Machine:
    files: Mapping[str, bytes]
    env: Mapping[str, str]


def is_missing(words: Sequence[str]) -> bool:
    """Whether the first word is a program that no image has ("/bin/missing")."""
    return bool(words) and bool(_NOT_FOUND.search(words[0]))


def run(words: Sequence[str], image: str, machine: Machine) -> Run:
    """Follow `words` (entrypoint and command); none of them means the image's own program."""
    outcome = Run()
    if "crash" in image.rpartition("/")[2]:
        return _crash(outcome)
    if not words:
        outcome.ends_after_seconds = None
        return outcome
    for statement in _statements(words):
        if not _step(statement, machine, outcome):
            break
    return outcome


def _statements(words: Sequence[str]) -> list[list[str]]:
    if words[0] in _SHELLS and len(words) >= 3 and words[1] in ("-c", "-ec"):
        pieces = re.split(r";|&&|\n", words[2])
        return [piece.replace("'", " ' ").replace('"', " ").split() for piece in pieces if piece.strip()]
    return [list(words)]


def _step(statement: list[str], machine: Machine, outcome: Run) -> bool:
    """Take one statement; False when nothing comes after it."""
    name, *rest = statement[1:] if statement[0] == "exec" and len(statement) > 1 else statement
    rest = [word for word in rest if word != "'"] if name != "trap" else rest
    match name.rpartition("/")[2], rest:
        case "echo", _:
            outcome.lines.append((outcome.ends_after_seconds or 0, _expand(" ".join(rest), machine.env)))
        case "sleep", [seconds] if _ENDS_WELL.fullmatch(seconds):
            outcome.ends_after_seconds = (outcome.ends_after_seconds or 0) + float(seconds)
        case "exit", [code] if code.isdigit():
            outcome.exit_code = int(code)
            return False
        case "crash", []:
            _crash(outcome)
            return False
        case (("true" | ":"), _):
            outcome.exit_code = 0
        case "false", _:
            outcome.exit_code = 1
        case "touch", [path]:
            outcome.written[path] = b""
        case "cat", [path]:
            _cat(path, machine, outcome)
        case "test", ["-e" | "-f", path]:
            outcome.exit_code = 0 if path in machine.files or path in outcome.written else 1
        case "trap", ["'", "'", *_]:
            outcome.ignores_term = True
        case program, _:
            return _administer(program, rest, machine, outcome)
    return True


def _administer(program: str, rest: list[str], machine: Machine, outcome: Run) -> bool:
    """What is run beside a router; everything else runs for ever."""
    match program, rest:
        case "haproxy", ["-c", *_]:
            _check(rest, machine, outcome)
        case "kill", _:
            outcome.exit_code, outcome.reloads = 0, rest in _RELOADS
        case "ip", _:
            outcome.exit_code = 0
        case _:
            outcome.ends_after_seconds = None
            return False
    return True


def _check(words: Sequence[str], machine: Machine, outcome: Run) -> None:
    missing = [path for path in words[words.index("-f") + 1 :] if path not in machine.files] if "-f" in words else []
    outcome.exit_code = 1 if missing else 0
    for path in missing:
        outcome.lines.append((0.0, f"[ALERT] Could not open configuration file {path} : No such file or directory"))


def _crash(outcome: Run) -> Run:
    outcome.ends_after_seconds, outcome.exit_code = _CRASHES_AFTER_SECONDS, 1
    outcome.lines.append((0.0, "crash: this program was told to fail"))
    return outcome


def _cat(path: str, machine: Machine, outcome: Run) -> None:
    data = outcome.written.get(path, machine.files.get(path))
    if data is None:
        outcome.exit_code = 1
        outcome.lines.append((outcome.ends_after_seconds or 0, f"cat: can't open '{path}': No such file or directory"))
        return
    outcome.exit_code = 0
    text = data.decode(errors="replace").removesuffix("\n")
    outcome.lines.extend((outcome.ends_after_seconds or 0, line) for line in text.split("\n"))


def _expand(text: str, env: Mapping[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: env.get(found[1], ""), text)
