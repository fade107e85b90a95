"""After a rollback of an application: the revert, so that Git says again what runs.

    preview -> a person agrees -> one commit on top of the branch -> pushed, never by force
                                                                  -> or pushed as a branch, with a pull request

The commit brings what the application is made from, and nothing else, back to what the pinned commit held. When the
next look at Git finds it, the pin ends, and nothing is rolled out: what the path holds is what runs already.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction

from control.models import Application
from control.selectors.words import commit as short
from control.selectors.words import sentence, subject
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.repositories import get_application, state
from control.store import objects
from control.store.repositories import access
from deployer.adapters import git_host
from deployer.adapters.git import Author, ChangedFile
from deployer.composition import composition
from deployer.core import git_hosts
from deployer.core.git_hosts import HostRefused, Place, PullRequest
from deployer.core.signatures import NONE
from deployer.core.source import CommitInfo, RepositoryAccess
from deployer.ports import SourceError

SHOWN_FILES = 200
_UNFIT = re.compile(r"[<>\n\x00-\x1f]+")


@dataclass(frozen=True, slots=True)
class RevertPreview:
    """`head` is what Git is at, `pinned` what comes back. `state`: what it was decided from.

    `neighbours`: other applications whose path lies in this one's, or around it: the revert changes theirs as well.
    `no_pull_request`, `no_push`: why not, "" when it can be done.
    """

    application: str
    path: str
    state: str
    ref: str
    head: CommitInfo
    pinned: CommitInfo
    subject: str
    files: tuple[ChangedFile, ...]
    more: int
    message: str
    branch: str
    neighbours: tuple[str, ...]
    no_pull_request: str
    no_push: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """`url`: of the pull request, "" when none was asked for. `trouble`: why it could not be opened."""

    commit: str
    branch: str
    url: str = ""
    trouble: str = ""


def preview(name: str, actor: Actor) -> RevertPreview:
    """Git is asked what it is at. Refused when there is no pin, nothing to revert, or Git cannot be read."""
    row = get_application(name)
    if not row.pin:
        raise Refused(f"application {name} is not pinned: it was not rolled back, there is nothing to revert")
    source, repository = composition().source, access(row.repository)
    try:
        sha = source.head(repository)
        head, pinned = source.fetch(repository, sha), source.fetch(repository, str(row.pin["commit"]))
        files = source.changed_files(repository, head.sha, pinned.sha, _paths(row, repository, head.sha, pinned.sha))
    except SourceError as error:
        raise Refused(f"application {name}: {error.sentence}") from error
    if not files:
        at = f"Git is at {short(head.sha)}"
        raise Refused(f"application {name}: {at}, which holds at its path what is pinned already")
    return RevertPreview(
        application=name,
        path=row.path or ".",
        state=state(row),
        ref=repository.ref,
        head=head,
        pinned=pinned,
        subject=subject(head.message),
        files=tuple(files[:SHOWN_FILES]),
        more=max(len(files) - SHOWN_FILES, 0),
        message=_message(row, head, pinned, actor),
        branch=f"pierhead/revert-{name}-{short(head.sha)}",
        neighbours=tuple(_neighbours(row)),
        no_pull_request=_no_pull_request(repository),
        no_push=_no_push(repository),
    )


def push(name: str, actor: Actor, *, head: str, seen: str | None = None, pull_request: bool = False) -> Pushed:
    """Push the revert of `head`, which somebody has looked at. Refused when Git or the pin has moved meanwhile.

    `pull_request`: as a branch of its own, for which one is opened.
    """
    shown = preview(name, actor)
    if shown.head.sha != head:
        raise Refused(f"application {name}: Git moved to {short(shown.head.sha)} meanwhile; look again")
    if seen not in (None, shown.state):
        raise Refused(f"application {name}: somebody was faster, it is not what it was when you looked")
    why = shown.no_pull_request if pull_request else shown.no_push
    if why:
        raise Refused(f"application {name}: {why}")
    row = get_application(name)
    repository = access(row.repository)
    branch = shown.branch if pull_request else ""
    # Not the time of the click: asked again, since a pull request could not be opened, it is the same commit.
    at = max(float(row.pin["at"]), shown.head.committed_at)
    try:
        made = composition().source.revert(
            repository,
            head,
            shown.pinned.sha,
            _paths(row, repository, head, shown.pinned.sha),
            branch,
            _author(actor),
            shown.message,
            at,
        )
    except SourceError as error:
        raise Refused(_push_refusal(name, branch, error)) from error
    url, trouble = _open(repository, shown) if pull_request else ("", "")
    _note(row, actor, Pushed(made, branch or shown.ref, url, trouble), head)
    return Pushed(made, branch or shown.ref, url, trouble)


def _note(row: Application, actor: Actor, pushed: Pushed, head: str) -> None:
    what = f"commit {short(pushed.commit)} on {pushed.branch} reverts {row.path or '.'} of {short(head)}"
    with transaction.atomic():
        record(actor, "application revert", str(row), f"{what}{f', {pushed.url}' if pushed.url else ''}")
        objects.record_event("Application", "", row.name, "Normal", "Reverted", f"{actor.name} pushed a revert: {what}")
        objects.touch("Application", "", row.name)
        composition().work.wake("poll", row.repository_id)


def _push_refusal(name: str, branch: str, error: SourceError) -> str:
    if error.reason != "Superseded":
        return f"application {name}: {error.sentence}"
    if branch:
        return f"application {name}: branch {branch} exists already: open the pull request from it, or delete it first"
    return f"application {name}: Git moved on meanwhile, nothing was pushed ({error.sentence}); look again"


def _open(repository: RepositoryAccess, shown: RevertPreview) -> tuple[str, str]:
    """The pull request's address, or why there is none although its branch was pushed."""
    wanted = PullRequest(shown.branch, shown.ref.removeprefix("refs/heads/"), *_parted(shown.message))
    credentials, place = repository.credentials, _place(repository)
    assert place is not None
    try:
        token = git_host.api_token(credentials, allow_local=repository.allow_local)
        ask = git_hosts.pull_request(place, wanted, credentials.username, token)
        answer = git_host.request(ask, allow_local=repository.allow_local, now=time.time())
    except (SourceError, HostRefused) as error:
        return "", error.sentence
    verdict = git_hosts.judge(place, answer.code, answer.body, of_status=False)
    return (verdict.url, "") if verdict.done else ("", verdict.sentence)


def _paths(row: Application, repository: RepositoryAccess, *commits: str) -> list[str]:
    """The application's path, and files elsewhere that it is made from: bases of an overlay, a chart's values."""
    source, found = composition().source, {row.path}
    for sha in commits:
        found |= {file.path for file in source.files(repository, sha, row.path, row.values).files}
    below = "" if row.path in ("", ".") else f"{row.path}/"
    return sorted(path for path in found if path == row.path or not path.startswith(below))


def _no_push(repository: RepositoryAccess) -> str:
    if repository.signatures.what == NONE:
        return ""
    return "its repository takes signed commits only, and this one is not: open a pull request, and sign what merges it"


def _no_pull_request(repository: RepositoryAccess) -> str:
    try:
        place = _place(repository)
    except HostRefused as refused:
        return refused.sentence
    if place is None:
        return (
            f"which kind of host repository {repository.name} is at is not known: "
            f"`manage.py repository host {repository.name} --provider KIND` says it"
        )
    if not repository.credentials.opens_api:
        return f"repository {repository.name} has no token, with which a pull request could be opened"
    return ""


def _place(repository: RepositoryAccess) -> Place | None:
    return git_hosts.place_of(
        repository.url, repository.provider, repository.api_url, allow_local=repository.allow_local,
        credentials=repository.credentials,
    )  # fmt: skip


def _message(row: Application, head: CommitInfo, pinned: CommitInfo, actor: Actor) -> str:
    """Subject, empty line, body: what came back, instead of what, who rolled back and why."""
    why = sentence(str(row.pin.get("reason", "")))
    return (
        f"Revert {row.path or 'everything'} to {short(pinned.sha)}\n\n"
        f"Application {row.name} was rolled back and runs {short(pinned.sha)}; {why}.\n"
        f"This brings {row.path or 'all files'} back to what it was there, instead of {short(head.sha)}.\n\n"
        f"From: {head.sha} {subject(head.message)}\n"
        f"Back to: {pinned.sha} {subject(pinned.message)}\n"
        f"Made with Pierhead by {sentence(actor.name)}\n"
    )


def _parted(message: str) -> tuple[str, str]:
    title, _, body = message.partition("\n")
    return title, body.strip()


def _author(actor: Actor) -> Author:
    """The person, as Git wants one. Who has no e-mail address gets one that leads nowhere."""
    name = _UNFIT.sub(" ", sentence(actor.name)).strip() or "Pierhead"
    user = User.objects.filter(username=actor.name.partition(" (token ")[0]).first()
    email = _UNFIT.sub("", user.email) if user else ""
    return Author(name, email or f"{re.sub(r'[^A-Za-z0-9.-]+', '-', name).strip('-.') or 'pierhead'}@pierhead.invalid")


def _neighbours(row: Application) -> list[str]:
    others = Application.objects.filter(repository=row.repository_id, deleted_at=None).exclude(pk=row.pk)
    return [other.name for other in others.order_by("name") if _overlap(row.path, other.path)]


def _overlap(one: str, other: str) -> bool:
    mine, theirs = (path.strip("./") and f"{path}/" for path in (one, other))
    return not mine or not theirs or mine.startswith(theirs) or theirs.startswith(mine)
