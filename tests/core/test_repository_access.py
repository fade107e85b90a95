"""How a repository is opened: host keys and their fingerprints, and the signature of a GitHub App."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deployer.core.github_app import GitHubApp, check_app, signature
from deployer.core.host_keys import PUBLISHED, HostKey, keys_in, known_hosts, place_of, published
from deployer.core.repository import RepositoryRefused, parse_repository_url

FINGERPRINTS = {
    "github.com": ["+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU", "p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM"],
    "gitlab.com": ["eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8", "HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw"],
    "bitbucket.org": ["ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM", "FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0"],
    "codeberg.org": ["mIlxA9k46MmM6qdJOdMnAQpzGxF4WIVVL+fj+wZbw0g", "T9FYDEHELhVkulEKKwge5aVhVTbqCW0MIRwAfpARs/E"],
    "ssh.dev.azure.com": ["ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og"],
}
"""As their owners show them, on the pages that PUBLISHED names."""


def test_the_keys_that_come_along_are_those_that_their_owners_publish() -> None:
    found = {host: [key.fingerprint for key in one.keys] for host, one in PUBLISHED.items()}
    assert found == {host: [f"SHA256:{one}" for one in shown] for host, shown in FINGERPRINTS.items()}


def test_known_hosts_lines_are_written_and_read() -> None:
    key = PUBLISHED["github.com"].keys[0]
    assert known_hosts("git.example.com", 2222, [key]) == f"[git.example.com]:2222 ssh-ed25519 {key.key}\n"
    other = "@cert-authority h ssh-rsa AAAA\nh ssh-ed25519 no*base64\nh short\n"
    text = f"# a comment\n\n{known_hosts('h', 22, [key])}{other}"
    assert keys_in(text) == [key, HostKey("ssh-rsa", "AAAA")]
    assert published("github.com", 22).startswith("github.com ssh-ed25519 AAAA")
    assert (published("github.com", 443), published("git.example.com", 22)) == ("", "")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("git@github.com:a/b.git", ("github.com", 22)),
        ("ssh://git@git.example.com:2222/b", ("git.example.com", 2222)),
        ("ssh://git@git.example.com/b", ("git.example.com", 22)),
    ],
)
def test_where_ssh_goes_to(url: str, place: tuple[str, int]) -> None:
    assert place_of(parse_repository_url(url, allow_local=False)) == place


@functools.cache
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode())


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_an_app_signs_for_nine_minutes() -> None:
    head, claims, signed = signature(GitHubApp("12", "34", pem(private())), 1000.9).split(".")
    assert (decoded(head), decoded(claims)) == ({"alg": "RS256", "typ": "JWT"}, {"iat": 940, "exp": 1480, "iss": "12"})
    proof = base64.urlsafe_b64decode(signed + "==")
    private().public_key().verify(proof, f"{head}.{claims}".encode(), PKCS1v15(), SHA256())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"app_id": "1/../2"}, "1/../2 is not the id of a GitHub App"),
        ({"app_id": ""}, "is not the id of a GitHub App"),
        ({"installation_id": "3?x"}, "3?x is not the id of an installation"),
        ({"installation_id": "٣"}, "is not the id of an installation"),
        ({"api_url": "http://git.example.com"}, "http:// sends tokens and manifests in the clear"),
        ({"api_url": "https://169.254.169.254"}, "is a link-local address"),
        ({"api_url": "https://localhost/api/v3"}, "is a loopback address"),
        ({"api_url": "ssh://git@git.example.com"}, "GitHub's API is at https://"),
        ({"api_url": "https://u:p@git.example.com"}, "leave user names, passwords and tokens out of the URL"),
        ({"key": "hush"}, "the GitHub App's private key is none"),
    ],
)
def test_an_app_that_is_none_is_refused(change: dict[str, str], sentence: str) -> None:
    app = GitHubApp(**{"app_id": "12", "installation_id": "34", "key": pem(private()), **change})
    with pytest.raises(RepositoryRefused, match=sentence.replace("?", r"\?")) as caught:
        check_app(app, allow_local=False)
    assert "hush" not in str(caught.value) + repr(app)


def test_an_app_s_key_is_rsa() -> None:
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(RepositoryRefused, match="private key is none"):
        signature(GitHubApp("12", "34", other.decode()), 0)
