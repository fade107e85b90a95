"""Deliveries, taken in: what is kept, what becomes due, what is refused, and how often."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from control import hints
from control.models import AuditEntry, Change, Delivery, Repository, Webhook, Work
from control.services import webhooks
from control.services.audit import Actor
from control.services.refusal import Refused
from control.store import repositories as store
from control.store import sync as sync_store
from control.webhooks import intake as module
from control.webhooks import rows
from control.webhooks.intake import KEPT, PROVEN, UNPROVEN, Answer, Intake, Request
from deployer.core.hooks.providers import PROVIDERS
from deployer.core.source import Look
from tests.control import factories
from tests.core.hooks import samples
from tests.environment import require

pytestmark = pytest.mark.django_db
ADA = Actor("ada")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Hints to workers."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(hints, "send", lambda loop, keys: found.extend((loop, key) for key in keys))
    return found


@pytest.fixture
def repository(sent: Any) -> Repository:
    row = factories.repository()
    Work.objects.create(loop="poll", key=row.uid, due_at=5e9)
    return row


def made(repository: Repository, provider: str = "github", *allowed: str) -> tuple[Webhook, str]:
    return webhooks.make(repository.name, provider, ADA, allowed)


def request(hook: Webhook, secret: str, *, source: str = "203.0.113.7", **how: Any) -> Request:
    received = samples.delivery(hook.provider, secret=secret, **{"at": time.time(), **how})
    return Request(hook.uid, source, replace(received, at=time.time()))


def taken(*requests: Request, door: Intake | None = None) -> list[Answer]:
    (door or Intake()).take(requests)
    return [one.answer.result(0) for one in requests]


def due(repository: Repository) -> bool:
    return Work.objects.get(loop="poll", key=repository.uid).due_at <= time.time()


# --- what a good one causes ---


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_push_makes_the_poll_due_and_is_kept(repository: Repository, sent: list[Any], provider: str) -> None:
    hook, secret = made(repository, provider)
    (answer,) = taken(request(hook, secret))
    assert answer == Answer(202, "accepted: the repository is looked at now")
    assert due(repository) and sent == [("poll", repository.uid)]
    kept = Delivery.objects.get()
    assert (kept.accepted, kept.proven, kept.old_secret, kept.source) == (True, True, False, "203.0.113.7")
    assert kept.commit and kept.payload and secret not in kept.payload
    assert Change.objects.filter(kind="Webhook", name="shop").exists()


def test_a_batch_is_one_look(repository: Repository, sent: list[Any]) -> None:
    hook, secret = made(repository)
    answers = taken(*(request(hook, secret, identity=f"delivery-{number}") for number in range(10)))
    assert {one.status for one in answers} == {202} and Delivery.objects.count() == 10
    assert sent == [("poll", repository.uid)]


def test_a_git_server_that_was_asked_just_now_is_left_alone_for_a_moment(
    repository: Repository, sent: list[Any]
) -> None:
    Repository.objects.update(polled_at=time.time() - 0.1)
    hook, secret = made(repository)
    (answer,) = taken(request(hook, secret))
    due_at = Work.objects.get(loop="poll", key=repository.uid).due_at
    assert answer.status == 202 and not sent and 0 < due_at - time.time() <= module.REST_SECONDS


def test_what_came_before_causes_nothing_more(repository: Repository, sent: list[Any]) -> None:
    hook, secret = made(repository)
    first, again = taken(request(hook, secret), request(hook, secret))
    assert (first.status, again.status) == (202, 200) and "was accepted before" in again.sentence
    (third,) = taken(request(hook, secret))
    assert third.status == 200 and len(sent) == 1
    other, other_secret = made(repository)
    assert taken(request(other, other_secret))[0].status == 202  # ids are each webhook's own


def test_a_delivery_that_was_refused_may_be_sent_again(repository: Repository) -> None:
    hook, secret = made(repository)
    assert taken(request(hook, "another"))[0].status == 401
    assert taken(request(hook, secret))[0].status == 202


def test_a_push_elsewhere_is_kept_and_nothing_is_due(repository: Repository, sent: list[Any]) -> None:
    Repository.objects.update(ref="production")
    hook, secret = made(repository)
    (answer,) = taken(request(hook, secret))
    assert answer.status == 200 and not due(repository) and not sent
    assert Delivery.objects.get().accepted is False


def test_the_attempt_says_that_a_webhook_brought_it(repository: Repository) -> None:
    application = factories.application("shop", repository=repository)
    store.polled(repository.uid, Look("c" * 40), lambda *_: None, time.time() - 60)
    found = sync_store.assignment(application.uid)
    assert found and found.trigger == "poll"
    hook, secret = made(repository)
    taken(request(hook, secret))
    store.polled(repository.uid, Look("d" * 40), lambda *_: None, time.time() + 1)
    found = sync_store.assignment(application.uid)
    assert found and found.trigger == "webhook"
    store.polled(repository.uid, Look("e" * 40), lambda *_: None, time.time() + 2)
    found = sync_store.assignment(application.uid)
    assert found and found.trigger == "poll"


# --- what is refused ---


def test_an_unknown_address_is_told_nothing_and_kept_nowhere(repository: Repository) -> None:
    hook, secret = made(repository)
    stranger = replace(request(hook, secret), webhook="0" * 36, answer=Future())
    assert taken(stranger) == [Answer(404, "there is no such webhook")]
    assert not Delivery.objects.exists()


def test_the_secret_of_another_repository_opens_nothing(repository: Repository, sent: list[Any]) -> None:
    hook, _ = made(repository)
    _, foreign = made(factories.repository("mint"))
    (answer,) = taken(request(hook, foreign))
    assert answer.status == 401 and not due(repository) and not sent
    kept = Delivery.objects.get()
    assert (kept.proven, kept.payload, kept.event, kept.status) == (False, "", "", 401)


def test_other_networks_are_refused_before_anything_is_read(repository: Repository) -> None:
    hook, secret = made(repository, "github", "203.0.113.0/24")
    assert taken(request(hook, secret))[0].status == 202
    (answer,) = taken(request(hook, secret, source="198.51.100.1", identity="other"))
    assert answer.status == 403 and "198.51.100.1 is not among" in answer.sentence


def test_a_removed_webhook_is_none(repository: Repository) -> None:
    hook, secret = made(repository)
    webhooks.remove(hook.uid, ADA)
    assert taken(request(hook, secret))[0].status == 404


# --- how often ---


def test_strangers_are_limited_and_do_not_fill_the_log(repository: Repository) -> None:
    hook, secret = made(repository)
    door = Intake()
    answers = [taken(request(hook, "wrong", source="198.51.100.1"), door=door)[0] for _ in range(30)]
    assert [one.status for one in answers][:20] == [401] * 20 and answers[-1].status == 429
    assert answers[-1].retry_after >= 1 and Delivery.objects.count() <= UNPROVEN.burst + 2
    assert taken(request(hook, "wrong", source="198.51.100.2"), door=door)[0].status == 401  # each address its own
    assert taken(request(hook, secret, source="198.51.100.1"), door=door)[0].status == 202  # who knows it goes through


def test_who_knows_the_secret_is_limited_too(repository: Repository) -> None:
    hook, secret = made(repository)
    many = int(PROVEN.burst) + 20
    answers = taken(*(request(hook, secret, identity=f"delivery-{number}") for number in range(many)))
    assert answers[-1].status == 429 and PROVEN.burst <= Delivery.objects.count() < many


def test_the_log_is_trimmed(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    hook, secret = made(repository)
    old = {"webhook": hook, "source": "x", "status": 202, "message": "", "at": 1.0, "proven": True}
    Delivery.objects.bulk_create([Delivery(**old) for _ in range(KEPT + 50)])
    taken(request(hook, secret))
    assert Delivery.objects.count() == KEPT
    assert Delivery.objects.filter(accepted=True).count() == 1  # the newest stays


def test_strangers_push_nothing_out_of_the_log(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """They could have made it forget which deliveries came before, and have one repeated."""
    monkeypatch.setattr(module, "KEPT", 4)
    hook, secret = made(repository)
    taken(request(hook, secret, identity="first"))
    taken(*[request(hook, "wrong", identity=str(number)) for number in range(8)])
    (answer,) = taken(request(hook, secret, identity="first"))
    assert (answer.status, "was accepted before" in answer.sentence) == (200, True)


def test_a_database_that_is_away_asks_for_it_again(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    hook, secret = made(repository)

    def away(*_: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(module.Intake, "_judged", away)
    (answer,) = taken(request(hook, secret))
    assert (answer.status, answer.retry_after) == (503, 5)


def test_a_queue_that_is_full_says_so(monkeypatch: pytest.MonkeyPatch, repository: Repository) -> None:
    hook, secret = made(repository)
    monkeypatch.setattr(module, "LONGEST_QUEUE", 1)
    monkeypatch.setattr(module.threading.Thread, "start", lambda self: None)
    door = Intake()
    door.submit(request(hook, secret))
    assert door.submit(request(hook, secret)).result(0).status == 503


# --- secrets ---


def test_a_rotation_keeps_two_secrets_until_the_old_one_is_retired(repository: Repository) -> None:
    hook, old = made(repository)
    _, new = webhooks.rotate(hook.uid, ADA)
    assert old != new
    answers = taken(request(hook, new, identity="1"), request(hook, old, identity="2"))
    assert [one.status for one in answers] == [202, 202]
    assert list(Delivery.objects.order_by("id").values_list("old_secret", flat=True)) == [False, True]
    webhooks.retire(hook.uid, ADA)
    answers = taken(request(hook, new, identity="3"), request(hook, old, identity="4"))
    assert [one.status for one in answers] == [202, 401]
    with pytest.raises(Refused, match="there is none to retire"):
        webhooks.retire(hook.uid, ADA)


def test_secrets_are_in_no_column_and_no_audit_entry(repository: Repository) -> None:
    hook, secret = made(repository, "gitlab")
    _, second = webhooks.rotate(hook.uid, ADA)
    raw = Webhook.objects.values_list("secrets", flat=True).get()
    assert raw and secret not in raw and second not in raw and secret.startswith("whsec_")
    said = " ".join(f"{one.object} {one.detail}" for one in AuditEntry.objects.all())
    assert secret not in said and second not in said
    assert [one.action for one in AuditEntry.objects.order_by("id")] == ["webhook add", "webhook rotate"]


def test_what_cannot_be_made_says_why(repository: Repository) -> None:
    for arguments, words in (
        (("nothing", "github"), "repository nothing is not registered"),
        (("shop", "sourceforge"), "there is no provider 'sourceforge'"),
        (("shop", "github", ADA, ["10.0.0.0/33"]), "write a network such as"),
        (("shop", "github", ADA, ["10.0.0.1/8"]), "has host bits set"),
    ):
        with pytest.raises(Refused, match=words):
            webhooks.make(*(arguments if len(arguments) > 2 else (*arguments, ADA)))
    assert not Webhook.objects.exists()


# --- once more ---


def test_a_delivery_can_be_done_once_more(repository: Repository) -> None:
    hook, secret = made(repository)
    taken(request(hook, secret))
    Work.objects.update(due_at=5e9)
    again = webhooks.redeliver(Delivery.objects.get().pk, ADA)
    assert due(repository) and again.accepted and again.source == "ada"
    assert again.commit == Delivery.objects.order_by("id")[0].commit


def test_what_was_not_proven_cannot_be_done_once_more(repository: Repository) -> None:
    hook, _ = made(repository)
    taken(request(hook, "wrong"))
    with pytest.raises(Refused, match="asked for nothing that could be done again"):
        webhooks.redeliver(Delivery.objects.get().pk, ADA)
    with pytest.raises(Refused, match="there is no delivery 9999"):
        webhooks.redeliver(9999, ADA)


def test_a_row_that_is_refreshed_keeps_its_sealed_values(repository: Repository) -> None:
    """`refresh_from_db` emptied them, and the next save would have lost the secret for good."""
    hook, secret = made(repository)
    hook.refresh_from_db()
    hook.save()
    assert Webhook.objects.get().secrets.load() == {"current": secret}


# --- the lock ---


@pytest.mark.django_db(transaction=True)
def test_a_delivery_that_waits_for_the_lock_gets_it_as_soon_as_it_is_free(repository: Repository) -> None:
    """SQLite looks again after 1, 2, 5, ... 100 ms: whoever held the lock for a moment cost a delivery a tenth of a
    second."""
    require(connection.vendor == "sqlite", "this is about SQLite's lock: run it without TEST_DATABASE_URL")
    hook, secret = made(repository)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            held.set()
            free.wait(5)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    held.wait(5)
    threading.Timer(0.3, free.set).start()
    (answer,) = taken(request(hook, secret))
    other.join()
    assert answer.status == 202 and Delivery.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_is_never_free_is_told_and_nothing_is_kept(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(connection.vendor == "sqlite", "this is about SQLite's lock: run it without TEST_DATABASE_URL")
    hook, secret = made(repository)
    monkeypatch.setattr(rows, "PATIENCE_SECONDS", 0.05)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            held.set()
            free.wait(5)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    held.wait(5)
    (answer,) = taken(request(hook, secret))
    free.set()
    other.join()
    assert answer.status == 503 and not Delivery.objects.exists()
    (again,) = taken(request(hook, secret))
    assert again.status == 202
