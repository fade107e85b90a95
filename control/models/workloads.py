"""Deployments and Rollouts, and the replica sets that Pierhead makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

from control.models.base import KubernetesObject
from control.models.sealed import SealedField
from deployer.core.canary.kept import has_strategy

ROLLOUT_API = "argoproj.io/v1alpha1"


class _Word:
    """`kind` and `api_version` of a Deployment's row: an Argo Rollout is one too."""

    def __init__(self, of_deployment: str, of_rollout: str) -> None:
        self._words = of_deployment, of_rollout

    def __get__(self, row: Deployment | None, owner: type[Deployment]) -> str:
        return self._words[row is not None and row.workload == "Rollout"]


class Deployment(KubernetesObject):
    """A Deployment, or an Argo Rollout (`workload`): one row, so that either becomes the other without a new pod.

    `spec` is always what Git says. What runs may be held elsewhere by `pin`:

    {revision, template_hash, skipped_hash, skipped_commit, by, reason, log_tail, at, automatic}, and `aborted` when it
    keeps out a canary that was aborted, by a person or not. The pin holds while the template that Git asks for (with
    the content of its config) still has `skipped_hash`; another one resumes.

    `scale` likewise: {replicas, instead_of, by, at}, set by a person; it holds while Git still asks for `instead_of`.
    """

    kind = _Word("Deployment", "Rollout")
    api_version = _Word("apps/v1", ROLLOUT_API)
    workload = models.CharField(max_length=16, default="Deployment")
    pin = models.JSONField(default=dict)
    scale = models.JSONField(default=dict)
    paused = models.BooleanField(default=False)  # `rollout pause`; spec.paused counts as well
    restarted_at = models.FloatField(default=0)
    # container -> {instead_of, image, at}: by its image policy; holds while Git still asks for `instead_of`
    image_pins = models.JSONField(default=dict)
    # template_hash of what Git asks for, with the content of its config; made anew whenever either is written
    live_hash = models.CharField(max_length=16, blank=True)
    canary = models.JSONField(default=dict)  # the newest canary, see deployer.core.canary.values.CanaryState
    # The last stored progress, as the core's value; `status` is its Kubernetes-shaped rendering.
    progress = models.JSONField(default=dict)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "name"], name="deployment_name"),)

    @property
    def pods_owner(self) -> str:
        """What its pods' containers are labelled with. The same for a Rollout, which may become a Deployment: networks,
        figures and the scheduler know pods by it."""
        return f"Deployment/{self.name}"

    @property
    def has_strategy(self) -> bool:
        """Whether its new revisions come in otherwise than by a rolling update alone; without reading anything else."""
        return has_strategy(self.kind, self.spec, self.annotations)

    @property
    def replicas(self) -> int:
        """How many there should be."""
        return scaled(self.spec.get("replicas"), self.scale)

    @property
    def is_scaled(self) -> bool:
        """A person said how many, and Git has not said anything else since."""
        return bool(self.scale) and self.scale["instead_of"] == _asked(self.spec.get("replicas"))


def scaled(asked: object, scale: Mapping[str, Any]) -> int:
    """`asked`: spec.replicas, of which Kubernetes' default is 1. `scale`: as in Deployment."""
    wanted = _asked(asked)
    return int(scale["replicas"]) if scale and scale["instead_of"] == wanted else wanted


def _asked(replicas: object) -> int:
    return 1 if replicas is None else int(str(replicas))


class ReplicaSet(KubernetesObject):
    """A revision: template, content of its config, and the digests of its images. A rollback restores all three.

    `spec` is {"template": ...}, or {} for an adopted set whose template is not known any more.
    """

    kind = "ReplicaSet"
    api_version = "apps/v1"
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="replica_sets")
    template_hash = models.CharField(max_length=16)
    revision = models.IntegerField(default=1)
    replicas = models.IntegerField(default=0)
    max_replicas = models.IntegerField(default=0)
    created_count = models.IntegerField(default=0)
    healthy = models.BooleanField(default=False)
    failed = models.BooleanField(default=False)
    adopted = models.BooleanField(default=False)
    images = models.JSONField(default=dict)  # as written -> digest or image id
    config = SealedField()  # {"ConfigMap/name": {key: base64}}
    change_cause = models.TextField(blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["deployment", "template_hash"], name="replicaset_hash"),
            models.UniqueConstraint(fields=["namespace", "name"], name="replicaset_name"),
        )
