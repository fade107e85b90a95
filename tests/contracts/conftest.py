"""The engines of the contract suite, each started once for the run and left empty by every test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployer.adapters.docker_address import EngineAddress
from tests.contracts.bench import Bench, docker_bench, simulated_bench
from tests.engines.hosts import Hosts
from tests.engines.hosts import hosts as start_hosts
from tests.engines.servers import Registry
from tests.engines.servers import registry as start_registry

_REAL = pytest.mark.engines


@pytest.fixture(scope="session")
def one_host() -> Iterator[tuple[Hosts, Registry]]:
    with start_hosts(1) as one, start_registry(one) as registry:
        yield one, registry


@pytest.fixture(
    scope="session", params=["simulated", pytest.param("socket", marks=_REAL), pytest.param("tls", marks=_REAL)]
)
def shared_bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    run_dir = Path(tmp_path_factory.mktemp("run"))
    with ExitStack() as stack:
        if request.param == "simulated":
            yield stack.enter_context(simulated_bench(run_dir))
            return
        one, registry = request.getfixturevalue("one_host")
        by_socket = EngineAddress(f"unix://{one[0].socket}")
        address = by_socket if request.param == "socket" else one[0].engine_address
        yield stack.enter_context(docker_bench(one[0], address, registry, run_dir))


@pytest.fixture
def bench(shared_bench: Bench) -> Iterator[Bench]:
    yield shared_bench
    shared_bench.clean()
