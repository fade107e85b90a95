"""Real hosts for the tests of this folder, and one control plane on them: started once, for the whole run.

A new story asks for `plane`, or for `open_shop`, which gives it a namespace of its own there:

    def test_a_push_runs(open_shop: OpenShop) -> None:
        shop = open_shop(deployment("web"), service("web"))

It may kill the control plane or a host, as long as it leaves them all on, connected and registered; such stories are
in files of KILLS in tests/__main__.py, which run on hosts of their own beside the others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import images
from tests.engines.control_plane import ControlPlane, control_plane
from tests.engines.hosts import Hosts
from tests.engines.hosts import hosts as start_hosts
from tests.engines.router_image import router, server
from tests.engines.servers import Registry
from tests.engines.servers import registry as start_registry
from tests.engines.shop import OpenShop, Shop, all_are_gone, shop_on


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of here that need hosts with nothing on them come first: a control plane has a router on each."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent == here and "plane" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    """Three engines, the last one with a small disk, with the router's image, test/busybox:1, and test/web and
    test/server with the tags 1 and 2.

    A test leaves them all on and connected, with these images.
    """
    with start_hosts(3, small_disks=1) as three:
        three.load(router(), images.busybox())
        three.load(*(image(f"test/{name}:{tag}") for name, image in _IMAGES.items() for tag in ("1", "2")))
        yield three


_IMAGES = {"web": images.web, "server": server}


@pytest.fixture(scope="session")
def registry(hosts: Hosts) -> Iterator[Registry]:
    with start_registry(hosts) as server:
        yield server


@pytest.fixture(scope="session")
def plane(hosts: Hosts) -> Iterator[ControlPlane]:
    """`manage.py up` with the three hosts registered, for all stories; see above for what each leaves behind.

    At the end, nothing of any application may be left on the hosts.
    """
    with control_plane() as made:
        for host in hosts:
            made.add(host)
        yield made
        all_are_gone(hosts)


@pytest.fixture
def open_shop(plane: ControlPlane, hosts: Hosts, tmp_path: Path) -> Iterator[OpenShop]:
    """Call it with manifests: a Shop in which they run. It is removed after the test, while the next one begins."""
    with contextlib.ExitStack() as opened:

        def open_one(*documents: str) -> Shop:
            folder = tmp_path / f"shop{len(list(tmp_path.glob('shop*')))}"
            folder.mkdir()
            return opened.enter_context(shop_on(plane, hosts, folder, *documents))

        yield open_one
