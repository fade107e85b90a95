"""SSH keys, made here: the private half is sealed, the public half is for people to paste. And what a host shows."""

from __future__ import annotations

import socket
import subprocess

from deployer.adapters.git_failure import GitFailed
from deployer.core.host_keys import HostKey, keys_in, place_of
from deployer.core.repository import RepositoryAddress, forbidden_address

SCAN_SECONDS = 10
RSA_BITS = 3072
RSA_HOSTS = frozenset({"ssh.dev.azure.com", "vs-ssh.visualstudio.com"})
"""Azure DevOps takes RSA keys alone."""


def new_key(host: str, comment: str) -> tuple[str, str]:
    """(private key in OpenSSH's format, its public half on one line), of the best kind that the host takes."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    made: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    made = rsa.generate_private_key(65537, RSA_BITS) if host in RSA_HOSTS else ed25519.Ed25519PrivateKey.generate()
    private = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} {comment}"


def host_keys(address: RepositoryAddress, *, allow_local: bool) -> list[HostKey]:
    """The keys that the host shows, whoever it is. Raises GitFailed when it shows none."""
    host, port = place_of(address)
    target = _admitted(address, host, port, allow_local=allow_local)
    program = ["ssh-keyscan", "-T", str(SCAN_SECONDS), "-p", str(port), "-t", "ed25519,ecdsa,rsa", "--", target]
    try:
        done = subprocess.run(program, capture_output=True, timeout=4 * SCAN_SECONDS, check=False)
    except FileNotFoundError:
        sentence = "ssh-keyscan is not installed on this machine: install the OpenSSH client"
        raise GitFailed("Refused", f"{address.display}: {sentence}") from None
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess(program, 1, b"", b"")
    found = keys_in(done.stdout.decode("utf-8", "replace"))
    if not found:
        sentence = f"{host} shows no SSH host key at port {port}: check the URL, and that the host is reached from here"
        raise GitFailed("Unreachable", f"{address.display}: {sentence}")
    return found


def _admitted(address: RepositoryAddress, host: str, port: int, *, allow_local: bool) -> str:
    """The address that is asked: the one that was looked at, so that its name cannot lead elsewhere meanwhile."""
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        sentence = f"the name {host} cannot be resolved: check the URL and this machine's DNS"
        raise GitFailed("Unreachable", f"{address.display}: {sentence}") from None
    for candidate in found:
        if not allow_local and (reason := forbidden_address(candidate)):
            sentence = f"{host} is {candidate}, {reason}; repeat with --allow-local if that is meant"
            raise GitFailed("Refused", f"{address.display}: {sentence}")
    return found[0]
