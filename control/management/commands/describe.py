"""`manage.py describe KIND NAME`: everything that is known of an object, for people."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from control.management.commands.get import add_kind_arguments, kinds_and_names
from control.management.descriptions import canaries, networks, nodes, pods, records, workloads
from control.management.failure import Command as PierheadCommand
from control.selectors.objects import find

DESCRIPTIONS: dict[str, Callable[[Any, float], str]] = {
    "Pod": pods.describe_pod,
    "Service": networks.describe_service,
    "Endpoints": networks.describe_service,
    "Ingress": networks.describe_ingress,
    "NetworkPolicy": networks.describe_network_policy,
    "PodDisruptionBudget": records.describe_disruption_budget,
    "Deployment": workloads.describe_deployment,
    "Rollout": workloads.describe_deployment,
    "AnalysisTemplate": canaries.describe_analysis_template,
    "AnalysisRun": canaries.describe_analysis_run,
    "ReplicaSet": workloads.describe_replica_set,
    "ConfigMap": records.describe_config_map,
    "Secret": records.describe_secret,
    "Event": records.describe_event,
    "Namespace": records.describe_namespace,
    "Node": nodes.describe_node,
    "Application": records.describe_application,
    "Repository": records.describe_repository,
    "Sync": records.describe_sync,
}


class Command(PierheadCommand):
    help = "Describes objects: why a pod waits, where a service leads, how a rollout goes, what a sync came to."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_kind_arguments(parser)

    def handle(self, **options: Any) -> None:
        kinds, names = kinds_and_names(options["kind"], options["name"])
        namespace = None if options["all_namespaces"] else options["namespace"]
        found = [(kind, row) for kind in kinds for row in find(kind, namespace, names)]
        if not found:
            self.stderr.write(f"No resources found{f' in namespace {namespace}' if namespace else ''}.")
        texts = [DESCRIPTIONS[kind.name](row, time.time()) for kind, row in found]
        self.stdout.write("\n\n".join(texts), ending="")
