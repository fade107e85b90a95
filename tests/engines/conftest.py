"""Real hosts for the tests of this folder: started once, side by side, for the whole run."""

from collections.abc import Iterator

import pytest

from tests.engines import images
from tests.engines.hosts import Hosts
from tests.engines.hosts import hosts as start_hosts
from tests.engines.router_image import router
from tests.engines.servers import Registry
from tests.engines.servers import registry as start_registry


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    """Three engines with the router's image, test/busybox:1, test/web:1 and test/web:2.

    A test leaves them all on and connected.
    """
    with start_hosts(3) as three:
        for archive in (router(), images.busybox(), images.web("test/web:1"), images.web("test/web:2")):
            three.load(archive)
        yield three


@pytest.fixture(scope="session")
def registry(hosts: Hosts) -> Iterator[Registry]:
    with start_registry(hosts) as server:
        yield server
