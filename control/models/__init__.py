"""The cluster's state: a module per noun."""

from control.models.base import Change, Counter, KubernetesObject
from control.models.events import AuditEntry, Event
from control.models.nodes import Node
from control.models.objects import ConfigMap, Namespace, Secret, Service
from control.models.pods import Pod
from control.models.repositories import Application, Repository, Sync
from control.models.work import NEVER, Work
from control.models.workloads import Deployment, ReplicaSet

__all__ = [
    "NEVER",
    "Application",
    "AuditEntry",
    "Change",
    "ConfigMap",
    "Counter",
    "Deployment",
    "Event",
    "KubernetesObject",
    "Namespace",
    "Node",
    "Pod",
    "ReplicaSet",
    "Repository",
    "Secret",
    "Service",
    "Sync",
    "Work",
]
