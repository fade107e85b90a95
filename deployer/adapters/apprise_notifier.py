"""Messages to people's channels through apprise, each by a process of its own that is ended when it takes too long.

The address goes in on stdin: it stands on no command line and in no variable. What comes back as a reason is cleaned
of every part of the address before anybody sees it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deployer.core.announcements import Announcement, plain
from deployer.core.notification_address import AddressRefused, admit, secrets_of
from deployer.ports import NotifyError

TIMEOUT_SECONDS = 30.0
MAX_REASON_LENGTH = 300
MODULE = "deployer.adapters.apprise_child"

_HOME = Path(__file__).resolve().parent.parent.parent
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_INHERITED = (*_PROXIES, *_TRUST, "NO_PROXY", "no_proxy", "PATH", "TMPDIR")


class AppriseNotifier:
    """Holds to `deployer.ports.Notifier`. `allow_local`: servers on this machine and its link are admitted."""

    def __init__(self, *, allow_local: bool, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._allow_local = allow_local
        self._timeout_seconds = timeout_seconds

    def send(self, url: str, announcement: Announcement) -> None:
        try:
            address = admit(url, allow_local=self._allow_local)
        except AddressRefused as refused:
            raise NotifyError(refused.sentence, retryable=False) from None
        answer = self._run({
            "url": address.url, "title": announcement.title, "body": announcement.body, "tone": announcement.tone,
            "local": self._allow_local, "proxied": any(name in os.environ for name in _PROXIES),
        })  # fmt: skip
        if not answer["sent"]:
            raise NotifyError(_sentence(answer["why"], url), retryable=bool(answer["retryable"]))

    def _run(self, asked: dict[str, Any]) -> dict[str, Any]:
        variables = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            done = subprocess.run(
                [sys.executable, "-m", MODULE],
                input=json.dumps(asked).encode(),
                capture_output=True,
                timeout=self._timeout_seconds,
                cwd=_HOME,
                # No home: nobody's .netrc is read, and nothing is kept.
                env={**variables, "HOME": os.devnull, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
            )
        except subprocess.TimeoutExpired:
            raise NotifyError(f"it was not sent within {self._timeout_seconds:g} s") from None
        except OSError as error:
            raise NotifyError(f"the program that sends cannot be started: {error.strerror}") from None
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise NotifyError(f"the program that sends ended with code {done.returncode} and said nothing") from None
        return answer


def _sentence(lines: list[str], url: str) -> str:
    text = "; ".join(" ".join(plain(line).split()).rstrip(".") for line in lines) or "the server did not take it"
    for secret in sorted(secrets_of(url), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text if len(text) <= MAX_REASON_LENGTH else text[: MAX_REASON_LENGTH - 3] + "..."
