"""A repository's age keys as people see them: recipients, never identities; and what to write into `.sops.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from control.models import AgeKey
from control.selectors.words import Moment, sentence

SOPS_COMMAND = "sops encrypt --in-place FILE"


@dataclass(frozen=True, slots=True)
class AgeKeyLine:
    """`is_newest`: what new files are encrypted for."""

    recipient: str
    created: Moment
    created_by: str
    is_newest: bool
    is_only: bool


@dataclass(frozen=True, slots=True)
class AgeKeys:
    """`rules`: the lines of `.sops.yaml`."""

    lines: tuple[AgeKeyLine, ...]
    rules: str
    command: str = SOPS_COMMAND


def age_keys(repository: str, now: float) -> AgeKeys:
    """Of the repository of this name."""
    rows = list(AgeKey.objects.filter(repository__name=repository))
    lines = tuple(
        AgeKeyLine(
            recipient=row.recipient,
            created=Moment(row.created_at, now),
            created_by=sentence(row.created_by),
            is_newest=number == 0,
            is_only=len(rows) == 1,
        )
        for number, row in enumerate(rows)
    )
    return AgeKeys(lines, sops_rules([row.recipient for row in rows]) if rows else "")


def sops_rules(recipients: Sequence[str]) -> str:
    """For the newest key alone: what is encrypted from now on is to outlive those before it."""
    return (
        "creation_rules:\n"
        "  - path_regex: \\.ya?ml$\n"
        "    encrypted_regex: ^(data|stringData)$\n"
        f"    age: {recipients[0]}\n"
    )
