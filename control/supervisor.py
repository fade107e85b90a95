"""`up`: everything that Pierhead is, as the children of one small process.

The story is `Supervisor.run`: claim the data folder and the port, start the broker and the nursery that the others are
forked from, prepare the database, start web, worker and watch, say that they are ready, start again what dies, and end
them all when asked to.

This process uses the standard library alone (Django would triple its memory), sleeps until a signal or a child's output
wakes it, and holds the listening socket, so that pages wait rather than fail while web starts again.
"""

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

from control import broker, data, lifeline, nursery, prepared, pulse
from control.child import Child, Log, reap_strangers
from control.probe import Probe
from control.wakeups import Wakeups

DESCRIPTION = "Runs all of Pierhead on this machine: pages, worker, event streams; a broker unless REDIS_URL is set."
MANAGE = str(data.HOME / "manage.py")
BROKER, NURSERY = "broker", "nursery"
START_SECONDS = 60.0
LAST_PORT = 65535
STARTS_BEFORE_GIVING_UP = 3
POLL_SECONDS = 0.05  # only while starting and ending


class StartError(Exception):
    """Pierhead cannot start; says why and what to do."""


class Stop(Exception):
    """Someone asked `up` to end."""


def main(arguments: list[str]) -> int:
    """Exit code 0 when it was asked to end, 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="manage.py up", description=DESCRIPTION)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        return Supervisor(options, data.folder(os.environ)).run()
    except (data.DataError, StartError, OSError) as error:
        sys.stderr.write(f"pierhead: {error}\n")
        return 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `up`, for its own parser and for `manage.py help up`."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to serve pages on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="the port to serve pages on, 0 for any (%(default)s)")
    parser.add_argument("--data", metavar="DIR", help="the data folder (PIERHEAD_DATA, or .pierhead beside manage.py)")
    parser.add_argument("--simulate", type=int, default=0, metavar="N", help="register N simulated hosts")
    parser.add_argument("--verbose", action="store_true", help="show here what goes to the logs")


class Supervisor:
    """The parent of every process of one installation."""

    def __init__(self, options: argparse.Namespace, data_dir: Path) -> None:
        self._options = options
        self._data_dir = data_dir
        self._wakeups = Wakeups()
        self._children: list[Child] = []
        self._passing: list[Child] = []  # those that are not started again
        self._nursery: nursery.Nursery | None = None
        self._ready = False
        self._disk_failure = ""
        # Nobody ever writes to it: that its writing end is open says that `up` lives. See control/lifeline.py.
        self._lifeline, self._alive = os.pipe()

    def run(self) -> int:
        self._wakeups.hear_signals()
        claim = data.Claim(self._data_dir)
        try:
            with listen(self._options.host, self._options.port) as listener:
                self._run_on(listener)
        except Stop:
            return 0
        finally:
            self._end()
            claim.release()

    def _run_on(self, listener: socket.socket) -> NoReturn:
        self._environment = environment(os.environ, self._data_dir, self._options.host)
        self._listener = listener.fileno()
        if nursery.adopt():
            self._add_nursery()
        self._start_broker()
        self._await_nursery()
        self._prepare()
        self._start_processes()
        self._await_ready(listener)
        say(f"Pierhead is ready at {url(listener)}")
        while True:
            self._wait(self._seconds_to_next_start())

    def _start_broker(self) -> None:
        if os.environ.get("REDIS_URL"):
            return
        path = broker.socket_path(self._data_dir)
        data.private_folder(path.parent)
        path.unlink(missing_ok=True)
        self._add(BROKER, ["-m", "control.broker", str(path)])
        self._wait_until(partial(broker.listens, path), "The embedded broker does not answer")

    def _prepare(self) -> None:
        """Migrations and first registrations, by a process that goes away again with all that it has loaded."""
        if prepared.holds(self._data_dir, self._mark()):
            return
        command = self._completed([MANAGE, "prepare", "--simulate", str(self._options.simulate)])
        child = Child("prepare", command, self._environment, [self._lifeline], log=None)
        child.start(self._nursery)
        self._passing.append(child)
        try:
            while (how := child.ended()) is None:
                self._wait(POLL_SECONDS)
        finally:
            child.kill()
        if child.exit_code:
            raise StartError(f"The database and the hosts could not be prepared ({how}); the reason is above.")

    def _mark(self) -> str:
        return prepared.mark(self._data_dir, os.environ, self._options.simulate)

    def _await_nursery(self) -> None:
        """One that ends instead of being ready leaves it to the processes to say what is wrong."""
        self._wait_until(
            lambda: self._nursery is None or self._nursery.ready, "The nursery, which loads Pierhead, is not ready"
        )

    def _start_processes(self) -> None:
        for name in ("worker", "watch"):
            pulse.forget(self._data_dir, name)
        self._add("web", [MANAGE, "run", "web", "--listener", str(self._listener)], [self._listener])
        self._add("worker", [MANAGE, "run", "worker", "--beat"])
        self._add("watch", [MANAGE, "run", "watch"])

    def _await_ready(self, listener: socket.socket) -> None:
        probe = Probe(reachable(listener), listener.family, self._wakeups)
        try:
            self._wait_until(probe.answered, "The pages do not answer")
        finally:
            probe.close()
        for name in ("worker", "watch"):
            self._wait_until(partial(pulse.heard, self._data_dir, name), f"The {name} does not answer")
        self._ready = True

    def _add(self, name: str, command: list[str], descriptors: list[int] | None = None) -> None:
        log = Log(self._data_dir / "logs" / f"{name}.log")
        words = self._completed(command)
        child = Child(name, words, self._environment, [self._lifeline, *(descriptors or [])], log)
        self._children.append(child)
        self._launch(child)

    def _add_nursery(self) -> None:
        child = Child(NURSERY, [], self._environment, [], Log(self._data_dir / "logs" / f"{NURSERY}.log"))
        self._children.append(child)
        self._launch(child)

    def _launch(self, child: Child) -> None:
        made = self._renewed(child) if child.name == NURSERY else None
        forks = child.command[0] == MANAGE and made is None  # what it has loaded is Pierhead, and not the broker
        output = child.start(self._nursery if forks else None)
        if output is not None:
            self._wakeups.listen(output, partial(self._pump, output, child))
        if made is not None:
            made.theirs.close()
        elif self._nursery is not None and self._nursery.lost:
            self._end_nursery()

    def _end_nursery(self) -> None:
        """One that hangs answers nobody any more; when it has ended, it is started again like any other."""
        for child in self._children:
            if child.name == NURSERY:
                child.ask_to_end(signal.SIGKILL)

    def _renewed(self, child: Child) -> nursery.Nursery:
        """A nursery that was started again is asked on a new channel."""
        if self._nursery is not None:
            self._nursery.close()
        self._nursery = made = nursery.Nursery()
        shared = [self._listener]
        child.command = self._completed(
            [MANAGE, "run", "--nursery", str(made.theirs.fileno()), "--shared", *map(str, shared)]
        )
        child.descriptors = [self._lifeline, made.theirs.fileno(), *shared]
        self._wakeups.listen(made.descriptor, partial(self._hear, made))
        return made

    def _hear(self, made: nursery.Nursery) -> None:
        """It says one thing of itself; after that it answers when it is asked."""
        made.hear()
        self._wakeups.forget(made.descriptor)
        if not made.ready:
            made.close()
            self._nursery = None if self._nursery is made else self._nursery

    def _completed(self, command: list[str]) -> list[str]:
        return [*command, "--lifeline", str(self._lifeline)]

    def _pump(self, output: int, child: Child) -> None:
        lines = child.pump(output)
        if lines is None:
            self._wakeups.forget(output)
            os.close(output)
            return
        self._tell_of_disk(child.log.failure if child.log else "")
        if self._options.verbose:
            for line in lines:
                say(f"{child.name:>6} | {line}")

    def _tell_of_disk(self, failure: str) -> None:
        """Once, not for every line that is lost."""
        if failure and not self._disk_failure:
            say(f"{self._data_dir} cannot be written ({failure}): nothing new is started until there is room again")
        elif self._disk_failure and not failure:
            say(f"{self._data_dir} can be written again")
        self._disk_failure = failure

    def _wait(self, timeout_seconds: float | None) -> None:
        """Sleeps until something happens; starts again what has died. Raises Stop and StartError."""
        self._wakeups.wait(timeout_seconds)
        if self._wakeups.stop_requests:
            raise Stop
        for child in self._children:
            if how := child.ended():
                self._on_ended(child, how)
            if child.is_due():
                self._launch(child)
        reap_strangers({child.pid for child in [*self._children, *self._passing] if child.pid})

    def _wait_until(self, condition: Callable[[], bool], failure: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise StartError(f"{failure} after {START_SECONDS:.0f} s; see the logs in {self._data_dir / 'logs'}.")
            self._wait(POLL_SECONDS)

    def _on_ended(self, child: Child, how: str) -> None:
        if child.name == NURSERY and not self._ready:
            return  # what keeps it from loading keeps others as well, and they say it to the person who waits
        log = child.log.path if child.log else ""
        if not self._ready and child.failures >= STARTS_BEFORE_GIVING_UP:
            raise StartError(f"{child.name} does not start ({how}): {child.last_words()}. Its log: {log}")
        say(f"{child.name} ended ({how}): starting it again in {child.seconds_to_start():.1f} s. Its log: {log}")

    def _seconds_to_next_start(self) -> float | None:
        return min((child.seconds_to_start() for child in self._children if not child.running), default=None)

    def _end(self) -> None:
        """SIGTERM, then SIGKILL when the grace period or someone's patience ends; the broker last: others need it."""
        working = [child for child in self._children if child.name != BROKER]
        for child in working:
            child.ask_to_end()
        patience = max(1, self._wakeups.stop_requests)
        deadline = time.monotonic() + lifeline.GRACE_SECONDS
        while any(child.running and not child.ended() for child in working):
            if time.monotonic() > deadline or self._wakeups.stop_requests > patience:
                break
            self._wakeups.wait(POLL_SECONDS)
        for child in [*working, *self._children]:
            child.kill()


def environment(inherited: Mapping[str, str], data_dir: Path, host: str) -> dict[str, str]:
    """What every child sees: this installation, this Python, and few memory arenas."""
    names = [name for name in (inherited.get("PIERHEAD_ALLOWED_HOSTS", ""), _name_of(host)) if name]
    return {
        **inherited,
        "PIERHEAD_DATA": str(data_dir),
        "PIERHEAD_ALLOWED_HOSTS": ",".join(names),
        "PIERHEAD_NO_BOOTSTRAP": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(data.HOME), inherited.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": inherited.get("MALLOC_ARENA_MAX", "2"),
    }


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises StartError when the address is taken or not this machine's."""
    if not 0 <= port <= LAST_PORT:
        raise StartError(f"Port {port} does not exist: choose one from 1 to {LAST_PORT} with --port.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=1024)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StartError(f"Port {port} on {host} cannot be used: {reason}. Choose another with --port.") from error


def reachable(listener: socket.socket) -> tuple[str, int]:
    """Where this machine reaches the listener, also when it listens on every address."""
    host, port = listener.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - compared, not bound


def url(listener: socket.socket) -> str:
    host, port = reachable(listener)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def say(sentence: str) -> None:
    """To the person who started it; their terminal may be gone."""
    try:
        sys.stdout.write(sentence + "\n")
        sys.stdout.flush()
    except OSError:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process


def _name_of(host: str) -> str:
    """`host` as a browser sends it; nothing when it stands for every address."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return ""
    return f"[{host}]" if ":" in host else host
