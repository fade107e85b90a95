"""The dashboard's addresses. `page` and `action` keep strangers out; only the sign-in form is outside."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from control.dashboard import views
from control.dashboard.access import action, page
from control.dashboard.sign_in import SignInView

urlpatterns = [
    path("sign-in", SignInView.as_view(), name="sign-in"),
    page("sign-out", LogoutView.as_view(next_page="sign-in"), "sign-out"),
    page("", views.overview, "overview"),
    action("workloads/<str:namespace>/<str:name>/undo", views.undo, "undo"),
    action("workloads/<str:namespace>/<str:name>/resume", views.resume_workload, "resume-workload"),
    action("applications/<str:name>/resume", views.resume_application, "resume-application"),
]
