"""What an engine's refusals and silences mean, in one word and one sentence.

Docker says most things in prose. The patterns below were read off the engine's sources (20.10 to 29) and are tried
in order; the first that is found in the message wins. Sentences name the host, what was asked, what the engine said,
and what to do where the engine's own words do not say it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from typing import Literal

from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from deployer.ports import EngineError, EngineUnreachable

Asked = Literal["pull", "create", "start", "network", "attach", "detach", "files", "other"]
_LONGEST_MESSAGE = 600

_Rules = Sequence[tuple[str, bool, str]]  # reason, retryable, pattern
_ANY: _Rules = (("DiskFull", True, "no space left on device|not enough space|disk quota exceeded"),)
_PULL: _Rules = (
    ("InvalidImageName", False, "invalid reference format|invalid tag format|invalid checksum digest"),
    ("PullDenied", True, "denied|unauthorized|authentication required|no basic auth credentials|forbidden"),
    ("ImageNotFound", True, "manifest unknown|not found|name unknown|no matching manifest|no such image"),
    (
        "RegistryUnreachable",
        True,
        "dial tcp|connection refused|no such host|i/o timeout|timeout|timed out|deadline exceeded|no route to host|"
        "network is unreachable|connection reset|tls:|x509:|http response to https|temporary failure|eof",
    ),
)
_CREATE: _Rules = (
    ("ImageNotFound", True, "no such image"),
    ("NameConflict", True, "is already in use by container"),
)
_START: _Rules = (
    ("Paused", True, "cannot start a paused container"),
    ("PortTaken", True, "port is already allocated|address already in use"),
    ("NetworkMissing", True, "network [^ ]+ not found|could not find (a )?network"),
    ("MountFailed", True, "error mounting|bind source path does not exist|failed to mount|mount (volume|destination)|"
     "error while mounting|are you trying to mount a directory|failed to populate volume|read-only file system|"
     "chmod.*volumes"),
    ("CommandNotFound", False, "executable file not found|no such file or directory|exec format error"),
    ("CommandNotFound", False, "exec: .*permission denied|exec .*is a directory"),
)  # fmt: skip
_OVERLAP: _Rules = (("AddressesTaken", True, "overlap|conflicts with network|address space"),)
_ATTACH: _Rules = (
    ("AddressesTaken", True, "address already in use|address is already (in use|allocated)"),
    ("NoSuchContainer", True, "no such container"),
    ("NetworkMissing", True, "network [^ ]+ not found|no such network"),
)
_FILES: _Rules = (
    ("NoSuchContainer", True, "no such container"),
    ("FolderMissing", True, "could not find the file|no such file or directory|not a directory"),
    ("ReadOnlyFolder", False, "read-only"),
)
_RULES: dict[Asked, _Rules] = {
    "pull": _PULL,
    "create": _CREATE,
    "start": (*_CREATE, *_START),
    "network": _OVERLAP,
    "attach": _ATTACH,
    "detach": (("NotAttached", True, "is not connected to"),),
    "files": _FILES,
    "other": (),
}
_OTHERWISE: dict[Asked, str] = {"pull": "ErrImagePull", "create": "CreateContainerError", "start": "RunContainerError"}
_REMEDIES = {
    "DiskFull": "free space on the host, or raise its disk",
    "PullDenied": "check the name, or give imagePullSecrets for this registry",
    "ImageNotFound": "check the image's name and tag",
    "RegistryUnreachable": "check that the host can reach the registry",
    "PortTaken": "another program on this host listens on the port: choose another, or stop that program",
    "FolderMissing": "the folder must be there in the image or in a volume",
    "Overlap": "set PIERHEAD_POD_RANGE to a range that is free on all hosts, or remove the network that overlaps",
    "CommandNotFound": "check command and args against what is in the image",
}
_OVERLAP_FOUND = ("network", "AddressesTaken")


def refusal(host: str, what: str, status: int, message: str, asked: Asked = "other") -> EngineError:
    """The error for an answer of `status` (>= 400) that says `message`, to the request to `what` ("start x")."""
    words = _one_line(message) or f"HTTP status {status}"
    for reason, retryable, pattern in (*_ANY, *_RULES[asked]):
        if re.search(pattern, words, re.IGNORECASE):
            remedy = _REMEDIES.get("Overlap" if (asked, reason) == _OVERLAP_FOUND else reason, "")
            return EngineError(reason, _sentence(host, what, words, remedy), retryable=retryable)
    if asked in ("create", "start") and status == 404:
        return EngineError("NoSuchContainer", _sentence(host, what, words))
    if status >= 500 and asked not in _OTHERWISE:
        return EngineError("EngineFailed", _sentence(host, what, words))
    return EngineError(_OTHERWISE.get(asked, "EngineRefused"), _sentence(host, what, words), retryable=status != 400)


def unreachable(host: str, what: str, error: Exception, timeout_seconds: float) -> EngineUnreachable:
    """The error for a request to which no answer came."""
    reason, words = _silence(error, timeout_seconds)
    return EngineUnreachable(reason, _sentence(host, what, words))


def not_docker(host: str, found: str) -> EngineUnreachable:
    return EngineUnreachable("NotDocker", f"{host} answers, but is not a Docker engine ({_one_line(found)[:120]})")


def _silence(error: Exception, timeout_seconds: float) -> tuple[str, str]:
    match error:
        case SSLError():
            return _tls(str(error))
        case NameResolutionError():
            return "Unreachable", "the name is not known: check it, or use the IP address"
        case NewConnectionError():  # which urllib3 derives from ConnectTimeoutError
            return _no_connection(error)
        case ConnectTimeoutError() | ReadTimeoutError():
            return "Unreachable", f"no answer within {timeout_seconds:g} s"
    cause: BaseException | None = error
    while cause is not None:  # a client certificate is refused after the handshake: the alert is found while reading
        if isinstance(cause, ssl.SSLError):
            return _tls(str(cause))
        cause = cause.__cause__ or cause.__context__
    return "Unreachable", f"the connection broke ({_one_line(str(error))})"


def _no_connection(error: NewConnectionError) -> tuple[str, str]:
    match error.__cause__:
        case PermissionError():
            return (
                "AuthenticationFailed",
                "permission denied on the engine's socket: run as root or in the group docker",
            )
        case FileNotFoundError():
            return "Unreachable", "there is no such socket: is Docker installed and running?"
        case ConnectionRefusedError():
            return "Unreachable", "connection refused: is Docker running, and listening there?"
        case OSError() as cause:
            return "Unreachable", (cause.strerror or str(cause)).lower()
    return "Unreachable", _one_line(str(error))


def _tls(words: str) -> tuple[str, str]:
    lower = words.lower()
    if "wrong_version" in lower or "wrong version" in lower or "record layer" in lower or "http request" in lower:
        return "NotDocker", "it does not speak TLS on this port: check the port, usually 2376"
    if "alert" in lower:
        return "WrongCertificate", "it refuses our certificate: cert and key must be signed by the engine's --tlscacert"
    if "mismatch" in lower or "doesn't match" in lower:
        return "WrongCertificate", "its certificate is for another name: register the name or IP that it holds"
    if "expired" in lower or "not yet valid" in lower:
        return "WrongCertificate", "its certificate has expired or is not valid yet: check it and the clocks"
    if "certificate" in lower:
        return "WrongCertificate", "its certificate is not signed by the given ca"
    return "Unreachable", f"the TLS connection broke ({_one_line(words)})"


def _sentence(host: str, what: str, words: str, remedy: str = "") -> str:
    return f"{host}: cannot {what}: {words}" + (f"; {remedy}" if remedy else "")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_MESSAGE]
