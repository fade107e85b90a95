"""When certificates end, and what that means: those of routers are renewed by themselves, those of Secrets are not."""

from __future__ import annotations

from dataclasses import dataclass

from control.selectors.words import Moment, State, Tone, age

SOON_SECONDS, AT_ONCE_SECONDS = 21 * 86400.0, 3 * 86400.0
RENEWED_SECONDS = 30 * 86400.0
"""A router's certificate is made anew when this much of its time is left (control/store/identities.py)."""
LATE_SECONDS = 86400.0
"""So long after that nobody has to worry yet: a host may have been away."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """`state`: "ends in 89d", as it is meant."""

    state: State
    ends: Moment


def expiry(ends_at: float, now: float, *, renewed: bool = False) -> Expiry | None:
    """None where there is no certificate. `renewed`: Pierhead makes it anew by itself, so that late is a fault."""
    if not ends_at:
        return None
    left = ends_at - now
    if left <= 0:
        return Expiry(State(f"ended {age(-left)} ago", "bad"), Moment(ends_at, now))
    soon = RENEWED_SECONDS - LATE_SECONDS if renewed else SOON_SECONDS
    tone: Tone = "bad" if left < AT_ONCE_SECONDS else "warn" if left < soon else "good"
    return Expiry(State(f"ends in {age(left)}", tone), Moment(ends_at, now))
