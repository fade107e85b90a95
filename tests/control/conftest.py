"""What the tests of this folder need not do over and over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings
from whitenoise.middleware import WhiteNoiseMiddleware


@pytest.fixture(scope="session", autouse=True)
def static_files_are_listed_once() -> Iterator[None]:
    """Each of Django's test clients loads every middleware anew, and this one then reads all of static/: it cost more
    than the pages that the clients ask for. What the first has found serves them all."""
    listed: list[dict[str, object]] = []
    look = WhiteNoiseMiddleware.add_files_from_finders

    def once(self: WhiteNoiseMiddleware) -> None:
        if not listed:
            look(self)
            listed.append(dict(self.files))
        self.files.update(listed[0])

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(WhiteNoiseMiddleware, "add_files_from_finders", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def passwords_are_hashed_at_once() -> Iterator[None]:
    """A hash of production takes as long as a hundred pages. Processes that tests start have the real one."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield
