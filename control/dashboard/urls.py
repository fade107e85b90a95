"""The dashboard's addresses. `page` and `action` keep strangers out; only the sign-in form is outside."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from control.dashboard import applications, cluster_urls, logs, overview, workloads
from control.dashboard.access import action, page
from control.dashboard.connect import connect
from control.dashboard.found import find
from control.dashboard.sign_in import SignInView
from control.dashboard.stream import stream

urlpatterns = [
    path("sign-in", SignInView.as_view(), name="sign-in"),
    page("sign-out", LogoutView.as_view(next_page="sign-in"), "sign-out"),
    page("stream", stream, "stream"),
    page("find", find, "find"),
    page("", overview.overview, "overview"),
    page("applications", applications.applications, "applications"),
    action("applications/add", connect, "application-add"),
    page("applications/<str:name>", applications.application, "application"),
    action("applications/<str:name>/sync", applications.sync, "application-sync"),
    action("applications/<str:name>/rollback/<str:commit>", applications.rollback, "application-rollback"),
    action("applications/<str:name>/resume", applications.resume, "resume-application"),
    page("workloads/<str:namespace>/<str:name>", workloads.workload, "workload"),
    page("workloads/<str:namespace>/<str:name>/logs", logs.workload_logs, "workload-logs"),
    action("workloads/<str:namespace>/<str:name>/undo", workloads.undo, "undo"),
    action("workloads/<str:namespace>/<str:name>/resume", workloads.resume, "resume-workload"),
    action("workloads/<str:namespace>/<str:name>/pause", workloads.pause, "pause"),
    action("workloads/<str:namespace>/<str:name>/go-on", workloads.unpause, "go-on"),
    action("workloads/<str:namespace>/<str:name>/restart", workloads.restart, "restart"),
    action("workloads/<str:namespace>/<str:name>/scale", workloads.scale, "scale"),
    page("pods/<str:namespace>/<str:name>", workloads.pod, "pod"),
    page("pods/<str:namespace>/<str:name>/logs", logs.pod_logs, "pod-logs"),
    *cluster_urls.urlpatterns,
]
