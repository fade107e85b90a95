"""What a repository's Git host is told, and how the last word to it fared."""

from __future__ import annotations

from dataclasses import dataclass

from control.models import CommitStatus, Repository
from control.selectors.words import State, commit, sentence
from deployer.core.git_hosts import PROVIDERS, HostRefused, place_of
from deployer.core.source import GitCredentials

SHOWN = 5


@dataclass(frozen=True, slots=True)
class StatusLine:
    application: str
    commit: str
    state: State
    description: str


@dataclass(frozen=True, slots=True)
class HostLine:
    """`host`: what it is and where its API is. `word`: whether it is told how commits fare, and if not, why."""

    host: str
    provider: str
    api_url: str
    on: bool
    word: str
    trouble: str
    statuses: tuple[StatusLine, ...]


_TONES = {"success": "good", "pending": "busy", "failure": "bad", "stopped": "idle"}


def host_line(row: Repository) -> HostLine:
    host, word = _host(row)
    of = CommitStatus.objects.filter(application__repository=row).select_related("application")
    trouble = of.exclude(message="").order_by("-id").values_list("message", flat=True).first() or ""
    return HostLine(
        host=host,
        provider=row.provider,
        api_url=row.api_url,
        on=row.tells_status,
        word=word,
        trouble=sentence(trouble) if row.tells_status else "",
        statuses=tuple(_status(one) for one in of.exclude(state="")[:SHOWN]),
    )


def _host(row: Repository) -> tuple[str, str]:
    off, credentials = "statuses of commits are not told", GitCredentials(**row.credentials.load())
    try:
        place = place_of(row.url, row.provider, row.api_url, allow_local=row.allow_local, credentials=credentials)
    except HostRefused as refused:
        return "not usable", f"{off}: {refused.sentence}"
    if place is None:
        return "a host of a kind that is not known", f"{off}: its kind has to be set"
    host = f"{PROVIDERS[place.provider]} at {place.api}"
    if not row.tells_status:
        return host, f"{off}: switched off"
    if not credentials.opens_api:
        return host, f"{off}: there is no token"
    return host, "statuses of commits are told"


def _status(row: CommitStatus) -> StatusLine:
    state = State(row.state.capitalize(), _TONES.get(row.state, "idle"))  # type: ignore[arg-type]
    return StatusLine(row.application.name, commit(row.commit), state, sentence(row.description))
