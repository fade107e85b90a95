"""An engine that does not answer costs its callers a timeout twice, and then nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployer.adapters.breaker import CALLS, LONGEST_SECONDS, Breaker
from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.ports import Engine, EngineError, EngineUnreachable
from tests.contracts.test_docker_wire import Server, serving


class Clock:
    at = 100.0

    def __call__(self) -> float:
        return self.at


def opened(clock: Clock) -> Breaker:
    made = Breaker(clock)
    for _ in range(CALLS):
        made.failed("no answer within 10 s")
    return made


def test_failures_in_a_row_open_it_and_any_answer_closes_it() -> None:
    breaker = Breaker(Clock())
    for _ in range(3 * CALLS):
        breaker.failed("no answer")
        breaker.answered()
        assert not breaker.is_open
    assert opened(Clock()).is_open


def test_one_caller_tries_when_the_pause_is_over() -> None:
    clock = Clock()
    breaker = opened(clock)
    assert not breaker.may_try()
    clock.at += 1
    assert [breaker.may_try() for _ in range(3)] == [True, False, False]


def test_pauses_grow_to_a_limit() -> None:
    clock, pauses = Clock(), []
    breaker = opened(clock)
    for _ in range(7):
        pauses.append(breaker.reopens_at - clock.at)
        clock.at = breaker.reopens_at
        assert breaker.may_try()
        breaker.failed("no answer")
    assert pauses == [1, 2, 4, 8, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


def test_what_it_says() -> None:
    assert opened(Clock()).refusal() == (
        "is not asked for 1 s: 2 calls in a row had no answer (the last: no answer within 10 s)"
    )


@contextmanager
def hanging() -> Iterator[tuple[Engine, list[socket.socket]]]:
    """An engine that accepts connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    held.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept)
        thread.start()
        address = EngineAddress(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        engine = open_engine(address, "c1", run_dir=Path("/nonexistent"), timeout_seconds=0.2)
        try:
            yield engine, held
        finally:
            engine.close()
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join()
            for one in held:
                one.close()


def test_an_engine_that_accepts_and_answers_nothing_is_asked_twice_by_a_hundred() -> None:
    with hanging() as (engine, held):
        for _ in range(CALLS):
            with pytest.raises(EngineUnreachable, match="no answer within"):
                engine.containers()
        with ThreadPoolExecutor(20) as pool:
            said = list(pool.map(lambda _: _sentence(engine), range(100)))
        assert all("is not asked for" in one for one in said)
        assert len(held) == CALLS


def test_an_error_of_the_engine_is_an_answer() -> None:
    with serving({"containers/json": (500, {"message": "disk I/O error"})}) as (server, engine):
        for _ in range(10):
            with pytest.raises(EngineError, match="disk I/O error"):
                engine.containers()
        assert len([path for path in server.asked if path != "/_ping"]) == 10


def test_a_heartbeat_that_is_answered_closes_it() -> None:
    with serving({"containers/json": (200, [])}) as (server, engine):
        _fail(server, engine)
        with pytest.raises(EngineUnreachable, match="is not asked"):
            engine.containers()
        engine.ping()
        assert engine.containers() == []


def _fail(server: Server, engine: Engine) -> None:
    """As an engine that takes requests and hangs up on all of them."""
    server.answers_per_connection = 0
    for _ in range(CALLS):
        with pytest.raises(EngineUnreachable):
            engine.containers()
    server.answers_per_connection = 1000


def _sentence(engine: Engine) -> str:
    with pytest.raises(EngineUnreachable) as raised:
        engine.containers()
    return raised.value.sentence
