"""How a repository is opened, in words: which kind of way in, which host keys, and where a public key is pasted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from control.models import Repository
from control.selectors.words import Moment
from deployer.core.host_keys import PUBLISHED, keys_in, place_of, published
from deployer.core.repository import RepositoryAddress, RepositoryRefused, parse_repository_url

_PLACES = (
    ("github.com", "GitHub", "Settings, Deploy keys, Add deploy key"),
    ("gitlab.com", "GitLab", "Settings, Repository, Deploy keys"),
    ("codeberg.org", "Gitea or Forgejo", "Settings, Deploy Keys, Add Deploy Key"),
    ("bitbucket.org", "Bitbucket", "Repository settings, Access keys, Add key"),
    ("ssh.dev.azure.com", "Azure DevOps", "User settings, SSH public keys, New Key"),
)


@dataclass(frozen=True, slots=True)
class CredentialsWords:
    """`way`: what it is opened with. `places`: (Git host, where the public key is pasted there).

    `host_keys`: what its host is known by; `published`: the page that they come from, "" when a person confirmed them.
    `failing`: since when it cannot be read.
    """

    way: str
    public_key: str
    places: tuple[tuple[str, str], ...]
    host_keys: tuple[str, ...]
    published: str
    failing: Moment


def credentials_words(name: str, now: float) -> CredentialsWords | None:
    """Of the repository of this name; None when there is none."""
    row = Repository.objects.filter(name=name).first()
    if row is None:
        return None
    kept = row.credentials.load()
    address = _address(row)
    over_ssh = address is not None and address.transport == "ssh"
    confirmed = str(kept.get("known_hosts") or "")
    lines = (confirmed or published(*place_of(address))) if over_ssh and address else ""
    return CredentialsWords(
        way=_way(kept, made_here=bool(row.ssh_public_key)),
        public_key=row.ssh_public_key,
        places=tuple(key_places(row.url)),
        host_keys=tuple(key.title for key in keys_in(lines)),
        published="" if confirmed or not lines or address is None else _page_of(address.host),
        failing=Moment(row.failing_since, now),
    )


def key_places(url: str) -> Iterable[tuple[str, str]]:
    """For a host that is known the one place, for any other those of all products."""
    host = (urlsplit(url).hostname if "://" in url else url.partition("@")[2].partition(":")[0]) or ""
    found = [(product, place) for known, product, place in _PLACES if known == host]
    return found or [(product, f"{product}: {place}") for _, product, place in _PLACES]


def _way(kept: dict[str, str], *, made_here: bool) -> str:
    if kept.get("app_id"):
        where = f" at {kept['api_url']}" if kept.get("api_url") else ""
        return f"GitHub App {kept['app_id']}, installation {kept.get('installation_id', '')}{where}"
    if kept.get("ssh_key"):
        return "an SSH key that was made here" if made_here else "an SSH key"
    return "a token" if kept.get("token") else "nothing: it is public"


def _address(row: Repository) -> RepositoryAddress | None:
    try:
        return parse_repository_url(row.url, allow_local=row.allow_local)
    except RepositoryRefused:
        return None


def _page_of(host: str) -> str:
    return PUBLISHED[host].published
