"""Which commit a ref names, asked over HTTP by ourselves: one request, no process, for polls that find nothing new.

    POST .../git-upload-pack   command=ls-refs, of protocol version 2

Git's own `ls-remote` costs some 20 ms of CPU for starting programs alone, and a hundred repositories are asked twice a
minute. This answers only where all is plain and well: a server that speaks version 2 over HTTP(S), with a token or
none, and that has the ref. Whatever else there is (a proxy, a redirect, an error, a name that leads somewhere
forbidden, an answer that is not understood) is None, and Git is asked, which knows all of it and has the sentences. A
server that was no good for this is not asked so again for an hour.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from deployer.adapters.registry_line import Line, NoAnswer
from deployer.core.repository import RepositoryAddress, is_commit_id
from deployer.core.source import GitCredentials

TIMEOUT_SECONDS = 10.0
AGAIN_SECONDS = 3600.0
MAX_REMEMBERED = 10_000
_FLUSH, _DELIMITER = b"0000", b"0001"
_RESULT = "application/x-git-upload-pack-result"
_FOR_GIT = {
    "http": ("ALL_PROXY", "all_proxy"),
    "https": ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"),
}
"""Variables that Git and its curl heed, and this does not."""


class QuickLook:
    """Safe for threads; one per process. Never raises."""

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS, now: Callable[[], float] = time.monotonic) -> None:
        self._timeout_seconds, self._now = min(timeout_seconds, TIMEOUT_SECONDS), now
        self._unfit: dict[str, float] = {}
        self._lock = threading.Lock()

    def head(
        self, address: RepositoryAddress, candidates: Sequence[str], authorization: str, *, allow_local: bool
    ) -> str | None:
        """The commit that the first of these full names that exists names; None: ask Git."""
        heeded = _FOR_GIT.get(address.transport)
        if heeded is None or any(os.environ.get(name) for name in heeded):
            return None
        with self._lock:
            if self._unfit.get(address.url, 0.0) > self._now():
                return None
        try:
            line = self._line(address, allow_local)
            with contextlib.closing(line):
                found = _asked(line, address, candidates, authorization)
        except (NoAnswer, ValueError, OSError):
            found = None
        if found is None:
            with self._lock:
                if len(self._unfit) >= MAX_REMEMBERED:
                    self._unfit.clear()
                self._unfit[address.url] = self._now() + AGAIN_SECONDS
        return found

    def _line(self, address: RepositoryAddress, allow_local: bool) -> Line:
        parts = urlsplit(address.url)
        return Line(
            parts.netloc, allow_local=allow_local, timeout_seconds=self._timeout_seconds, scheme=parts.scheme
        )  # fmt: skip


def _asked(line: Line, address: RepositoryAddress, candidates: Sequence[str], authorization: str) -> str | None:
    headers = {
        "Accept": _RESULT, "Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2",
        **({"Authorization": authorization} if authorization else {}),
    }  # fmt: skip
    path = f"{urlsplit(address.url).path.rstrip('/')}/git-upload-pack"
    answer = line.send("POST", path, headers, _request(candidates))
    if answer.status != 200 or answer.headers.get("content-type", "") != _RESULT:
        return None
    return _named(answer.body, candidates)


def _request(candidates: Sequence[str]) -> bytes:
    wanted = [f"ref-prefix {name}\n" for name in candidates]
    asked = [_packet("command=ls-refs\n"), _packet("object-format=sha1"), _DELIMITER, _packet("peel\n")]
    return b"".join([*asked, *(_packet(one) for one in wanted), _FLUSH])


def _packet(text: str) -> bytes:
    data = text.encode()
    return f"{len(data) + 4:04x}".encode() + data


def _named(body: bytes, candidates: Sequence[str]) -> str | None:
    """As `ls-remote` is read: an annotated tag is followed to the commit that it names."""
    found: dict[str, str] = {}
    for line in _lines(body):
        oid, name, *attributes = line.decode().rstrip("\n").split(" ")
        peeled = next((one[7:] for one in attributes if one.startswith("peeled:")), "")
        found[name] = peeled or oid
    sha = next((found[name] for name in candidates if name in found), "")
    return sha if is_commit_id(sha) else None


def _lines(body: bytes) -> Iterator[bytes]:
    """The packets up to the flush; ValueError for anything else."""
    at = 0
    while body[at : at + 4] != _FLUSH:
        length = int(body[at : at + 4], 16)
        if length <= 4 or at + length > len(body):
            raise ValueError("no packet")
        yield body[at + 4 : at + length]
        at += length
    if at + 4 != len(body):
        raise ValueError("more than was asked for")


def authorization(credentials: GitCredentials, basic: Callable[[GitCredentials], str]) -> str:
    """The header that Git would send, by `basic`: its user name and token."""
    return f"Basic {basic(credentials)}" if credentials.token else ""
