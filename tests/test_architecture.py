"""The house rules that a machine can check, each as a test that names what breaks it."""

import ast
import fnmatch
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
PACKAGES = ("control", "deployer")
LONGEST_FILE_LINES = 400
GENERATED = ("control/migrations/", "tests/data/", "static/vendor/")
TEXT = {".py", ".toml", ".txt", ".yml", ".yaml", ".md", ".html", ".css", ".js", ".cfg", ".ini", ""}
HIDDEN = {".ci", ".docker", ".gitignore", ".gitattributes", ".dockerignore"}

# In pieces, so that this file does not contain what it forbids.
REGISTRIES = re.compile("pypi" + r"\.org|files" + r"\.pythonhosted|index" + "-url|npm" + r"js\.(org|com)")


def ran(*command: str) -> str:
    """The output of a tool that was to succeed, "" when it did."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=HOME, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def files() -> Iterator[Path]:
    """Every text file of the tree, without environments, caches and data folders."""
    for top in sorted(HOME.iterdir()):
        if top.name.startswith(".") and top.name not in HIDDEN:
            continue
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts:
                yield path


def modules() -> Iterator[Path]:
    """Every Python module that runs in production."""
    for package in PACKAGES:
        yield from sorted((HOME / package).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(HOME).as_posix()


def test_ruff() -> None:
    assert not (complaints := ran("ruff", "check", "--quiet", ".")), complaints


def test_mypy() -> None:
    assert not (complaints := ran("mypy", "--strict", "manage.py", *PACKAGES)), complaints


def test_imports_go_down_only() -> None:
    program = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=HOME, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_templates() -> None:
    if not any((HOME / "templates").rglob("*.html")):
        return  # no pages yet
    assert not (complaints := ran("djlint", "templates", "--lint", "--quiet")), complaints


def test_only_the_composition_knows_control() -> None:
    knows = {name(path) for path in modules() if name(path).startswith("deployer/") and "control" in imported(path)}
    assert knows <= {"deployer/tasks.py", "deployer/watch.py", "deployer/composition.py"}


def test_files_are_short() -> None:
    lines = {name(path): length(path) for path in files() if path.suffix == ".py"}
    assert not {
        path: count for path, count in lines.items() if count > LONGEST_FILE_LINES and not path.startswith(GENERATED)
    }


def test_every_module_says_what_it_is() -> None:
    written = [path for path in modules() if not path.match("migrations/*.py")]
    assert not [name(path) for path in written if not ast.get_docstring(parsed(path))]


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in modules()}
    assert not [name(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()]


@pytest.mark.parametrize("path", [pytest.param(path, id=name(path)) for path in [*modules(), HOME / "manage.py"]])
def test_no_shell(path: Path) -> None:
    for call in (node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)):
        function = ast.unparse(call.func)
        assert function not in ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput")
        assert not [word for word in call.keywords if word.arg == "shell" and ast.unparse(word.value) != "False"]


def test_no_unfinished_business() -> None:
    unfinished = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")
    ours = (path for path in files() if not name(path).startswith(GENERATED))
    assert not [f"{name(path)}: {found[0]}" for path in ours if (found := unfinished.search(path.read_text()))]


def test_no_registry_address() -> None:
    assert not [f"{name(path)}: {found[0]}" for path in files() if (found := REGISTRIES.search(path.read_text()))]


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _is_of(part: tuple[str, ...], file: str) -> bool:
    patterns = [one.partition("=")[2] for one in part if one.startswith("--ignore-glob=")]
    return file.startswith(part) and not any(fnmatch.fnmatchcase(file, one) for one in patterns)


def test_no_test_is_left_out_of_the_parts_that_run_beside_each_other() -> None:
    from tests.__main__ import KILLS, ON_ENGINES, OTHERS

    there = {name(path): path.read_text() for path in (HOME / "tests").rglob("*.py") if path.parent != HOME / "tests"}
    there |= {name(path): path.read_text() for path in (HOME / "tests").glob("test_*.py")}
    others = [one for one in there if "/test_" in one and not one.startswith("tests/engines/")]
    assert [sum(_is_of(part, one) for part in OTHERS.values()) for one in others] == [1] * len(others)
    marked = [one for one, text in there.items() if "mark." + "engines" in text]
    assert set(KILLS) <= set(marked)
    on_engines = tuple(one for part in ON_ENGINES.values() for one in part)
    assert not [one for one in marked if not one.startswith(on_engines)]
    unmarked = {one for one in there if one.startswith("tests/engines/test_")} - set(marked)
    assert not unmarked, "it is run by no part"
