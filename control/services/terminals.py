"""Terminals that people have opened in pods: of this process, each with its two threads, all of them audited.

A terminal lives where it was opened: its connection to the host cannot be handed to another process. Its key begins
with the process's own mark, so that a request which was led to another one is told so. Its limits:

    PERSON, PROCESS    how many may be open
    IDLE_SECONDS       nothing was typed for so long
    ALONE_SECONDS      no page listens for so long: it was closed, or its computer sleeps
    LOOK_SECONDS       how often the session and the role are looked at, and the two above

What is typed goes through a queue to a thread of its own (`_type`), which also closes the terminal; what is printed is
read by another (`_run`). A host that hangs holds these two and no request.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from shlex import join

from django.db import connection

from control.models import Pod
from control.services.audit import Actor, record
from control.services.logs import container_id
from control.services.refusal import Refused
from control.services.terminal_output import Output
from deployer.composition import engine_of
from deployer.ports import EngineError, Terminal

PERSON, PROCESS = 4, 50
IDLE_SECONDS, ALONE_SECONDS, LOOK_SECONDS = 900.0, 30.0, 15.0
ENDING_SECONDS = 3.0
WAITING_BATCHES = 64
"""Of keys, while the host does not take them."""
_logger = logging.getLogger("pierhead")
Keys = tuple[bytes, tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who opened it. `session`: only from there it is used. `may_go_on` reads anew whether they still may."""

    person: int
    session: str
    actor: Actor
    may_go_on: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """`container` is its name, "" for the first. `command` is a list that no shell looks at."""

    container: str
    command: tuple[str, ...]
    columns: int
    rows: int


class Opened:
    def __init__(self, key: str, row: Pod, asked: Asked, holder: Holder, now: float) -> None:
        self.key, self.holder, self.output = key, holder, Output()
        self.output.left_at = self.typed_at = self.opened_at = now
        self.ended_at: float | None = None
        self._row, self._asked, self._container = row, asked, _container(row, asked)
        self._keys: queue.Queue[Keys | None] = queue.Queue(WAITING_BATCHES)
        self._lock = threading.Lock()
        self._next, self._typed_bytes, self._why = 1, 0, ""
        self._thread = threading.Thread(target=self._run, name=f"terminal {row.name}", daemon=True)

    @property
    def target(self) -> str:
        return f"Pod {self._row.namespace}/{self._row.name}"

    @property
    def what(self) -> str:
        """For the audit trail."""
        name = f"container {self._asked.container}" if self._asked.container else "first container"
        return f"{name}: {join(self._asked.command)}"

    def start(self) -> None:
        self._thread.start()

    def type(self, number: int, keys: str, now: float) -> None:
        """Batches are numbered from 1. One that came already is not typed again; one that lacks another is refused."""
        data = keys.encode(errors="replace")
        with self._lock:
            if number < self._next:
                return
            if number > self._next:
                raise Refused(f"keys were lost on the way: batch {self._next} is missing, {number} came")
            self._put((data, None))
            self._next, self._typed_bytes, self.typed_at = number + 1, self._typed_bytes + len(data), now

    def resize(self, columns: int, rows: int) -> None:
        self._put((b"", (columns, rows)))

    def end(self, why: str) -> None:
        """Soon: what is being read and typed comes to its end first. The first reason counts."""
        with self._lock:
            self._why = self._why or why
        self.output.release()
        while True:
            with contextlib.suppress(queue.Full):
                self._keys.put_nowait(None)
                return
            with contextlib.suppress(queue.Empty):  # keys that will not be typed any more
                self._keys.get_nowait()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _put(self, keys: Keys) -> None:
        try:
            self._keys.put_nowait(keys)
        except queue.Full:
            raise Refused("the host does not take what is typed at the moment") from None

    def _run(self) -> None:
        """The thread that reads, from the first call of the host to the entry in the audit trail."""
        said = ""
        try:
            said = self._converse()
        except EngineError as error:
            said = _sentence(error, self._asked)
        except Exception:
            _logger.exception("terminal in %s", self.target)
            said = "it failed: the log of the web process says why"
        finally:
            self._finish(self._why or said)

    def _converse(self) -> str:
        """Why it ended, as far as it was not ended from here."""
        assert self._row.node is not None
        asked = self._asked
        with contextlib.closing(engine_of(self._row.node)) as engine:
            terminal = engine.terminal(self._container, asked.command, columns=asked.columns, rows=asked.rows)
            name = f"{self._thread.name} keys"
            typing = threading.Thread(target=self._type, args=(terminal,), name=name, daemon=True)
            typing.start()
            try:
                self.output.begin()
                self._read(terminal)
                return "" if self._why else _how_it_ended(terminal)
            finally:
                self._keys_end(typing)

    def _keys_end(self, typing: threading.Thread) -> None:
        """Before the engine goes: hanging up takes it."""
        self.end("")
        typing.join()

    def _read(self, terminal: Terminal) -> None:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        while piece := terminal.read():
            if text := decode(piece):
                self.output.put(text)

    def _type(self, terminal: Terminal) -> None:
        """The thread that types, sets the size, and hangs up."""
        try:
            while (keys := self._keys.get()) is not None:
                data, size = keys
                if data:
                    terminal.write(data)
                if size:
                    terminal.resize(*size)
        except EngineError as error:
            self.end(error.sentence)
        finally:
            terminal.close()

    def _finish(self, why: str) -> None:
        now = time.monotonic()
        lasted, typed = now - self.opened_at, self._typed_bytes
        try:
            detail = f"{self.what}; {lasted:.0f} s, {typed} bytes typed; {why}"
            record(self.holder.actor, "terminal close", self.target, detail)
        except Exception:
            _logger.exception("the end of a terminal in %s after %.0f s is in no audit trail", self.target, lasted)
        finally:
            connection.close()
            self.ended_at = now
            self.output.end(why)


class Terminals:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Opened] = {}
        self._mark = secrets.token_hex(4)
        self._keeps = False

    def open(self, row: Pod, asked: Asked, holder: Holder, now: float) -> Opened:
        """Nothing is asked of a host here. The entry in the audit trail comes first: without it no terminal."""
        opened = Opened(f"{self._mark}-{secrets.token_urlsafe(16)}", row, asked, holder, now)
        with self._lock:
            self._refuse_more(holder)
            self._known[opened.key] = opened
        try:
            record(holder.actor, "terminal open", opened.target, opened.what)
            opened.start()
        except BaseException:
            self._known.pop(opened.key)
            raise
        self._keep()
        return opened

    def find(self, key: str, person: int, session: str) -> Opened:
        """Only for who opened it, from where they opened it."""
        found = self._known.get(key)
        if found is not None and (found.holder.person, found.holder.session) == (person, session):
            return found
        if key.partition("-")[0] == self._mark:
            raise Refused("this terminal has ended")
        raise Refused(
            "this process of Pierhead does not know this terminal: the one that held it was started anew, or there are "
            "several web processes and this request was led to another one: let the proxy lead all requests of a "
            "browser to the same process"
        )

    def look(self, now: float) -> None:
        """End what is to end, forget what has ended."""
        for one in list(self._known.values()):
            if one.ended_at is None:
                if why := _why_to_end(one, now):
                    one.end(why)
            elif now - one.ended_at > ALONE_SECONDS:
                self._known.pop(one.key, None)

    def end_all(self, why: str) -> None:
        until = time.monotonic() + ENDING_SECONDS
        running = [one for one in self._known.values() if one.ended_at is None]
        for one in running:
            one.end(why)
        for one in running:
            one.wait(max(0.0, until - time.monotonic()))

    def _refuse_more(self, holder: Holder) -> None:
        running = [one for one in self._known.values() if one.ended_at is None]
        own = sum(one.holder.person == holder.person for one in running)
        if own >= PERSON:
            raise Refused(f"{own} terminals of yours are open, which is the most: close one of them")
        if len(running) >= PROCESS:
            raise Refused(f"{len(running)} terminals are open in this process of Pierhead, the most it has: try later")

    def _keep(self) -> None:
        with self._lock:
            first, self._keeps = not self._keeps, True
        if first:
            atexit.register(self.end_all, "Pierhead was stopped")
            threading.Thread(target=self._looks, name="terminals", daemon=True).start()

    def _looks(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self.look(time.monotonic())
            except Exception:
                _logger.exception("terminals")
            finally:
                connection.close()


terminals = Terminals()


def _container(row: Pod, asked: Asked) -> str:
    found = container_id(row, asked.container, "to open a terminal in")
    if row.node is not None and not row.node.ready:
        raise Refused(f"node {row.node.name} does not answer, so no terminal can be opened in {row.name} now")
    return found


def _why_to_end(one: Opened, now: float) -> str:
    if now - one.typed_at >= IDLE_SECONDS:
        return f"nothing was typed for {IDLE_SECONDS / 60:.0f} minutes"
    left_at = one.output.left_at
    if left_at is not None and now - left_at >= ALONE_SECONDS:
        return "its page was closed"
    try:
        return "" if one.holder.may_go_on() else "the session has ended, or the role was taken away"
    except Exception:
        _logger.exception("terminal in %s", one.target)
        return "whether it may go on could not be found out"


def _how_it_ended(terminal: Terminal) -> str:
    code = terminal.exit_code()
    return "the program has ended" if code is None else f"the program has ended with exit code {code}"


def _sentence(error: EngineError, asked: Asked) -> str:
    if error.reason != "CommandNotFound":
        return error.sentence
    return f"{asked.command[0]} is not in the container's image, or cannot be run there: try another command"
