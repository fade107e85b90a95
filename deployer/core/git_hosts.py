"""What Git hosts are asked beside Git: to show a commit's status, and to open a pull request.

Pure: values in, a request out; the answer's status and body in, what it means out. Each host as its makers document it:
GitHub REST "commit statuses" and "pulls", GitLab "commits API: set the pipeline status" and "merge requests", Gitea's
(and Forgejo's) swagger, Bitbucket Cloud "commit statuses: build" and "pullrequests", Bitbucket Data Center "builds and
deployments" and "pull requests".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from deployer.core.repository import RepositoryRefused, local_reason, parse_repository_url, shown
from deployer.core.source import GitCredentials

State = Literal["pending", "success", "failure", "stopped"]
"""`stopped`: nobody will say any more how it went, since a newer commit came."""
PROVIDERS = {
    "github": "GitHub", "gitlab": "GitLab", "gitea": "Gitea", "forgejo": "Forgejo", "bitbucket": "Bitbucket Cloud",
    "bitbucket-server": "Bitbucket Data Center",
}  # fmt: skip
KNOWN_HOSTS = {
    "github.com": ("github", "https://api.github.com"),
    "ssh.github.com": ("github", "https://api.github.com"),
    "gitlab.com": ("gitlab", "https://gitlab.com/api/v4"),
    "altssh.gitlab.com": ("gitlab", "https://gitlab.com/api/v4"),
    "gitea.com": ("gitea", "https://gitea.com/api/v1"),
    "codeberg.org": ("forgejo", "https://codeberg.org/api/v1"),
    "bitbucket.org": ("bitbucket", "https://api.bitbucket.org/2.0"),
    "altssh.bitbucket.org": ("bitbucket", "https://api.bitbucket.org/2.0"),
}
_API_PATHS = {"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1", "forgejo": "/api/v1",
              "bitbucket": "/2.0", "bitbucket-server": ""}  # fmt: skip
_STATES: dict[str, dict[State, str]] = {
    "github": {"pending": "pending", "success": "success", "failure": "failure", "stopped": "error"},
    "gitlab": {"pending": "running", "success": "success", "failure": "failed", "stopped": "canceled"},
    "gitea": {"pending": "pending", "success": "success", "failure": "failure", "stopped": "warning"},
    "forgejo": {"pending": "pending", "success": "success", "failure": "failure", "stopped": "warning"},
    "bitbucket": {"pending": "INPROGRESS", "success": "SUCCESSFUL", "failure": "FAILED", "stopped": "STOPPED"},
    "bitbucket-server": {
        "pending": "INPROGRESS", "success": "SUCCESSFUL", "failure": "FAILED", "stopped": "CANCELLED",
    },
}  # fmt: skip
_SCOPES = {
    "github": ("Commit statuses: read and write (classic: repo:status)", "Contents and Pull requests: read and write"),
    "gitlab": ("the scope api and the role Developer", "the scope api and the role Developer"),
    "gitea": ("write:repository", "write:repository and write:issue"),
    "forgejo": ("write:repository", "write:repository and write:issue"),
    "bitbucket": ("repository:write", "pullrequest:write"),
    "bitbucket-server": ("Repository write", "Repository write"),
}
"""What a token needs: for statuses, for pull requests."""
MAX_DESCRIPTION = 140
MAX_KEY = 40
MAX_API_LENGTH = 512
NO_CREDENTIALS = GitCredentials()


class HostRefused(Exception):
    """What cannot be asked of a host. `sentence` says why, and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Place:
    """A repository at a host: `api` is the base of its API, `path` the repository's there, such as owner/name."""

    provider: str
    api: str
    path: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. `headers` hold the credentials, and are shown nowhere."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Status:
    """What is said of a commit. `context` names who says it: pierhead/APPLICATION."""

    commit: str
    state: State
    description: str
    context: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """`base`: the branch that it is for."""

    branch: str
    base: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means. `final`: asking again does not help before the credentials or settings change."""

    done: bool
    sentence: str = ""
    final: bool = False
    url: str = ""


def place_of(
    url: str, provider: str = "", api: str = "", *, allow_local: bool = False,
    credentials: GitCredentials = NO_CREDENTIALS,
) -> Place | None:  # fmt: skip
    """Where a repository's API is: by what is told, else by its host's name. None for a host that nobody knows.

    A GitHub App says where GitHub's API is. Raises HostRefused for what is told and makes no sense.
    """
    if credentials.app_id:
        provider, api = provider or "github", api or credentials.api_url
    if provider and provider not in PROVIDERS:
        raise HostRefused(f"{shown(provider)} is no kind of Git host; there are: {', '.join(PROVIDERS)}")
    try:
        address = parse_repository_url(url, allow_local=allow_local)
    except RepositoryRefused as refused:
        raise HostRefused(refused.sentence) from None
    known = KNOWN_HOSTS.get(address.host.rstrip("."), ("", ""))
    provider = provider or known[0]
    if not provider or not address.host:
        return None
    base = _checked_api(api, allow_local) if api else ""
    if not base:
        base = known[1] if known[0] == provider else _own(address.url) + _API_PATHS[provider]
    return Place(provider, base, _path(provider, address.url))


def status(place: Place, said: Status, username: str, token: str) -> Ask:
    state = _STATES[place.provider][said.state]
    description, quoted = _cut(said.description), quote(place.path, safe="")
    match place.provider:
        case "gitlab":
            url = f"{place.api}/projects/{quoted}/statuses/{said.commit}"
            body = {"state": state, "name": said.context, "description": description, "target_url": said.url}
        case "bitbucket":
            url = f"{place.api}/repositories/{_segments(place.path)}/commit/{said.commit}/statuses/build"
            body = {"state": state, "key": _key(said.context), "name": said.context, "description": description,
                    "url": _needed(said.url)}  # fmt: skip
        case "bitbucket-server":
            url = f"{_data_center(place)}/commits/{said.commit}/builds"
            body = {"state": state, "key": said.context, "name": said.context, "description": description,
                    "url": _needed(said.url)}  # fmt: skip
        case _:
            url = f"{place.api}/repos/{_segments(place.path)}/statuses/{said.commit}"
            body = {"state": state, "context": said.context, "description": description, "target_url": said.url}
    return _ask(place, url, {key: value for key, value in body.items() if value}, username, token)


def pull_request(place: Place, wanted: PullRequest, username: str, token: str) -> Ask:
    body: dict[str, Any]
    match place.provider:
        case "gitlab":
            url = f"{place.api}/projects/{quote(place.path, safe='')}/merge_requests"
            body = {"source_branch": wanted.branch, "target_branch": wanted.base, "title": wanted.title,
                    "description": wanted.body, "remove_source_branch": True}  # fmt: skip
        case "bitbucket":
            url = f"{place.api}/repositories/{_segments(place.path)}/pullrequests"
            body = {"title": wanted.title, "description": wanted.body, "close_source_branch": True,
                    "source": {"branch": {"name": wanted.branch}},
                    "destination": {"branch": {"name": wanted.base}}}  # fmt: skip
        case "bitbucket-server":
            url = f"{_data_center(place)}/pull-requests"
            body = {"title": wanted.title, "description": wanted.body,
                    "fromRef": {"id": f"refs/heads/{wanted.branch}"},
                    "toRef": {"id": f"refs/heads/{wanted.base}"}}  # fmt: skip
        case _:
            url = f"{place.api}/repos/{_segments(place.path)}/pulls"
            body = {"title": wanted.title, "body": wanted.body, "head": wanted.branch, "base": wanted.base}
    return _ask(place, url, body, username, token)


def judge(place: Place, code: int, body: bytes, *, of_status: bool) -> Verdict:
    """`body`: at most a few kilobytes of it are needed."""
    answer = _parsed(body)
    title = PROVIDERS[place.provider]
    if code in (200, 201, 202, 204):
        return Verdict(True, url=_link(answer))
    said = _said(answer)
    if place.provider == "gitlab" and of_status and code == 400 and "transition status" in said.lower():
        return Verdict(True)  # it says so already
    if code in (401, 403, 404) and "rate limit" not in said.lower():
        scope = _SCOPES[place.provider][0 if of_status else 1]
        what = {401: "does not accept the token", 403: "forbids it"}.get(code, f"shows no {place.path} to the token")
        return Verdict(False, f"{title} {what}{_quoted(said)}: it needs {scope}", final=True)
    if code == 429 or code == 403:
        return Verdict(False, f"{title} wants to be asked less often{_quoted(said)}")
    if 400 <= code < 500:
        return Verdict(False, f"{title} refused it with {code}{_quoted(said)}", final=True)
    return Verdict(False, f"{title} answered {code}{_quoted(said)}")


def _own(url: str) -> str:
    """The root of the host's own web server. One that is cloned over SSH is expected behind https."""
    if "://" not in url:
        host = url.partition("@")[2].partition(":")[0]
        return f"https://{host}"
    parts = urlsplit(url)
    if parts.scheme in ("https", "http"):
        return f"{parts.scheme}://{parts.netloc}"
    host = parts.hostname or ""
    return f"https://[{host}]" if ":" in host else f"https://{host}"


def _path(provider: str, url: str) -> str:
    path = urlsplit(url).path if "://" in url else url.partition(":")[2]
    parts = [part for part in path.removesuffix("/").removesuffix(".git").split("/") if part]
    if provider == "bitbucket-server" and len(parts) > 2 and parts[0] == "scm":
        parts = parts[1:]
    if len(parts) < 2 or any(part in (".", "..") for part in parts):
        raise HostRefused(f"{shown(url)} names no owner and repository, as {PROVIDERS[provider]} has them")
    return "/".join(parts if provider == "gitlab" else parts[-2:])


def _checked_api(api: str, allow_local: bool) -> str:
    if len(api) > MAX_API_LENGTH or not api.isprintable() or " " in api:
        raise HostRefused("the address of the API is too long, or holds a space or a control character")
    try:
        parts = urlsplit(api)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise HostRefused(f"{shown(api)}: its host or port cannot be read") from error
    host = (parts.hostname or "").lower()
    reason = local_reason(host) if host else ""
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_local and reason == "a loopback address"):
        raise HostRefused(f"{shown(api)}: write the API's address as https://HOST/PATH")
    if not host or "@" in parts.netloc or parts.query or parts.fragment:
        raise HostRefused(f"{shown(api)}: leave out credentials, and everything from '?' or '#' on")
    if reason and not allow_local:
        raise HostRefused(f"{shown(api)}: {host} is {reason}")
    return api.rstrip("/")


def _data_center(place: Place) -> str:
    project, _, name = place.path.partition("/")
    owner = f"users/{quote(project[1:], safe='')}" if project.startswith("~") else f"projects/{quote(project, safe='')}"
    return f"{place.api}/rest/api/1.0/{owner}/repos/{quote(name, safe='')}"


def _ask(place: Place, url: str, body: Mapping[str, Any], username: str, token: str) -> Ask:
    headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "Pierhead"}
    match place.provider:
        case "github":
            headers |= {
                "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28",
                "Authorization": f"Bearer {token}",
            }  # fmt: skip
        case "gitlab":
            headers["PRIVATE-TOKEN"] = token
        case "gitea" | "forgejo":
            headers["Authorization"] = f"token {token}"
        case "bitbucket" if username and username != "x-token-auth":
            headers["Authorization"] = f"Basic {_basic(username, token)}"
        case _:
            headers["Authorization"] = f"Bearer {token}"
    return Ask("POST", url, headers, json.dumps(body, separators=(",", ":")).encode())


def _basic(username: str, token: str) -> str:
    return base64.b64encode(f"{username}:{token}".encode()).decode()


def _needed(url: str) -> str:
    if not url:
        raise HostRefused("Bitbucket wants a link with each status: set PIERHEAD_PUBLIC_URL")
    return url


def _segments(path: str) -> str:
    return "/".join(quote(part, safe="") for part in path.split("/"))


def _key(context: str) -> str:
    return context if len(context) <= MAX_KEY else context[-MAX_KEY:]


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_DESCRIPTION else text[: MAX_DESCRIPTION - 3] + "..."


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _said(answer: Any) -> str:
    """What the host gives as its reason, whichever way it gives it."""
    if not isinstance(answer, dict):
        return ""
    error, errors = answer.get("error"), answer.get("errors")
    found: Any = answer.get("message") or (error.get("message") if isinstance(error, dict) else error)
    if isinstance(errors, list) and errors and isinstance(errors[0], dict) and errors[0].get("message"):
        found = f"{found}: {errors[0]['message']}" if found else errors[0]["message"]
    if isinstance(found, list):
        found = "; ".join(map(str, found))
    return shown(found if isinstance(found, str) else json.dumps(found)) if found else ""


def _quoted(said: str) -> str:
    return f" ({said})" if said else ""


def _link(answer: Any) -> str:
    """To what was made; only if it leads to a web page."""
    if not isinstance(answer, dict):
        return ""
    links = answer.get("links")
    found: Any = answer.get("html_url") or answer.get("web_url")
    if isinstance(links, dict):
        own: Any = links.get("html") or links.get("self") or {}
        own = own[0] if isinstance(own, list) and own else own
        found = own.get("href") if isinstance(own, dict) else found
    return found if isinstance(found, str) and found.startswith(("https://", "http://")) and found.isprintable() else ""
