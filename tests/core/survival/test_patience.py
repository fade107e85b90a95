"""How long a pod waits for a dead host: Kubernetes' tolerations, and what ties a pod to its host."""

from __future__ import annotations

import pytest
from pytest import param

from deployer.core.objects.pod import PodSpec
from deployer.core.survival.patience import FOR_EVER, patience_seconds, tie

KEY = "node.kubernetes.io/unreachable"
HOST_PATH = {"volumes": [{"name": "data", "hostPath": {"path": "/srv/data"}}]}


def spec(*tolerations: dict[str, object], **more: object) -> PodSpec:
    containers = [{"name": "web", "image": "web"}]
    return PodSpec.model_validate({"containers": containers, "tolerations": list(tolerations), **more})


def tolerates(seconds: int | None = None, **more: object) -> dict[str, object]:
    found: dict[str, object] = {"key": KEY, "operator": "Exists", "effect": "NoExecute", **more}
    return found if seconds is None else {**found, "tolerationSeconds": seconds}


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        param([], 0, id="none: at once, two witnesses were heard"),
        param([tolerates(300)], 300, id="what Kubernetes adds by itself"),
        param([tolerates()], FOR_EVER, id="without seconds"),
        param([tolerates(300), tolerates(20)], 300, id="of several that match the first one counts"),
        param([tolerates(), tolerates(20)], FOR_EVER, id="the first one, without a limit"),
        param([tolerates(-5)], 0, id="less than nothing"),
        param([tolerates(300, key="node.kubernetes.io/not-ready")], 0, id="another taint"),
        param([tolerates(effect="NoSchedule")], 0, id="another effect"),
        param([{"operator": "Exists"}], FOR_EVER, id="whatever happens"),
        param([{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9}], 9, id="any key"),
    ],
)
def test_tolerations(tolerations: list[dict[str, object]], seconds: float) -> None:
    assert patience_seconds(spec(*tolerations)) == seconds


@pytest.mark.parametrize(
    ("more", "tolerations", "seconds", "words"),
    [
        param(HOST_PATH, [], FOR_EVER, "its volume /srv/data stays there", id="a volume of the host"),
        param(HOST_PATH, [tolerates(30)], 30, "its volume /srv/data stays there", id="the manifest lets it go"),
        param({"nodeName": "b"}, [], FOR_EVER, "its nodeName is b", id="nobody else may have it"),
        param({"volumes": [{"name": "tmp", "emptyDir": {}}]}, [], 0, "", id="an emptyDir ends with its pod anyway"),
    ],
)
def test_what_ties_a_pod_to_its_host(
    more: dict[str, object], tolerations: list[dict[str, object]], seconds: float, words: str
) -> None:
    found = spec(*tolerations, **more)
    assert (patience_seconds(found), tie(found)) == (seconds, words)
