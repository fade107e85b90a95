"""How a repository is opened, by whom that is changed, and what is never shown: services, commands and pages."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.test import Client

from control.models import AgeKey, AuditEntry, Repository, Work
from control.services import repositories, repository_keys
from control.services.audit import Actor
from control.services.refusal import Refused
from control.services.repository_credentials import HostKeyUnknown, Wanted, set_credentials
from control.store import repositories as store
from deployer.adapters import ssh_keys
from deployer.composition import composition
from deployer.core.host_keys import PUBLISHED
from deployer.core.source import GitCredentials, Look
from tests.control import factories, people_data
from tests.control.commands import Run, runner
from tests.scenarios.world import FakeSource

pytestmark = pytest.mark.django_db
ANN = Actor("ann")
SSH = "git@git.example.com:shop.git"
KEY = PUBLISHED["gitlab.com"].keys[0]
LINE = f"git.example.com ssh-ed25519 {KEY.key}\n"


class Source(FakeSource):
    """Keeps what it was asked with."""

    asked: list[GitCredentials]

    def head(self, repository: Any) -> str:
        self.asked.append(repository.credentials)
        return super().head(repository)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    made = Source()
    made.asked = []
    made.push({}, "x", 0)
    monkeypatch.setattr(composition(), "source", made)
    monkeypatch.setattr(ssh_keys, "host_keys", lambda address, allow_local: [KEY])
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def ann(source: Source) -> Client:
    return people_data.signed_in(people_data.person("ann", {"": "operator"}))


@functools.cache
def rsa_key() -> str:
    made = rsa.generate_private_key(65537, 2048)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def kept() -> dict[str, Any]:
    return Repository.objects.get().credentials.load()


def test_a_published_host_needs_nobody_s_word(source: Source) -> None:
    repositories.add_repository("shop", "git@github.com:a/b.git", ANN, credentials=GitCredentials(ssh_key="k"))
    assert kept() == {"ssh_key": "k"}


def test_any_other_host_is_confirmed_once(source: Source) -> None:
    given = GitCredentials(ssh_key="k")
    with pytest.raises(HostKeyUnknown) as caught:
        repositories.add_repository("shop", SSH, ANN, credentials=given)
    assert caught.value.keys == (f"ED25519 {KEY.fingerprint}",)
    assert "is not known yet; it shows ED25519 SHA256:eUXG" in caught.value.sentence
    with pytest.raises(HostKeyUnknown, match="shows no host key SHA256:other; it shows ED25519"):
        repositories.add_repository("shop", SSH, ANN, credentials=given, host_key="SHA256:other")
    assert not Repository.objects.exists()
    repositories.add_repository("shop", SSH, ANN, credentials=given, host_key=KEY.fingerprint)
    assert kept() == {"ssh_key": "k", "known_hosts": LINE}
    set_credentials("shop", Wanted(GitCredentials(ssh_key="k2")), ANN)
    assert kept() == {"ssh_key": "k2", "known_hosts": LINE}


def test_a_host_s_new_key_is_confirmed_by_a_person(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    given = GitCredentials(ssh_key="k", known_hosts=LINE)
    repositories.add_repository("shop", SSH, ANN, credentials=given)
    other = PUBLISHED["codeberg.org"].keys[0]
    monkeypatch.setattr(ssh_keys, "host_keys", lambda address, allow_local: [other])
    with pytest.raises(HostKeyUnknown, match="shows no host key SHA256:eUXG"):
        set_credentials("shop", Wanted(host_key=KEY.fingerprint), ANN)
    set_credentials("shop", Wanted(host_key=other.fingerprint), ANN)
    assert kept() == {"ssh_key": "k", "known_hosts": f"git.example.com ssh-ed25519 {other.key}\n"}
    assert AuditEntry.objects.filter(detail=f"host key {other.fingerprint}").exists()


def test_a_key_that_is_made_here_is_kept_before_anybody_knows_it(source: Source) -> None:
    row = repositories.add_repository("shop", "git@github.com:a/b.git", ANN, make_ssh_key=True)
    assert source.asked == []
    assert row.ssh_public_key.startswith("ssh-ed25519 AAAA")
    assert kept()["ssh_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    set_credentials("shop", Wanted(GitCredentials(ssh_key="another")), ANN)
    assert Repository.objects.get().ssh_public_key == row.ssh_public_key


def test_a_new_token_takes_the_place_of_the_old_once_the_server_took_it(source: Source) -> None:
    first = GitCredentials(username="bot", token="old")
    row = repositories.add_repository("shop", "https://git.example.com/a.git", ANN, credentials=first)
    for _ in range(2):
        store.polled(row.uid, Look(failure="the token has expired"), lambda loop, key: None, 1000.0)
    store.polled(row.uid, Look(failure="the token has expired"), lambda loop, key: None, 2000.0)
    assert (Repository.objects.get().failures, Repository.objects.get().failing_since) == (3, 1000.0)
    source.failure = "the token is wrong"
    with pytest.raises(Refused, match="the token is wrong"):
        set_credentials("shop", Wanted(GitCredentials(token="bad")), ANN)
    assert kept()["token"] == "old"
    source.failure = ""
    set_credentials("shop", Wanted(GitCredentials(token="new")), ANN)
    assert kept() == {"username": "bot", "token": "new"}
    found = Repository.objects.get()
    assert (found.failures, found.failing_since, found.message) == (0, 0, "")
    set_credentials("shop", Wanted(GitCredentials(app_id="1", installation_id="2", app_key=rsa_key())), ANN)
    assert set(kept()) == {"app_id", "installation_id", "app_key"}
    audit = " ".join(f"{one.action} {one.detail}" for one in AuditEntry.objects.all())
    assert "repository credentials a token" in audit
    assert "repository credentials GitHub App 1" in audit
    assert "new" not in audit


@pytest.mark.parametrize(
    ("url", "wanted", "sentence"),
    [
        ("https://git.example.com/a.git", {"make_ssh_key": True}, "SSH keys are for ssh:// addresses"),
        ("https://git.example.com/a.git", {"host_key": "SHA256:x"}, "SSH keys are for ssh:// addresses"),
        ("git@github.com:a/b.git", {"credentials": GitCredentials(app_id="1", installation_id="2", app_key="k")},
         "a GitHub App's tokens are for HTTPS"),
        ("https://git.example.com/a.git",
         {"credentials": GitCredentials(app_id="1", installation_id="2", app_key="k", token="t")}, "one of them"),
        ("https://git.example.com/a.git", {"credentials": GitCredentials(app_id="1", installation_id="x")},
         "x is not the id of an installation"),
    ],
)  # fmt: skip
def test_ways_that_do_not_fit_are_refused(source: Source, url: str, wanted: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        repositories.add_repository("shop", url, ANN, **wanted)
    assert not Repository.objects.exists()


# Commands


def test_commands_make_keys_and_replace_tokens(run: Run, source: Source, tmp_path: Path) -> None:
    made = run("repository", "add", "shop", SSH, "--make-ssh-key")
    assert (made.code, made.out) == (1, "")
    assert "then repeat with --confirm-host-key SHA256:" in made.err
    made = run("repository", "add", "shop", SSH, "--make-ssh-key", "--confirm-host-key", KEY.fingerprint)
    first, public = made.out.splitlines()
    assert first == "repository/shop added: it is looked at once its key is there"
    assert public == Repository.objects.get().ssh_public_key
    assert "# paste it: GitHub: Settings, Deploy keys" in made.err
    assert run("repository", "set", "shop").err.startswith("error: nothing was given that could be set")
    assert "takes all three" in run("repository", "set", "shop", "--github-app", "1").err

    run("repository", "add", "web", "https://git.example.com/a.git")
    (tmp_path / "token").write_text("fresh\n")
    assert run("repository", "set", "web", "--token-file", str(tmp_path / "token")).out == "repository/web set\n"
    assert source.asked[-1].token == "fresh"


def test_the_age_key_command_says_what_to_write(run: Run, source: Source) -> None:
    factories.repository()
    shown = run("repository", "age-key", "shop")
    (row,) = AgeKey.objects.all()
    assert shown.out == f"{row.recipient}\n"
    assert f"    encrypted_regex: ^(data|stringData)$\n    age: {row.recipient}\n" in shown.err
    newest, older = run("repository", "age-key", "shop", "--new").out.splitlines()
    assert older == row.recipient
    assert run("repository", "age-key", "shop", "--remove", older).out == f"repository/shop: age key {older} removed\n"
    assert run("repository", "age-key", "shop", "--remove", newest).code == 1
    assert "AGE-SECRET" not in run("describe", "repository", "shop").out + row.__dict__["sealed"]


# Pages


def test_the_form_asks_for_the_host_and_forgets_what_is_secret(ann: Client, source: Source) -> None:
    form = {"name": "shop", "url": SSH, "ref": "main", "path": "k8s", "namespace": "", "ssh_key": "SECRET KEY"}
    page = ann.post("/applications/add", form)
    html = page.content.decode()
    assert page.status_code == 409
    assert f'name="host_key" value="{KEY.fingerprint}"' in html
    assert "SECRET KEY" not in html
    assert ann.post("/applications/add", {**form, "host_key": KEY.fingerprint}).status_code == 302
    assert kept() == {"ssh_key": "SECRET KEY\n", "known_hosts": LINE}


def test_a_repository_s_page_shows_public_halves_alone(ann: Client, source: Source) -> None:
    form = {"name": "shop", "url": "git@github.com:a/b.git", "path": "k8s", "make_ssh_key": "yes"}
    assert ann.post("/applications/add", form)["Location"] == "/repositories/shop"
    ann.post("/repositories/shop/age-key")
    html = ann.get("/repositories/shop").content.decode()
    newest, older = repository_keys.recipients("shop", ANN)
    for said in (
        Repository.objects.get().ssh_public_key, "an SSH key that was made here", "Settings, Deploy keys",
        f"ED25519 {PUBLISHED['github.com'].keys[0].fingerprint}".replace("+", "&#x2B;"), newest, older,
        f"age: {newest}",
    ):  # fmt: skip
        assert said in html or said.replace("&#x2B;", "+") in html
    assert "PRIVATE KEY" not in html
    assert "AGE-SECRET" not in html
    assert ann.post("/repositories/shop/age-key/remove", {"recipient": older}).status_code == 302
    assert ann.post("/repositories/shop/age-key/remove", {"recipient": newest}).status_code == 409
    assert list(AgeKey.objects.values_list("recipient", flat=True)) == [newest]


def test_credentials_are_changed_on_a_page(ann: Client, source: Source) -> None:
    repositories.add_repository("shop", "https://git.example.com/a.git", ANN)
    assert ann.get("/repositories/shop/credentials").status_code == 200
    assert ann.get("/repositories/other/credentials").status_code == 404
    assert "Nothing was given" in ann.post("/repositories/shop/credentials", {}).content.decode()
    source.failure = "the token is wrong"
    refused = ann.post("/repositories/shop/credentials", {"token": "s3cret", "username": "bot"})
    assert (refused.status_code, "s3cret" in refused.content.decode()) == (409, False)
    assert 'value="bot"' in refused.content.decode()
    source.failure = ""
    assert ann.post("/repositories/shop/credentials", {"token": "s3cret"}).status_code == 302
    assert kept() == {"token": "s3cret"}
    viewer = people_data.signed_in(people_data.person("vic", {"": "viewer"}))
    assert viewer.post("/repositories/shop/credentials", {"token": "x"}).status_code == 403
    assert viewer.post("/repositories/shop/age-key").status_code == 403


# Signatures


SIGNER = f"ann@example.com ssh-ed25519 {KEY.key}\n"


def test_a_policy_is_set_by_command(run: Run, source: Source, tmp_path: Path) -> None:
    factories.application("shop", repository=factories.repository())
    (tmp_path / "signers").write_text(SIGNER)
    assert "nobody could sign" in run("repository", "set", "shop", "--signatures", "head").err
    words = ("repository", "set", "shop", "--signatures", "head", "--ssh-signers", str(tmp_path / "signers"))
    assert run(*words).out == "repository/shop set\n"
    policy = store.access(Repository.objects.get()).signatures
    assert (policy.what, policy.ssh_signers) == ("head", SIGNER)
    assert Work.objects.filter(loop="sync").exists()
    assert AuditEntry.objects.filter(action="repository signatures", detail="head").exists()
    assert run("repository", "set", "shop", "--signatures", "none").code == 0
    assert Repository.objects.get().ssh_signers == SIGNER


def test_a_policy_is_set_on_a_page_by_administrators(ann: Client, source: Source) -> None:
    factories.repository()
    assert ann.post("/repositories/shop/signatures", {"what": "head"}).status_code == 403
    admin = people_data.signed_in(people_data.person("root", {"": "admin"}))
    refused = admin.post("/repositories/shop/signatures", {"what": "head", "ssh_signers": "ann"})
    assert refused.status_code == 409
    assert "line 1 of the SSH signers is none" in refused.content.decode()
    assert admin.post("/repositories/shop/signatures", {"what": "head", "ssh_signers": SIGNER}).status_code == 302
    html = admin.get("/repositories/shop").content.decode()
    assert "the commit must be signed by an allowed signer" in html
    assert KEY.fingerprint in html.replace("&#x2B;", "+")
    assert admin.get("/repositories/shop/signatures").status_code == 200
    assert admin.get("/repositories/other/signatures").status_code == 404
