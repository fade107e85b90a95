"""The surroundings of a test run: a data folder that goes away, and no server that someone happens to have.

Loaded by pytest before Django's settings are (`-p tests.environment` in pyproject.toml). TEST_DATABASE_URL names a
PostgreSQL server for the tests that ask Django for a database; without it, they have SQLite in that folder.

Whatever the machine says of it, bytecode is kept: a run starts some hundreds of processes, and half of what a command's
start costs is to compile Pierhead.
"""

import gc
import os
import shutil
import sys
import tempfile

import pytest

FOLDER = tempfile.mkdtemp(prefix="pierhead-test-")

for name in [name for name in os.environ if name.startswith("PIERHEAD_") or name in ("DATABASE_URL", "REDIS_URL")]:
    del os.environ[name]
os.environ["PIERHEAD_DATA"] = FOLDER
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
if os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]


def require(condition: object, sentence: str) -> None:
    """Skip the test unless `condition` holds; under CI a real thing that is missing is a failure.

    `sentence` says what is missing and how to get it: "dockerd is missing: apt-get install docker.io".
    """
    if condition:
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: it need not be looked through again and again for what could go. The rest is
    looked through less often, which saves a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


def pytest_unconfigure() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
