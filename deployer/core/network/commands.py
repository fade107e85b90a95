"""Lines for HAProxy's command line, and the replacement of a map by them.

    prepare map -> a version's number -> add map @version ... -> commit map @version

What was added to a version is not seen before its commit, and a version that is never committed goes with the next
one: so a replacement is atomic and may be given up anywhere. A small difference is made in place instead.

A line ends a command, ";" does, "<<" at its end asks for more lines: everything but plain characters is escaped, and
control characters, which cannot be, are in no command (`is_entry` sorts such entries out; a map file could not hold
them either).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LONGEST_LINE = 12_000
"""HAProxy takes 16 KiB at a time (tune.bufsize), escapes included."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"([\\; <])")
_VERSION = re.compile(r"New version created: (\d+)")


def command_word(text: str) -> str:
    """One word of a command. ValueError for one with control characters, or for none."""
    if not text or not _is_printable(text):
        raise ValueError(f"no word for a command: {text!r}")
    return _ESCAPED.sub(r"\\\1", text)


def batches(commands: Iterable[str]) -> tuple[str, ...]:
    """Commands joined to lines that HAProxy takes in one piece, in the same order."""
    lines: list[str] = []
    length = 0
    for command in commands:
        size = len(command.encode()) + 1
        if lines and length + size <= LONGEST_LINE:
            lines[-1] += f";{command}"
            length += size
        else:
            lines.append(command)
            length = size
    return tuple(lines)


def is_entry(key: str, value: str) -> bool:
    """Whether a map can hold it: a key is one word and no comment, a value one line."""
    if not key or key.startswith("#") or " " in key or not _is_printable(key):
        return False
    return bool(value) and value == value.strip(" ") and _is_printable(value)


def prepare_map(path: str) -> str:
    """`path` is the file's as HAProxy knows it: "/pierhead/maps/mesh.map"."""
    return f"prepare map {command_word(path)}"


def read_version(answer: str) -> int | None:
    """The number that `prepare map` answers with, None when it refuses (a map that HAProxy does not know)."""
    found = _VERSION.search(answer)
    return int(found[1]) if found else None


def map_commands(path: str, entries: Mapping[str, str], version: int) -> tuple[str, ...]:
    """Lines that put `entries` in the place of all that the map holds. Only the last one makes a difference."""
    where = command_word(path)
    adds = [f"add map @{version} {where} {_entry(key, value)}" for key, value in _entries(entries)]
    return batches([*adds, f"commit map @{version} {where}"])


def read_map(answer: str) -> dict[str, str] | None:
    """What `show map PATH` prints. None for an unknown map, and for one with a key twice: replace it."""
    found: dict[str, str] = {}
    for line in filter(None, answer.split("\n")):
        reference, _, entry = line.partition(" ")
        key, _, value = entry.partition(" ")
        if not reference.startswith("0x") or key in found:
            return None
        found[key] = value
    return found


def map_changes(path: str, desired: Mapping[str, str], observed: Mapping[str, str]) -> tuple[str, ...] | None:
    """Lines that make `observed` into `desired` in place, each entry at once; None when a replacement is shorter.

    No entry is missing in between: what is new comes before what goes.
    """
    where = command_word(path)
    wanted = dict(_entries(desired))
    if not all(is_entry(key, value) for key, value in observed.items()):
        return None
    common = wanted.keys() & observed.keys()
    changed = [key for key in sorted(common) if wanted[key] != observed[key]]
    gone = sorted(observed.keys() - wanted.keys())
    commands = [f"set map {where} {_entry(key, wanted[key])}" for key in changed]
    commands += [f"add map {where} {_entry(key, wanted[key])}" for key in sorted(wanted.keys() - common)]
    commands += [f"del map {where} {command_word(key)}" for key in gone]
    return batches(commands) if len(commands) <= max(1, len(wanted) // 2) else None


def _entries(entries: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted((key, value) for key, value in entries.items() if is_entry(key, value))


def _entry(key: str, value: str) -> str:
    return f"{command_word(key)} {command_word(value)}"


def _is_printable(text: str) -> bool:
    return _CONTROL.search(text) is None
