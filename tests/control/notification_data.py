"""Channels and incidents in every state that their page shows."""

from __future__ import annotations

import time

from control.models import NEVER, Incident, Notice, NotificationChannel

LOG = "\x1b[31mERROR\x1b[0m connection to postgres refused\nexit 1"


def told() -> None:
    now = time.time()
    works = NotificationChannel.objects.create(name="ops", shown="slack://*** (Slack)", told_at=now - 60)
    fails = NotificationChannel.objects.create(
        name="shop-on-call", namespace="shop", kinds=["RolloutFailed"], shown="jsons://hooks.example.com/***",
        failures=3, message="Failed to send JSON POST notification: Internal server error., error=500",
    )  # fmt: skip
    Notice.objects.create(channel=works, what="test", sent_at=now - 60, due_at=NEVER, attempts=1)
    first = Incident.objects.create(
        kind="RolloutFailed", subject="1", namespaces=["shop"], namespace="shop", name="api", commit="3" * 40,
        title="Rollout of Deployment shop/api failed and was rolled back", commit_message="Checkout: retry payments",
        why="revision 3 (commit 3333333) failed: 3 of 3 new pods are not available", log_tail=LOG, opened_at=now - 300,
    )  # fmt: skip
    Incident.objects.create(
        kind="NodeDead", subject="2", name="harbour-3", title="Node harbour-3 is dead", why="none of its peers sees it",
        opened_at=now - 900, closed_at=now - 600, outcome="normal", flaps=1,
    )  # fmt: skip
    Notice.objects.create(channel=works, incident=first, what="opened", sent_at=now - 290, due_at=NEVER)
    Notice.objects.create(
        channel=fails, incident=first, what="opened", attempts=3, due_at=now + 60, message="error=500"
    )
