"""Pushes that are encrypted or have to be signed: what they lead to, and what they never leave behind."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder

from control.models import Application, ConfigMap, Repository, Secret, Sync
from control.services import repositories, repository_keys
from control.services.audit import Actor
from control.services.previews import preview
from control.services.refusal import Refused
from deployer.composition import composition
from deployer.loops import sync
from tests.core.sops_files import SECRETS_ONLY, STRANGER, Key, encrypted
from tests.scenarios.world import World

pytestmark = pytest.mark.django_db
ANN = Actor("ann")
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: hunter2hunter2}\n"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(composition(), "source", made.source)
    made.follow()
    return made


def key_of() -> Key:
    """The newest age key of the repository."""
    made = Key()
    row = Repository.objects.get()
    (made.recipient, *_) = repository_keys.recipients(row.name, ANN)
    return made


class _Encoder(DjangoJSONEncoder):
    """What is kept compressed is looked into, too."""

    def default(self, o: Any) -> Any:
        return zlib.decompress(o).decode() if isinstance(o, bytes) else super().default(o)


def rows() -> str:
    """Every row of every table, as text."""
    found = {one.__name__: list(one._default_manager.values()) for one in apps.get_app_config("control").get_models()}
    return json.dumps(found, cls=_Encoder)


def push(world: World, text: str) -> Sync:
    world.push(text)
    world.pass_time(40)
    return Sync.objects.all()[0]


def passwords() -> list[Any]:
    return [row.sealed.load() for row in Secret.objects.all()]


def test_an_encrypted_secret_is_applied_and_left_nowhere_in_plain(world: World) -> None:
    key = key_of()
    attempt = push(world, encrypted(SECRET, *SECRETS_ONLY, recipients=[key]))
    assert (attempt.phase, attempt.warnings, attempt.errors) == (Sync.SUCCEEDED, [], [])
    assert passwords() == [{"password": "aHVudGVyMmh1bnRlcjI="}]
    changed = encrypted(SECRET.replace("hunter2h", "HUNTER2h"), *SECRETS_ONLY, recipients=[key])
    Application.objects.update(automatic=False)
    push(world, changed)
    shown = preview("shop")
    assert [(one.op, one.kind, one.lines) for one in shown.objects] == [
        ("change", "Secret", (("~", "data.password: *** -> ***"),))
    ]
    for word in ("unter2", "UNTER2", "aHVudGVy", "SFVOVEVS", "AGE-SECRET-KEY"):
        assert word not in rows() + repr(sync._cache)


def test_what_does_not_open_changes_nothing_and_says_what_to_do(world: World) -> None:
    push(world, encrypted(SECRET, *SECRETS_ONLY, recipients=[key_of()]))
    attempt = push(world, encrypted(SECRET.replace("hunter2", "other"), *SECRETS_ONLY, recipients=[STRANGER]))
    assert attempt.phase == Sync.FAILED
    assert f"0.yaml:7: sops: is encrypted for {STRANGER.recipient}; here is only the key of {key_of().recipient}" in (
        attempt.message
    )
    assert (attempt.errors[0]["file"], attempt.errors[0]["field"]) == ("0.yaml", "sops")
    assert passwords() == [{"password": "aHVudGVyMmh1bnRlcjI="}]


def test_a_key_that_was_followed_by_another_still_opens(world: World) -> None:
    old = key_of()
    repository_keys.new_age_key("shop", ANN)
    new = key_of()
    assert push(world, encrypted(SECRET, *SECRETS_ONLY, recipients=[old])).phase == Sync.SUCCEEDED
    repository_keys.remove_age_key("shop", old.recipient, ANN)
    assert (
        "the key of" in push(world, encrypted(SECRET, *SECRETS_ONLY, "--mac-only-encrypted", recipients=[old])).message
    )
    assert push(world, encrypted(SECRET, *SECRETS_ONLY, recipients=[new])).phase == Sync.SUCCEEDED
    with pytest.raises(Refused, match="has no other age key"):
        repository_keys.remove_age_key("shop", new.recipient, ANN)
    with pytest.raises(Refused, match="has no age key age1x"):
        repository_keys.remove_age_key("shop", "age1x", ANN)


def test_a_plain_secret_is_applied_with_a_warning_that_is_kept(world: World) -> None:
    attempt = push(world, SECRET)
    assert attempt.phase == Sync.SUCCEEDED
    (warning,) = attempt.warnings
    assert (warning["file"], warning["line"], warning["object"]) == ("0.yaml", 4, "Secret shop/db")
    assert warning["message"].startswith("a Secret in plain text in Git")
    assert "hunter" not in rows()


# What a tool makes of what was encrypted


def tree(world: World, **files: str) -> Sync:
    """`a_yaml=...` is a.yaml."""
    world.source.push({name.replace("_", "."): text for name, text in files.items()}, "x", world.clock.now())
    world.pass_time(40)
    return Sync.objects.all()[0]


def test_kustomize_reads_an_encrypted_secret(world: World) -> None:
    secret = encrypted(SECRET, *SECRETS_ONLY, recipients=[key_of()])
    attempt = tree(world, kustomization_yaml="resources: [db.yaml]\nnamePrefix: my-\n", db_yaml=secret)
    assert (attempt.phase, attempt.warnings, attempt.message[:9]) == (Sync.SUCCEEDED, [], "1 created")
    assert Secret.objects.get().name == "my-db"
    assert passwords() == [{"password": "aHVudGVyMmh1bnRlcjI="}]
    assert "hunter2" not in rows()
    assert "aHVudGVyMmh1" not in rows()


def test_what_came_to_stand_outside_of_a_secret_is_refused_and_not_kept(world: World) -> None:
    settings = encrypted("password: hunter2hunter2\n", recipients=[key_of()])
    kustomization = "configMapGenerator: [{name: c, files: [settings.yaml]}]\n"
    attempt = tree(world, kustomization_yaml=kustomization, settings_yaml=settings)
    assert attempt.phase == Sync.FAILED
    assert "holds a value that stands encrypted in Git: only what a Secret holds is sealed" in attempt.message
    assert not ConfigMap.objects.exists()
    assert "hunter2" not in rows()


def test_a_file_that_does_not_open_is_told_alone(world: World) -> None:
    secret = encrypted(SECRET, *SECRETS_ONLY, recipients=[STRANGER])
    attempt = tree(world, kustomization_yaml="resources: [db.yaml]\n", db_yaml=secret)
    assert [one["file"] for one in attempt.errors] == ["db.yaml"]


# Signatures


CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{a: '{}'}}\n"
WHY = "commit abc1234 is signed by nobody: have an allowed signer sign it"


def unsigned(world: World, number: int) -> str:
    """The id of a commit that the repository's policy does not take, once it was looked at."""
    sha = world.push(CONFIG.format(number))
    world.source.unsigned[sha] = WHY
    world.pass_time(40)
    return sha


def applied() -> str:
    return str(ConfigMap.objects.get().spec["data"]["a"])


def test_a_commit_that_is_not_signed_changes_nothing_and_is_told_once(world: World) -> None:
    push(world, CONFIG.format(1))
    unsigned(world, 2)
    world.pass_time(120)
    assert applied() == "1"
    assert [(one.phase, one.message) for one in Sync.objects.all()[:2]] == [
        (Sync.FAILED, f"nothing was changed: {WHY}"), (Sync.SUCCEEDED, "1 created, 0 changed, 0 pruned, 0 unchanged")
    ]  # fmt: skip
    assert preview("shop").refusal == WHY
    push(world, CONFIG.format(3))
    assert applied() == "3"


def test_what_was_applied_before_can_be_gone_back_to_and_an_unsigned_commit_does_not_end_that(world: World) -> None:
    first = push(world, CONFIG.format(1)).commit
    push(world, CONFIG.format(2))
    world.source.unsigned[first] = WHY  # the policy came later
    repositories.rollback("shop", first, ANN)
    unsigned(world, 3)  # before anybody came to it
    assert (applied(), bool(Application.objects.get().pin)) == ("1", True)
    assert f"nothing was changed: {WHY}" in [one.message for one in Sync.objects.all()[:2]]
    push(world, CONFIG.format(4))
    assert (applied(), Application.objects.get().pin) == ("4", {})
