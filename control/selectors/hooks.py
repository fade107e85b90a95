"""Webhooks and their deliveries, for pages and commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Max, Q

from control.models import Delivery, Sync, Webhook
from control.selectors.attempts import AttemptLine, attempt_line
from control.selectors.newest_first import Key, page_behind, written
from control.selectors.words import Moment, State, commit, plain, sentence
from deployer.core.hooks.registries import SENDERS

CAUSED_SECONDS = 300.0
"""After a delivery that named no commit: what was seen within this time counts as its doing."""
MOST_CAUSED = 20


@dataclass(frozen=True, slots=True)
class HookLine:
    """`last`: the newest delivery that was proven; false while the first one is waited for."""

    uid: str
    provider: str
    title: str
    address: str
    allowed: tuple[str, ...]
    has_old_secret: bool
    old_secret_used: Moment
    last: Moment


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    number: int
    at: Moment
    state: State
    status: int
    event: str
    refs: tuple[str, ...]
    commit: str
    source: str
    message: str
    can_be_repeated: bool
    provider: str
    webhook: str


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """`caused`: attempts of the repository's applications to apply what the delivery told of."""

    line: DeliveryLine
    repository: str
    name: str
    size: int
    payload: str
    caused: tuple[AttemptLine, ...]


def hook_lines(repository: str, base: str, now: float) -> list[HookLine]:
    """`base`: where this installation is reached, unless a setting says so. Of a repository by its uid."""
    rows = Webhook.objects.filter(repository=repository).annotate(
        last=Max("deliveries__at", filter=Q(deliveries__proven=True)),
        old=Max("deliveries__at", filter=Q(deliveries__old_secret=True)),
    )
    return [_hook(row, base, now) for row in rows]


def address(uid: str, base: str) -> str:
    return f"{settings.PUBLIC_URL or base.rstrip('/')}/hooks/{uid}"


def _hook(row: Webhook, base: str, now: float) -> HookLine:
    two = "previous" in row.secrets.load()
    used = row.old if two and row.old and row.old > row.rotated_at else 0  # type: ignore[attr-defined]
    return HookLine(
        uid=row.uid,
        provider=row.provider,
        title=SENDERS[row.provider].title,
        address=address(row.uid, base),
        allowed=tuple(row.allowed),
        has_old_secret=two,
        old_secret_used=Moment(used, now),
        last=Moment(row.last or 0, now),  # type: ignore[attr-defined]
    )


def delivery_lines(repository: str, key: Key | None, now: float) -> tuple[list[DeliveryLine], str]:
    """One page, the newest first, and the key of the next one ("" when there is none). Of a repository by its uid."""
    asked = Delivery.objects.filter(webhook__repository=repository).select_related("webhook").defer("payload")
    rows, older = page_behind(asked, "at", key)
    return [delivery_line(row, now) for row in rows], written(older) if older else ""


def delivery_line(row: Delivery, now: float) -> DeliveryLine:
    return DeliveryLine(
        number=row.pk,
        at=Moment(row.at, now),
        state=_state(row),
        status=row.status,
        event=sentence(row.event) or "-",
        refs=tuple(_refs(row.pushes)),
        commit=commit(row.commit),
        source=sentence(row.source),
        message=sentence(row.message),
        can_be_repeated=row.proven and bool(row.pushes),
        provider=SENDERS[row.webhook.provider].title,
        webhook=row.webhook_id,
    )


def delivery_page(repository: str, number: int, now: float) -> DeliveryPage | None:
    """Of a repository by its name. None when there is none."""
    rows = Delivery.objects.select_related("webhook__repository")
    row = rows.filter(pk=number, webhook__repository__name=repository).first()
    if row is None:
        return None
    return DeliveryPage(
        line=delivery_line(row, now),
        repository=repository,
        name=sentence(row.name),
        size=row.size,
        payload=plain(row.payload),
        caused=tuple(attempt_line(one, now) for one in _caused(row)),
    )


def _caused(row: Delivery) -> Iterable[Sync]:
    """By the commit that it told of; else by time."""
    if not row.accepted:
        return ()
    found = Sync.objects.select_related("application").filter(application__repository=row.webhook.repository_id)
    if row.commit:
        found = found.filter(commit=row.commit, started_at__gte=row.at - 1)
    else:
        found = found.filter(seen_at__gte=row.at - 1, seen_at__lte=row.at + CAUSED_SECONDS)
    return found.order_by("id")[:MOST_CAUSED]


def _state(row: Delivery) -> State:
    if row.accepted:
        return State("Accepted", "good")
    return State("Nothing to do", "idle") if row.status < 400 else State("Refused", "bad")


def _refs(pushes: Iterable[list[str]]) -> Iterable[str]:
    return [sentence(ref) or "(something)" for ref, _ in pushes][:MOST_CAUSED]
