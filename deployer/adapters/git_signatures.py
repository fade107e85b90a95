"""Git's verdict on who signed a commit or a tag, with the allowed signers of one repository and nobody else's keys.

The signers are written into a folder of their own, which goes when the verdict is there: a file of allowed SSH signers,
and a keyring for GnuPG, without agent, trust database or network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from deployer.adapters.git_environment import private_folder, write_private
from deployer.adapters.git_failure import GitFailed
from deployer.adapters.git_process import GitCommand, HiddenEnvironment
from deployer.core.signatures import SignaturePolicy, unsigned

IMPORT_SECONDS = 30
_GPG = ("gpg", "--batch", "--quiet", "--no-autostart", "--no-tty")


def commit_refusal(reader: GitCommand, folder: Path, sha: str, policy: SignaturePolicy) -> str:
    """ "" when an allowed signer signed the commit, which the mirror holds; else why it is not taken."""
    code, said = _verdict(reader, folder, ["verify-commit", "--raw", sha], policy)
    return "" if code == 0 else unsigned(f"commit {sha[:7]}", said)


def tag_refusal(reader: GitCommand, folder: Path, tag: str, oid: str, sha: str, policy: SignaturePolicy) -> str:
    """Likewise for an annotated tag, by its object's id: it must be of this name, and name this commit.

    Otherwise a tag that was signed once could be given another name, and bring back what it named.
    """
    head = reader.run(["cat-file", "tag", oid]).decode("utf-8", "replace").partition("\n\n")[0].splitlines()
    if f"object {sha}" not in head or f"tag {tag}" not in head:
        return f"tag {tag} is another tag under this name: sign one of this name (git tag -s), and push it"
    code, said = _verdict(reader, folder, ["verify-tag", "--raw", oid], policy)
    return "" if code == 0 else unsigned(f"tag {tag}", said)


def check_gpg_keys(folder: Path, keys: str) -> None:
    """Raises GitFailed when GnuPG cannot read them."""
    if keys.strip():
        with _signers(folder, SignaturePolicy(gpg_keys=keys)):
            pass


def _verdict(reader: GitCommand, folder: Path, arguments: list[str], policy: SignaturePolicy) -> tuple[int, str]:
    with _signers(folder, policy) as private:
        settings = ["-c", f"gpg.ssh.allowedSignersFile={private / 'allowed_signers'}"]
        variables = dict(reader.environment) | {"GNUPGHOME": str(private / "gnupg"), "HOME": str(private)}
        command = replace(reader, environment=HiddenEnvironment(variables))
        code, _, errors = command.answer([*settings, *arguments])
        return code, errors.decode("utf-8", "replace")


@contextlib.contextmanager
def _signers(folder: Path, policy: SignaturePolicy) -> Iterator[Path]:
    private = private_folder(folder)
    try:
        write_private(private / "allowed_signers", policy.ssh_signers.replace("\r\n", "\n").strip() + "\n")
        (private / "gnupg").mkdir(mode=0o700)
        if policy.gpg_keys.strip():
            _import(private, policy.gpg_keys)
        yield private
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _import(private: Path, keys: str) -> None:
    home = str(private / "gnupg")
    try:
        done = subprocess.run(
            [*_GPG, "--homedir", home, "--import"], input=keys.encode(), capture_output=True, timeout=IMPORT_SECONDS,
            check=False, env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(private), "LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError:
        raise GitFailed("Refused", "GnuPG is not installed on this machine: install gnupg, or take SSH keys") from None
    except subprocess.TimeoutExpired:
        raise GitFailed("TimedOut", f"GnuPG did not read the signers' keys within {IMPORT_SECONDS} s") from None
    if done.returncode != 0:
        raise GitFailed("Refused", "GnuPG cannot read the signers' OpenPGP keys: write them with gpg --armor --export")
