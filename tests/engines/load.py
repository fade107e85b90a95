"""A load generator that counts every failure: keep-alive clients that GET and POST, inside a pod's network.

    with load(host, container, "10.208.24.3:80") as running:
        ...                      # roll, drain, kill
    running.result.failed

Runs as a process of its own (this file) in the network namespace of a container, so that it stands where a pod stands.
A request fails when no answer comes, when it is cut short, or when its status is 500 and above. A connection that the
other side closed between two requests is opened again without counting: HTTP allows that, and a client must cope.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.engines.hosts import Host

LATE_SECONDS = 5.0


@dataclass
class Result:
    """What came of a run. `failures` counts by kind; `first` and `last` are when, in seconds from the start.

    `seen`: when each answer came last, in seconds since the epoch.
    """

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    first: float = 0
    last: float = 0
    seen: dict[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return sum(self.failures.values())


@dataclass
class Running:
    process: subprocess.Popen[str]
    result: Result = field(default_factory=Result)

    def wait(self, seconds: float = 120) -> Result:
        """Until it has sent all that it was to send."""
        self.process.wait(timeout=seconds)
        return self.stop()

    def stop(self) -> Result:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        assert self.process.stdout is not None
        if self.process.stdout.closed:
            return self.result
        with self.process.stdout as answer:
            said = answer.read()
        self.process.wait(timeout=20)
        found = json.loads(said)
        self.result.sent, self.result.first, self.result.last = found["sent"], found["first"], found["last"]
        self.result.answers, self.result.failures = Counter(found["answers"]), Counter(found["failures"])
        self.result.seen = found["seen"]
        return self.result


@contextlib.contextmanager
def load(
    host: Host,
    container: str,
    target: str,
    *,
    clients: int = 8,
    pause: float = 0.015,
    post: bool = True,
    requests: int = 0,
) -> Iterator[Running]:
    """`clients` keep-alive connections from inside `container`'s network to `target` (address:port), until the end.

    Each rests for `pause` seconds between two requests: some 400 a second in all. Without it, this process and the
    routers would take the machine for themselves. `requests`: after so many it ends by itself (0: never);
    `running.wait()` waits for it.
    """
    pid = host.docker("inspect", "-f", "{{.State.Pid}}", container)
    command = ["nsenter", "-t", pid, "-n", "--", sys.executable, str(Path(__file__).resolve())]
    options = [target, str(clients), str(pause), "post" if post else "get", str(requests)]
    process = subprocess.Popen(
        [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).resolve().parents[2], env={"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )  # fmt: skip
    running = Running(process)
    try:
        yield running
        running.stop()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


class Client:
    """One keep-alive connection; opens itself again after it was closed."""

    def __init__(self, host: str, port: int, tally: Result, began: float) -> None:
        self.host, self.port, self.tally, self.began = host, port, tally, began
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def request(self, method: str) -> None:
        self.tally.sent += 1
        try:
            async with asyncio.timeout(LATE_SECONDS):
                status, body = await self._exchange(method)
        except TimeoutError:
            self._failed("no answer in time")
        except (OSError, asyncio.IncompleteReadError, ValueError, IndexError) as error:
            self._failed(type(error).__name__)
        else:
            if status >= 500:
                self._failed(str(status))
            else:
                self.tally.answers[body] += 1
                self.tally.seen[body] = time.time()

    async def _exchange(self, method: str) -> tuple[int, str]:
        if self.writer is None or self.reader is None or self.reader.at_eof() or self.writer.is_closing():
            self.close()
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        body = b"x" * 64 if method == "POST" else b""
        head = f"{method} / HTTP/1.1\r\nHost: load\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        self.writer.write(head + body)
        await self.writer.drain()
        top = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(top.split(" ", 2)[1])
        length = int(top.split("content-length:")[1].split("\r\n")[0])
        content = await self.reader.readexactly(length)
        if "connection: close" in top:
            self.close()
        return status, content.decode(errors="replace").strip()

    def _failed(self, kind: str) -> None:
        at = time.monotonic() - self.began
        self.tally.failures[kind] += 1
        self.tally.first, self.tally.last = self.tally.first or at, at
        self.close()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


async def _run(target: str, clients: int, pause: float, post: bool, most: int) -> Result:
    address, _, port = target.rpartition(":")
    tally, began, ended = Result(), time.monotonic(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), ended.set)

    async def one(number: int) -> None:
        client, turn = Client(address, int(port), tally, began), number
        while not ended.is_set() and (not most or tally.sent < most):
            await client.request("POST" if post and turn % 4 == 0 else "GET")
            turn += 1
            await asyncio.sleep(pause)
        client.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    return tally


def main() -> None:
    target, clients, pause, kind, most = sys.argv[1:6]
    tally = asyncio.run(_run(target, int(clients), float(pause), kind == "post", int(most)))
    found = {"sent": tally.sent, "answers": tally.answers, "failures": tally.failures, "seen": tally.seen}
    print(json.dumps({**found, "first": tally.first, "last": tally.last}))


if __name__ == "__main__":
    main()
