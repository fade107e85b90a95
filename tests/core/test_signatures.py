"""Who may sign, and what is said of whoever did: sentences from what Git and GnuPG print."""

from __future__ import annotations

import pytest

from deployer.core.host_keys import PUBLISHED
from deployer.core.signatures import SignaturePolicy, Signer, SignersRefused, check_policy, signers, unsigned

KEY = PUBLISHED["github.com"].keys[0]
LINE = f"ann@example.com,*@example.org {KEY.kind} {KEY.key} a comment"
PGP = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n-----END PGP PUBLIC KEY BLOCK-----\n"


def test_signers_are_read_with_their_fingerprints() -> None:
    text = f'# who signs\n\n{LINE}\nbob namespaces="git",valid-after="20250101" {KEY.kind} {KEY.key}\n'
    title = f"ED25519 {KEY.fingerprint}"
    assert list(signers(text)) == [Signer("ann@example.com,*@example.org", title), Signer("bob", title)]


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (SignaturePolicy("all"), "all is no signature policy: there are none, head, tag"),
        (SignaturePolicy("head"), "nobody could sign"),
        (SignaturePolicy("tag", "# nobody\n"), "nobody could sign"),
        (SignaturePolicy("none", "ann@example.com"), "line 1 of the SSH signers is none"),
        (SignaturePolicy("none", f"{KEY.kind} {KEY.key}"), "line 1 of the SSH signers is none"),
        (SignaturePolicy("none", f"{LINE}\nann ssh-ed25519 AAAA"), "line 2 of the SSH signers is none"),
        (SignaturePolicy("none", f"ann ssh-rsa {KEY.key}"), "line 1 of the SSH signers is none"),
        (SignaturePolicy("none", f"ann cert-authority {KEY.kind} {KEY.key}"), "names an authority"),
        (SignaturePolicy("head", "", "mDME"), "are no public keys in text"),
        (SignaturePolicy("head", "", PGP[:50]), "are no public keys in text"),
        (SignaturePolicy("head", "", PGP.replace("PUBLIC", "PRIVATE")), "a private key is no signer"),
        (SignaturePolicy("head", LINE * 5000), "the signers take more than 256 KiB"),
    ],
)
def test_a_policy_that_is_none_is_refused(policy: SignaturePolicy, sentence: str) -> None:
    with pytest.raises(SignersRefused, match=sentence):
        check_policy(policy)


@pytest.mark.parametrize("policy", [SignaturePolicy(), SignaturePolicy("head", LINE), SignaturePolicy("tag", "", PGP)])
def test_a_policy_with_signers_is_admitted(policy: SignaturePolicy) -> None:
    check_policy(policy)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("", "is signed by nobody"),
        ("error: v1: cannot verify a non-tag object\nerror: no signature found", "is signed by nobody"),
        ("[GNUPG:] ERRSIG 0123456789ABCDEF 22 10 00 1 9\n[GNUPG:] NO_PUBKEY 0123456789ABCDEF\n",
         "is signed with the OpenPGP key 0123456789ABCDEF, which is none of the allowed signers'"),
        ("[GNUPG:] EXPKEYSIG 0123456789ABCDEF Ann <ann@example.com>\n",
         "is signed by Ann <ann@example.com> (0123456789ABCDEF), but their key has expired"),
        ("[GNUPG:] REVKEYSIG 0123456789ABCDEF Ann \x1b[31m\n",
         "is signed by Ann ?[31m (0123456789ABCDEF), but their key was revoked"),
        ("Could not verify signature.", "has a signature that does not fit"),
    ],
)  # fmt: skip
def test_what_is_said_of_whoever_signed(printed: str, said: str) -> None:
    assert f"commit abc1234 {said}" in unsigned("commit abc1234", printed)
