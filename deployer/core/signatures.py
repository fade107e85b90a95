"""Whose commits are taken: a repository's signature policy, and what Git's verdict on one commit means for people.

    none   any commit that the ref names
    head   that commit must be signed by an allowed signer
    tag    the ref must be an annotated tag that an allowed signer signed

Signers are lines of OpenSSH's allowed_signers and OpenPGP public keys. Git itself verifies, with these and nothing else
to look at; only its exit code counts, for it prints "Good signature" of strangers as well. What it printed serves to
say who signed. A commit that was applied before was judged then: going back to it asks for no signature.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from deployer.core.host_keys import HostKey
from deployer.core.repository import shown

NONE, HEAD, TAG = "none", "head", "tag"
POLICIES = (NONE, HEAD, TAG)
MOST_BYTES = 1 << 18

_KEY_KIND = re.compile(r"(?:sk-)?(?:ssh-|ecdsa-)[a-z0-9-]+(?:@openssh\.com)?")
_PGP_BEGIN, _PGP_END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
_SSH_KEY = re.compile(r"(?:with|using) ([A-Z0-9-]+) key (SHA256:[A-Za-z0-9+/]{43})")
_PGP_VERDICTS = {
    "NO_PUBKEY": "with the OpenPGP key {key}, which is none of the allowed signers'",
    "BADSIG": "by {name}, but was changed after that: the signature does not fit",
    "EXPSIG": "by {name}, but the signature has expired",
    "EXPKEYSIG": "by {name}, but their key has expired",
    "REVKEYSIG": "by {name}, but their key was revoked",
    "ERRSIG": "with the OpenPGP key {key}, in a way that cannot be checked here",
    "GOODSIG": "by {name}, whose key is not enough for Git",
}


class SignersRefused(Exception):
    """A policy that is not admitted. `sentence` says which line, why, and what to write."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """`ssh_signers`: lines of allowed_signers. `gpg_keys`: armored OpenPGP public keys. All of it is public."""

    what: str = NONE
    ssh_signers: str = ""
    gpg_keys: str = ""


@dataclass(frozen=True, slots=True)
class Signer:
    """`names` as the line has them, such as ann@example.com; the key as people compare it."""

    names: str
    key: str


def check_policy(policy: SignaturePolicy) -> None:
    """Raises SignersRefused."""
    if policy.what not in POLICIES:
        raise SignersRefused(f"{shown(policy.what)} is no signature policy: there are {', '.join(POLICIES)}")
    if len(policy.ssh_signers) + len(policy.gpg_keys) > MOST_BYTES:
        raise SignersRefused(f"the signers take more than {MOST_BYTES >> 10} KiB: leave out who signs nothing")
    known = list(signers(policy.ssh_signers))
    if "PRIVATE KEY" in policy.gpg_keys + policy.ssh_signers:
        raise SignersRefused("a private key is no signer: give the public one, and take this one for known to others")
    blocks = policy.gpg_keys.count(_PGP_BEGIN)
    if policy.gpg_keys.strip() and (not blocks or blocks != policy.gpg_keys.count(_PGP_END)):
        raise SignersRefused("the OpenPGP keys are no public keys in text: write them with gpg --armor --export")
    if policy.what != NONE and not known and not blocks:
        raise SignersRefused("nobody could sign: give allowed_signers lines or OpenPGP public keys with the policy")


def signers(text: str) -> Iterable[Signer]:
    """Of allowed_signers lines. Raises SignersRefused for one that is none."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        at = next((place for place, word in enumerate(words[1:], 1) if _KEY_KIND.fullmatch(word)), 0)
        if not at or len(words) <= at + 1 or not _is_key(words[at], words[at + 1]):
            remedy = "write the signer's address and their public key, such as ann@example.com ssh-ed25519 AAAA..."
            raise SignersRefused(f"line {number} of the SSH signers is none: {remedy}")
        if any("cert-authority" in word for word in words[1:at]):
            raise SignersRefused(f"line {number} of the SSH signers names an authority: give the signers themselves")
        yield Signer(words[0], HostKey(words[at], words[at + 1]).title)


def unsigned(what: str, printed: str) -> str:
    """Why a commit or tag ("commit abc1234") is not taken: who signed it, or that nobody did."""
    return f"{what} {_who(printed)}: {_remedy(what)}"


def _who(printed: str) -> str:
    if found := _SSH_KEY.search(printed):
        return f"is signed with the SSH key {found[1]} {found[2]}, which is none of the allowed signers'"
    for word, verdict in _PGP_VERDICTS.items():
        if match := re.search(rf"^\[GNUPG:\] {word} ([0-9A-F]+)(.*)$", printed, re.MULTILINE):
            name = shown(match[2].strip() or match[1])
            return f"is signed {verdict.format(key=match[1], name=f'{name} ({match[1]})')}"
    if "ignature" in printed and "no signature" not in printed:
        return "has a signature that does not fit"
    return "is signed by nobody"


def _remedy(what: str) -> str:
    how = "git tag -s" if what.startswith("tag") else "git commit --amend -S"
    return f"have an allowed signer sign it ({how}) and push it, or change the policy (`repository set --signatures`)"


def _is_key(kind: str, key: str) -> bool:
    """Whether the key's own text says that it is of this kind."""
    try:
        data = base64.b64decode(key, validate=True)
    except (ValueError, binascii.Error):
        return False
    length = int.from_bytes(data[:4], "big")
    return data[4 : 4 + length] == kind.encode()
