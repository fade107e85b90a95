"""Which Git host a repository is at, and what it was told: on its page, by its form, by a command."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.models import AuditEntry, CommitStatus, Repository, Work
from tests.control import commands, factories, people_data
from tests.control.commands import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return commands.runner(monkeypatch, capsys)


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def with_token(row: Repository) -> Repository:
    row.credentials.store({"token": "s3cr3t"})
    row.save()
    return row


def test_the_page_says_what_is_told_and_how_it_fared(ann: Client) -> None:
    row = factories.repository(url="https://github.com/octo/shop.git")
    page = ann.get("/repositories/shop").content.decode()
    assert "GitHub at https://api.github.com: statuses of commits are not told: there is no token." in page
    with_token(row)
    shop = factories.application(repository=row)
    CommitStatus.objects.create(application=shop, commit="3" * 40, state="failure", description="0 of <b>3</b>")
    CommitStatus.objects.create(application=shop, commit="4" * 40, message="GitHub forbids it: it needs more")
    page = ann.get("/repositories/shop").content.decode()
    assert "GitHub at https://api.github.com: statuses of commits are told." in page
    assert "GitHub forbids it: it needs more" in page
    assert "3333333" in page
    assert "0 of &lt;b&gt;3&lt;/b&gt;" in page
    assert "s3cr3t" not in page


def test_a_host_is_told_by_a_form_and_its_applications_are_looked_at(ann: Client) -> None:
    row = with_token(factories.repository(url="https://git.example.com/o/shop.git"))
    shop = factories.application(repository=row)
    assert "its kind has to be set" in ann.get("/repositories/shop").content.decode()
    given = {"provider": "gitea", "api_url": "https://api.example.com/v1", "statuses": "on"}
    answer = ann.post("/repositories/shop/host", given, follow=True).content.decode()
    assert "Gitea at https://api.example.com/v1: statuses of commits are told." in answer
    assert Work.objects.filter(loop="status", key=shop.uid, due_at=0).exists()
    refused = ann.post("/repositories/shop/host", {**given, "api_url": "https://127.0.0.1/"})
    assert refused.status_code == 409
    assert "127.0.0.1 is a loopback address" in refused.content.decode()
    ann.post("/repositories/shop/host", {"provider": "gitea", "api_url": ""})
    assert "switched off" in ann.get("/repositories/shop").content.decode()
    assert AuditEntry.objects.filter(action="repository host").count() == 2
    assert ann.get("/repositories/none/host").status_code == 404
    bob = people_data.signed_in(people_data.person("bob", {"": "operator"}))
    assert bob.post("/repositories/shop/host", given).status_code == 403
    assert "/repositories/shop/host" not in bob.get("/repositories/shop").content.decode()


def test_a_command(run: Run) -> None:
    with_token(factories.repository(url="https://git.example.com/o/shop.git"))
    told = run("repository", "host", "shop", "--provider", "gitlab")
    assert told.out == "repository/shop: GitLab at https://git.example.com/api/v4; statuses of commits are told\n"
    off = run("repository", "host", "shop", "--statuses", "off")
    assert off.out.endswith("statuses of commits are not told: switched off\n")
    assert (
        "https://api.example.com, with --provider"
        in run("repository", "host", "shop", "--provider", "", "--api-url", "https://api.example.com").err
    )
    assert Repository.objects.get().provider == "gitlab"
    assert run("repository", "host", "shop", "--provider", "sourceforge").code == 2
    assert run("repository", "host", "none").err == "error: repository none is not registered; registered: shop\n"
