"""How a service says no."""

from __future__ import annotations


class Refused(Exception):
    """A write that was not done. `sentence` says which object, why, and what to do; nothing was changed."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
