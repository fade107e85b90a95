"""Which kinds can be read, and what people may call them: kubectl's names, plurals and short names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from control import models


class NotFound(Exception):
    """What was asked for is not there. `sentence` says what, and where it is or what there is instead."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Kind:
    """`group` is the API group as kubectl prints it behind the singular: deployment.apps/web.

    `where` says which rows of a table are of the kind; `namespace` is where theirs stands.
    """

    name: str
    model: type[Any]
    plural: str
    short: tuple[str, ...] = ()
    api_version: str = "v1"
    namespaced: bool = True
    in_all: bool = False
    where: tuple[tuple[str, str], ...] = ()
    namespace: str = "namespace"

    @property
    def singular(self) -> str:
        return self.name.lower()

    @property
    def prefix(self) -> str:
        """What `-o name` and `get all` write before a name."""
        group = self.api_version.partition("/")[0] if "/" in self.api_version else ""
        return f"{self.singular}.{group}" if group else self.singular


def _of(workload: str) -> tuple[tuple[str, str], ...]:
    """Deployments and Rollouts share a table."""
    return (("workload", workload),)


ARGO = "argoproj.io/v1alpha1"
KINDS = (
    Kind("Pod", models.Pod, "pods", ("po",), in_all=True),
    Kind("Service", models.Service, "services", ("svc",), in_all=True),
    Kind("Endpoints", models.Service, "endpoints", ("ep",)),
    Kind("Ingress", models.Ingress, "ingresses", ("ing",), "networking.k8s.io/v1"),
    Kind("NetworkPolicy", models.NetworkPolicy, "networkpolicies", ("netpol",), "networking.k8s.io/v1"),
    Kind("PodDisruptionBudget", models.PodDisruptionBudget, "poddisruptionbudgets", ("pdb",), "policy/v1"),
    Kind("Deployment", models.Deployment, "deployments", ("deploy",), "apps/v1", in_all=True, where=_of("Deployment")),
    Kind("Rollout", models.Deployment, "rollouts", ("ro",), ARGO, in_all=True, where=_of("Rollout")),
    Kind("AnalysisTemplate", models.AnalysisTemplate, "analysistemplates", ("at",), ARGO),
    Kind("AnalysisRun", models.AnalysisRun, "analysisruns", ("ar",), ARGO, namespace="deployment__namespace"),
    Kind("ReplicaSet", models.ReplicaSet, "replicasets", ("rs",), "apps/v1", in_all=True),
    Kind("ConfigMap", models.ConfigMap, "configmaps", ("cm",)),
    Kind("Secret", models.Secret, "secrets"),
    Kind("Event", models.Event, "events", ("ev",)),
    Kind("Namespace", models.Namespace, "namespaces", ("ns",), namespaced=False),
    Kind("Node", models.Node, "nodes", ("no",), namespaced=False),
    Kind("Application", models.Application, "applications", ("app", "apps"), "pierhead.io/v1", namespaced=False),
    Kind("Repository", models.Repository, "repositories", ("repo", "repos"), "pierhead.io/v1", namespaced=False),
    Kind("Sync", models.Sync, "syncs", (), "pierhead.io/v1", namespaced=False),
)
BY_NAME = {kind.name: kind for kind in KINDS}
ALL = "all"


def find_kinds(words: str) -> list[Kind]:
    """The kinds that `pods`, `deploy,svc` or `all` mean. Raises NotFound with the words that there are."""
    found: list[Kind] = []
    for word in words.split(","):
        found += [kind for kind in KINDS if kind.in_all] if word == ALL else [find_kind(word)]
    return list(dict.fromkeys(found))


def find_kind(word: str) -> Kind:
    wanted = word.lower().partition(".")[0]
    for kind in KINDS:
        if wanted in (kind.singular, kind.plural, *kind.short):
            return kind
    known = ", ".join(kind.plural for kind in KINDS)
    raise NotFound(f"there is no kind {word!r}; there are {known}, all")
