"""What a Git host was told of commits, as rows, against what it is to be told now."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils.crypto import salted_hmac

from control.models import Application, CommitStatus, Deployment, Sync
from control.store import objects
from control.store.repositories import access
from control.store.timeline import is_done
from deployer.core import commit_statuses as core
from deployer.core.announcements import masked, page_of
from deployer.core.commit_statuses import Rolled, Said, Tried, Workload
from deployer.core.git_hosts import HostRefused, Place, Status, Verdict, place_of
from deployer.core.source import RepositoryAccess
from deployer.core.workloads.progress import FAILED

TAKEN_SECONDS = 60.0
FIRST_RETRY_SECONDS = 30.0
LONGEST_RETRY_SECONDS = 900.0
LONGEST_DESCRIPTION = 255


@dataclass(frozen=True, slots=True)
class Telling:
    """One status that differs from what was told. `settings`: what it is told with."""

    row: CommitStatus
    said: Said
    status: Status
    settings: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`wake_at`: when the next one that waits is due."""

    repository: RepositoryAccess
    due: tuple[Telling, ...]
    wake_at: float | None


def load(uid: str, now: float) -> Plan | None:
    """None when nobody is to be told: switched off, no token, or a host that nobody knows."""
    row = Application.objects.select_related("repository").filter(pk=uid, deleted_at=None).first()
    if row is None or not row.repository.tells_status:
        return None
    repository = access(row.repository)
    place = place_for(repository)
    if place is None or not repository.credentials.opens_api:
        return None
    rows = {one.commit: one for one in row.statuses.all()}
    told = {one.commit: one.state for one in rows.values()}
    mark, due, later = _mark(repository, place), [], []
    for commit, said in core.wanted(_tried(row), _workloads(row), _rolled(row), told).items():
        said = Said(said.state, masked(said.description)[:LONGEST_DESCRIPTION])
        known = rows.get(commit) or CommitStatus(application=row, commit=commit)
        if (known.state, known.description) == (said.state, said.description) or known.refused_with == mark:
            continue
        if known.due_at > now:
            later.append(known.due_at)
        else:
            due.append(Telling(known, said, _status(row, commit, said), mark))
    return Plan(repository, tuple(due), min(later, default=None))


def begin(telling: Telling, now: float) -> None:
    """Taken before it is sent: until its time has passed, no other worker sends it. In a fenced transaction."""
    row = telling.row
    row.attempts, row.due_at = row.attempts + 1, now + TAKEN_SECONDS
    row.save()


def told(telling: Telling, now: float) -> None:
    row = telling.row
    CommitStatus.objects.filter(pk=row.pk, attempts=row.attempts).update(
        state=telling.said.state, description=telling.said.description, told_at=now, attempts=0, due_at=0,
        refused_with="", message="",
    )  # fmt: skip
    _tell_pages(row)


def failed(telling: Telling, verdict: Verdict, wait_seconds: float, now: float) -> float | None:
    """Returns when it is due again; None when the settings have to change first. That is said once, as an event."""
    row = telling.row
    wait = max(wait_seconds, min(FIRST_RETRY_SECONDS * 2.0 ** min(row.attempts - 1, 10), LONGEST_RETRY_SECONDS))
    CommitStatus.objects.filter(pk=row.pk, attempts=row.attempts).update(
        due_at=now + wait, message=verdict.sentence, refused_with=telling.settings if verdict.final else ""
    )
    if verdict.final:
        name = row.application.name
        objects.record_once("Application", "", name, "Warning", "StatusNotTold", verdict.sentence, at=now)
    _tell_pages(row)
    return None if verdict.final else now + wait


def waiting(now: float) -> list[str]:
    """For the safety net: applications whose host said no, or that nobody came for."""
    refused = CommitStatus.objects.exclude(refused_with="").values_list("application", flat=True)
    late = CommitStatus.objects.filter(due_at__gt=0, due_at__lt=now - TAKEN_SECONDS, refused_with="")
    return sorted({*refused, *late.values_list("application", flat=True)})


def place_for(repository: RepositoryAccess) -> Place | None:
    try:
        return place_of(
            repository.url, repository.provider, repository.api_url, allow_local=repository.allow_local,
            credentials=repository.credentials,
        )  # fmt: skip
    except HostRefused:
        return None


def _tell_pages(row: CommitStatus) -> None:
    objects.touch("Repository", "", row.application.repository.name)


def _mark(repository: RepositoryAccess, place: Place) -> str:
    """Names what a host is asked with, and gives none of it away."""
    credentials = repository.credentials
    app = (credentials.app_id, credentials.installation_id, credentials.app_key)
    who = (credentials.username, credentials.token, *app)
    parts = (place.provider, place.api, place.path, *who, settings.PUBLIC_URL)
    return salted_hmac("commit status", "\n".join(parts), algorithm="sha256").hexdigest()


def _status(row: Application, commit: str, said: Said) -> Status:
    url = settings.PUBLIC_URL.rstrip("/")
    link = url + page_of("SyncFailed", "", row.name) if url else ""
    return Status(commit, said.state, said.description, f"pierhead/{row.name}", link)


def _tried(row: Application) -> Tried | None:
    """The newest attempt that says something of its commit: that Git could not be read is no news of it."""
    for attempt in row.syncs.exclude(phase=Sync.RUNNING).exclude(commit="")[:10]:
        if attempt.phase == Sync.SUCCEEDED:
            return Tried(attempt.commit)
        if attempt.errors or attempt.committed_at:  # its commit was read
            return Tried(attempt.commit, attempt.message)
    return None


def _rolled(row: Application) -> Rolled | None:
    if not row.pin:
        return None
    return Rolled(str(row.pin.get("skipped_commit", "")), f"{row.pin.get('reason')} to {row.pin['commit'][:7]}")


def _workloads(row: Application) -> list[Workload]:
    return [_workload(one) for one in Deployment.objects.filter(application=row, deleted_at=None)]


def _workload(row: Deployment) -> Workload:
    name, pin = f"{row.kind} {row.namespace}/{row.name}", row.pin
    if pin and pin["skipped_hash"] == row.live_hash:
        held = f"pinned to revision {pin['revision']}: {pin['reason']}"
        return Workload(name, "failing", str(pin["reason"]) if pin.get("automatic") or pin.get("aborted") else held)
    if row.progress.get("reason") in FAILED and not row.paused:
        conditions = row.status.get("conditions") or ()
        why = next((str(one["message"]) for one in conditions if one["type"] == "Progressing"), "it failed")
        return Workload(name, "failing", why)
    seen = row.progress.get("observed_generation", 0) >= row.generation
    arrived = seen and row.progress.get("of_template") == row.live_hash and is_done(row)
    return Workload(name, "healthy" if arrived else "moving")
