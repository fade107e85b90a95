"""What may be asked of a Git repository: its address, a ref, a path, and when to look again.

Everything a person types about a repository passes through here before any program sees it. Each check answers
with one sentence that says what is wrong and what to write instead. The rules are Git's own where it has them
(`git check-ref-format`); the rest closes the doors that other deployers left open: options disguised as names,
`ext::` transports, credentials in addresses, addresses that lead back into the machine or to a cloud's metadata.

Never resolves a name, opens a file or starts Git: `deployer.adapters.git` does, with what was admitted here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from deployer.core.manifests import ManifestError

Transport = Literal["https", "http", "ssh", "file"]

MAX_URL_LENGTH = 1024
MAX_REF_LENGTH = 255
MAX_PATH_LENGTH = 1024
MAX_BACKOFF_SECONDS = 900.0
JITTER_SHARE = 0.1

_SCP_LIKE = re.compile(r"(?P<user>[^@/:\s]+)@(?P<host>[^/:\s@]+):(?P<path>.+)")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LEGACY_IPV4 = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}", re.IGNORECASE)
_ENCODED_CONTROL = re.compile(r"%(0[0-9a-f]|1[0-9a-f]|7f)", re.IGNORECASE)
_REF_FORBIDDEN = re.compile(r"[ ~^:?*\[\\\x00-\x1f\x7f]|\.\.|@\{|//")
_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
# Cloud metadata services that are neither link-local nor loopback: AWS and Google over IPv6, Alibaba, Oracle, and
# Azure's agent, which hands out certificates.
_METADATA_ADDRESSES = frozenset({"fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"})


class RepositoryRefused(Exception):
    """A URL, ref or path that is not admitted. `sentence` names it, says why, and what to write instead."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """An admitted URL. `url` goes to Git, `display` (never with credentials) to people; `host` is "" for files."""

    url: str
    transport: Transport
    host: str
    display: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One manifest file of a commit; `path` is relative to the repository's root, with `/`.

    `decrypted`: its data stood encrypted in Git, and is kept in no cache.
    """

    path: str
    data: bytes = field(repr=False)
    decrypted: bool = False


@dataclass(frozen=True, slots=True)
class SourceTree:
    """What a commit holds below a path: the files, sorted by path, and (path, sentence) for what is not read.

    `errors`: what is named and cannot be had, where a kustomization, a Compose file or a chart decides what is read.
    """

    files: tuple[SourceFile, ...]
    refusals: tuple[tuple[str, str], ...]
    errors: tuple[ManifestError, ...] = ()


def parse_repository_url(url: str, *, allow_local: bool) -> RepositoryAddress:
    """Classify and check a repository's URL; raises RepositoryRefused with the sentence for its owner.

    Admitted: `https://host/path`, `ssh://user@host/path`, `user@host:path`; and with `allow_local` also
    `file:///path`, `/path`, hosts on this machine's loopback or link, and `http://` to loopback.
    """
    _check_characters(url, "the repository URL", MAX_URL_LENGTH)
    if url.startswith("-"):
        raise RepositoryRefused(f"{shown(url)}: a repository URL cannot start with '-'")
    if re.match(r"[A-Za-z0-9+.-]*::", url):
        raise RepositoryRefused(f"{shown(url)}: remote helpers (`name::address`) run programs; use https:// or ssh://")
    if url.startswith("/"):
        return _local(url, url, allow_local)
    if "://" in url:
        return _with_scheme(url, allow_local)
    if match := _SCP_LIKE.fullmatch(url):
        return _scp_like(url, match["user"], match["host"], match["path"], allow_local)
    raise RepositoryRefused(
        f"{shown(url)} is not a repository URL: write https://host/path, ssh://user@host/path or user@host:path"
    )


def check_ref(ref: str) -> str:
    """Answer the ref (a branch, a tag, `refs/...`, `HEAD` or a 40-digit commit) if Git could hold such a name."""
    _check_characters(ref, "the ref", MAX_REF_LENGTH)
    if ref.startswith("-"):
        raise RepositoryRefused(f"{shown(ref)}: a ref cannot start with '-'")
    broken = (
        _REF_FORBIDDEN.search(ref)
        or ref == "@"
        or ref.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in ref.split("/"))
    )
    if broken:
        raise RepositoryRefused(f"{shown(ref)} is not a ref name that Git admits: write a branch or tag, such as main")
    return ref


@lru_cache(maxsize=32_768)
def check_path(path: str) -> str:
    """Answer the path in one spelling (`./a//b/` is `a/b`; the root is ""), if it stays inside the repository."""
    if path in ("", "."):
        return ""
    _check_characters(path, "the path", MAX_PATH_LENGTH)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    # The first part as it will be used, not as it was written: `./-x` is `-x`.
    if path.startswith("/") or "\\" in path or (parts and parts[0].startswith(("-", "~"))):
        raise RepositoryRefused(
            f"{shown(path)}: write a path relative to the repository's root, with '/' between folders, such as k8s/prod"
        )
    if ".." in parts:
        raise RepositoryRefused(f"{shown(path)}: a path cannot leave the repository ('..')")
    if any(part.lower().rstrip(" .") == ".git" for part in parts):
        raise RepositoryRefused(f"{shown(path)}: '.git' is not part of a commit")
    return "/".join(parts)


def next_poll_at(now: float, period_seconds: float, failures: int, jitter: float) -> float:
    """When to look at a repository again, seconds since the epoch.

    The period doubles with each failure in a row up to 15 minutes (a longer period stays as it is), then moves by
    up to 10 % either way: `jitter` in [0, 1) spreads repositories that were added together.

    >>> next_poll_at(0, period_seconds=30, failures=2, jitter=0.5)
    120.0
    """
    ceiling_seconds = max(period_seconds, MAX_BACKOFF_SECONDS)
    # 2^30 times the shortest period is past any ceiling, and a larger exponent would overflow.
    delay_seconds = min(period_seconds * 2.0 ** min(max(failures, 0), 30), ceiling_seconds)
    return now + delay_seconds * (1 - JITTER_SHARE + 2 * JITTER_SHARE * jitter)


def forbidden_address(address: str) -> str:
    """Why this IP address is not to be asked without `allow_local`: "" if it may be.

    Private networks are admitted: that is where most companies keep their Git server.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        ip = _embedded_ipv4(ip) or ip
    if str(ip) in _METADATA_ADDRESSES:
        return "a cloud metadata address"
    kinds = {
        "a loopback address": ip.is_loopback,
        "a link-local address": ip.is_link_local,
        "not a host's address": ip.is_unspecified or ip.is_multicast or ip == IPv4Address("255.255.255.255"),
    }
    if isinstance(ip, IPv4Address) and ip.packed[0] == 0:
        return "a loopback address"  # Linux connects 0.0.0.0/8 to itself
    return next((kind for kind, holds in kinds.items() if holds), "")


def is_commit_id(text: str) -> bool:
    """Whether the text is a full SHA-1 commit id."""
    return _COMMIT_ID.fullmatch(text) is not None


def shown(text: str) -> str:
    """The text as it may stand in a sentence: no credentials, no control characters, at most 120 characters."""
    text = re.sub(r"(://)[^/\s]*@", r"\1", text)
    text = re.sub(r"[?#].*", "", text, flags=re.DOTALL) if "://" in text else text
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= 120 else text[:117] + "..."


def _with_scheme(url: str, allow_local: bool) -> RepositoryAddress:
    scheme = url.partition("://")[0].lower()
    readers: dict[str, Callable[[str, SplitResult, bool], RepositoryAddress]] = {
        "https": _https,
        "http": _http,
        "ssh": _ssh,
        "file": _file,
    }
    if scheme not in readers:
        raise RepositoryRefused(f"{shown(url)}: {shown(scheme)}:// is not supported; use https:// or ssh://")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RepositoryRefused(f"{shown(url)} is not a valid URL: its host or port cannot be read") from error
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise RepositoryRefused(f"{shown(url)}: leave out everything from '?' or '#' on")
    if port == 0 or parts.netloc.endswith(":"):
        raise RepositoryRefused(f"{shown(url)}: the port must be between 1 and 65535")
    return readers[scheme](url, parts, allow_local)


def _https(url: str, parts: SplitResult, allow_local: bool) -> RepositoryAddress:
    if "@" in parts.netloc:
        raise RepositoryRefused(
            f"{shown(url)}: leave user names, passwords and tokens out of the URL; give the token in its own field, or "
            "with --token-file"
        )
    host = _check_host(url, parts.hostname or "", allow_local)
    _check_remote_path(url, parts.path)
    return RepositoryAddress(url=url, transport="https", host=host, display=url)


def _http(url: str, parts: SplitResult, allow_local: bool) -> RepositoryAddress:
    address = _https(url, parts, allow_local=True)
    if not (allow_local and local_reason(address.host) == "a loopback address"):
        raise RepositoryRefused(f"{shown(url)}: http:// sends tokens and manifests in the clear; use https://")
    return RepositoryAddress(url=url, transport="http", host=address.host, display=url)


def _ssh(url: str, parts: SplitResult, allow_local: bool) -> RepositoryAddress:
    if parts.password is not None:
        raise RepositoryRefused(
            f"{shown(url)}: leave the password out of the URL; SSH uses a key, given with --ssh-key"
        )
    _check_user(url, parts.username)
    host = _check_host(url, parts.hostname or "", allow_local)
    _check_remote_path(url, parts.path)
    return RepositoryAddress(url=url, transport="ssh", host=host, display=url)


def _scp_like(url: str, user: str, host: str, path: str, allow_local: bool) -> RepositoryAddress:
    _check_user(url, user)
    host = _check_host(url, host, allow_local)
    if path.startswith("-"):
        raise RepositoryRefused(f"{shown(url)}: the path on the server cannot start with '-'")
    return RepositoryAddress(url=url, transport="ssh", host=host, display=url)


def _file(url: str, parts: SplitResult, allow_local: bool) -> RepositoryAddress:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise RepositoryRefused(f"{shown(url)}: write file:///absolute/path")
    # One spelling for Git, which knows nothing of file://localhost.
    return _local("file://" + parts.path, url, allow_local)


def _local(url: str, display: str, allow_local: bool) -> RepositoryAddress:
    if not allow_local:
        raise RepositoryRefused(f"{shown(display)} is on this machine: repeat with --allow-local if that is meant")
    return RepositoryAddress(url=url, transport="file", host="", display=display)


def _check_characters(text: str, what: str, limit: int) -> None:
    if not text:
        raise RepositoryRefused(f"{what} is empty")
    if len(text) > limit:
        raise RepositoryRefused(f"{what} has {len(text)} characters; at most {limit} are admitted")
    # Git would not understand surrogates or control characters, and Unicode's line separators forge log lines.
    bad = next((character for character in text if not character.isprintable()), "")
    if bad:
        raise RepositoryRefused(f"{what} {shown(text)} holds a control character (U+{ord(bad):04X})")


def _check_user(url: str, user: str | None) -> None:
    if user is not None and not _USER.fullmatch(user):
        raise RepositoryRefused(f"{shown(url)}: the user before '@' may hold only letters, digits, '.', '_' and '-'")


def _check_host(url: str, host: str, allow_local: bool) -> str:
    host = host.lower()
    if not (_HOST.fullmatch(host) or _is_ipv6(host)):
        raise RepositoryRefused(f"{shown(url)}: the host name is missing or holds characters that no host name has")
    reason = local_reason(host)
    if reason and not allow_local:
        raise RepositoryRefused(f"{shown(url)}: {host} is {reason}; repeat with --allow-local if that is meant")
    return host


def _check_remote_path(url: str, path: str) -> None:
    if path in ("", "/"):
        raise RepositoryRefused(f"{shown(url)} names a server but no repository on it")
    if path.startswith("/-") or _ENCODED_CONTROL.search(url):
        raise RepositoryRefused(f"{shown(url)}: the path on the server holds '-' first or an encoded control character")


def local_reason(host: str) -> str:
    """Why a host, by its name or by an address that it spells, is not to be asked: "" if it may be. No name is looked
    up."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return "a loopback address"
    if host in _METADATA_HOSTS:
        return "a cloud metadata address"
    literal = _literal_address(host)
    return forbidden_address(literal) if literal else ""


def _literal_address(host: str) -> str:
    """The IP address that a host name spells, also as C libraries read it: 0x7f.1, 2130706433, 017700000001."""
    if _is_ipv6(host):
        return host
    if not _LEGACY_IPV4.fullmatch(host):
        return ""
    try:
        numbers = [_c_integer(part) for part in host.split(".")]
        packed = bytes(numbers[:-1]) + numbers[-1].to_bytes(5 - len(numbers), "big")
    except (ValueError, OverflowError):
        return "255.255.255.255"  # nobody's address: refused rather than guessed
    return str(IPv4Address(packed))


def _c_integer(text: str) -> int:
    if text.lower().startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def _is_ipv6(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv6Address)
    except ValueError:
        return False


def _embedded_ipv4(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside a mapped, 6to4, NAT64 or compatible address: each reaches the same host."""
    if ip.ipv4_mapped or ip.sixtofour:
        return ip.ipv4_mapped or ip.sixtofour
    if ip.packed[:12] in (bytes.fromhex("0064ff9b") + bytes(8), bytes(12)) and int(ip) > 1:
        return IPv4Address(ip.packed[12:])
    return None
