#!/usr/bin/env python3
"""Pierhead's one command. On a fresh machine it makes its own environment first, with nothing but Python.

    python3 manage.py up          everything, on one machine
    python3 manage.py test        all tests
    python3 manage.py help        every other command

The environment is `.venv` beside this file, with the packages of a hashed lock file in it; it is brought up to date
whenever that file changes. PIERHEAD_NO_BOOTSTRAP=1 uses the running Python as it is. `--data DIR` before or after a
command names the data folder, as PIERHEAD_DATA does. Standard library only, in a syntax that any Python 3 reads: an old
one must get as far as saying which one is needed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys

HOME = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HOME, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "pierhead-locks.json")
OLDEST = (3, 11)
NEWEST_TRIED = 30
RUN_LOCK = "control/requirements.txt"
TEST_LOCK = "tests/requirements.txt"  # contains the packages of RUN_LOCK too


class Failure(Exception):
    """The environment cannot be made; says what was tried and what to do."""


def main(argv):
    # type: (list[str]) -> None
    arguments = take_data_folder(argv[1:])
    testing = arguments[:1] in (["test"], ["benchmark"]) and not {"-h", "--help"} & set(arguments)
    if os.environ.get("PIERHEAD_NO_BOOTSTRAP", "") in ("", "0"):
        enter_environment(TEST_LOCK if testing else RUN_LOCK, arguments)
    sys.path[:0] = [] if HOME in sys.path else [HOME]
    if testing:
        os.chdir(HOME)
        if arguments[0] == "benchmark":
            words = ["-m", "tests.benchmarks", *arguments[1:]]
        else:
            words = ["-m", "pytest", *arguments[1:]] if arguments[1:] else ["-m", "tests"]
        os.execv(sys.executable, [sys.executable, *words])
    if arguments[:1] == ["demo"]:  # never in the folder of a real control plane
        os.environ.setdefault("PIERHEAD_DATA", os.path.join(HOME, ".pierhead-demo"))
    if arguments[:1] == ["up"]:  # without Django: this process stays for as long as Pierhead runs
        from control.supervisor import main as up

        sys.exit(up(arguments[1:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control.settings")
    from control.management.listing import run

    run([argv[0], *arguments])


def take_data_folder(arguments):
    # type: (list[str]) -> list[str]
    """`arguments` without `--data DIR`, which goes to PIERHEAD_DATA: settings are read before commands are."""
    rest = list(arguments)
    for position, word in enumerate(rest):
        if word == "--":
            break
        if word == "--data" and position + 1 < len(rest):
            os.environ["PIERHEAD_DATA"] = os.path.abspath(rest[position + 1])
            return rest[:position] + rest[position + 2 :]
        if word.startswith("--data="):
            os.environ["PIERHEAD_DATA"] = os.path.abspath(word[len("--data=") :])
            return rest[:position] + rest[position + 1 :]
    return rest


def enter_environment(lock, arguments):
    # type: (str, list[str]) -> None
    """Returns in a Python that has the packages of `lock`; replaces this process when it is another one."""
    try:
        inside = os.path.realpath(sys.prefix) == os.path.realpath(VENV)
        installed = is_installed(lock) or install(lock)
    except Failure as failure:
        sys.exit("pierhead: {}".format(failure))
    if not inside or installed == "now":
        os.execv(VENV_PYTHON, [VENV_PYTHON, os.path.abspath(__file__), *arguments])


def is_installed(lock):
    # type: (str) -> str
    """ "before" when `.venv` has the packages of `lock`, else an empty string."""
    return "before" if os.path.exists(VENV_PYTHON) and stamp().get(lock) == digest(lock) else ""


def install(lock):
    # type: (str) -> str
    """Brings `.venv` to `lock`; "now". Of several starts at once, one works and the others wait for it."""
    folder = os.open(HOME, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if is_installed(lock):
            return "now"
        say("preparing its Python environment (.venv); this is done once and takes a minute")
        python = base_python()
        if not works(VENV_PYTHON):
            make_venv(python)
        install_packages(python, lock)
        write_stamp(lock)
        return "now"
    finally:
        os.close(folder)


def base_python():
    # type: () -> str
    """The running Python, or where that is too old, the newest suitable one on PATH."""
    if sys.version_info[:2] >= OLDEST:
        return sys.executable
    for minor in range(NEWEST_TRIED, OLDEST[1] - 1, -1):
        found = shutil.which("python3.{}".format(minor))
        if found and works(found):
            return found
    raise Failure(
        "Python {}.{} or newer is needed; this is {}, and PATH has no newer one. Install it (on Debian 12 or "
        "Ubuntu 24.04: apt install python3) and start again.".format(OLDEST[0], OLDEST[1], sys.version.split()[0])
    )


def works(python):
    # type: (str) -> bool
    """Whether `python` starts and is new enough: a shim or a link may lead nowhere."""
    program = "import sys; sys.exit(sys.version_info[:2] < {!r})".format(OLDEST)
    try:
        return subprocess.call([python, "-I", "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_venv(python):
    # type: (str) -> None
    """Without pip: Debian's Python has no ensurepip, and the packages can be put there from outside."""
    code, output = run([python, "-m", "venv", "--clear", "--without-pip", VENV])
    if code:
        reason = last(output)
        raise Failure("{} -m venv failed: {}. On Debian or Ubuntu: apt install python3-venv".format(python, reason))


def install_packages(python, lock):
    # type: (str, str) -> None
    """Tries every installer that is there, and says what each of them answered when none succeeds."""
    path = os.path.join(HOME, lock)
    answers = []
    for name, prepare, command in installers(python):
        if prepare and run(prepare)[0]:
            continue
        code, output = run([*command, "--require-hashes", "-r", path])
        if code == 0:
            return
        answers.append("{}: {}".format(name, last(output)))
    if answers:
        raise Failure(
            "the packages of {} could not be installed into .venv. {}. Check that this machine reaches its package "
            "index (proxy, pip.conf), and start again.".format(lock, "; ".join(answers))
        )
    raise Failure(
        "there is no pip for {}: install one (on Debian or Ubuntu: apt install python3-pip; elsewhere: uv), and start "
        "again.".format(python)
    )


def installers(python):
    # type: (str) -> list[tuple[str, list[str], list[str]]]
    """(name, a command that must succeed first, the installing command), the fastest first."""
    pip = ["install", "--quiet", "--disable-pip-version-check", "--no-input"]
    found = []  # type: list[tuple[str, list[str], list[str]]]
    if shutil.which("uv"):
        found.append(("uv", [], ["uv", "pip", "install", "--quiet", "--python", VENV_PYTHON]))
    inside = [VENV_PYTHON, "-m", "pip"]
    found.append(("pip", [*inside, "--version"], inside + pip))
    # From outside, since pip 22.3. Debian's "externally managed" mark is on the system's Python, not on .venv.
    outside = [python, "-m", "pip", "--python", VENV_PYTHON]
    found.append(("pip of {}".format(python), [*outside, "--version"], outside + pip))
    found.append(("ensurepip", [VENV_PYTHON, "-m", "ensurepip"], inside + pip))
    return found


def run(command):
    # type: (list[str]) -> tuple[int, str]
    """Exit code and output. PIP_USER and PYTHONHOME, where someone has set them, would lead pip out of .venv."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    environment["PIP_USER"] = "0"
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        return 1, str(error)
    return done.returncode, done.stdout.decode(errors="replace")


def last(output):
    # type: (str) -> str
    """The last line that says something: installers end with the reason."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no output"])[-1].rstrip(".")


def digest(lock):
    # type: (str) -> str
    try:
        with open(os.path.join(HOME, lock), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        raise Failure("{} cannot be read: {}. Is this tree complete?".format(lock, error.strerror)) from None


def stamp():
    # type: () -> dict[str, str]
    """Which locks `.venv` was brought to: {path: hash of its content}."""
    try:
        with open(STAMP) as file:
            return dict(json.load(file))
    except (OSError, ValueError):
        return {}


def write_stamp(lock):
    # type: (str) -> None
    """The tests' lock contains the other one; installing a new run-time lock may change what the tests' one fixed."""
    locks = [RUN_LOCK, TEST_LOCK] if lock == TEST_LOCK else [lock]
    aside = STAMP + ".new"
    with open(aside, "w") as file:
        json.dump({name: digest(name) for name in locks}, file)
    os.replace(aside, STAMP)


def say(sentence):
    # type: (str) -> None
    sys.stderr.write("pierhead: {}\n".format(sentence))
    sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv)
