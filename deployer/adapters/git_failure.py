"""What Git and SSH say when they fail, turned into one reason and one sentence.

The patterns are read from top to bottom over the program's whole error text (LC_ALL=C); the first that matches wins,
so that "Permission denied (publickey). fatal: Could not read from remote repository." is about the key.
"""

from __future__ import annotations

import re

from deployer.ports import SourceError

MAX_ANSWER_LENGTH = 300


class GitFailed(SourceError):
    """A Git operation that did not happen.

    Reasons: AuthenticationFailed, HostKeyUnknown, RepositoryNotFound, RefNotFound, PathNotFound, Unreachable, TimedOut,
    Refused, TooLarge, DiskFull, Corrupt; of a push also Superseded (the branch has moved meanwhile).
    """


# These describe the remote or the request: making the mirror anew would not help.
NOT_OUR_MIRROR = frozenset(
    {
        "AuthenticationFailed",
        "HostKeyUnknown",
        "RepositoryNotFound",
        "RefNotFound",
        "PathNotFound",
        "Unreachable",
        "TimedOut",
        "TooLarge",
        "DiskFull",
    }
)

_PATTERNS: tuple[tuple[str, str, str], ...] = (
    (
        r"No space left on device|Disk quota exceeded",
        "DiskFull",
        "the disk is full: free some space in the data folder",
    ),
    (
        r"HOST IDENTIFICATION HAS CHANGED",
        "HostKeyUnknown",
        "{host} shows the host key {told}, and is known by {known}: ask its administrator whether it was changed on "
        "purpose; if so, confirm the new one on the repository's page or with `manage.py repository set "
        "--confirm-host-key`, if not, somebody stands in between",
    ),
    (
        r"Host key verification failed|host key is known for",
        "HostKeyUnknown",
        "{host} shows no host key of the kind that it is known by ({known}): compare the fingerprints that it shows "
        "now, and confirm one on the repository's page or with `manage.py repository set --confirm-host-key`",
    ),
    (
        r"\[rejected\]|non-fast-forward|fetch first|stale info|failed to update ref|cannot lock ref",
        "Superseded",
        "its branch has moved meanwhile",
    ),
    (
        r"\[remote rejected\]|hook declined|protected branch|returned error: 403.*git-receive-pack"
        r"|receive-pack.*403|not allowed to push|Write access to repository not granted|denied to ",
        "Refused",
        "the server does not take a push ({answer}): check that these credentials may write to the branch",
    ),
    (
        r"\[rejected\]|non-fast-forward|fetch first|stale info|failed to update ref|cannot lock ref",
        "Superseded",
        "its branch has moved meanwhile",
    ),
    (
        r"\[remote rejected\]|hook declined|protected branch|returned error: 403.*git-receive-pack"
        r"|receive-pack.*403|not allowed to push|Write access to repository not granted|denied to ",
        "Refused",
        "the server does not take a push ({answer}): check that these credentials may write to the branch",
    ),
    (
        r"Load key .*(invalid format|libcrypto|passphrase|not supported)",
        "AuthenticationFailed",
        "the SSH key cannot be used: give a private key without a passphrase",
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        "AuthenticationFailed",
        "authentication failed: the SSH key is not admitted there (any more): paste its public half, which the "
        "repository's page shows, into the deploy keys of this repository",
    ),
    (
        r"could not read (Username|Password)|Authentication failed|returned error: 40[13]|\b401\b.*Unauthorized",
        "AuthenticationFailed",
        "authentication failed: the token is wrong, has expired or was revoked, or may not read this repository: "
        "replace it on the repository's page or with `manage.py repository set --token-file`",
    ),
    (
        r"returned error: 30[12378]|unable to update url base from redirection",
        "Refused",
        "the server redirects to another address, which is not followed: register that address (often the same with "
        ".git at its end)",
    ),
    (
        r"repository '.*' not found|returned error: 40[4]|does not appear to be a git repository|does not exist\b"
        r"|Repository not found|[Pp]roject .*not .*found",
        "RepositoryNotFound",
        "there is no such repository, or these credentials may not see it: check the URL and the credentials",
    ),
    (
        r"detected dubious ownership|unsafe repository",
        "Refused",
        "the repository belongs to another user of this machine: change its owner, or register a served URL",
    ),
    (
        r"transport '.*' not allowed",
        "Refused",
        "the server or repository asked for a transport that is not allowed here",
    ),
    (
        r"mismatched algorithms|unknown object format|hash algorithm",
        "Refused",
        "the repository uses SHA-256 object ids, which are not supported",
    ),
    (r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref", "RefNotFound", "no such commit"),
    (
        r"certificate|SSL|TLS|gnutls",
        "Unreachable",
        "the TLS connection to {host} failed ({answer}): check its certificate, and the authorities that this machine "
        "trusts",
    ),
    (
        r"Could not resolve host|resolve hostname|Name or service not known|Temporary failure in name resolution",
        "Unreachable",
        "the name {host} cannot be resolved: check the URL and this machine's DNS",
    ),
    (
        r"Connection (refused|timed out|reset|closed)|Failed to connect|Couldn't connect|No route to host"
        r"|Network is unreachable|returned error: (5\d\d|429)|Operation too slow|timed out|Empty reply"
        r"|[Rr]emote end hung up|[Rr]emote hung up|early EOF|RPC failed|unexpected disconnect|transfer closed"
        r"|Could not read from remote repository",
        "Unreachable",
        "{host} does not answer as a Git server should ({answer}): it is asked again",
    ),
    (
        r"corrupt|loose object|bad object|unable to (read|parse)|inflate|packfile|pack has bad|not a git repository"
        r"|not a valid object|all necessary objects|Could not read|missing (blob|tree|commit)|bad (tree|signature)"
        r"|reference broken|index file|invalid sha1 pointer|unable to resolve reference",
        "Corrupt",
        "its mirror here is damaged ({answer}): the next fetch makes it anew",
    ),
)


def failure_from(display: str, host: str, text: str, known: str = "") -> GitFailed:
    """The failure that this (already scrubbed) error text of Git or SSH describes.

    `known`: the fingerprints that the host is known by.
    """
    answer = _answer(text)
    told = re.search(r"SHA256:[A-Za-z0-9+/]{43}", text)
    words = {"answer": answer, "told": told[0] if told else "of another", "known": known or "none"}
    for pattern, reason, sentence in _PATTERNS:
        if re.search(pattern, text):
            place = host or "this machine"
            return GitFailed(reason, f"{display}: {sentence.format(host=place, **words)}")
    return GitFailed("Refused", f"{display}: Git refused: {answer or 'it gave no reason'}")


def scrubbed(text: str, secrets: tuple[str, ...]) -> str:
    """The text without any of the secrets, the longest first, so that no rest of one stays."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _answer(text: str) -> str:
    """The line that says most: the first fatal or error one, else the last; printable and of bounded length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    loud = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))]
    line = (loud or lines[-1:] or [""])[0]
    line = "".join(character if character.isprintable() else "?" for character in line)
    line = re.sub(r"^(fatal|error|ERROR): ", "", line)
    return line if len(line) <= MAX_ANSWER_LENGTH else line[: MAX_ANSWER_LENGTH - 3] + "..."
