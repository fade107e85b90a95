"""Prometheus as a provider of metrics: one instant query by its HTTP API, and the numbers of its answer.

    GET ADDRESS/api/v1/query?query=...        (POST with the same words when the query is long)

    {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {...}, "value": [TIME, "0.5"]}]}}
    {"status": "error", "errorType": "bad_data", "error": "..."}

A vector is a list of numbers in the order of the answer (an empty one is an empty list), a scalar is one number; both
may be NaN and infinite, as Prometheus writes them. Addresses come from manifests, so they are not trusted: a name that
leads to this machine or its link is refused (local providers may be allowed, on loopback), and the connection goes to
the address that was looked at. Redirects are not followed; answers are of bounded size and time. Values of secret
headers are in no sentence, also when the server repeats them.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from deployer.core.canary.values import Prometheus
from deployer.core.repository import forbidden_address
from deployer.ports import ProviderError

MAX_BODY_BYTES = 1 << 20
LONGEST_URL = 2000
LONGEST_SAID = 300
_LOOPBACK = "a loopback address"


class PrometheusProvider:
    """Holds to `deployer.ports.Provider`. Safe for threads: each question is a connection of its own."""

    def __init__(self, *, allow_local: bool) -> None:
        self._allow_local = allow_local

    def measure(
        self, asked: Prometheus, secrets: Mapping[str, str], timeout_seconds: float
    ) -> float | tuple[float, ...]:
        """Raises ProviderError."""
        question = _Question(asked, secrets, self._allow_local, timeout_seconds)
        try:
            return question.answer()
        except ProviderError as error:
            raise ProviderError(error.reason, question.without_secrets(error.sentence)) from None


class _Question:
    def __init__(
        self, asked: Prometheus, secrets: Mapping[str, str], allow_local: bool, timeout_seconds: float
    ) -> None:
        self._asked, self._secrets, self._allow_local = asked, secrets, allow_local
        self._timeout_seconds = timeout_seconds
        self._deadline = time.monotonic() + timeout_seconds
        self._parts = _parts(asked.address)
        self._where = f"{self._parts.scheme}://{self._parts.netloc}"

    def without_secrets(self, sentence: str) -> str:
        for value in self._secrets.values():
            for word in (value, *value.split()):
                sentence = sentence.replace(word, "***") if len(word) >= 6 else sentence
        return sentence

    def answer(self) -> float | tuple[float, ...]:
        import urllib3

        headers = self._headers()
        addresses = self._addresses()
        for place, address in enumerate(addresses):
            try:
                status, body = self._ask(address, headers)
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                if place == len(addresses) - 1:
                    raise self._failure(self._why(error)) from None
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise self._failure(self._why(error)) from None
            else:
                return self._numbers(status, body)
        raise AssertionError("a name that resolves has an address")

    def _headers(self) -> dict[str, str]:
        for name, value in (*self._asked.headers, *self._secrets.items()):
            if not (value.isprintable() and value.isascii() and name.isprintable() and name.isascii()):
                raise self._refusal(f"the value of header {name!r} holds a character that no header may hold")
        own = {"Host": self._parts.netloc, "User-Agent": "pierhead", "Accept": "application/json"}
        return {**own, **dict(self._asked.headers), **self._secrets}

    def _ask(self, address: str, headers: dict[str, str]) -> tuple[int, bytes]:
        words = urlencode({"query": self._asked.query, "timeout": f"{max(1, int(self._timeout_seconds))}s"})
        path = f"{self._parts.path.rstrip('/')}/api/v1/query"
        with self._pool(address) as pool:
            target = f"{self._where}{path}" if not address else path
            options: dict[str, Any] = {
                "redirect": False, "retries": False, "preload_content": False, "timeout": self._left(),
                "assert_same_host": False,
            }  # fmt: skip
            if len(words) <= LONGEST_URL:
                found = pool.urlopen("GET", f"{target}?{words}", headers=headers, **options)
            else:
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                found = pool.urlopen("POST", target, words.encode(), headers={**headers, **kind}, **options)
            try:
                return found.status, self._body(found)
            finally:
                found.close()

    def _body(self, found: Any) -> bytes:
        body = bytearray()
        while chunk := found.read1(65536, decode_content=True):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                said = f"it answers with more than {MAX_BODY_BYTES >> 20} MiB: let the query give one number"
                raise ProviderError("TooLarge", f"{self._where}: {said}")
            self._left()
        return bytes(body)

    def _left(self) -> float:
        """Seconds until the deadline."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._failure(f"no answer within {self._timeout_seconds:g} s")
        return left

    def _pool(self, address: str) -> Any:
        """`address` "": by the proxy that this process was given for https."""
        import urllib3

        context = _context(insecure=self._asked.insecure) if self._parts.scheme == "https" else None
        if not address:
            return urllib3.ProxyManager(getproxies()["https"], ssl_context=context)
        if context is None:
            return urllib3.HTTPConnectionPool(address, self._parts.port or 80)
        host: Any = False if self._asked.insecure else self._parts.hostname
        return urllib3.HTTPSConnectionPool(
            address, self._parts.port or 443, ssl_context=context, server_hostname=self._parts.hostname,
            assert_hostname=host, cert_reqs="CERT_NONE" if self._asked.insecure else "CERT_REQUIRED",
        )  # fmt: skip

    def _addresses(self) -> list[str]:
        """All that the name leads to, each of which may be asked."""
        host = self._parts.hostname or ""
        if self._parts.scheme == "https" and getproxies().get("https") and not proxy_bypass(host):
            return [""]
        port = self._parts.port or (443 if self._parts.scheme == "https" else 80)
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            said = "its name cannot be resolved here; the control plane asks it, so names of Services are not known"
            raise self._failure(said) from None
        found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        for address in found:
            reason = forbidden_address(address)
            if reason and not (self._allow_local and reason == _LOOPBACK):
                advice = "; PIERHEAD_ALLOW_LOCAL_PROVIDERS=1 admits it" if reason == _LOOPBACK else ""
                raise self._refusal(f"its address is {address}, {reason}{advice}")
            if self._secrets and self._parts.scheme != "https" and reason != _LOOPBACK:
                raise self._refusal("secret headers would go in the clear: the address must be https://")
        return found

    def _numbers(self, status: int, body: bytes) -> float | tuple[float, ...]:
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if 300 <= status < 400:
            raise self._bad("it redirects, which is not followed: give the address that it leads to")
        if not isinstance(found, dict) or found.get("status") not in ("success", "error"):
            raise self._bad(f"it answers with status {status}, and not as Prometheus does: is this its address?")
        if found["status"] == "error":
            why = f"{_plain(found.get('errorType'))}: {_plain(found.get('error'))}"
            raise ProviderError("QueryFailed", f"{self._where}: the query failed: {why}")
        if status != 200:
            raise self._bad(f"it answers with status {status}")
        data: Any = found.get("data")
        kind = data.get("resultType") if isinstance(data, dict) else None
        try:
            if kind == "scalar":
                return _number(data["result"])
            if kind == "vector":
                return tuple(_number(one["value"]) for one in data["result"])
        except (KeyError, TypeError, ValueError, IndexError):
            raise self._bad("the answer holds something that is no number") from None
        raise self._bad(f"the query gives a {_plain(kind)}: it must give a vector or a scalar")

    def _why(self, error: Exception) -> str:
        text = str(error)
        if "certificate" in text.lower() or "SSL" in text:
            return "the TLS connection failed: check its certificate, and whom this machine trusts"
        if "timed out" in text.lower() or "Timeout" in type(error).__name__:
            return f"no answer within {self._timeout_seconds:g} s"
        return f"it does not answer ({type(error).__name__}): check its address, and that it runs"

    def _failure(self, said: str) -> ProviderError:
        return ProviderError("Unreachable", f"{self._where}: {said}")

    def _refusal(self, said: str) -> ProviderError:
        return ProviderError("Refused", f"{self._where}: {said}")

    def _bad(self, said: str) -> ProviderError:
        return ProviderError("BadAnswer", f"{self._where}: {said}")


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_one = None
    if not is_one or not address.isprintable() or " " in address:
        raise ProviderError("Refused", "the address of Prometheus is none: write http://HOST:PORT or https://HOST")
    if "@" in parts.netloc or parts.query or parts.fragment:
        said = "it may hold no credentials and no query: a Secret gives headers, `query` the query"
        raise ProviderError("Refused", f"the address of Prometheus at {parts.hostname}: {said}")
    return parts


def _context(*, insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for, by its name
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _number(pair: Any) -> float:
    """Of [time, "0.5"]. Prometheus writes NaN, +Inf and -Inf."""
    text = pair[1]
    if not isinstance(text, str):
        raise TypeError("a value is written as a string")
    return float(text)


def _plain(said: Any) -> str:
    """Words of somebody else as they may stand in a sentence."""
    text = "".join(one if one.isprintable() else " " for one in str(said or "unknown"))
    return text if len(text) <= LONGEST_SAID else f"{text[: LONGEST_SAID - 3]}..."
