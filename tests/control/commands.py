"""Running a command as the shell does, in this process: exit code, stdout, stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from django.core.management import load_command_class

from control.management import failure, following

NEVER_ENDING = 10_000


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[list[str]]:
        """The table on stdout, cell by cell."""
        return [[cell for cell in line.split("   ") if cell] for line in self.out.splitlines()]


Run = Callable[..., Ran]


class _OpenConnections:
    """A test's transaction is on the connection that a command would close at its end."""

    def close_all(self) -> None:
        pass


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(failure, "connections", _OpenConnections())

    def run(*words: str) -> Ran:
        code = 0
        try:
            load_command_class("control", words[0]).run_from_argv(["manage.py", *words])
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@dataclass
class World:
    """What goes on while a command waits: each look is followed by the next step. Time passes `seconds` a look."""

    steps: Iterator[Callable[[], object]] = field(default_factory=lambda: iter(()))
    seconds: float = following.POLL_SECONDS
    clock: float = 1000.0
    looks: int = 0

    def plays(self, *steps: Callable[[], object]) -> None:
        self.steps = iter(steps)

    def sleep(self, _seconds: float) -> None:
        self.clock += self.seconds
        self.looks += 1
        assert self.looks < NEVER_ENDING, "the command waits for ever"
        next(self.steps, lambda: None)()

    def monotonic(self) -> float:
        return self.clock


def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(following, "time", made)
    return made
