"""The age keys of a repository: made here, sealed at rest. What SOPS encrypted for one of them is decrypted here.

A new key takes nothing from those before it: they open what was encrypted for them until somebody removes them.
"""

from __future__ import annotations

import time

from django.db import transaction

from control.models import AgeKey, Repository
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.store import objects
from deployer.adapters.age import new_identity


def get_repository(name: str) -> Repository:
    row = Repository.objects.filter(name=name).first()
    if row is None:
        known = ", ".join(Repository.objects.values_list("name", flat=True)) or "none"
        raise Refused(f"repository {name} is not registered; registered: {known}")
    return row


def recipients(name: str, actor: Actor) -> list[str]:
    """For whom its files are encrypted, the newest first. A repository that has no key yet gets its first one."""
    row = get_repository(name)
    if not row.age_keys.exists():
        new_age_key(name, actor)
    return list(row.age_keys.values_list("recipient", flat=True))


def new_age_key(name: str, actor: Actor) -> str:
    """Returns the recipient."""
    row = get_repository(name)
    with transaction.atomic():
        made = add_age_key(row, actor)
        record(actor, "repository age key add", str(row), made.recipient)
        objects.touch("Repository", "", name)
    return made.recipient


def add_age_key(row: Repository, actor: Actor) -> AgeKey:
    """In the caller's transaction."""
    identity, recipient = new_identity()
    made = AgeKey(repository=row, recipient=recipient, created_by=actor.name, created_at=time.time())
    made.sealed.store({"identity": identity})
    made.save(force_insert=True)
    return made


def remove_age_key(name: str, recipient: str, actor: Actor) -> None:
    row = get_repository(name)
    with transaction.atomic():
        known = list(row.age_keys.select_for_update().values_list("recipient", flat=True))
        if recipient not in known:
            raise Refused(f"repository {name} has no age key {recipient}; it has: {', '.join(known) or 'none'}")
        if len(known) == 1:
            raise Refused(f"repository {name} has no other age key: make one first, and encrypt its files for that")
        row.age_keys.filter(recipient=recipient).delete()
        record(actor, "repository age key remove", str(row), recipient)
        objects.touch("Repository", "", name)
