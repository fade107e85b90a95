"""The key of an encrypted file: which recipients it was made for, and whether one of our age identities is among them.

Files that only other kinds of keys open (PGP, the clouds' key services) are refused by the name of that kind, and so
are groups of keys that must come together: Pierhead holds age identities and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from deployer.core.manifest_checks.finding import shown
from deployer.core.sops_values import ANEW, SopsRefused

MOST_RECIPIENTS = 100
KEY_BYTES = 32
_OTHERS = {
    "pgp": "PGP",
    "kms": "AWS KMS",
    "gcp_kms": "Google Cloud KMS",
    "azure_kv": "Azure Key Vault",
    "hc_vault": "HashiCorp Vault",
    "hckms": "Huawei Cloud KMS",
}
_HOW = "`manage.py repository age-key` says which recipient to add; then run `sops updatekeys` on the file"


class Identities:
    """A repository's age identities, read when they are first needed."""

    def __init__(self, ask: Callable[[], Sequence[str]]) -> None:
        self._ask = ask

    @cached_property
    def found(self) -> list[tuple[str, Any]]:
        """(recipient, identity), the newest first."""
        from pyrage import x25519

        made = [x25519.Identity.from_str(text) for text in self._ask()]
        return [(str(one.to_public()), one) for one in made]


def data_key(metadata: Mapping[str, Any], identities: Identities) -> bytes:
    """The key of the file's values. Raises SopsRefused, which names recipients and kinds of keys, never a key."""
    if metadata.get("key_groups"):
        raise SopsRefused("is encrypted for groups of keys that must come together", "encrypt it for age alone")
    recipients = _recipients(metadata)
    if not recipients:
        others = [name for word, name in _OTHERS.items() if metadata.get(word)]
        what = f"is encrypted for {', '.join(others)} alone" if others else "names nobody whom it is encrypted for"
        raise SopsRefused(f"{what}: only age keys open a file here", _HOW)
    if not identities.found:
        raise SopsRefused("is encrypted, and there is no age key here to open it", _HOW)
    ours = {recipient for recipient, _ in identities.found}
    for _, sealed in sorted(recipients, key=lambda one: one[0] not in ours):
        key = _unlocked(sealed, identities)
        if key is not None and len(key) == KEY_BYTES:
            return key
    if any(recipient in ours for recipient, _ in recipients):
        raise SopsRefused("its key cannot be unlocked: the block that sops wrote was changed", ANEW)
    named = ", ".join(shown(recipient) for recipient, _ in recipients[:3])
    more = f" and {len(recipients) - 3} more" if len(recipients) > 3 else ""
    raise SopsRefused(f"is encrypted for {named}{more}; here is only the key of {', '.join(sorted(ours))}", _HOW)


def _recipients(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(recipient, the key as sealed for them)."""
    listed = metadata.get("age") or []
    if not isinstance(listed, list) or len(listed) > MOST_RECIPIENTS:
        raise SopsRefused(f"its list of age recipients is no list of at most {MOST_RECIPIENTS}", ANEW)
    return [(str(one.get("recipient") or ""), str(one.get("enc") or "")) for one in listed if isinstance(one, dict)]


def _unlocked(sealed: str, identities: Identities) -> bytes | None:
    import pyrage

    try:
        return bytes(pyrage.decrypt(sealed.encode(), [identity for _, identity in identities.found]))
    except (pyrage.DecryptError, ValueError):
        return None
