"""What is known of a host: the words that stand in its Ready condition's reason.

    EngineReady  the engine answers
    Unknown      it does not answer, and nobody could say yet whether the host is there
    CutOff       it does not answer us, and somebody sees the host; or no host answers, so it is we who are cut off
    Dead         it does not answer, and none of its peers sees it either
    Returning    it answers again, and its containers have not been read yet: it is given nothing until they are

Kubernetes knows the first two only. A host that is Dead or Unknown serves nobody; one that is CutOff goes on serving.
"""

from __future__ import annotations

READY = "EngineReady"
UNKNOWN = "Unknown"
CUT_OFF = "CutOff"
DEAD = "Dead"
RETURNING = "Returning"

SEEN = (READY, RETURNING)


def serves(ready: bool, reason: str) -> bool:
    """Whether traffic goes to its pods as they were last seen. What we alone cannot see goes on serving."""
    return ready or reason == CUT_OFF
