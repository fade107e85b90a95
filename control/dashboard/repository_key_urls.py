"""Addresses of what is done to a repository's keys and credentials."""

from __future__ import annotations

from control.dashboard import repository_keys
from control.dashboard.access import action

urlpatterns = [
    action("repositories/<str:name>/age-key", repository_keys.new_age_key, "repository-age-key"),
    action("repositories/<str:name>/age-key/remove", repository_keys.remove_age_key, "repository-age-key-remove"),
]
