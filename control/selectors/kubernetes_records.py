"""Applications, repositories and attempts to sync as objects of pierhead.io/v1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from control.models import Application, Repository, Sync
from control.selectors.health import application_health
from control.selectors.metadata import plain_metadata
from deployer.core.pod_status import iso_time

API_VERSION = "pierhead.io/v1"


def applications(rows: Sequence[Application], _now: float) -> list[dict[str, Any]]:
    health = application_health(rows)
    attempts = _last_attempts(rows)
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "Application",
            "metadata": plain_metadata(row, deletionTimestamp=_time(row.deleted_at)),
            "spec": {
                "repository": row.repository.name,
                "path": row.path,
                "namespace": row.namespace,
                **({"values": list(row.values)} if row.values else {}),
                "sync": {"automatic": row.automatic, "prune": row.prune, "selfHeal": row.self_heal},
            },
            "status": _present(
                sync=_present(
                    status=row.sync_status,
                    commit=row.commit,
                    appliedAt=_time(row.applied_at),
                    differences=row.drift.splitlines(),
                ),
                health=_present(status=health[row.uid].status, message=health[row.uid].message),
                pin=_pin(row.pin),
                message=row.message,
                lastAttempt=_attempt(attempts[row.uid]) if row.uid in attempts else None,
            ),
        }
        for row in rows
    ]


def repositories(rows: Sequence[Repository], _now: float) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "Repository",
            "metadata": plain_metadata(row),
            "spec": {"url": row.url, "ref": row.ref, "pollSeconds": row.poll_seconds, "allowLocal": row.allow_local},
            "status": _present(
                head=row.head, headSeenAt=_time(row.head_seen_at), polledAt=_time(row.polled_at),
                failures=row.failures, failingSince=_time(row.failing_since), message=row.message,
            ),
        }
        for row in rows
    ]  # fmt: skip


def syncs(rows: Sequence[Sync], _now: float) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "Sync",
            "metadata": {"name": sync_name(row), "creationTimestamp": iso_time(row.started_at)},
            "spec": _present(
                application=row.application.name, commit=row.commit, trigger=row.trigger, actor=row.actor
            ),
            "status": {
                **_attempt(row),
                "errors": row.errors,
                **_present(warnings=row.warnings),
                "changes": row.changes,
                **_present(
                    commitMessage=row.commit_message, commitAuthor=row.commit_author,
                    committedAt=_time(row.committed_at), seenAt=_time(row.seen_at),
                    readyAt=_time(row.ready_at), healthyAt=_time(row.healthy_at),
                ),
            },
        }
        for row in rows
    ]  # fmt: skip


def sync_name(row: Sync) -> str:
    return f"{row.application.name}-{row.pk}"


def _last_attempts(rows: Sequence[Application]) -> dict[str, Sync]:
    found = Sync.objects.filter(application__in=rows).order_by("application_id", "id").only(
        "application_id", "commit", "phase", "message", "started_at", "finished_at"
    )  # fmt: skip
    newest = {row.application_id: row.pk for row in found}
    return {row.application_id: row for row in found if newest[row.application_id] == row.pk}


def _attempt(row: Sync) -> dict[str, Any]:
    return _present(
        phase=row.phase, commit=row.commit, message=row.message, startedAt=_time(row.started_at),
        finishedAt=_time(row.finished_at),
    )  # fmt: skip


def _pin(pin: dict[str, Any]) -> dict[str, Any]:
    return _present(
        commit=pin.get("commit", ""), skippedCommit=pin.get("skipped_commit", ""), by=pin.get("by", ""),
        reason=pin.get("reason", ""), at=_time(pin.get("at")),
    )  # fmt: skip


def _time(at: float | None) -> str:
    return iso_time(at) if at else ""


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
