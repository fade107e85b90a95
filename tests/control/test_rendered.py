"""What an attempt came to: its page, its file, the commands, and that a backup holds it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.models import Application, RenderedManifests, Sync
from control.selectors import rendered as selector
from control.services import backups
from control.store.rendered import keep
from deployer.core.rendering.kept import Kept
from tests.control import factories
from tests.control.commands import Run, runner

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>\x1b[31m"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def kept(count: int = 2, way: str = "kustomize", **more: Any) -> Kept:
    objects = [
        {"file": "base/a.yaml", "line": number, "kind": "ConfigMap", "namespace": "shop", "name": f"c{number}",
         "body": {"kind": "ConfigMap", "data": {"text": f"one\ntwo {HOSTILE}", "number": "1"}}}
        for number in range(count)
    ]  # fmt: skip
    return Kept(json.dumps({"way": way, "objects": objects, "left_out": 0, **more}), way, count)


def shop(**fields: Any) -> tuple[Application, Sync]:
    row = factories.application(**fields)
    return row, factories.attempt(row, rendered=keep(kept()), started_at=time.time())


def words(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.content
    html = answer.content.decode()
    return " ".join(re.sub(r"<[^>]*>", " ", html[max(html.rfind("<main"), 0) :]).split())


def test_the_page_shows_each_object_and_where_it_comes_from(ann: Client) -> None:
    _, attempt = shop(values=["values/prod.yaml"])
    for path in ("/applications/shop/manifests", f"/applications/shop/manifests/{attempt.pk}"):
        text = words(ann, path)
        assert f"Attempt {attempt.pk}, commit {attempt.commit[:7]} : succeeded 0s ago. 2 objects, rendered by" in text
        assert "by kustomize. The values of Secrets are masked." in text
        assert "ConfigMap shop/ c0 base/a.yaml kind: ConfigMap data: text: " in text
        assert "ConfigMap shop/ c1 base/a.yaml:1" in text
        assert "<script>alert" not in ann.get(path).content.decode()
        assert "\x1b" not in text
    assert "rendered by kustomize with values/prod.yaml" in words(ann, "/applications/shop")
    assert f"manifests of attempt {attempt.pk}" in words(ann, "/applications/shop")


def test_texts_of_several_lines_are_readable() -> None:
    body = {"kind": "ConfigMap", "data": {"a.conf": "x = 1\ny = 2\n"}}
    row = {"file": "a.yaml", "line": 3, "kind": "", "namespace": "", "name": "", "body": body}
    text = selector.yaml_of(json.dumps({"objects": [row], "left_out": 2}))
    assert text == (
        "---\n# a.yaml:3\nkind: ConfigMap\ndata:\n  a.conf: |\n    x = 1\n    y = 2\n"
        "# 2 more objects were too large to be kept\n"
    )


def test_many_objects_are_paged(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selector, "SHOWN", 2)
    row = factories.application()
    factories.attempt(row, rendered=keep(kept(5, left_out=1)))
    assert "From 1 of 5 After 1 more object came out of it" in words(ann, "/applications/shop/manifests")
    assert "Before From 3 of 5 After" in words(ann, "/applications/shop/manifests?from=2")
    assert "Before From 5 of 5 1 more" in words(ann, "/applications/shop/manifests?from=4")
    assert "From 1 of 5" in words(ann, "/applications/shop/manifests?from=99")


def test_what_is_not_there_is_said(ann: Client) -> None:
    row = factories.application()
    assert "Application shop has no attempt yet." in words(ann, "/applications/shop/manifests", 404)
    assert "Application shop has no attempt 7." in words(ann, "/applications/shop/manifests/7", 404)
    bare = factories.attempt(row, Sync.FAILED)
    path = f"/applications/shop/manifests/{bare.pk}"
    assert "Nothing was kept of this attempt: it came to no manifests." in words(ann, path)
    assert "Nothing was kept of that attempt" in words(ann, f"{path}?as=file", 404)
    assert "manifests of attempt" not in words(ann, "/applications/shop")
    other = factories.attempt(factories.application("other", repository=row.repository), rendered=keep(kept()))
    assert ann.get(f"/applications/shop/manifests/{other.pk}").status_code == 404


def test_the_file_is_yaml(ann: Client) -> None:
    _, attempt = shop()
    answer = ann.get("/applications/shop/manifests?as=file")
    assert answer["Content-Disposition"] == f'attachment; filename="shop-{attempt.pk}.yaml"'
    assert answer["Content-Type"] == "application/yaml; charset=utf-8"
    assert answer.content.decode().count("---\n# base/a.yaml") == 2


def test_the_command_prints_it(run: Run) -> None:
    row, attempt = shop()
    bare = factories.attempt(row, Sync.FAILED, message="a.yaml:1: no")
    for words_ in (("shop",), ("shop", "--attempt", str(attempt.pk))):
        assert run("application", "manifests", *words_).out.startswith("---\n# base/a.yaml\nkind: ConfigMap\n")
    found = run("application", "manifests", "shop", "--attempt", str(bare.pk))
    assert (found.code, found.err) == (
        1, f"error: attempt {bare.pk} of application shop came to no manifests: a.yaml:1: no\n"
    )  # fmt: skip
    assert run("application", "manifests", "shop", "--attempt", "0").err == (
        "error: application shop has no attempt 0; `application history shop` lists them\n"
    )


def test_equal_content_is_kept_once() -> None:
    one, other = keep(kept()), keep(kept())
    assert one is not None
    assert one == other
    assert RenderedManifests.objects.count() == 1
    assert keep(Kept("")) is None


def test_a_backup_holds_it() -> None:
    row = keep(kept())
    assert row is not None
    text = backups._plain(RenderedManifests.objects.get().content)
    assert bytes(RenderedManifests._meta.get_field("content").to_python(text)) == bytes(
        RenderedManifests.objects.get().content
    )


# plan


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "base/kustomization.yaml": "configMapGenerator: [{name: a, literals: [b=c]}]\n",
        "app/kustomization.yaml": "resources: [../base]\nsecretGenerator: [{name: s, literals: [p=hunter2]}]\n",
        "stack/compose.yaml": "services: {web: {image: a, ulimits: {nofile: 1}}}\n",
        "two/compose.yaml": "", "two/Chart.yaml": "",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_plan_renders_as_a_sync_would(run: Run, checkout: Path) -> None:
    found = run("plan", "app", "--show")
    assert found.code == 0
    assert "rendered by kustomize: 2 objects\n" in found.out
    assert "create  ConfigMap default/a-" in found.out
    assert "(base/kustomization.yaml)\n" in found.out
    assert "p: '***'" in found.out
    assert "hunter2" not in found.out


def test_plan_refuses_as_a_sync_would(run: Run, checkout: Path) -> None:
    found = run("plan", "stack")
    assert found.code == 1
    assert "stack/compose.yaml:1: services.web.ulimits: is not mapped: the engine's own limits hold" in found.out
    assert run("plan", "two").err.startswith("error: two holds Chart.yaml and compose.yaml, and either could be meant")
    assert run("plan", "app", "--values", "../x").err == ("error: ../x: a path cannot leave the repository ('..')\n")


def test_values_of_an_application_are_paths_of_the_repository(run: Run) -> None:
    factories.repository()
    name = Application.objects.model._meta.get_field("repository").related_model.objects.get().name
    words_ = ("application", "add", "chart", "--repository", name, "--path", "chart")
    assert run(*words_, "--values", "/etc/passwd").err == (
        "error: /etc/passwd: write a path relative to the repository's root, with '/' between folders, such as "
        "k8s/prod\n"
    )
    assert run(*words_, "--values", "./a.yaml", "--values", "prod/b.yaml").code == 0
    assert Application.objects.get().values == ["a.yaml", "prod/b.yaml"]
