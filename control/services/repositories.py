"""Repositories and applications: register, sync, roll back, resume, remove."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from control.models import Application, Deployment, KubernetesObject, Repository, Sync
from control.models.base import new_uid
from control.selectors.undo import name_of_pin
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.repository_credentials import Wanted, fill, prepared, try_head
from control.services.repository_keys import add_age_key
from control.services.repository_keys import get_repository as get_repository
from control.store import objects
from control.store.repositories import access
from control.store.sync import MODELS
from deployer.composition import composition
from deployer.core.git_hosts import HostRefused, place_of
from deployer.core.repository import RepositoryRefused, check_path, check_ref, parse_repository_url
from deployer.core.source import GitCredentials, Origin
from deployer.loops.content import content
from deployer.ports import SourceError

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SHORTEST_POLL_SECONDS = 1.0


def add_repository(
    name: str, url: str, actor: Actor, *, ref: str = "main", poll_seconds: float = 30, allow_local: bool = False,
    credentials: GitCredentials | None = None, make_ssh_key: bool = False, host_key: str = "",
) -> Repository:  # fmt: skip
    """Ask the server for the ref before anything is stored: a typing error is told here, not in a log.

    With `make_ssh_key` the server does not know us yet: its key is in `ssh_public_key`, for whoever pastes it there.
    Raises HostKeyUnknown, a Refused, when a person has to compare fingerprints first; `host_key` is the one they did.
    """
    check_name("repository", name)
    allow_local = allow_local or settings.PIERHEAD.allow_local_repositories
    if not SHORTEST_POLL_SECONDS <= poll_seconds <= 86400:
        raise Refused(f"--poll {poll_seconds:g} is not between {SHORTEST_POLL_SECONDS:g} and 86400 seconds")
    try:
        parse_repository_url(url, allow_local=allow_local)
        check_ref(ref)
    except RepositoryRefused as error:
        raise Refused(str(error)) from error
    if Repository.objects.filter(name=name).exists():
        raise Refused(f"repository {name} is registered already; remove it first, or use another name")
    wanted = Wanted(credentials or GitCredentials(), make_ssh_key, host_key)
    row = Repository(name=name, url=url, ref=ref, poll_seconds=poll_seconds, allow_local=allow_local)
    try:
        done = prepared(name, url, wanted, allow_local=allow_local)
    except (RepositoryRefused, SourceError) as error:
        raise Refused(error.sentence) from error
    fill(row, done)
    try_head(row, done)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            add_age_key(row, actor)
            composition().work.wake("poll", row.uid, at=time.time() + poll_seconds)
            record(actor, "repository add", str(row), parse_repository_url(url, allow_local=allow_local).display)
    except IntegrityError as error:
        raise Refused(f"repository {name} was registered by somebody else at the same moment") from error
    return row


def set_host(
    name: str, actor: Actor, *, provider: str | None = None, api_url: str | None = None,
    tells_status: bool | None = None,
) -> Repository:  # fmt: skip
    """What the API of a repository's host is ("": what its URL says), and whether commits' statuses are told there."""
    row = get_repository(name)
    row.provider = row.provider if provider is None else provider
    row.api_url = row.api_url if api_url is None else api_url
    row.tells_status = row.tells_status if tells_status is None else tells_status
    try:
        place = place_of(
            row.url, row.provider, row.api_url, allow_local=row.allow_local, credentials=access(row).credentials
        )
    except HostRefused as refused:
        raise Refused(f"repository {name}: {refused.sentence}") from None
    if row.api_url and place is None:
        raise Refused(f"repository {name}: say which kind of host is at {row.api_url}, with --provider")
    with transaction.atomic():
        row.save(update_fields=["provider", "api_url", "tells_status"])
        told = "statuses on" if row.tells_status else "statuses off"
        kind = f"{place.provider} at {place.api}" if place else "a host that is not known"
        record(actor, "repository host", str(row), f"{kind}, {told}")
        objects.touch("Repository", "", name)
        for application in row.applications.filter(deleted_at=None).order_by("uid").values_list("uid", flat=True):
            composition().work.wake("status", application)
    return row


def remove_repository(name: str, actor: Actor) -> None:
    row = get_repository(name)
    used = list(row.applications.filter(deleted_at=None).values_list("name", flat=True))
    if used:
        raise Refused(
            f"repository {name} is followed by {', '.join(used)}: remove {'it' if len(used) == 1 else 'them'} first, "
            f"`application remove {used[0]}`"
        )
    with transaction.atomic():
        row.applications.all().delete()
        composition().work.forget("poll", row.uid)
        row.delete()
        record(actor, "repository remove", f"Repository {name}")


def add_application(
    name: str, repository: str, path: str, actor: Actor, *, namespace: str = "default", automatic: bool = True,
    prune: bool = True, self_heal: bool = True, values: Sequence[str] = (),
) -> Application:  # fmt: skip
    check_name("application", name)
    check_name("namespace", namespace)
    source = get_repository(repository)
    try:
        path, files = check_path(path), [check_path(one) for one in values]
    except RepositoryRefused as error:
        raise Refused(str(error)) from error
    row = Application(
        name=name, repository=source, path=path, namespace=namespace, automatic=automatic, prune=prune,
        self_heal=self_heal, values=files,
    )  # fmt: skip
    if automatic:
        row.request = _request(actor, "request")
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            objects.touch("Application", "", name)
            composition().work.wake("sync", row.uid)
            record(actor, "application add", str(row), f"{repository}:{path} -> {namespace}, {row.sync_policy}")
    except IntegrityError as error:
        raise Refused(f"application {name} exists already; remove it first, or use another name") from error
    return row


def set_policy(
    name: str, actor: Actor, *, automatic: bool | None = None, prune: bool | None = None,
    self_heal: bool | None = None, seen: str | None = None,
) -> Application:  # fmt: skip
    """How an application is synced from now on; None leaves as it is. What waits for it is done at once: a commit that
    a manual one was not given, and what was changed live. `seen` is the `policy_seen` that it was decided from."""
    wanted = {"automatic": automatic, "prune": prune, "self_heal": self_heal}
    values = {field: value for field, value in wanted.items() if value is not None}
    if not values:
        raise Refused(f"application {name}: say what to change: --manual, --no-prune, --no-self-heal or the other way")
    with transaction.atomic():
        found = get_application(name)
        row = Application.objects.select_for_update().get(pk=found.pk)
        if seen not in (None, row.policy_seen):
            raise Refused(f"application {name}: somebody was faster, it is {row.sync_policy} by now; look again")
        if all(getattr(row, field) == value for field, value in values.items()):
            raise Refused(f"application {name} is so already: {row.sync_policy}")
        for field, value in values.items():
            setattr(row, field, value)
        if row.drift:
            row.suspected = row.suspected or 1  # it is compared again, and put back where that is wanted now
        row.save(update_fields=[*values, "suspected"])
        record(actor, "application set", str(row), row.sync_policy)
        objects.touch("Application", "", name)
        composition().work.wake("sync", row.uid)
    return row


def remove_application(name: str, actor: Actor, *, keep_objects: bool = False) -> int:
    """Take an application off the record; its objects are pruned, or kept as nobody's. Returns how many."""
    from control.store.sync import prune

    row = get_application(name)
    work, count = composition().work, 0
    with transaction.atomic():
        for kind in reversed(MODELS):
            for found in _objects_of(row, kind):
                count += 1
                if keep_objects:
                    found.application = None
                    objects.update([found], ["application"])
                else:
                    prune(found.key, work.wake, time.time())
        Deployment.objects.filter(application=row).update(application=None)
        record(actor, "application remove", str(row), f"{count} objects {'kept' if keep_objects else 'pruned'}")
        work.forget("sync", row.uid)
        row.delete()
        objects.touch("Application", "", name)
    return count


def sync(name: str, actor: Actor, *, prune_all: bool = False, commit: str = "") -> tuple[Application, int]:
    """Ask for a sync now. Returns the application and the id of the last attempt before it.

    `commit`: apply this one, which somebody has looked at; "" for what Git is at when a worker comes to it.
    """
    row = get_application(name)
    last = Sync.objects.filter(application=row).values_list("id", flat=True).first() or 0
    _ask(row, {**_request(actor, "request", prune_all=prune_all), "commit": commit})
    record(actor, "application sync", str(row))
    return row, last


def state(row: Application) -> str:
    """Names what is applied and what holds it: another one later means that somebody was faster."""
    return f"{row.commit}/{row.pin.get('commit', '')}/{row.pin.get('at', '')}"


def rollback(name: str, commit: str, actor: Actor, *, seen: str | None = None) -> tuple[Application, int]:
    """Apply a commit that was applied before, and hold it until Git has something new at the path.

    Auto-sync stays on: the commit that Git is at now is skipped, a newer one that changes the path resumes.
    `seen` is the `state` that it was decided from; refused when it is another one by now.
    """
    row = get_application(name)
    target = _applied_commit(row, commit)
    here = composition()
    repository = access(row.repository)
    try:
        head = here.source.head(repository)
        here.source.fetch(repository, head)
        tree = content(here.source, repository, head, Origin(row.path, tuple(row.values)))
    except SourceError:
        head, tree = row.repository.head, row.tree  # Git is away: rolling back must work all the same
    last = Sync.objects.filter(application=row).values_list("id", flat=True).first() or 0
    row.pin = {
        "commit": target, "skipped_commit": head, "skipped_tree": tree, "by": actor.name, "at": time.time(),
        "reason": f"rolled back by {actor.name}",
    }  # fmt: skip
    message = f"{actor.name} rolled back to {target[:7]}; {head[:7]} is skipped"
    with transaction.atomic():
        now = state(Application.objects.select_for_update().get(pk=row.pk))
        if seen not in (None, now):
            raise Refused(f"application {name}: somebody was faster, it is not what it was when you looked")
        row.save(update_fields=["pin"])
        _ask(row, _request(actor, "rollback"))
        record(actor, "application rollback", str(row), f"to {target}, skipping {head}")
        objects.record_event("Application", "", name, "Normal", "RolledBack", message)
    return row, last


def resume(name: str, actor: Actor, *, seen: str | None = None) -> tuple[Application, int]:
    """End a pin: what Git is at now is applied again. `seen` names the pin that is meant (`name_of_pin`); refused when
    there is another one by now."""
    row = get_application(name)
    last = Sync.objects.filter(application=row).values_list("id", flat=True).first() or 0
    with transaction.atomic():
        row.pin = Application.objects.select_for_update().get(pk=row.pk).pin
        if not row.pin:
            raise Refused(f"application {name} is not pinned; there is nothing to resume")
        if seen not in (None, name_of_pin(row.pin)):
            raise Refused(f"application {name}: somebody was faster, it is pinned anew; look again")
        row.pin = {}
        row.save(update_fields=["pin"])
        _ask(row, _request(actor, "resume"))
        record(actor, "application resume", str(row))
    return row, last


def get_application(name: str) -> Application:
    row = Application.objects.select_related("repository").filter(name=name, deleted_at=None).first()
    if row is None:
        known = ", ".join(Application.objects.filter(deleted_at=None).values_list("name", flat=True)) or "none"
        raise Refused(f"application {name} does not exist; there are: {known}")
    return row


def _objects_of(row: Application, kind: str) -> list[KubernetesObject]:
    rows: Any = MODELS[kind]._default_manager.filter(application=row, deleted_at=None)
    return [one for one in (rows.filter(replica_set=None) if kind == "Pod" else rows) if one.kind == kind]


def _applied_commit(row: Application, wanted: str) -> str:
    """The commit that a (shortened) id names, among those that were applied."""
    applied = list(
        dict.fromkeys(row.syncs.filter(phase=Sync.SUCCEEDED).exclude(commit="").values_list("commit", flat=True))
    )
    found = [commit for commit in applied if re.fullmatch(r"[0-9a-f]{4,40}", wanted) and commit.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(commit[:7] for commit in applied[:10]) or "none"
    what = "names more than one commit" if found else "was never applied"
    raise Refused(f"application {row.name}: {wanted} {what}; applied before: {known}")


def _request(actor: Actor, trigger: str, *, prune_all: bool = False) -> dict[str, object]:
    return {"id": new_uid(), "by": actor.name, "trigger": trigger, "prune_all": prune_all}


def _ask(row: Application, request: dict[str, object]) -> None:
    with transaction.atomic():
        Application.objects.filter(pk=row.pk).update(request=request)
        objects.touch("Application", "", row.name)
        composition().work.wake("sync", row.uid)


def check_name(what: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise Refused(f"{what} name {name!r} is not valid: lower-case letters, digits and '-', at most 63 characters")
