"""What Git and SSH say, as they said it, and the reason and advice that a person reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.adapters.git_failure import failure_from, scrubbed

param = pytest.param


@pytest.mark.parametrize(
    ("text", "reason", "advice"),
    [
        param("fatal: write error: No space left on device", "DiskFull", "free some space", id="disk"),
        param("error: file write error: Disk quota exceeded", "DiskFull", "free some space", id="quota"),
        param(
            "fatal: could not read Username for 'https://h': terminal prompts disabled",
            "AuthenticationFailed",
            "token",
            id="401",
        ),
        param(
            "fatal: unable to access 'https://h/': The requested URL returned error: 403",
            "AuthenticationFailed",
            "token",
            id="403",
        ),
        param(
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "AuthenticationFailed",
            "SSH key",
            id="publickey",
        ),
        param(
            "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.",
            "HostKeyUnknown",
            "of the kind that it is known by (ED25519 SHA256:a)",
            id="unknown key",
        ),
        param(
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "HostKeyUnknown",
            "shows the host key of another, and is known by ED25519 SHA256:a",
            id="changed key",
        ),
        param(
            "remote: Repository not found.\nfatal: repository 'https://h/x/' not found",
            "RepositoryNotFound",
            "URL",
            id="404",
        ),
        param(
            "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
            "RepositoryNotFound",
            "URL",
            id="GitHub over SSH",
        ),
        param("fatal: unable to access 'https://h/': Could not resolve host: h", "Unreachable", "DNS", id="DNS"),
        param(
            "fatal: unable to access 'https://h/': The requested URL returned error: 503",
            "Unreachable",
            "503",
            id="503",
        ),
        param(
            "fatal: unable to access 'https://h/': server certificate verification failed. CAfile: none",
            "Unreachable",
            "authorities",
            id="TLS",
        ),
        param(
            "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.",
            "Unreachable",
            "does not answer",
            id="refused",
        ),
        param(
            "fatal: unable to access 'https://h/': Operation too slow. Less than 1000 bytes/sec",
            "Unreachable",
            "slow",
            id="slow",
        ),
        param("fatal: transport 'file' not allowed", "Refused", "not allowed", id="transport"),
        param("fatal: remote error: upload-pack: not our ref 1111", "RefNotFound", "commit", id="not our ref"),
        param(
            "error: object file ./objects/11/22 is empty\nfatal: loose object 1122 is corrupt",
            "Corrupt",
            "anew",
            id="corrupt",
        ),
        param("fatal: something nobody ever saw", "Refused", "something nobody ever saw", id="unknown"),
        param("", "Refused", "it gave no reason", id="silence"),
    ],
)
def test_what_git_says(text: str, reason: str, advice: str) -> None:
    failed = failure_from("https://h/x", "h", text, "ED25519 SHA256:a")
    assert failed.reason == reason
    assert failed.sentence.startswith("https://h/x: ")
    assert advice in failed.sentence


def test_what_a_server_says_cannot_forge_lines_or_colours() -> None:
    failed = failure_from("x", "h", "fatal: \x1b[31mred\x07 \u2028" + "x" * 5000)
    assert failed.sentence.isprintable()
    assert len(failed.sentence) < 400


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=5), max_size=3), st.text(alphabet="abcd", max_size=30))
def test_no_secret_survives(secrets: list[str], text: str) -> None:
    cleaned = scrubbed(text, tuple(secrets))
    assert not [secret for secret in secrets if secret in cleaned]
