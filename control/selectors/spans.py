"""Which namespaces an application spans: its own, and those of what it holds. It is there for whoever sees them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from django.db.models import F, Q

from control import models
from control.models import Application

HELD = ("Namespace", "ConfigMap", "Secret", "AnalysisTemplate", "Deployment", "Pod", "Service", "Ingress",
        "NetworkPolicy", "PodDisruptionBudget")  # fmt: skip
"""Kinds that an application may hold. A Rollout is a row of the Deployments."""


def span_of(name: str) -> frozenset[str] | None:
    """None when there is no such application."""
    return spans(Q(name=name)).get(name)


def within(visible: Collection[str]) -> set[str]:
    """Names of the applications all of whose namespaces are among these."""
    return {name for name, span in spans(Q(namespace__in=visible)).items() if span.issubset(visible)}


def spans(of: Q) -> dict[str, frozenset[str]]:
    """Name -> namespaces, of the applications that fit. One query."""
    rows, found = Application.objects.filter(of, deleted_at=None).order_by(), defaultdict(set)
    own = rows.values_list("name", "namespace")
    for name, namespace in own.union(*(_held(kind, rows) for kind in HELD)):
        found[name].add(namespace)
    return {name: frozenset(span) for name, span in found.items()}


def _held(kind: str, rows: Any) -> Any:
    """A Namespace lies in the one that it is."""
    place = F("name") if kind == "Namespace" else F("namespace")
    objects = getattr(models, kind)._default_manager.filter(application__in=rows).order_by()
    return objects.annotate(place=place).values_list("application__name", "place")
