"""The world that Git sees: no user's settings, no prompts, one transport, and secrets where nobody prints them.

A token is configuration (`http.<server>.extraHeader`), handed over in GIT_CONFIG_* variables: it stands neither on a
command line nor in a URL nor in a file, and only this user's processes can read the environment of another.
Redirects are not followed, so it reaches no other server.

SSH needs its own configuration file (`-F`), or it would read the user's. GIT_SSH_COMMAND and core.sshCommand are
parsed by a shell; GIT_SSH is executed as it is, but takes no arguments. So GIT_SSH names a constant three-line
program, written beside the key, that steps into its own folder and becomes `ssh -F config ...`: nothing is quoted,
nothing is parsed, and paths with spaces do no harm. The folder is private (0700), the key in it 0600, and it goes
when the session ends; one that a killed process left is swept by a later session.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

from deployer.adapters import github_tokens
from deployer.adapters.git_failure import GitFailed
from deployer.adapters.git_process import GitCommand, HiddenEnvironment
from deployer.core.host_keys import keys_in, place_of, published
from deployer.core.repository import RepositoryAddress, forbidden_address
from deployer.core.source import GitCredentials

MAX_FILE_BYTES = 1024 * 1024
# Git hosts take any user name beside a token; GitHub's apps want this one. Bitbucket and deploy tokens: set username.
DEFAULT_USERNAME = "x-access-token"
SESSION_PREFIX = "session-"
ABANDONED_AFTER_SECONDS = 3600
REMOTE = "pierhead"

_INHERITED_VARIABLES = (
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "TMPDIR",
)

_SSH_PROGRAM = """\
#!/usr/bin/env python3
import os, sys
os.chdir(os.path.dirname(sys.argv[0]))
os.execvp("ssh", ["ssh", "-F", "config", *sys.argv[1:]])
"""

_SSH_CONFIG = """\
Host *
  IdentityFile key
  IdentitiesOnly yes
  IdentityAgent none
  CertificateFile none
  PreferredAuthentications publickey
  UserKnownHostsFile known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
  CheckHostIP no
  VerifyHostKeyDNS no
  BatchMode yes
  ConnectTimeout 10
  ServerAliveInterval 10
  ServerAliveCountMax 2
  ControlPath none
  ForwardAgent no
  ForwardX11 no
  ClearAllForwardings yes
  PermitLocalCommand no
  LogLevel ERROR
"""


@contextlib.contextmanager
def remote_session(
    folder: Path, address: RepositoryAddress, credentials: GitCredentials, *, allow_local: bool, timeout_seconds: float
) -> Iterator[GitCommand]:
    """Git as it may talk to this address, for as long as the block lasts; raises GitFailed if it may not."""
    deadline = time.monotonic() + timeout_seconds
    credentials = completed(address, credentials, allow_local=allow_local)
    _check_credentials(address, credentials)
    settings = _remote_settings(address, credentials)
    if not allow_local:
        settings |= _pinned_addresses(address)
    private = private_folder(folder)
    try:
        variables = _base_variables(private) | _settings_variables(settings)
        variables["GIT_ALLOW_PROTOCOL"] = address.transport
        variables |= _transport_variables(private, address, credentials)
        yield GitCommand(
            display=address.display,
            host=address.host,
            environment=HiddenEnvironment(variables),
            folder=private,
            timeout_seconds=timeout_seconds,
            deadline=deadline,
            secrets=_secrets(credentials),
            host_keys=" or ".join(one.title for one in keys_in(credentials.known_hosts)),
        )
    except GitFailed as failure:
        if failure.reason == "AuthenticationFailed" and credentials.app:
            github_tokens.forget(credentials.app)
        raise
    finally:
        shutil.rmtree(private, ignore_errors=True)


def local_command(display: str, mirror: Path, timeout_seconds: float) -> GitCommand:
    """Git as it reads a mirror: no transport is allowed, so a missing object is missing and is not fetched."""
    variables = _base_variables(Path(os.devnull)) | _settings_variables(_common_settings())
    variables |= {"GIT_DIR": str(mirror), "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    return GitCommand(
        display=display,
        host="",
        environment=HiddenEnvironment(variables),
        folder=mirror,
        timeout_seconds=timeout_seconds,
        deadline=time.monotonic() + timeout_seconds,
    )


def _base_variables(home: Path) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    # The SSH program finds python3 here first: the interpreter that runs this.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return inherited | {
        "PATH": path,
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(home.parent),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def _common_settings() -> dict[str, str]:
    return {
        "core.hooksPath": os.devnull,
        "core.fsmonitor": "false",
        # What was reported as fetched survives a power cut.
        "core.fsync": "committed",
        "credential.helper": "",
        "fetch.recurseSubmodules": "false",
        # Always a pack: index-pack checks every object, and one file appears at once, or not at all.
        "fetch.unpackLimit": "1",
        "gc.autoDetach": "false",
        "gc.autoPackLimit": "50",
        "maintenance.auto": "false",
        "repack.writeBitmaps": "false",
    }


def _remote_settings(address: RepositoryAddress, credentials: GitCredentials) -> dict[str, str]:
    """The remote is named here and nowhere on disk: no URL on a command line, and a new URL takes effect at once.

    It is a promisor only while fetching, so that reading never goes to the network for a blob that was left out.
    """
    settings = _common_settings() | {
        f"remote.{REMOTE}.url": address.url,
        f"remote.{REMOTE}.tagOpt": "--no-tags",
        f"remote.{REMOTE}.promisor": "true",
        f"remote.{REMOTE}.partialclonefilter": f"blob:limit={MAX_FILE_BYTES + 1}",
        "http.followRedirects": "false",
        "http.lowSpeedLimit": "1000",
        "http.lowSpeedTime": "20",
    }
    if credentials.token and address.transport in ("https", "http"):
        parts = urlsplit(address.url)
        settings[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = f"Authorization: Basic {basic_of(credentials)}"
    return settings


def _settings_variables(settings: dict[str, str]) -> dict[str, str]:
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def completed(address: RepositoryAddress, credentials: GitCredentials, *, allow_local: bool) -> GitCredentials:
    """With the token of a GitHub App, and with the published keys of a host that nobody had to confirm.

    Raises GitFailed when GitHub gives no token.
    """
    if address.transport == "ssh" and not credentials.known_hosts.strip():
        return replace(credentials, known_hosts=published(*place_of(address)))
    if address.transport in ("https", "http") and credentials.app:
        token = github_tokens.installation_token(credentials.app, allow_local=allow_local)
        return replace(credentials, username="", token=token)
    return credentials


def _check_credentials(address: RepositoryAddress, credentials: GitCredentials) -> None:
    if any(character in credentials.username + credentials.token for character in "\r\n\0"):
        raise GitFailed("Refused", f"{address.display}: the user name or token holds a line break: give it again")
    if address.transport != "ssh":
        return
    if not credentials.known_hosts.strip():
        raise GitFailed(
            "HostKeyUnknown",
            f"{address.display}: the host key of {address.host} is not known: somebody has to confirm its fingerprint, "
            "on the repository's page or with --confirm-host-key",
        )
    if not credentials.ssh_key.strip():
        sentence = "SSH needs a private key: give one with --ssh-key, or have one made here with --make-ssh-key"
        raise GitFailed("AuthenticationFailed", f"{address.display}: {sentence}")


def _transport_variables(private: Path, address: RepositoryAddress, credentials: GitCredentials) -> dict[str, str]:
    if address.transport == "ssh":
        write_private(private / "ssh", _SSH_PROGRAM, mode=0o700)
        write_private(private / "config", _SSH_CONFIG)
        # OpenSSH refuses keys without a last line end, and with a carriage return.
        write_private(private / "key", credentials.ssh_key.replace("\r\n", "\n").strip() + "\n")
        write_private(private / "known_hosts", credentials.known_hosts.replace("\r\n", "\n").strip() + "\n")
        return {"GIT_SSH": str(private / "ssh"), "GIT_SSH_VARIANT": "ssh"}
    if address.transport == "file":
        # Whoever said --allow-local meant this folder, also when another user owns it.
        path = address.url.removeprefix("file://").rstrip("/")
        quoted = path.replace("\\", "\\\\").replace('"', '\\"')
        lines = "".join(f'\tdirectory = "{quoted}{suffix}"\n' for suffix in ("", "/.git", ".git"))
        write_private(private / "gitconfig", f"[safe]\n{lines}")
        return {"GIT_CONFIG_GLOBAL": str(private / "gitconfig")}
    return {}


def _pinned_addresses(address: RepositoryAddress) -> dict[str, str]:
    """Refuse a name that leads to this machine or its link, and hold curl to the addresses that were looked at."""
    proxied = any(name in os.environ for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    if not address.host or proxied:
        return {}
    port = (urlsplit(address.url).port if "://" in address.url else None) or 443
    try:
        found = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        sentence = f"the name {address.host} cannot be resolved: check the URL and this machine's DNS"
        raise GitFailed("Unreachable", f"{address.display}: {sentence}") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for candidate in addresses:
        if reason := forbidden_address(candidate):
            sentence = f"{address.host} is {candidate}, {reason}; repeat with --allow-local if that is meant"
            raise GitFailed("Refused", f"{address.display}: {sentence}")
    return {"http.curloptResolve": f"{address.host}:{port}:{','.join(addresses)}"}


def private_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for abandoned in folder.glob(f"{SESSION_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - abandoned.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                shutil.rmtree(abandoned, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=SESSION_PREFIX, dir=folder))


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def basic_of(credentials: GitCredentials) -> str:
    """User name and token, as HTTP Basic has them."""
    pair = f"{credentials.username or DEFAULT_USERNAME}:{credentials.token}"
    return base64.b64encode(pair.encode()).decode()


def _secrets(credentials: GitCredentials) -> tuple[str, ...]:
    if not credentials.token:
        return ()
    return (credentials.token, quote(credentials.token, safe=""), basic_of(credentials))
