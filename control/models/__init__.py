"""The cluster's state: a module per noun."""

import control.models.among  # noqa: F401 - a lookup, known from here on
from control.models.analyses import AnalysisRun, AnalysisTick
from control.models.base import Change, Counter, KubernetesObject, LogReader
from control.models.events import AuditEntry, Event
from control.models.images import ImagePolicy
from control.models.measurements import Look, Measurement
from control.models.nodes import Node
from control.models.notifications import Incident, Notice, NotificationChannel
from control.models.objects import (
    AnalysisTemplate,
    ConfigMap,
    Ingress,
    Namespace,
    NetworkPolicy,
    PodDisruptionBudget,
    Secret,
    Service,
)
from control.models.people import ADMIN, OPERATOR, ROLES, VIEWER, ApiToken, CacheEntry, RoleBinding
from control.models.pods import Pod
from control.models.repositories import AgeKey, Application, CommitStatus, RenderedManifests, Repository, Sync
from control.models.routers import Authority, PodNetwork, Router, ServiceAddress
from control.models.usage import PodUsage, WorkloadUsage
from control.models.webhooks import Delivery, Webhook
from control.models.work import NEVER, Work
from control.models.workloads import Deployment, ReplicaSet

__all__ = [
    "ADMIN",
    "NEVER",
    "OPERATOR",
    "ROLES",
    "VIEWER",
    "AgeKey",
    "AnalysisRun",
    "AnalysisTemplate",
    "AnalysisTick",
    "ApiToken",
    "Application",
    "AuditEntry",
    "Authority",
    "CacheEntry",
    "Change",
    "CommitStatus",
    "ConfigMap",
    "Counter",
    "Delivery",
    "Deployment",
    "Event",
    "ImagePolicy",
    "Incident",
    "Ingress",
    "KubernetesObject",
    "LogReader",
    "Look",
    "Measurement",
    "Namespace",
    "NetworkPolicy",
    "Node",
    "Notice",
    "NotificationChannel",
    "Pod",
    "PodDisruptionBudget",
    "PodNetwork",
    "PodUsage",
    "RenderedManifests",
    "ReplicaSet",
    "Repository",
    "RoleBinding",
    "Router",
    "Secret",
    "Service",
    "ServiceAddress",
    "Sync",
    "Webhook",
    "Work",
    "WorkloadUsage",
]
