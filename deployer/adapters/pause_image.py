"""The pause image, made here: its one process owns a pod's network namespace and waits for ever.

No registry is asked for it (a host without one would start no pod of several containers), and nothing is compiled:
the program is 25 instructions of machine code, given below with their meaning. It blocks SIGTERM and SIGINT and
waits for either of them, then exits 0, so that a pod's end costs no grace period; a plain `pause()` as process 1
would ignore SIGTERM. The archive is what `docker load` reads, the same bytes every time, so its image id is the same
on every host.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Mapping
from typing import Any

_X86_64 = bytes.fromhex(
    "b80e000000"  # mov eax, 14         rt_sigprocmask(
    "31ff"  # xor edi, edi                SIG_BLOCK,
    "488d352f000000"  # lea rsi, [rip + 47]         signals,
    "31d2"  # xor edx, edx                NULL,
    "41ba08000000"  # mov r10d, 8                 8)
    "0f05"  # syscall
    "b880000000"  # mov eax, 128        wait: rt_sigtimedwait(
    "488d3d19000000"  # lea rdi, [rip + 25]         signals,
    "31f6"  # xor esi, esi                NULL,
    "31d2"  # xor edx, edx                NULL: for ever,
    "41ba08000000"  # mov r10d, 8                 8)
    "0f05"  # syscall
    "85c0"  # test eax, eax       interrupted by something else:
    "78e4"  # js wait                     again
    "31ff"  # xor edi, edi        exit(0)
    "b83c000000"  # mov eax, 60
    "0f05"  # syscall
    "0240000000000000"  # signals: SIGINT (bit 1) and SIGTERM (bit 14)
)
_AARCH64 = b"".join(
    struct.pack("<I", instruction)
    for instruction in (
        0xD28010E8,  # mov x8, #135         rt_sigprocmask(
        0xD2800000,  # mov x0, #0                   SIG_BLOCK,
        0x100001C1,  # adr x1, signals              signals,
        0xD2800002,  # mov x2, #0                   NULL,
        0xD2800103,  # mov x3, #8                   8)
        0xD4000001,  # svc #0
        0xD2801128,  # mov x8, #137         wait: rt_sigtimedwait(
        0x10000120,  # adr x0, signals              signals,
        0xD2800001,  # mov x1, #0                   NULL,
        0xD2800002,  # mov x2, #0                   NULL: for ever,
        0xD2800103,  # mov x3, #8                   8)
        0xD4000001,  # svc #0
        0xB7FFFF40,  # tbnz x0, #63, wait   interrupted by something else: again
        0xD2800000,  # mov x0, #0           exit(0)
        0xD2800BA8,  # mov x8, #93
        0xD4000001,  # svc #0
    )
) + struct.pack("<Q", 0x4002)
_MACHINES = {"x86_64": ("amd64", 62, _X86_64), "aarch64": ("arm64", 183, _AARCH64)}
_SPELLINGS = {"amd64": "x86_64", "arm64": "aarch64"}
_LOADED_AT = 0x400000
_HEADERS_BYTES = 64 + 56


def pause_archive(reference: str, architecture: str) -> bytes | None:
    """An archive for `docker load` holding the pause image as `reference`; None for an architecture without code.

    `architecture` is as `docker info` says it ("x86_64", "aarch64"). 64-bit kernels only.
    """
    machine = _MACHINES.get(_SPELLINGS.get(architecture, architecture))
    if machine is None:
        return None
    go_name, elf_number, code = machine
    layer = _tar({"pause": _elf(elf_number, code)}, mode=0o755)
    return image_archive(reference, layer, {"Entrypoint": ["/pause"], "User": "65535:65535"}, architecture=go_name)


def image_archive(reference: str, layer: bytes, config: Mapping[str, Any], *, architecture: str) -> bytes:
    """An archive for `docker load`: one image `reference` of one layer (a tar), without any time or name in it."""
    description = {
        "architecture": architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "pierhead"}],
    }
    text = json.dumps(description, sort_keys=True).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    return _tar({name: text, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}, mode=0o644)


def _elf(machine: int, code: bytes) -> bytes:
    """A static ELF64 program of one segment, headers included, that is entered at the first byte of `code`."""
    size = _HEADERS_BYTES + len(code)
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    entry = _LOADED_AT + _HEADERS_BYTES
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    readable_and_executable = 5
    segment = struct.pack("<IIQQQQQQ", 1, readable_and_executable, 0, _LOADED_AT, _LOADED_AT, size, size, 0x1000)
    return identity + header + segment + code


def _tar(files: Mapping[str, bytes], *, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
