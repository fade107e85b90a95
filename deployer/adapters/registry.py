"""Image registries, by the OCI distribution API: which tags a repository has, and the digest of one.

    GET /v2/NAME/tags/list (page by page)      HEAD /v2/NAME/manifests/TAG

A registry that wants credentials says how (a token from a server that it names, or Basic), and gets the ones that a
pull would use. Addresses come from manifests, so they are not trusted: a name that leads to this machine or its link is
refused unless local registries are allowed, and the connection goes to the address that was looked at; redirects are
not followed; answers are of bounded size and time. A registry that says "too many requests" is left alone for as long
as it asks, whoever asks for it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from deployer.adapters.registry_line import Answer, Line, NoAnswer
from deployer.core.container import RegistryAuth
from deployer.core.images.reference import Reference, is_digest
from deployer.ports import RegistryError

TIMEOUT_SECONDS = 30.0
PAGE = 1000
MAX_PAGES = 200
MAX_TAGS = 50_000
HELD_SECONDS, LONGEST_HELD_SECONDS = 300.0, 86400.0
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


class OciRegistry:
    """Safe for threads. Every method raises RegistryError."""

    def __init__(
        self, *, allow_local: bool, timeout_seconds: float = TIMEOUT_SECONDS, now: Callable[[], float] = time.time
    ) -> None:
        self._allow_local, self._timeout_seconds, self._now = allow_local, timeout_seconds, now
        self._held: dict[str, float] = {}
        self._lock = threading.Lock()

    def tags(self, image: Reference, auth: RegistryAuth | None) -> list[str]:
        """All tags of the image's repository, in no order."""
        found: list[str] = []
        path = f"/v2/{image.repository}/tags/list?n={PAGE}"
        with self._visit(image, auth) as visit:
            for _ in range(MAX_PAGES):
                answer = visit.ask("GET", path)
                found += _tags(_json(answer.body, image), image)
                path = _next(answer.headers)
                if not path:
                    return found
                if len(found) > MAX_TAGS:
                    break
        raise RegistryError("TooLarge", f"{image.whole} has more than {len(found):,} tags, which are not all read")

    def digest(self, image: Reference, auth: RegistryAuth | None) -> str:
        """What the tag names now."""
        path = f"/v2/{image.repository}/manifests/{image.effective_tag}"
        with self._visit(image, auth) as visit:
            answer = visit.ask("HEAD", path)
            told: str = answer.headers.get("docker-content-digest", "")
            if not told:
                told = f"sha256:{hashlib.sha256(visit.ask('GET', path).body).hexdigest()}"
        if not is_digest(told):
            raise RegistryError("BadAnswer", f"{image.whole}: the registry names a digest that is none")
        return told

    @contextlib.contextmanager
    def _visit(self, image: Reference, auth: RegistryAuth | None) -> Iterator[_Visit]:
        host = image.registry
        with self._lock:
            wait = self._held.get(host, 0.0) - self._now()
        if wait > 0:
            raise _held(host, wait)
        line = Line(host, allow_local=self._allow_local, timeout_seconds=self._timeout_seconds)
        try:
            yield _Visit(line, image, auth)
        except RegistryError as error:
            if error.retry_after_seconds:
                with self._lock:
                    self._held[host] = self._now() + error.retry_after_seconds
            raise
        except NoAnswer as error:
            raise RegistryError(error.reason, f"{image.whole}: {error}") from None
        finally:
            line.close()


@dataclass
class _Visit:
    """One conversation: the token that it got is kept until its end."""

    line: Line
    image: Reference
    auth: RegistryAuth | None
    authorization: str = ""

    def ask(self, method: str, path: str) -> Answer:
        answer = self._send(method, path)
        if answer.status == 401:
            self.authorization = self._authorized(answer)
            answer = self._send(method, path)
        if answer.status != 200:
            raise _failure(answer, self.image, self.auth)
        return answer

    def _send(self, method: str, path: str) -> Answer:
        headers = {"Accept": MANIFESTS if "/manifests/" in path else "application/json"}
        if self.authorization:
            headers["Authorization"] = self.authorization
        return self.line.send(method, path, headers)

    def _authorized(self, answer: Answer) -> str:
        """The header for what the registry asked for."""
        scheme, challenge = _challenge(answer.headers.get("www-authenticate", ""))
        if scheme == "bearer":
            return f"Bearer {self._token(challenge)}"
        if scheme == "basic" and self.auth is not None:
            return _basic(self.auth)
        raise _failure(answer, self.image, self.auth)

    def _token(self, challenge: Mapping[str, str]) -> str:
        parts = _split(challenge.get("realm", ""))
        scope = challenge.get("scope") or f"repository:{self.image.repository}:pull"
        asked = {"service": challenge.get("service", ""), "scope": scope}
        query = urlencode({key: value for key, value in asked.items() if value})
        headers = {"Accept": "application/json", **({"Authorization": _basic(self.auth)} if self.auth else {})}
        with contextlib.closing(self.line.to(parts.scheme, parts.netloc)) as server:
            answer = server.send("GET", f"{parts.path or '/'}?{parts.query}&{query}".replace("?&", "?"), headers)
        if answer.status != 200:
            raise _failure(answer, self.image, self.auth)
        body = _json(answer.body, self.image)
        token = body.get("token") or body.get("access_token")
        if not isinstance(token, str) or not token.isprintable():
            raise RegistryError("BadAnswer", f"{self.image.whole}: the token server gave no token")
        return token


def _failure(answer: Answer, image: Reference, auth: RegistryAuth | None) -> RegistryError:
    status = answer.status
    if status == 429 or (status == 503 and "retry-after" in answer.headers):
        return _held(image.registry, _retry_after(answer.headers))
    if status in (401, 403):
        hint = "these credentials may not read it" if auth else "it wants credentials: name them in imagePullSecrets"
        return RegistryError("PullDenied", f"{image.whole}: {hint}")
    if status == 404:
        return RegistryError("ImageNotFound", f"{image.whole}: the registry has no such repository or tag")
    if 300 <= status < 400:
        return RegistryError("BadAnswer", f"{image.whole}: the registry redirects, which is not followed")
    return RegistryError("RegistryUnreachable", f"{image.whole}: the registry answers with status {status}")


def _held(host: str, seconds: float) -> RegistryError:
    sentence = f"{host} asks for fewer requests: it is left alone for {seconds:.0f} s"
    return RegistryError("TooManyRequests", sentence, retry_after_seconds=seconds)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, or a date."""
    text = headers.get("retry-after", "").strip()
    seconds = HELD_SECONDS
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    elif text:
        with contextlib.suppress(ValueError, TypeError):
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
    return min(max(seconds, 1.0), LONGEST_HELD_SECONDS)


def _challenge(header: str) -> tuple[str, dict[str, str]]:
    """("bearer", its parameters), or ("basic", {}), or ("", {}). A token goes before Basic where both are offered."""
    found = {key.lower(): value for key, value in re.findall(r'([A-Za-z]+)="([^"]{0,1024})"', header[:8192])}
    words = header.lower()
    if re.search(r"(^|,\s*)bearer\s", words):
        return "bearer", found
    return ("basic", found) if re.search(r"(^|,\s*)basic\b", words) else ("", {})


def _basic(auth: RegistryAuth) -> str:
    return "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()


def _json(body: bytes, image: Reference) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RegistryError("BadAnswer", f"{image.whole}: the answer is not what a registry answers; is it one?")
    return found


def _tags(body: Mapping[str, Any], image: Reference) -> list[str]:
    tags = body.get("tags")
    if tags is None:
        return []
    if not isinstance(tags, list):
        raise RegistryError("BadAnswer", f"{image.whole}: the answer holds no list of tags")
    return [one for one in tags if isinstance(one, str)]


def _split(address: str) -> SplitResult:
    """The parts of an address; those of none when it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _next(headers: Mapping[str, str]) -> str:
    """The path of the next page, on the same host whatever the link says; "" after the last."""
    for link in headers.get("link", "").split(","):
        address, _, relation = link.partition(";")
        if 'rel="next"' in relation.replace(" ", "") or "rel=next" in relation.replace(" ", ""):
            parts = _split(address.strip().strip("<>"))
            if parts.path.startswith("/v2/") and parts.query and f"{parts.path}{parts.query}".isprintable():
                return f"{parts.path}?{parts.query}"
    return ""
