"""SSH host keys: those of the big Git hosts, which are published and come along, and how any other is named.

A host that is not here is confirmed once by a person, who compares the fingerprint with what its administrator
publishes. `known_hosts` is OpenSSH's own format; a port that is not 22 is part of the name there: `[host]:port`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from deployer.core.repository import RepositoryAddress

SSH_PORT = 22
_ED25519, _ECDSA = "ssh-ed25519", "ecdsa-sha2-nistp256"
_CURVE = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB"


@dataclass(frozen=True, slots=True)
class HostKey:
    """A host's public key: its kind as OpenSSH writes it, and the key in base64."""

    kind: str
    key: str

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l prints it: SHA256:..."""
        digest = hashlib.sha256(base64.b64decode(self.key)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    @property
    def title(self) -> str:
        """For people: "ED25519 SHA256:..."."""
        name = {_ED25519: "ED25519", "ssh-rsa": "RSA"}.get(self.kind, "ECDSA" if "ecdsa" in self.kind else self.kind)
        return f"{name} {self.fingerprint}"


@dataclass(frozen=True, slots=True)
class PublishedHost:
    """`published`: the page on which the host's owner shows its keys."""

    published: str
    keys: tuple[HostKey, ...]


PUBLISHED = {
    "github.com": PublishedHost(
        "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints",
        (
            HostKey(_ED25519, "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"),
            HostKey(
                _ECDSA,
                f"{_CURVE}BEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=",
            ),
        ),
    ),
    "gitlab.com": PublishedHost(
        "https://docs.gitlab.com/user/gitlab_com/#ssh-host-keys-fingerprints",
        (
            HostKey(_ED25519, "AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf"),
            HostKey(
                _ECDSA,
                f"{_CURVE}BFSMqzJeV9rUzU4kWitGjeR4PWSa29SPqJ1fVkhtj3Hw9xjLVXVYrU9QlYWrOLXBpQ6KWjbjTDTdDkoohFzgbEY=",
            ),
        ),
    ),
    "bitbucket.org": PublishedHost(
        "https://bitbucket.org/site/ssh",
        (
            HostKey(_ED25519, "AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO"),
            HostKey(
                _ECDSA,
                f"{_CURVE}BPIQmuzMBuKdWeF4+a2sjSSpBK0iqitSQ+5BM9KhpexuGt20JpTVM7u5BDZngncgrqDMbWdxMWWOGtZ9UgbqgZE=",
            ),
        ),
    ),
    "codeberg.org": PublishedHost(
        "https://docs.codeberg.org/security/ssh-fingerprint/",
        (
            HostKey(_ED25519, "AAAAC3NzaC1lZDI1NTE5AAAAIIVIC02vnjFyL+I4RHfvIGNtOgJMe769VTF1VR4EB3ZB"),
            HostKey(
                _ECDSA,
                f"{_CURVE}BL2pDxWr18SoiDJCGZ5LmxPygTlPu+cCKSkpqkvCyQzl5xmIMeKNdfdBpfbCGDPoZQghePzFZkKJNR/v9Win3Sc=",
            ),
        ),
    ),
    "ssh.dev.azure.com": PublishedHost(
        "https://learn.microsoft.com/azure/devops/repos/git/use-ssh-keys-to-authenticate",
        (
            HostKey(
                "ssh-rsa",
                "AAAAB3NzaC1yc2EAAAADAQABAAABAQC7Hr1oTWqNqOlzGJOfGJ4NakVyIzf1rXYd4d7wo6jBlkLvCA4odBlL0mDUyZ0/QUfTTqeu"
                "+tm22gOsv+VrVTMk6vwRU75gY/y9ut5Mb3bR5BV58dKXyq9A9UeB5Cakehn5Zgm6x1mKoVyf+FFn26iYqXJRgzIZZcZ5V6hrE0Qg"
                "39kZm4az48o0AUbf6Sp4SLdvnuMa2sVNwHBboS7EJkm57XQPVU3/QpyNLHbWDdzwtrlS+ez30S3AdYhLKEOxAG8weOnyrtLJAUen"
                "9mTkol8oII1edf7mWWbWVf0nBmly21+nZcmCTISQBtdcyPaEno7fFQMDD26/s0lfKob4Kw8H",
            ),
        ),
    ),
}
"""By host name. The test of this file recomputes the fingerprints that these pages show."""


def place_of(address: RepositoryAddress) -> tuple[str, int]:
    """(host, port) that SSH goes to."""
    port = urlsplit(address.url).port if "://" in address.url else None
    return address.host, port or SSH_PORT


def known_hosts(host: str, port: int, keys: Iterable[HostKey]) -> str:
    """The keys as lines of known_hosts."""
    name = host if port == SSH_PORT else f"[{host}]:{port}"
    return "".join(f"{name} {one.kind} {one.key}\n" for one in keys)


def published(host: str, port: int) -> str:
    """What is known of a host without anybody having confirmed it, as lines of known_hosts; "" for a stranger."""
    found = PUBLISHED.get(host) if port == SSH_PORT else None
    return known_hosts(host, port, found.keys) if found else ""


def keys_in(text: str) -> list[HostKey]:
    """The keys of known_hosts lines, or of what ssh-keyscan printed; what is no key is left out."""
    found: dict[HostKey, None] = {}
    for line in text.splitlines():
        words = [] if line.startswith("#") else line.split()
        words = words[1:] if words[:1] and words[0].startswith("@") else words
        if len(words) >= 3:
            key = HostKey(words[1], words[2])
            try:
                base64.b64decode(key.key, validate=True)
            except (ValueError, binascii.Error):
                continue
            found[key] = None
    return list(found)
