"""Who signed a commit or a tag: Git's own verdict on what `commit -S` and `tag -s` made, with SSH and OpenPGP."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployer.adapters.git import GitCredentials, GitFailed, GitSource
from deployer.adapters.git_signatures import check_gpg_keys
from deployer.core.signatures import HEAD, TAG, SignaturePolicy
from tests.contracts.git_servers import CLEAN, Served
from tests.environment import require

NOTHING = GitCredentials()
WEB = {"k8s/web.yaml": "kind: Deployment\n"}


@dataclass(frozen=True)
class Signer:
    """Who signs with these options of Git, and how the policy names them."""

    options: tuple[str, ...]
    home: Path
    policy: SignaturePolicy
    shown: str

    def git(self, served: Served, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *(part for one in self.options for part in ("-c", one)), *arguments], cwd=served.path,
            env=CLEAN | {"GNUPGHOME": str(self.home)}, capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(self, served: Served, message: str = "signed") -> str:
        sha = self.git(served, "commit-tree", "-S", "-m", message, "main^{tree}")
        served.git("update-ref", "refs/heads/main", sha)
        return sha


@dataclass(frozen=True)
class Signers:
    ann: Signer
    eve: Signer
    gpg: Signer
    gpg_eve: Signer


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signers]:
    require(shutil.which("gpg"), "gpg is missing: apt-get install gnupg")
    folder = tmp_path_factory.mktemp("s")
    homes = []

    def ssh(name: str) -> Signer:
        file = folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)], check=True)
        line = f"{name}@example.com {file.with_suffix('.pub').read_text()}"
        said = subprocess.run(["ssh-keygen", "-l", "-f", str(file)], capture_output=True, text=True, check=True)
        options = ("gpg.format=ssh", f"user.signingkey={file}")
        return Signer(options, folder, SignaturePolicy(HEAD, ssh_signers=line), said.stdout.split()[1])

    def gpg(name: str) -> Signer:
        home = folder / name[:1]
        home.mkdir(mode=0o700)
        homes.append(home)

        def run(*arguments: str) -> str:
            program = ["gpg", "--batch", "--quiet", "--homedir", str(home), *arguments]
            return subprocess.run(program, check=True, capture_output=True, text=True).stdout

        run("--passphrase", "", "--quick-gen-key", f"{name} <{name}@example.com>", "ed25519", "sign")
        fingerprint = next(line for line in run("--list-keys", "--with-colons").splitlines() if line[:3] == "fpr")
        key = fingerprint.split(":")[9]
        return Signer(
            (f"user.signingkey={key}",), home, SignaturePolicy(HEAD, gpg_keys=run("--armor", "--export")), key[-16:]
        )

    yield Signers(ssh("ann"), ssh("eve"), gpg("gerd"), gpg("hans"))
    for home in homes:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    (tmp_path / "served").mkdir()
    made = Served.make(tmp_path / "served" / "shop.git")
    made.push(WEB)
    return made


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "mirrors", timeout_seconds=20)


@pytest.fixture
def refusal(source: GitSource, served: Served) -> Callable[..., str]:
    """Of the commit that the ref names now."""

    def ask(policy: SignaturePolicy, ref: str = "main") -> str:
        url = str(served.path)
        sha = source.head(url, ref, NOTHING, True)
        source.fetch("shop", url, ref, sha, NOTHING, True)
        return source.signature_refusal("shop", url, ref, sha, NOTHING, True, policy)

    return ask


def both(one: Signer, other: Signer) -> SignaturePolicy:
    return SignaturePolicy(HEAD, one.policy.ssh_signers, other.policy.gpg_keys)


def test_an_allowed_signer_s_commit_is_taken(served: Served, signers: Signers, refusal: Callable[..., str]) -> None:
    for who in (signers.ann, signers.gpg):
        who.commit(served)
        assert refusal(who.policy) == ""
        assert refusal(both(signers.ann, signers.gpg)) == ""


def test_nobody_s_commit_is_not(served: Served, signers: Signers, refusal: Callable[..., str]) -> None:
    sha = served.git("rev-parse", "main")
    said = f"commit {sha[:7]} is signed by nobody: have an allowed signer sign it (git commit --amend -S) and push it"
    assert said in refusal(signers.ann.policy)
    assert said in refusal(signers.gpg.policy)
    assert refusal(SignaturePolicy()) == ""


def test_a_stranger_is_named_by_their_key(served: Served, signers: Signers, refusal: Callable[..., str]) -> None:
    """Git prints "Good signature" of a stranger's SSH key as well."""
    policy = both(signers.ann, signers.gpg)
    signers.eve.commit(served)
    assert f"with the SSH key ED25519 {signers.eve.shown}, which is none of the allowed signers'" in refusal(policy)
    signers.gpg_eve.commit(served)
    assert f"with the OpenPGP key {signers.gpg_eve.shown}, which is none of the allowed signers'" in refusal(policy)


def test_a_commit_that_was_changed_after_it_was_signed_is_told(
    served: Served, signers: Signers, refusal: Callable[..., str]
) -> None:
    for who, said in ((signers.ann, "has a signature that does not fit"), (signers.gpg, "was changed after that")):
        text = served.git("cat-file", "commit", who.commit(served, "an honest change"))
        evil = text.replace("honest", "evil").encode()
        forged = served.git("hash-object", "-t", "commit", "-w", "--stdin", data=evil)
        served.git("update-ref", "refs/heads/main", forged)
        assert said in refusal(who.policy)


def test_who_is_no_signer_any_more_is_refused(served: Served, signers: Signers, refusal: Callable[..., str]) -> None:
    signers.ann.commit(served)
    assert refusal(signers.ann.policy) == ""
    assert "none of the allowed signers'" in refusal(signers.eve.policy)


# Tags


def test_a_signed_tag_is_taken_and_any_other_is_not(
    served: Served, signers: Signers, refusal: Callable[..., str]
) -> None:
    policy = dataclasses.replace(both(signers.ann, signers.gpg), what=TAG)
    signers.ann.git(served, "tag", "-s", "-m", "one", "v1", "main")
    assert refusal(policy, "v1") == refusal(policy, "refs/tags/v1") == ""
    signers.gpg.git(served, "tag", "-s", "-m", "two", "v2", "main")
    assert refusal(policy, "v2") == ""
    signers.eve.git(served, "tag", "-s", "-m", "three", "v3", "main")
    assert f"tag v3 is signed with the SSH key ED25519 {signers.eve.shown}" in refusal(policy, "v3")
    served.git("tag", "-a", "-m", "four", "v4", "main")
    assert "tag v4 is signed by nobody: have an allowed signer sign it (git tag -s)" in refusal(policy, "v4")
    served.git("tag", "v5", "main")
    assert "tag v5 is not annotated" in refusal(policy, "v5")
    served.git("update-ref", "refs/tags/v6", served.git("rev-parse", "v1"))
    assert "tag v6 is another tag under this name" in refusal(policy, "v6")
    assert "and main is none: name the tag as the repository's ref" in refusal(policy, "main")


def test_a_tag_that_is_signed_later_is_taken_then(
    served: Served, signers: Signers, refusal: Callable[..., str]
) -> None:
    policy = dataclasses.replace(signers.ann.policy, what=TAG)
    served.git("tag", "-a", "-m", "one", "v1", "main")
    assert refusal(policy, "v1")
    signers.ann.git(served, "tag", "-s", "-f", "-m", "one", "v1", "main")
    assert refusal(policy, "v1") == ""


def test_nothing_of_the_signers_stays_on_disk(
    served: Served, signers: Signers, refusal: Callable[..., str], tmp_path: Path
) -> None:
    refusal(both(signers.ann, signers.gpg))
    assert not list((tmp_path / "mirrors").glob("session-*"))
    with pytest.raises(GitFailed, match="GnuPG cannot read"):
        check_gpg_keys(tmp_path, "-----BEGIN PGP PUBLIC KEY BLOCK-----\nno key\n-----END PGP PUBLIC KEY BLOCK-----\n")
    assert not list(tmp_path.glob("session-*"))
    assert "GNUPGHOME" not in os.environ
