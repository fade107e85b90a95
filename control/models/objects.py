"""Objects that stand in Git and need no controller of their own: namespaces, config, services and their rules."""

from __future__ import annotations

from django.db import models

from control.models.base import KubernetesObject
from control.models.sealed import SealedField


class Namespace(KubernetesObject):
    """`allowances` are given by an operator (`namespace allow`), never by a manifest."""

    kind = "Namespace"
    allowances = models.JSONField(default=list)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["name"], name="namespace_name"),)


class ConfigMap(KubernetesObject):
    kind = "ConfigMap"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "name"], name="configmap_name"),)


class Secret(KubernetesObject):
    """`spec` holds the type and the names of the keys; the values are in `sealed` alone, base64 inside."""

    kind = "Secret"
    sealed = SealedField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "name"], name="secret_name"),)


class Service(KubernetesObject):
    kind = "Service"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "name"], name="service_name"),)


class Ingress(KubernetesObject):
    kind = "Ingress"
    api_version = "networking.k8s.io/v1"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "name"], name="ingress_name"),)


class NetworkPolicy(KubernetesObject):
    kind = "NetworkPolicy"
    api_version = "networking.k8s.io/v1"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "name"], name="networkpolicy_name"),)


class PodDisruptionBudget(KubernetesObject):
    kind = "PodDisruptionBudget"
    api_version = "policy/v1"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "name"], name="poddisruptionbudget_name"),)


class AnalysisTemplate(KubernetesObject):
    kind = "AnalysisTemplate"
    api_version = "argoproj.io/v1alpha1"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "name"], name="analysistemplate_name"),)
