"""Several workers that load routes at one time give nothing out twice, and make one authority."""

from __future__ import annotations

import threading

import pytest
from django.db import connections

from control.models import Node, PodNetwork
from control.store.routing import RouteRows
from deployer.adapters import authority
from deployer.core.network.routing import Routed
from tests.control import factories
from tests.control.factories import NOW

ROUTES = RouteRows(authority)


def loaded_side_by_side(nodes: list[Node]) -> dict[str, Routed]:
    gate, loaded = threading.Barrier(len(nodes)), dict[str, Routed]()

    def work(row: Node) -> None:
        try:
            gate.wait()
            found = ROUTES.load(row.uid, NOW)
            assert found is not None
            loaded[row.uid] = found
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(row,)) for row in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loaded


@pytest.mark.django_db(transaction=True)
def test_workers_that_load_at_one_time_give_nothing_out_twice() -> None:
    nodes = [factories.node(f"n{number}") for number in range(4)]
    for number, row in enumerate(nodes):
        factories.service(f"web-{number}")
        for namespace in ("shop", f"own-{number}"):
            factories.pod(namespace=namespace, node=row)
    loaded = loaded_side_by_side(nodes)
    assert loaded.keys() == {row.uid for row in nodes}
    assert len({one.cluster.identity.authority for one in loaded.values()}) == 1
    assert sorted(PodNetwork.objects.values_list("index", flat=True)) == [1, 2, 3, 4, 5]
    for one in loaded.values():
        assert sorted(service.index for service in one.cluster.services) == [1, 2, 3, 4]
