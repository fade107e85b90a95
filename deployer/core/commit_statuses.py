"""What a Git host is to be told of an application's commits: pending, success, or failure with the sentence.

Pure, and decided anew from the whole state each time: whoever compares it with what was told last has what to tell.
Only commits that somebody tried to apply are spoken of. A verdict stands: what is scaled, moved or restarted later
makes no commit pending again; only a rollout that fails, or a rollback, takes a success back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from deployer.core.git_hosts import State

Word = Literal["failing", "moving", "healthy"]


@dataclass(frozen=True, slots=True)
class Workload:
    """One Deployment: whether what Git asks for runs. `why`: of one that is failing, a sentence."""

    name: str
    word: Word
    why: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """The newest attempt to apply a commit. `refused`: why nothing was applied, "" when it was."""

    commit: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Rolled:
    """An application's rollback: `skipped` is the commit that does not run, and `why` says who went back to what."""

    skipped: str
    why: str


@dataclass(frozen=True, slots=True)
class Said:
    state: State
    description: str


def wanted(
    tried: Tried | None, workloads: Iterable[Workload], rolled: Rolled | None, told: Mapping[str, str]
) -> dict[str, Said]:
    """Commit -> what is to stand there. `told`: commit -> the state that was told last.

    A commit that is not named is left as it is.
    """
    found: dict[str, Said] = {}
    if tried is not None:
        said = Said("failure", tried.refused) if tried.refused else _rollout(workloads, told.get(tried.commit, ""))
        if said is not None:
            found[tried.commit] = said
    if rolled is not None and rolled.skipped and (tried is None or rolled.skipped != tried.commit):
        found[rolled.skipped] = Said("failure", rolled.why)
    if tried is not None:
        over = Said("stopped", f"superseded by {tried.commit[:7]} before it was healthy")
        for commit, state in told.items():
            if state == "pending" and commit != tried.commit and commit not in found:
                found[commit] = over
    return found


def _rollout(workloads: Iterable[Workload], told: str) -> Said | None:
    every = sorted(workloads, key=lambda one: one.name)
    failing = [one for one in every if one.word == "failing"]
    if failing:
        more = f" (and {len(failing) - 1} more)" if len(failing) > 1 else ""
        return Said("failure", f"{failing[0].name}: {failing[0].why}{more}")
    if any(one.word == "moving" for one in every):
        return None if told in ("success", "failure") else Said("pending", "rolling out")
    count = len(every)
    return Said("success", f"{count} workload{'' if count == 1 else 's'} healthy" if count else "applied")
