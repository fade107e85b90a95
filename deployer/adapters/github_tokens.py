"""Tokens of GitHub App installations: fetched when one is needed, kept in memory until shortly before they end.

Never stored. GitHub's API is asked at an address that was looked at first (a name that leads to this machine or its
link is refused), redirects are not followed, and an answer is read up to a limit. A token that Git refuses is dropped:
the next time another one is fetched.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from deployer.adapters.git_failure import GitFailed
from deployer.core.github_app import GitHubApp, check_app, signature
from deployer.core.repository import RepositoryRefused, forbidden_address, shown

TIMEOUT_SECONDS = 10.0
RENEWED_BEFORE_SECONDS = 300.0
MAX_ANSWER_BYTES = 1 << 20

_Key = tuple[str, str, str, str]
_tokens: dict[_Key, tuple[str, float]] = {}
_lock = threading.Lock()


def installation_token(app: GitHubApp, *, allow_local: bool) -> str:
    """A token that is valid for some minutes at least. Raises GitFailed."""
    key = _key(app)
    with _lock:
        token, until = _tokens.get(key, ("", 0.0))
    if token and until - RENEWED_BEFORE_SECONDS > time.time():
        return token
    try:
        check_app(app, allow_local=allow_local)
        signed = signature(app, time.time())
    except RepositoryRefused as refused:
        raise GitFailed("AuthenticationFailed", refused.sentence) from None
    token, until = _fetched(app, signed, allow_local=allow_local)
    with _lock:
        _tokens[key] = (token, until)
    return token


def forget(app: GitHubApp) -> None:
    with _lock:
        _tokens.pop(_key(app), None)


def _key(app: GitHubApp) -> _Key:
    return (app.api_url, app.app_id, app.installation_id, hashlib.sha256(app.key.encode()).hexdigest())


def _fetched(app: GitHubApp, signed: str, *, allow_local: bool) -> tuple[str, float]:
    """(token, when it ends in seconds since the epoch)."""
    status, body = _posted(app, signed, allow_local=allow_local)
    if status != 201:
        raise _failure(app, status, body)
    try:
        answer = json.loads(body)
        until = datetime.datetime.fromisoformat(str(answer["expires_at"]).replace("Z", "+00:00"))
        token = str(answer["token"])
    except (ValueError, LookupError, TypeError):
        raise GitFailed("Unreachable", f"{_place(app)} gave no token that can be read: check the API's URL") from None
    if not token or not token.isascii() or not token.isprintable():
        raise GitFailed("Unreachable", f"{_place(app)} gave a token that is none")
    return token, until.timestamp()


def _posted(app: GitHubApp, signed: str, *, allow_local: bool) -> tuple[int, bytes]:
    import urllib3

    parts = urlsplit(app.api_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    headers = {
        "Host": parts.netloc, "Authorization": f"Bearer {signed}", "Accept": "application/vnd.github+json",
        "User-Agent": "Pierhead", "X-GitHub-Api-Version": "2022-11-28",
    }  # fmt: skip
    path = f"{parts.path.rstrip('/')}/app/installations/{app.installation_id}/access_tokens"
    deadline = time.monotonic() + TIMEOUT_SECONDS
    options: dict[str, Any] = {
        "timeout": TIMEOUT_SECONDS, "retries": False, "redirect": False, "headers": headers, "preload_content": False,
    }  # fmt: skip
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    try:
        if proxy and parts.scheme == "https":
            with urllib3.ProxyManager(proxy) as manager:
                answer = manager.request("POST", f"{parts.scheme}://{parts.netloc}{path}", **options)
                return answer.status, body_of(answer, MAX_ANSWER_BYTES, deadline)
        address = _address(app, host, port, allow_local=allow_local)
        with _pool(parts.scheme, host, address, port) as pool:
            answer = pool.request("POST", path, **options)
            return answer.status, body_of(answer, MAX_ANSWER_BYTES, deadline)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        name = type(error).__name__
        raise GitFailed("Unreachable", f"{_place(app)} does not answer ({name}): it is asked again") from None


def body_of(answer: Any, most_bytes: int, deadline: float) -> bytes:
    """The first bytes of a body. Raises TimeoutError at `deadline` (monotonic seconds): a server that sends a byte now
    and then is never silent for long, and would hold its reader for days."""
    body = bytearray()
    while len(body) < most_bytes and (piece := answer.read1(65536, decode_content=True)):
        body += piece
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body[:most_bytes])


def _pool(scheme: str, host: str, address: str, port: int) -> Any:
    import urllib3

    if scheme == "http":  # admitted for this machine alone
        return urllib3.HTTPConnectionPool(address, port, maxsize=1)
    return urllib3.HTTPSConnectionPool(
        address, port, maxsize=1, cert_reqs="CERT_REQUIRED", server_hostname=host, assert_hostname=host
    )


def _address(app: GitHubApp, host: str, port: int, *, allow_local: bool) -> str:
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise GitFailed("Unreachable", f"{_place(app)}: the name {host} cannot be resolved: check the URL") from None
    for candidate in found:
        if not allow_local and (reason := forbidden_address(candidate)):
            raise GitFailed("Refused", f"{_place(app)}: {host} is {candidate}, {reason}; allow local addresses for it")
    return found[0]


def _failure(app: GitHubApp, status: int, body: bytes) -> GitFailed:
    said = _said(body)
    sentences = {
        401: f"refused the App's signature{said}: the private key is not of App {app.app_id}, or this clock is wrong",
        403: f"refuses installation {app.installation_id}{said}: it may be suspended",
        404: f"knows no installation {app.installation_id} of App {app.app_id}: it may have been removed",
    }
    if status in sentences:
        advice = "; set the App again on the repository's page or with `manage.py repository set`"
        return GitFailed("AuthenticationFailed", f"{_place(app)} {sentences[status]}{advice}")
    return GitFailed("Unreachable", f"{_place(app)} answered {status}{said}: it is asked again")


def _said(body: bytes) -> str:
    try:
        return f" ({shown(str(json.loads(body)['message']))})"
    except (ValueError, LookupError, TypeError):
        return ""


def _place(app: GitHubApp) -> str:
    return f"GitHub's API at {shown(app.api_url)}"
