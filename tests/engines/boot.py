"""Become a host, or join one, and run a program there.

    boot.py CGROUP_FILE become 3 NAME NETWORK SETTINGS PROGRAM ...
    boot.py CGROUP_FILE join 1 PID PROGRAM ...

A script in a process of its own (`python -I -S`), because a namespace is entered by a thread, and the test process has
many. Everything that the program mounts lives in a private view and is gone with the last process; everything that it
starts is found again through the control group. The private /run is what makes several engines' lock files, shim
sockets and /run/docker.sock independent of each other; SETTINGS becomes /etc/docker, where an engine keeps the key that
its identity is made of.
"""

import ctypes
import os
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWNET = 0x40000000
MS_PRIVATE_RECURSIVE = 0x40000 | 0x4000
MS_BIND = 0x1000

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


def become(name: str, network: str, settings: str) -> None:
    with open(f"/run/netns/{network}") as namespace:
        check(libc.setns(namespace.fileno(), CLONE_NEWNET), f"enter network {network}")
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS), "unshare mounts and host name")
    check(libc.sethostname(name.encode(), len(name.encode())), f"set host name {name}")
    check(libc.mount(b"none", b"/", None, MS_PRIVATE_RECURSIVE, None), "make mounts private")
    check(libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755"), "mount /run")
    os.makedirs("/etc/docker", exist_ok=True)
    check(libc.mount(settings.encode(), b"/etc/docker", None, MS_BIND, None), "mount /etc/docker")
    os.makedirs("/run/sshd", mode=0o755)


def join(pid: str) -> None:
    for kind in ("net", "uts", "mnt"):
        with open(f"/proc/{pid}/ns/{kind}") as namespace:
            check(libc.setns(namespace.fileno(), 0), f"enter {namespace.name}")


cgroup_file, mode, count, *rest = sys.argv[1:]
with open(cgroup_file, "w") as members:
    members.write(str(os.getpid()))
where, command = rest[: int(count)], rest[int(count) :]
if mode == "become":
    become(*where)
else:
    join(*where)
os.execv(command[0], command)
