"""Deliveries, judged and kept in batches by one thread per web process.

However many come at once, each batch is one transaction: a busy database makes batches larger, not answers slower by
as much each. A delivery is answered once what it causes is on record. A hint is a row (the repository's poll is due),
so that nothing is lost with a process; the message to the workers goes out after the answer.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from django.db import InterfaceError, OperationalError, connection

from control import hints
from control.models import Delivery
from control.store import image_hints, objects
from control.store.work import WorkRows
from control.webhooks import rows
from control.webhooks.rows import Hook, Kept
from deployer.core.hooks.judgement import check_source, commit_of, judge, repeated
from deployer.core.hooks.limits import Bucket, Rate
from deployer.core.hooks.masking import masked
from deployer.core.hooks.payloads import payload_of
from deployer.core.hooks.registries import SENDERS
from deployer.core.hooks.values import HookRefused, Judgement, PushedImage, Received

LARGEST_BATCH, LONGEST_QUEUE, IDLE_SECONDS = 64, 1024, 1.0
KEPT = 500
"""Deliveries of a webhook that were proven, and as many that were not. Trimmed whenever a quarter as many have come."""
PROVEN = Rate(per_second=10, burst=200)
"""Of a webhook, by who knows its secret."""
UNPROVEN = Rate(per_second=1, burst=20)
"""Of one address. Beyond it, a request without proof is neither kept nor told why."""
MOST_BUCKETS = 4096
REST_SECONDS = 0.5
"""Between two looks at a repository that hints ask for."""
STRANGE = Judgement(404, False, "there is no such webhook")


@dataclass(frozen=True, slots=True)
class Request:
    """`webhook`: its uid, as the address had it."""

    webhook: str
    source: str
    received: Received
    answer: Future[Answer] = field(default_factory=lambda: Future())


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    sentence: str
    retry_after: int = 0


class Intake:
    """`submit` from any thread; the answer comes as the request's future."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Request] = queue.Queue(LONGEST_QUEUE)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._limits = Limits()
        self._since_trim: dict[str, int] = {}

    def submit(self, request: Request) -> Future[Answer]:
        try:
            self._queue.put_nowait(request)
        except queue.Full:
            request.answer.set_result(Answer(503, f"{LONGEST_QUEUE} deliveries wait already: send it again", 1))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
                self._thread.start()
        return request.answer

    def _run(self) -> None:
        while True:
            batch = [self._next()]
            while len(batch) < LARGEST_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            self.take(batch)

    def _next(self) -> Request:
        """The database connection is kept while deliveries come: to open one costs more than to use it."""
        try:
            return self._queue.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            connection.close()
            return self._queue.get()

    def take(self, batch: Sequence[Request]) -> None:
        """Answers all of them."""
        woken: list[tuple[str, str]] = []
        try:
            answers = self._judged(batch, woken)
        except (OperationalError, InterfaceError) as error:
            hints.log.warning("%d webhook deliveries could not be kept: %s", len(batch), type(error).__name__)
            answers = [Answer(503, "the database does not answer: send it again", 5)] * len(batch)
            if not connection.in_atomic_block:
                connection.close()
        except Exception:  # noqa: BLE001 - the thread lives on, and the sender is told
            hints.log.exception("%d webhook deliveries failed", len(batch))
            answers = [Answer(500, "this delivery could not be handled; Pierhead's log says why")] * len(batch)
        for request, answer in zip(batch, answers, strict=True):
            if request.answer.set_running_or_notify_cancel():
                request.answer.set_result(answer)
        for loop, key in woken:
            hints.send(loop, [key])

    def _judged(self, batch: Sequence[Request], woken: list[tuple[str, str]]) -> list[Answer]:
        hooks = rows.hooks_of({request.webhook for request in batch})
        judgements = without_repeats(
            [(one.webhook, _judgement(hooks[one.webhook], one) if one.webhook in hooks else STRANGE) for one in batch]
        )
        answers: list[Answer] = []
        found: list[tuple[Request, Judgement]] = []
        for request, judgement in zip(batch, judgements, strict=True):
            if wait := self._limits.wait(judgement, request):
                answers.append(Answer(429, f"too many deliveries: wait {wait} s", wait))
                continue
            answers.append(Answer(judgement.status, judgement.sentence))
            if request.webhook in hooks:
                found.append((request, judgement))
        if found:
            self._keep(hooks, found, woken)
        return answers

    def _keep(
        self, hooks: Mapping[str, Hook], found: list[tuple[Request, Judgement]], woken: list[tuple[str, str]]
    ) -> None:
        kept = [_delivery(hooks[request.webhook], request, judgement) for request, judgement in found]
        took = [(hooks[one.webhook], judgement) for one, judgement in found if judgement.accepted]
        follow = [(hook.repository, one.whole) for hook, judgement in took for one in judgement.images]
        with rows.writing():
            rows.keep(kept)
            moved = look_at({hook.repository for hook, judgement in took if not judgement.images})
            asked = image_hints.hint(follow, WorkRows("webhooks", lambda *_: None).wake, time.time()) if follow else []
            for name in sorted({hooks[one.webhook].name for one in kept}):
                objects.touch("Webhook", "", name)
        woken += [("poll", uid) for uid in moved]
        woken += [(image_hints.LOOP, uid) for uid in asked]
        self._trim([one.webhook for one in kept])

    def _trim(self, kept: Sequence[str]) -> None:
        for uid in kept:
            self._since_trim[uid] = self._since_trim.get(uid, KEPT // 4) + 1
            if self._since_trim[uid] > KEPT // 4:
                self._since_trim[uid] = 0
                trim(uid)


class Limits:
    """Who sent how many, in this process: what is too much is told how long to wait, in whole seconds."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, Rate], Bucket] = {}

    def wait(self, judgement: Judgement, request: Request) -> int:
        """0 when it is not too much."""
        key = (request.webhook, PROVEN) if judgement.proven else (request.source, UNPROVEN)
        now = request.received.at
        bucket, wait = self._buckets.pop(key, Bucket(key[1].burst, now)).take(key[1], now)
        self._buckets[key] = bucket  # the newest stand last
        if len(self._buckets) > MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        return int(wait) + 1 if wait else 0


def without_repeats(judged: Sequence[tuple[str, Judgement]]) -> list[Judgement]:
    """Of (webhook, judgement): those that were accepted before, or earlier in the batch, cause nothing more."""
    names = {one.delivery for _, one in judged if one.accepted and one.delivery}
    known = rows.accepted_before({uid for uid, _ in judged}, names)
    found = []
    for uid, judgement in judged:
        is_known = judgement.accepted and (uid, judgement.delivery) in known
        found.append(repeated(judgement) if is_known else judgement)
        if judgement.delivery and judgement.accepted:
            known.add((uid, judgement.delivery))
    return found


def look_at(repositories: Collection[str]) -> list[str]:
    """Make the polls of these (by uid) due, in the caller's transaction. Returns those that are due at once.

    A Git server that was asked just now is left alone for a moment: a flood of hints must not become one of polls.
    """
    work, now, at_once = WorkRows("webhooks", lambda *_: None), time.time(), []
    for uid in sorted(repositories):
        polled_at = rows.hinted(uid, now)
        if polled_at is None:
            continue  # it was removed meanwhile, and with it this hook
        later = polled_at <= now < polled_at + REST_SECONDS
        work.wake("poll", uid, at=polled_at + REST_SECONDS if later else 0.0)
        at_once += [] if later else [uid]
    return at_once


def told(images: Sequence[PushedImage]) -> list[list[str]]:
    """Images, where a delivery keeps what was pushed."""
    return [[f"{one.whole}:{one.tag}", ""] for one in images]


def trim(uid: str) -> None:
    """Only the newest deliveries of a webhook are kept. Those of strangers take no place of those that were proven, by
    which a repeated one is known."""
    for proven in (True, False):
        rows = Delivery.objects.filter(webhook=uid, proven=proven)
        last = rows.values_list("pk", flat=True)[KEPT : KEPT + 1].first()
        if last is not None:
            rows.filter(pk__lte=last).delete()


def _judgement(hook: Hook, request: Request) -> Judgement:
    try:
        check_source(request.source, hook.allowed)
    except HookRefused as refused:
        return Judgement(refused.status, False, refused.sentence)
    secrets = hook.secrets.load()
    valid = [secrets[one] for one in ("current", "previous") if secrets.get(one)]
    return judge(SENDERS[hook.provider], request.received, valid, hook.ref)


def _delivery(hook: Hook, request: Request, judgement: Judgement) -> Kept:
    payload = ""
    if judgement.proven:
        try:
            payload = masked(payload_of(request.received))
        except HookRefused:
            payload = ""  # it was no JSON: the sentence says so
    pushes = [[one.ref, one.commit] for one in judgement.pushes] or told(judgement.images)
    return Kept(
        webhook=hook.uid, at=request.received.at, name=judgement.delivery, event=judgement.event,
        pushes=json.dumps(pushes), commit=commit_of(judgement.pushes, hook.ref), source=request.source[:64],
        size=len(request.received.body), status=judgement.status, proven=judgement.proven,
        accepted=judgement.accepted, old_secret=judgement.secret > 0, message=judgement.sentence, payload=payload,
    )  # fmt: skip
