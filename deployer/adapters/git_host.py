"""Requests to Git hosts' APIs: bounded in time and size, to the host that was looked at, and to no other.

A name that leads to this machine or its link is refused and the connection goes to the address that was looked at;
redirects are not followed, so a token reaches nobody else. Sentences hold nothing of a token.
"""

from __future__ import annotations

import math
import os
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3

from deployer.adapters import github_tokens
from deployer.core.git_hosts import Ask, HostRefused, Status, Verdict, judge, place_of, status
from deployer.core.repository import forbidden_address, shown
from deployer.core.source import GitCredentials, RepositoryAccess
from deployer.ports import SourceError

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 1 << 18
LONGEST_WAIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`retry_after_seconds`: how long the host wants to be left alone, 0 when it does not say."""

    code: int
    body: bytes
    retry_after_seconds: float = 0.0


def api_token(credentials: GitCredentials, *, allow_local: bool) -> str:
    """The token for the API of a repository's host: that of a GitHub App, or the one that Git is given over HTTPS.

    "" when there is none. Raises SourceError when the App gets none.
    """
    if credentials.app:
        return github_tokens.installation_token(credentials.app, allow_local=allow_local)
    return credentials.token


def request(ask: Ask, *, allow_local: bool, now: float) -> Answer:
    """Raises SourceError when no answer came."""
    parts = urlsplit(ask.url)
    place, proxy = f"{parts.scheme}://{parts.netloc}", _proxy(parts.scheme)
    options: dict[str, Any] = {
        "headers": {**ask.headers, "Host": parts.netloc}, "body": ask.body or None, "retries": False,
        "redirect": False, "timeout": TIMEOUT_SECONDS, "preload_content": False,
    }  # fmt: skip
    deadline = time.monotonic() + TIMEOUT_SECONDS
    try:
        with _pool(parts, allow_local) if not proxy else urllib3.ProxyManager(proxy) as pool:
            target = ask.url if proxy else parts.path
            answer = pool.request(ask.method, target, **options)
            body = github_tokens.body_of(answer, MAX_ANSWER_BYTES, deadline)
            return Answer(answer.status, body, _retry_after(dict(answer.headers), now))
    except (urllib3.exceptions.HTTPError, OSError) as error:
        name = type(error).__name__
        raise SourceError("Unreachable", f"{shown(place)} does not answer ({name}): it is asked again") from None


def tell_status(repository: RepositoryAccess, said: Status, now: float) -> tuple[Verdict, float]:
    """Tell a repository's host how a commit fares. What came of it, and how long the host wants to be left alone."""
    credentials = repository.credentials
    try:
        place = place_of(
            repository.url, repository.provider, repository.api_url, allow_local=repository.allow_local,
            credentials=credentials,
        )  # fmt: skip
        if place is None:
            return Verdict(False, "which kind of host this is is not known", final=True), 0.0
        token = api_token(credentials, allow_local=repository.allow_local)
        ask = status(place, said, credentials.username, token)
        answer = request(ask, allow_local=repository.allow_local, now=now)
    except HostRefused as refused:
        return Verdict(False, refused.sentence, final=True), 0.0
    except SourceError as error:
        return Verdict(False, error.sentence), 0.0
    return judge(place, answer.code, answer.body, of_status=True), answer.retry_after_seconds


def _pool(parts: Any, allow_local: bool) -> Any:
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    address = _address(host, port, allow_local)
    if not secure:
        return urllib3.HTTPConnectionPool(address, port, maxsize=1)
    return urllib3.HTTPSConnectionPool(
        address, port, maxsize=1, cert_reqs="CERT_REQUIRED", server_hostname=host, assert_hostname=host
    )


def _address(host: str, port: int, allow_local: bool) -> str:
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        sentence = f"the name {shown(host)} cannot be resolved: check the API's address"
        raise SourceError("Unreachable", sentence) from None
    for candidate in found:
        if not allow_local and (reason := forbidden_address(candidate)):
            raise SourceError("Refused", f"{shown(host)} is {candidate}, {reason}: its API is not asked")
    return found[0]


def _proxy(scheme: str) -> str:
    return (os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or "") if scheme == "https" else ""


def _retry_after(headers: dict[str, str], now: float) -> float:
    """`Retry-After` in seconds, or GitHub's `X-RateLimit-Reset` when nothing is left."""
    lower = {name.lower(): value for name, value in headers.items()}
    wait = _number(lower.get("retry-after", ""))
    if not wait and lower.get("x-ratelimit-remaining") == "0":
        wait = _number(lower.get("x-ratelimit-reset", "")) - now
    return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)


def _number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if math.isfinite(found) else 0.0
