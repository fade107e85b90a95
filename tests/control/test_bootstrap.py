"""manage.py on a fresh machine: the Python it takes, the environment it makes, what it says when it cannot."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from control import data

param = pytest.param


@pytest.fixture
def manage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """manage.py as a module, in a tree of its own."""
    spec = importlib.util.spec_from_file_location("manage_under_test", data.HOME / "manage.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in (module.RUN_LOCK, module.TEST_LOCK):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(f"{name}\n")
    monkeypatch.setattr(module, "HOME", str(tmp_path))
    monkeypatch.setattr(module, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(module, "VENV_PYTHON", str(tmp_path / ".venv/bin/python"))
    monkeypatch.setattr(module, "STAMP", str(tmp_path / ".venv/pierhead-locks.json"))
    return module


@pytest.mark.parametrize(
    ("arguments", "rest", "folder"),
    [
        param(["up", "--data", "/d", "--port", "1"], ["up", "--port", "1"], "/d", id="after the command"),
        param(["--data=/d", "get", "pods"], ["get", "pods"], "/d", id="before the command"),
        param(["test", "--", "--data", "/d"], ["test", "--", "--data", "/d"], None, id="not an option"),
        param(["up", "--data"], ["up", "--data"], None, id="without a folder: the command refuses it"),
    ],
)
def test_data_names_the_folder_for_every_command(
    manage: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str], rest: list[str], folder: str | None
) -> None:
    monkeypatch.delenv("PIERHEAD_DATA")
    assert manage.take_data_folder(arguments) == rest
    assert manage.os.environ.get("PIERHEAD_DATA") == folder


def test_an_old_python_says_which_one_is_needed(manage: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manage.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(manage.sys, "version", "3.9.2 (default)")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(manage.Failure, match=r"Python 3\.11 or newer is needed; this is 3\.9\.2"):
        manage.base_python()


def test_an_old_python_finds_a_newer_one_that_works(
    manage: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name, content in {"python3.30": "#!/bin/sh\nexit 1\n", "python3.12": "#!/bin/sh\nexit 0\n"}.items():
        (tmp_path / "bin" / name).write_text(content)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setattr(manage.sys, "version_info", (3, 9, 2))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert manage.base_python() == str(tmp_path / "bin" / "python3.12")


def test_without_pip_it_says_how_to_get_one(manage: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manage, "run", lambda command: (1, "No module named pip"))
    monkeypatch.setattr(manage.shutil, "which", lambda name: None)
    with pytest.raises(manage.Failure, match=r"there is no pip for /usr/bin/python3: .* apt install python3-pip"):
        manage.install_packages("/usr/bin/python3", manage.RUN_LOCK)


def test_a_failure_names_what_was_tried(manage: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"uv": "error: no route to host", "pip": "noise\nERROR: no matching distribution\nhint"}
    monkeypatch.setattr(manage.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        manage,
        "run",
        lambda command: (0, "") if "--version" in command else (1, said["uv" if command[0] == "uv" else "pip"]),
    )
    with pytest.raises(manage.Failure) as failed:
        manage.install_packages("/usr/bin/python3", manage.RUN_LOCK)
    tried = "uv: error: no route to host; pip: ERROR: no matching distribution; pip of /usr/bin/python3: ERROR"
    assert tried in str(failed.value)
    assert "Check that this machine reaches its package index" in str(failed.value)


def test_an_environment_is_made_once_and_again_when_its_lock_changes(
    manage: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(manage, "install_packages", lambda python, lock: installed.append(lock))
    assert manage.install(manage.TEST_LOCK) == "now"
    assert installed == [manage.TEST_LOCK]
    assert manage.works(manage.VENV_PYTHON)
    assert manage.is_installed(manage.RUN_LOCK) and manage.is_installed(manage.TEST_LOCK)
    (tmp_path / manage.RUN_LOCK).write_text("changed\n")
    assert not manage.is_installed(manage.RUN_LOCK)
    manage.install(manage.RUN_LOCK)
    assert installed == [manage.TEST_LOCK, manage.RUN_LOCK]
    assert json.loads(Path(manage.STAMP).read_text()).keys() == {manage.RUN_LOCK}


def test_the_tests_lock_contains_the_other() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9][^ ]*==[^ ]+", (data.HOME / name).read_text(), re.MULTILINE))

    assert pins("control/requirements.txt") < pins("tests/requirements.txt")
