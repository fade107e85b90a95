"""A process that is killed, or stopped for a while: at any call that it makes to an engine, at any commit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from control.store.work import WorkRows


class Killed(BaseException):
    """The process is gone: nobody catches this but the test."""


class Guillotine:
    """Falls at the `at`-th step: before or after a call of `watched` (class, method), or the commit of a transaction.

    Not before it is `armed`.
    """

    def __init__(self, patches: pytest.MonkeyPatch, at: int, watched: list[tuple[type, str]], *, armed: bool) -> None:
        self.at, self.steps, self.armed = at, 0, armed
        for owner, name in watched:
            patches.setattr(owner, name, self._around(getattr(owner, name)))
        patches.setattr(WorkRows, "fenced_many", self._committing(WorkRows.fenced_many))

    def step(self) -> None:
        if self.armed:
            self.steps += 1
            if self.steps == self.at:
                self.armed = False
                self.fall()

    def fall(self) -> None:
        """What happens at the step: the process is killed."""
        raise Killed

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.step()
            answer = call(*args, **kwargs)
            self.step()
            return answer

        return watched

    def _committing(self, fenced: Callable[..., Any]) -> Callable[..., Any]:
        @contextlib.contextmanager
        def watched(*args: Any) -> Iterator[Any]:
            with fenced(*args) as held:
                yield held
                self.step()
            self.step()

        return watched


class Icebox(Guillotine):
    """Stops the process instead (SIGSTOP), while `meanwhile` happens: the call goes on afterwards as if nothing had.

    What the others do inside is not counted.
    """

    def __init__(
        self, patches: pytest.MonkeyPatch, at: int, watched: list[tuple[type, str]], meanwhile: Callable[[], None]
    ) -> None:
        super().__init__(patches, at, watched, armed=False)
        self._meanwhile = meanwhile

    def fall(self) -> None:
        self._meanwhile()
