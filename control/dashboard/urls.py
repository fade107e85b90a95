"""The dashboard's addresses. What `access` makes keeps strangers out; only the sign-in form is outside."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from control.dashboard import views
from control.dashboard.access import action, of_application, own, page
from control.dashboard.sign_in import SignInView

urlpatterns = [
    path("sign-in", SignInView.as_view(), name="sign-in"),
    own("sign-out", LogoutView.as_view(next_page="sign-in"), "sign-out"),
    page("", views.overview, "overview"),
    action("workloads/<str:namespace>/<str:name>/undo", views.undo, "undo"),
    action("workloads/<str:namespace>/<str:name>/resume", views.resume_workload, "resume-workload"),
    action("applications/<str:name>/resume", views.resume_application, "resume-application", scope=of_application),
]
