"""age identities (X25519), made here: who holds one decrypts what was encrypted for its recipient."""

from __future__ import annotations


def new_identity() -> tuple[str, str]:
    """(identity, recipient): AGE-SECRET-KEY-1..., which is a secret, and age1..., which everybody may see."""
    from pyrage import x25519

    made = x25519.Identity.generate()
    return str(made), str(made.to_public())
