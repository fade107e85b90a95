"""The dashboard's addresses. What `access` makes keeps strangers out; only what signing in takes is outside."""

from __future__ import annotations

from control.dashboard import (
    applications,
    canaries,
    cluster_urls,
    logs,
    overview,
    people_urls,
    rendered,
    repository_urls,
    reverts,
    sync_policy,
    terminal,
    workload_list,
    workloads,
)
from control.dashboard.access import action, admin, of_application, page
from control.dashboard.connect import connect
from control.dashboard.found import find
from control.dashboard.stream import stream

urlpatterns = [
    page("", overview.overview, "overview"),
    page("stream", stream, "stream"),
    page("find", find, "find"),
    page("applications", applications.applications, "applications"),
    action("applications/add", connect, "application-add"),
    page("applications/<str:name>", applications.application, "application", scope=of_application),
    page("applications/<str:name>/manifests", rendered.manifests, "application-manifests", scope=of_application),
    page(
        "applications/<str:name>/manifests/<int:number>", rendered.manifests, "application-attempt-manifests",
        scope=of_application,
    ),
    action("applications/<str:name>/sync", applications.sync, "application-sync", scope=of_application),
    action(
        "applications/<str:name>/rollback/<str:commit>", applications.rollback, "application-rollback",
        scope=of_application,
    ),
    action("applications/<str:name>/revert", reverts.revert, "application-revert", scope=of_application),
    action("applications/<str:name>/policy", sync_policy.policy, "application-policy", scope=of_application),
    action("applications/<str:name>/resume", applications.resume, "resume-application", scope=of_application),
    page("workloads", workload_list.workloads, "workloads"),
    page("workloads/<str:namespace>/<str:name>", workloads.workload, "workload"),
    page("workloads/<str:namespace>/<str:name>/logs", logs.workload_logs, "workload-logs"),
    action("workloads/<str:namespace>/<str:name>/undo", workloads.undo, "undo"),
    action("workloads/<str:namespace>/<str:name>/resume", workloads.resume, "resume-workload"),
    action("workloads/<str:namespace>/<str:name>/pause", workloads.pause, "pause"),
    action("workloads/<str:namespace>/<str:name>/go-on", workloads.unpause, "go-on"),
    action("workloads/<str:namespace>/<str:name>/restart", workloads.restart, "restart"),
    action("workloads/<str:namespace>/<str:name>/scale", workloads.scale, "scale"),
    action("workloads/<str:namespace>/<str:name>/images", workloads.look_for_images, "look-for-images"),
    *canaries.urlpatterns,
    page("pods/<str:namespace>/<str:name>", workloads.pod, "pod"),
    page("pods/<str:namespace>/<str:name>/logs", logs.pod_logs, "pod-logs"),
    admin("pods/<str:namespace>/<str:name>/terminal", terminal.terminal, "terminal"),
    admin("pods/<str:namespace>/<str:name>/terminal/<str:key>", terminal.line, "terminal-line"),
    *cluster_urls.urlpatterns,
    *people_urls.urlpatterns,
    *repository_urls.urlpatterns,
]  # fmt: skip
