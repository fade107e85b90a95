"""What a repository is opened with: given, made here, replaced later. The server is asked before anything is kept.

Over SSH two keys count. Ours may be made here: then its public half is shown, and until somebody has pasted it there,
the server refuses it and polling says so. The host's must be known: published ones come along, any other is shown as a
fingerprint and kept once a person has confirmed it. One that is another later is refused, and both are named.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace

from django.db import transaction

from control.models import Repository
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.repository_keys import get_repository
from control.store import objects
from control.store.repositories import access
from deployer.adapters import ssh_keys
from deployer.composition import composition
from deployer.core.github_app import check_app
from deployer.core.host_keys import HostKey, known_hosts, place_of, published
from deployer.core.repository import RepositoryAddress, RepositoryRefused, parse_repository_url
from deployer.core.source import GitCredentials
from deployer.ports import SourceError

NOTHING = GitCredentials()


class HostKeyUnknown(Refused):
    """Somebody has to compare `keys`, (kind and fingerprint), with what the host's administrator publishes."""

    def __init__(self, sentence: str, keys: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.keys = keys


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for. `host_key`: a fingerprint, SHA256:..., that they have compared."""

    credentials: GitCredentials = NOTHING
    make_ssh_key: bool = False
    host_key: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Credentials that can be tried. `public_key`: of a key that was made just now, which no server knows yet."""

    credentials: GitCredentials
    public_key: str = ""


def prepared(name: str, url: str, wanted: Wanted, *, allow_local: bool) -> Prepared:
    """Checks what was given and completes it."""
    address = parse_repository_url(url, allow_local=allow_local)
    given, public = wanted.credentials, ""
    if given.app is not None:
        _check_app(given, address, allow_local=allow_local)
    if address.transport != "ssh":
        if wanted.make_ssh_key or wanted.host_key:
            raise Refused(f"repository {name}: SSH keys are for ssh:// addresses, and {address.display} is none")
        return Prepared(given)
    if wanted.host_key:
        given = replace(given, known_hosts=_confirmed(address, wanted.host_key, allow_local=allow_local))
    elif not given.known_hosts.strip() and not published(*place_of(address)):
        raise _question(address, allow_local=allow_local)
    if wanted.make_ssh_key:
        private, public = ssh_keys.new_key(address.host, f"pierhead-{name}")
        given = replace(given, ssh_key=private)
    return Prepared(given, public)


def set_credentials(name: str, wanted: Wanted, actor: Actor) -> Repository:
    """Replace what a repository is opened with. What is not given stays: a token may come without its user name."""
    row = get_repository(name)
    before = GitCredentials(**row.credentials.load())
    try:
        whole = replace(wanted, credentials=_merged(before, wanted.credentials))
        done = prepared(name, row.url, whole, allow_local=row.allow_local)
    except (RepositoryRefused, SourceError) as error:
        raise Refused(error.sentence) from error
    fill(row, done)
    head = row.head if done.public_key else _asked(row)
    with transaction.atomic():
        locked = Repository.objects.select_for_update().get(pk=row.pk)
        fill(locked, done)
        if not done.public_key:
            locked.failures, locked.failing_since, locked.message = 0, 0, ""
        locked.save(update_fields=["credentials", "ssh_public_key", "failures", "failing_since", "message"])
        if head != locked.head or done.public_key:
            composition().work.wake("poll", row.uid)
        record(actor, "repository credentials", str(row), described(wanted))
        objects.touch("Repository", "", name)
    return locked


def fill(row: Repository, done: Prepared) -> None:
    """Seal the credentials into a row, without empty ones."""
    row.credentials.store({key: value for key, value in asdict(done.credentials).items() if value})
    row.ssh_public_key = done.public_key or (row.ssh_public_key if done.credentials.ssh_key else "")


def try_head(row: Repository, done: Prepared) -> None:
    """Ask the server for the ref, and keep what it names. With a key that no server knows yet, nobody is asked."""
    if done.public_key:
        row.message = "waiting for its SSH key: paste the public half where the repository is"
        return
    row.head, row.head_seen_at = _asked(row), time.time()


def described(wanted: Wanted) -> str:
    """For the audit trail: which kinds, never a value."""
    given = wanted.credentials
    parts = {
        "a token": given.token, "an SSH key": given.ssh_key, "an SSH key made here": wanted.make_ssh_key,
        f"GitHub App {given.app_id}": given.app_id, "known_hosts": given.known_hosts,
        f"host key {wanted.host_key}": wanted.host_key,
    }  # fmt: skip
    return ", ".join(name for name, value in parts.items() if value)


def _merged(before: GitCredentials, given: GitCredentials) -> GitCredentials:
    """A new way in takes the place of the old one, of whatever kind that was; the host's key is not part of it."""
    same_hosts = replace(given, known_hosts=given.known_hosts or before.known_hosts)
    if given.token or given.ssh_key or given.app_id:
        return replace(same_hosts, username=given.username or (before.username if given.token else ""))
    merged = replace(before, known_hosts=same_hosts.known_hosts)
    return replace(merged, username=given.username) if given.username else merged


def _asked(row: Repository) -> str:
    try:
        return composition().source.head(access(row))
    except SourceError as error:
        raise Refused(error.sentence) from error


def _check_app(given: GitCredentials, address: RepositoryAddress, *, allow_local: bool) -> None:
    assert given.app is not None
    if given.token or given.ssh_key:
        raise Refused(f"{address.display}: give a token, an SSH key or a GitHub App, one of them")
    if address.transport == "ssh":
        raise Refused(f"{address.display}: a GitHub App's tokens are for HTTPS: use the repository's https:// address")
    check_app(given.app, allow_local=allow_local)


def _confirmed(address: RepositoryAddress, fingerprint: str, *, allow_local: bool) -> str:
    """The line of the key with this fingerprint, if the host shows it now."""
    shown = ssh_keys.host_keys(address, allow_local=allow_local)
    found = [key for key in shown if key.fingerprint == fingerprint.strip()]
    if not found:
        raise _unlike(address, shown, f"shows no host key {fingerprint.strip()[:60]}")
    return known_hosts(*place_of(address), found)


def _question(address: RepositoryAddress, *, allow_local: bool) -> HostKeyUnknown:
    shown = ssh_keys.host_keys(address, allow_local=allow_local)
    return _unlike(address, shown, "is not known yet")


def _unlike(address: RepositoryAddress, shown: list[HostKey], what: str) -> HostKeyUnknown:
    titles = tuple(key.title for key in shown)
    sentence = (
        f"{address.display}: {address.host} {what}; it shows {', '.join(titles)}: compare one with what its "
        "administrator publishes, then repeat with --confirm-host-key SHA256:..., or tick it in the form"
    )
    return HostKeyUnknown(sentence, titles)
