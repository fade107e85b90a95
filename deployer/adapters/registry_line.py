"""HTTP to one host that a manifest or a repository named: to the address that was looked at, and no further.

Names are resolved here, every address is checked, and the connection goes to one of those that were; its certificate is
the host's. Without TLS only where the host is this machine's loopback, and that only where local registries are allowed
(Docker treats such a registry alike). No redirects, no cookies; answers are bounded in size and time.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from deployer.core.images.reference import DOCKER_HUB
from deployer.core.repository import forbidden_address

MAX_BODY_BYTES = 8 * 1024 * 1024
HUB_HOST = "registry-1.docker.io"


class NoAnswer(Exception):
    """It may not be asked, or did not answer in time. `reason` as in RegistryError; the text names no image."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line:
    """A connection to `host` (with a port, or not), opened when it is first used."""

    def __init__(
        self, host: str, *, allow_local: bool, timeout_seconds: float, scheme: str = "", deadline: float = 0.0
    ) -> None:
        self._name = HUB_HOST if host == DOCKER_HUB else host
        self._allow_local, self._timeout_seconds, self._scheme = allow_local, timeout_seconds, scheme
        self._deadline = deadline or time.monotonic() + timeout_seconds
        self._pool: Any = None
        self._untried: list[str] | None = None

    def to(self, scheme: str, host: str) -> Line:
        """Another host, as this one named it, in the same time."""
        if scheme not in ("https", "http") or not host or "@" in host:
            raise NoAnswer("BadAnswer", "the token server that the registry names cannot be asked")
        return Line(
            host, allow_local=self._allow_local, timeout_seconds=self._timeout_seconds, scheme=scheme,
            deadline=self._deadline,
        )  # fmt: skip

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def send(self, method: str, path: str, headers: Mapping[str, str], data: bytes | None = None) -> Answer:
        import urllib3

        self._pool = self._pool or self._opened()
        try:
            return self._answer(method, path, headers, data)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            if not self._untried:
                raise NoAnswer("RegistryUnreachable", self._why(error)) from None
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswer("RegistryUnreachable", self._why(error)) from None
        self.close()  # nobody listens at this address of it: the next one
        self._pool = None
        return self.send(method, path, headers, data)

    def _answer(self, method: str, path: str, headers: Mapping[str, str], data: bytes | None) -> Answer:
        found = self._pool.urlopen(
            method, path, data, {"Host": self._name, "User-Agent": "pierhead", **headers}, redirect=False,
            retries=False, preload_content=False, timeout=self._left(), assert_same_host=False,
        )  # fmt: skip
        try:
            return Answer(found.status, {k.lower(): v for k, v in found.headers.items()}, self._body(found))
        finally:
            found.close()

    def _body(self, found: Any) -> bytes:
        body = bytearray()
        while chunk := found.read1(65536, decode_content=True):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise NoAnswer("TooLarge", f"{self._name} answers with more than {MAX_BODY_BYTES >> 20} MiB")
            self._left()
        return bytes(body)

    def _left(self) -> float:
        """Seconds until the deadline."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise NoAnswer("RegistryUnreachable", f"{self._name} does not answer within {self._timeout_seconds:g} s")
        return left

    def _opened(self) -> Any:
        import urllib3

        parts = urlsplit(f"//{self._name}")
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise NoAnswer("BadAnswer", f"{self._name} is not a host") from None
        proxy = getproxies().get("https", "")
        if proxy and not proxy_bypass(host):
            manager = urllib3.ProxyManager(proxy, ssl_context=ssl.create_default_context())
            return manager.connection_from_host(host, port or 443, "https")
        if self._untried is None:
            self._untried = self._addresses(host, port or (80 if self._scheme == "http" else 443))
        address = self._untried.pop(0)
        if forbidden_address(address) and self._scheme != "https":  # allowed, or it would not be here
            return urllib3.HTTPConnectionPool(address, port or 80)
        if self._scheme == "http":
            raise NoAnswer("BadAnswer", f"{self._name} would be asked for a token in the clear; it must be https")
        return urllib3.HTTPSConnectionPool(
            address, port or 443, ssl_context=ssl.create_default_context(), server_hostname=host, assert_hostname=host
        )

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise NoAnswer("RegistryUnreachable", f"the name {host} cannot be resolved") from None
        found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        for address in found:
            reason = forbidden_address(address)
            if reason and not (self._allow_local and reason == "a loopback address"):
                advice = "; PIERHEAD_ALLOW_LOCAL_REGISTRIES=1 admits it" if reason == "a loopback address" else ""
                raise NoAnswer("Refused", f"{host} is {address}, {reason}{advice}")
        return found

    def _why(self, error: Exception) -> str:
        text = str(error)
        if "WRONG_VERSION_NUMBER" in text:  # what OpenSSL says of an answer that is no TLS
            return f"{self._name} speaks HTTP without TLS, and is asked with it only: give it a certificate"
        if "certificate" in text.lower() or "SSL" in text:
            return f"the TLS connection to {self._name} failed: check its certificate, and who this machine trusts"
        if "timed out" in text.lower() or "Timeout" in type(error).__name__:
            return f"{self._name} does not answer within {self._timeout_seconds:g} s"
        return f"{self._name} does not answer as a registry should ({type(error).__name__})"
