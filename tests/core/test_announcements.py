"""What people are told, and what never leaves the house."""

from __future__ import annotations

import pytest

from deployer.core.announcements import Told, masked, normal, opened, page_of, parts_of, trial
from deployer.core.incidents import Kind

TOLD = Told(
    "RolloutFailed", "shop", "web", "Rollout of Deployment shop/web failed and was rolled back",
    "revision 3 failed; rolled back to revision 2", "3" * 40, "Retry payments",
    "\x1b[31mERROR\x1b[0m no database\nexit 1", minutes=7,
)  # fmt: skip


def test_the_first_message_says_what_where_which_commit_why_and_leads_there() -> None:
    said = opened(TOLD, "https://deploy.example.com/")
    assert said.title == "Rollout of Deployment shop/web failed and was rolled back"
    assert said.tone == "failure"
    assert said.body.splitlines() == [
        "revision 3 failed; rolled back to revision 2", "Commit 3333333 Retry payments", "Last log lines:",
        "  ERROR no database", "  exit 1", "https://deploy.example.com/workloads/shop/web",
    ]  # fmt: skip


def test_the_last_message_says_what_it_was() -> None:
    said = normal(TOLD, "")
    assert said.title == "Deployment shop/web is back to normal"
    assert said.body == "It lasted 7 minutes. It was: Rollout of Deployment shop/web failed and was rolled back"
    assert said.tone == "success"


def test_one_message_says_both_when_it_was_over_before() -> None:
    said = opened(Told("NodeDead", "", "n1", "Node n1 is dead", "no answer", ended_at=5.0, flaps=2), "")
    assert said.title == "Node n1 is dead (again: 3 times within the hour)"
    assert said.body == "no answer\nIt is back to normal; it lasted less than a minute."
    assert said.tone == "success"


def test_a_test_says_that_it_is_one() -> None:
    assert trial("ops", "https://x.example.com").body.endswith("told here.\nhttps://x.example.com/notifications")


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("RolloutFailed", "/workloads/shop/a%2Fb"), ("SyncFailed", "/applications/a%2Fb"), ("NodeDead", "/nodes/a%2Fb"),
        ("RepositoryAway", "/repositories/a%2Fb"),
    ],
)  # fmt: skip
def test_pages(kind: Kind, path: str) -> None:
    assert page_of(kind, "shop", "a/b") == path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db at postgres://ann:hunter2@db/x failed", "db at postgres://***@db/x failed"),
        ("DB_PASSWORD=hunter2 next", "DB_PASSWORD=*** next"),
        ('{"api_key": "abc def", "a": 1}', '{"api_key": ***, "a": 1}'),
        ("authorization: Bearer abcdefghijkl", "authorization: *** ***"),
        ("sent Bearer abcdefghijkl to them", "sent Bearer *** to them"),
        ("the value is s3cr3t-value.", "the value is ***."),
        ("the token was refused", "the token was refused"),
    ],
)
def test_secrets_are_masked(text: str, expected: str) -> None:
    assert masked(text, {"s3cr3t-value", "abc"}) == expected


def test_a_value_with_lines_is_masked_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nxy\n-----END KEY-----\n"
    said = opened(Told("RolloutFailed", "shop", "web", "t", f"cannot read {key}", log=key), "", parts_of([key]))
    assert "MIIEvQ" not in said.title + said.body


def test_what_is_long_is_cut_and_what_moves_a_terminal_is_dropped() -> None:
    said = opened(Told("SyncFailed", "shop", "x", "t" * 500, "w\u202e" * 5000, log="l" * 9999 + "\n" * 50), "")
    assert len(said.title) == 150
    assert len(said.body) < 1500
    assert "\u202e" not in said.body
