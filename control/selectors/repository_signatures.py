"""A repository's signature policy in words, with its signers as people compare them."""

from __future__ import annotations

from dataclasses import dataclass

from control.models import Repository
from control.selectors.words import sentence
from deployer.core.signatures import HEAD, NONE, TAG, Signer, SignersRefused, signers

POLICIES = {
    NONE: "any commit is taken",
    HEAD: "the commit must be signed by an allowed signer",
    TAG: "the ref must be a tag that an allowed signer signed",
}


@dataclass(frozen=True, slots=True)
class SignaturesWords:
    """`gpg_keys`: how many blocks of OpenPGP keys there are."""

    what: str
    policy: str
    signers: tuple[Signer, ...]
    gpg_keys: int
    ssh_text: str
    gpg_text: str


def signatures_words(name: str) -> SignaturesWords | None:
    """Of the repository of this name; None when there is none."""
    row = Repository.objects.filter(name=name).first()
    if row is None:
        return None
    try:
        found = tuple(Signer(sentence(one.names), one.key) for one in signers(row.ssh_signers))
    except SignersRefused:
        found = ()
    return SignaturesWords(
        what=row.signatures,
        policy=POLICIES.get(row.signatures, row.signatures),
        signers=found,
        gpg_keys=row.gpg_signers.count("-----BEGIN PGP PUBLIC KEY BLOCK-----"),
        ssh_text=row.ssh_signers,
        gpg_text=row.gpg_signers,
    )
