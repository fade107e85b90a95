"""The form that connects a repository and the application that follows it: what it takes, and what it refuses."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.models import Application, Repository
from deployer.composition import composition
from tests.scenarios.world import FakeSource

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    made = FakeSource()
    made.push({}, "x", 0)
    monkeypatch.setattr(composition(), "source", made)
    return made


def test_a_repository_and_an_application_come_with_one_form(ann: Client, source: FakeSource) -> None:
    form = {"name": "shop", "url": "https://git.example.com/shop.git", "ref": "main", "path": "deploy",
            "namespace": "", "automatic": "yes", "token": "hush"}  # fmt: skip
    assert ann.post("/applications/add", form).status_code == 302
    row = Application.objects.select_related("repository").get()
    assert (row.name, row.namespace, row.path) == ("shop", "shop", "deploy")
    assert (row.automatic, row.prune, row.self_heal) == (True, False, False)
    assert row.repository.credentials.load() == {"token": "hush"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "file:///srv/x"}, "is on this machine"),
        ({"url": "https://169.254.169.254/x"}, "is a link-local address"),
        ({"name": "../x"}, "is not valid"),
        ({"url": ""}, "the repository URL is empty"),
        ({"ref": "--upload-pack=x"}, "a ref cannot start with"),
        ({"url": "--upload-pack=touch x"}, "a repository URL cannot start with"),
    ],
)
def test_what_is_wrong_is_said_beside_the_form(
    ann: Client, source: FakeSource, change: dict[str, str], said: str
) -> None:
    form = {"name": "shop", "url": "https://git.example.com/shop.git", "ref": "main", "token": "hush", **change}
    answer = ann.post("/applications/add", form)
    html = answer.content.decode()
    assert (answer.status_code, said in html) == (409, True), html
    assert "hush" not in html
    assert not Application.objects.exists()
    assert not Repository.objects.exists()


def test_an_application_that_is_refused_keeps_its_repository(ann: Client, source: FakeSource) -> None:
    form = {"name": "shop", "url": "https://git.example.com/shop.git", "path": "../x"}
    html = ann.post("/applications/add", form).content.decode()
    assert "<option selected>shop</option>" in html
    assert ann.post("/applications/add", {"name": "shop", "repository": "shop", "path": "x"}).status_code == 302
