"""The addresses of repositories and webhooks. Neither belongs to a namespace."""

from __future__ import annotations

from control.dashboard import repositories
from control.dashboard.access import admin, page

urlpatterns = [
    page("repositories", repositories.repositories, "repositories", of_all=True),
    page("repositories/<str:name>", repositories.repository, "repository", of_all=True),
    admin("repositories/<str:name>/webhooks/add", repositories.hook_add, "webhook-add"),
    admin("repositories/<str:name>/webhooks/<str:uid>/rotate", repositories.hook_rotate, "webhook-rotate"),
    admin("repositories/<str:name>/webhooks/<str:uid>/retire", repositories.hook_retire, "webhook-retire"),
    admin("repositories/<str:name>/webhooks/<str:uid>/remove", repositories.hook_remove, "webhook-remove"),
    page("repositories/<str:name>/deliveries/<int:number>", repositories.delivery, "delivery", of_all=True),
    admin("repositories/<str:name>/deliveries/<int:number>/again", repositories.redeliver, "redeliver"),
]
