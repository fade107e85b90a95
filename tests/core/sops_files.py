"""Files as sops itself writes them, and what it reads in them: the oracle of our own reader."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pyrage import x25519

from deployer.core.repository import SourceFile, SourceTree
from deployer.core.sops import Opened, opened

PROGRAM = Path(sys.executable).with_name("sops")
SECRETS_ONLY = ("--encrypted-regex", "^(data|stringData)$")
PATH = "k8s/db.yaml"


class Key:
    def __init__(self) -> None:
        made = x25519.Identity.generate()
        self.identity, self.recipient = str(made), str(made.to_public())


OURS, STRANGER = Key(), Key()


def sops(*arguments: str, text: str, kind: str = "yaml", key: Key = OURS) -> str:
    """What sops prints, or an AssertionError that begins with what it said."""
    done = subprocess.run(
        [PROGRAM, "--disable-version-check", *arguments, "--input-type", kind, "--output-type", kind, "/dev/stdin"],
        input=text.encode(), capture_output=True, timeout=60,
        env={"HOME": "/nonexistent", "PATH": os.defpath, "SOPS_AGE_KEY": key.identity},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def encrypted(text: str, *options: str, kind: str = "yaml", recipients: Sequence[Key] = (OURS,)) -> str:
    return sops("-e", "--age", ",".join(one.recipient for one in recipients), *options, text=text, kind=kind)


def decrypted(text: str, kind: str = "yaml") -> str:
    return sops("-d", text=text, kind=kind)


def open_text(text: str | bytes, *identities: str, path: str = PATH) -> Opened:
    data = text if isinstance(text, bytes) else text.encode()
    return opened(SourceTree((SourceFile(path, data),), ()), lambda: identities or (OURS.identity,))
