"""The dashboard's addresses. `page` and `action` keep strangers out; only the sign-in form is outside."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from control.dashboard import applications, views
from control.dashboard.access import action, page
from control.dashboard.sign_in import SignInView
from control.dashboard.stream import stream

urlpatterns = [
    path("sign-in", SignInView.as_view(), name="sign-in"),
    page("sign-out", LogoutView.as_view(next_page="sign-in"), "sign-out"),
    page("stream", stream, "stream"),
    page("", views.overview, "overview"),
    action("workloads/<str:namespace>/<str:name>/undo", views.undo, "undo"),
    action("workloads/<str:namespace>/<str:name>/resume", views.resume_workload, "resume-workload"),
    page("applications", applications.applications, "applications"),
    page("applications/<str:name>", applications.application, "application"),
    action("applications/<str:name>/sync", applications.sync, "application-sync"),
    action("applications/<str:name>/rollback/<str:commit>", applications.rollback, "application-rollback"),
    action("applications/<str:name>/resume", applications.resume, "resume-application"),
]
