"""`plan`: what a sync would change, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.models import Application, Change, ConfigMap, Secret, Sync
from control.services import repository_keys
from control.services.audit import Actor
from control.store import sync
from deployer.core.manifests import read_manifests
from deployer.core.repository import SourceFile
from deployer.core.sync import decide
from tests.control import factories
from tests.control.commands import Run, runner
from tests.core.sops_files import SECRETS_ONLY, Key, encrypted

pytestmark = pytest.mark.django_db

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
"""
SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {color: red}\n"
TOKEN = "apiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {password: hunter2}\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "k8s"
    made.mkdir()
    for name, text in {"web.yaml": WEB, "settings.yml": SETTINGS, "token.yaml": TOKEN, "notes.md": "{"}.items():
        (made / name).write_text(text)
    return made


def applied(folder: Path) -> Application:
    """The folder's manifests, as a sync stored them."""
    row = factories.application()
    files = [SourceFile(path.name, path.read_bytes()) for path in sorted(folder.glob("*.y*ml"))]
    read = read_manifests(files, default_namespace="shop", policies={})
    assert not read.errors
    plan = decide(read.manifests, sync.stored(row.uid, read.manifests), application="shop", prune=True, confirmed=False)
    attempt = Sync.objects.create(application=row, commit="4" * 40)
    sync.apply(attempt, plan, "tree", lambda _loop, _key: None, factories.NOW)
    return row


def lines(out: str) -> list[str]:
    """Without the warning that a Secret stands in Git."""
    return [line for line in out.splitlines() if not line.startswith("warning: k8s/token.yaml:4: Secret ")]


def test_without_an_application_everything_is_new(run: Run, folder: Path) -> None:
    before = Change.objects.count()
    found = run("plan", "k8s")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("warning: k8s/token.yaml:4: Secret default/token: stringData: ")
    assert lines(found.out) == [
        "create  ConfigMap default/settings   (k8s/settings.yml:1)",
        "create  Secret default/token   (k8s/token.yaml:1)",
        "create  Deployment default/web   (k8s/web.yaml:1)",
        "3 to create, 0 to change, 0 to prune, 0 unchanged",
    ]
    assert Change.objects.count() == before


def test_what_is_applied_already_is_unchanged(run: Run, folder: Path) -> None:
    applied(folder)
    found = run("plan", "k8s", "--application", "shop")
    assert lines(found.out) == ["0 to create, 0 to change, 0 to prune, 3 unchanged"]


def test_changes_are_shown_field_by_field_and_secrets_masked(run: Run, folder: Path) -> None:
    applied(folder)
    (folder / "settings.yml").unlink()
    (folder / "web.yaml").write_text(WEB.replace("nginx:1", "nginx:2").replace("replicas: 2", "replicas: 3"))
    (folder / "token.yaml").write_text(TOKEN.replace("hunter2", "swordfish"))
    before = Change.objects.count()
    found = run("plan", "k8s", "--application", "shop")
    assert lines(found.out) == [
        "change  Secret shop/token   (k8s/token.yaml:1)",
        "        ~ data.password: *** -> ***",
        "change  Deployment shop/web   (k8s/web.yaml:1)",
        "        ~ spec.replicas: 2 -> 3",
        '        ~ spec.template.spec.containers[web].image: "nginx:1" -> "nginx:2"',
        "prune   ConfigMap shop/settings",
        "0 to create, 2 to change, 1 to prune, 0 unchanged",
    ]
    assert ConfigMap.objects.filter(deleted_at=None).count() == Secret.objects.count() == 1
    assert Change.objects.count() == before


def test_errors_are_told_with_file_line_and_field(run: Run, folder: Path) -> None:
    (folder / "web.yaml").write_text(WEB.replace("replicas: 2", "replicas: two"))
    found = run("plan", "k8s")
    assert found.code == 1
    assert lines(found.out)[0].startswith("k8s/web.yaml:5: Deployment default/web: spec.replicas: ")
    assert found.err.startswith("error: 1 error, so a sync would change nothing; the first: k8s/web.yaml:5: ")
    assert found.err.count("\n") == 1


def test_losing_everything_is_refused_as_a_sync_would(run: Run, folder: Path) -> None:
    applied(folder)
    (folder.parent / "empty").mkdir()
    found = run("plan", "empty", "--application", "shop")
    assert found.code == 1
    assert "all 3 of its objects would be pruned" in found.err


def test_links_and_git_are_treated_as_in_a_repository(run: Run, folder: Path) -> None:
    (folder / "link.yaml").symlink_to("/etc/passwd")
    (folder / ".git").mkdir()
    (folder / ".git" / "broken.yaml").write_text("{")
    found = run("plan", "k8s")
    assert found.code == 1
    assert lines(found.out) == [
        "k8s/link.yaml: is a symbolic link, which is not followed: put the file itself here, or move the link out "
        "of the path"
    ]


def test_one_file_and_another_namespace(run: Run, folder: Path) -> None:
    assert run("plan", "k8s/settings.yml", "-n", "blog").out.startswith("create  ConfigMap blog/settings ")


def test_a_path_that_is_not_there_is_one_sentence(run: Run, folder: Path) -> None:
    assert run("plan", "nowhere").err == ("error: nowhere does not exist: name a folder or a file with manifests\n")


def test_an_encrypted_secret_is_read_with_the_application_s_key(run: Run, folder: Path) -> None:
    row = applied(folder)
    (recipient,) = repository_keys.recipients(row.repository.name, Actor("ann"))
    key = Key()
    key.recipient = recipient
    text = encrypted(TOKEN.replace("hunter2", "hunter3"), *SECRETS_ONLY, recipients=[key])
    (folder / "token.yaml").write_text(text)
    found = run("plan", "k8s", "--application", "shop")
    assert (found.code, "warning" in found.out) == (0, False)
    assert "change  Secret shop/token   (k8s/token.yaml:1)\n        ~ data.password: *** -> ***\n" in found.out
    assert "there is no age key here to open it" in run("plan", "k8s").err
