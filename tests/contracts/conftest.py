"""The engines of the contract suite, each started once and left empty by every test; and routers with a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployer.adapters.docker_address import EngineAddress
from deployer.core.network.values import Identity
from tests.contracts.bench import Bench, docker_bench, simulated_bench
from tests.contracts.loopback import needs_haproxy, scratch
from tests.contracts.mesh_certificates import MeshAuthority
from tests.contracts.split_town import Town, raised
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


@pytest.fixture(scope="module")
def identity() -> Identity:
    return MeshAuthority().identity("uid-a")


@pytest.fixture
def folder() -> Iterator[Path]:
    needs_haproxy()
    with scratch() as found:
        yield found


@pytest.fixture
def raise_town(folder: Path, identity: Identity) -> Iterator[Callable[..., Town]]:
    with ExitStack() as stack:
        yield lambda first, *things, **more: raised(stack, folder, identity, first, *things, **more)
