"""The addresses of repositories and webhooks. Neither belongs to a namespace."""

from __future__ import annotations

from control.dashboard import credential_forms, git_host, repositories, repository_keys, signature_form
from control.dashboard.access import action, admin, page

urlpatterns = [
    page("repositories", repositories.repositories, "repositories", of_all=True),
    page("repositories/<str:name>", repositories.repository, "repository", of_all=True),
    action("repositories/<str:name>/credentials", credential_forms.credentials, "repository-credentials"),
    admin("repositories/<str:name>/signatures", signature_form.signatures, "repository-signatures"),
    action("repositories/<str:name>/age-key", repository_keys.new_age_key, "repository-age-key"),
    action("repositories/<str:name>/age-key/remove", repository_keys.remove_age_key, "repository-age-key-remove"),
    admin("repositories/<str:name>/host", git_host.host, "repository-host"),
    admin("repositories/<str:name>/webhooks/add", repositories.hook_add, "webhook-add"),
    admin("repositories/<str:name>/webhooks/<str:uid>/rotate", repositories.hook_rotate, "webhook-rotate"),
    admin("repositories/<str:name>/webhooks/<str:uid>/retire", repositories.hook_retire, "webhook-retire"),
    admin("repositories/<str:name>/webhooks/<str:uid>/remove", repositories.hook_remove, "webhook-remove"),
    page("repositories/<str:name>/deliveries/<int:number>", repositories.delivery, "delivery", of_all=True),
    admin("repositories/<str:name>/deliveries/<int:number>/again", repositories.redeliver, "redeliver"),
]
