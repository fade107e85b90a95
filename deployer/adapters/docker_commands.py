"""Commands run, and files put, in containers of one host. Containers are given by the id of one of ours."""

from __future__ import annotations

from collections.abc import Sequence

from deployer.adapters import docker_render as render
from deployer.adapters.docker_errors import Asked, refusal
from deployer.adapters.docker_wire import Request, Wire, frames, json_body
from deployer.core.container import ExecResult, FileEntry

_LONG_SECONDS = 120.0
_LONGEST_OUTPUT_BYTES = 64 * 1024
_COULD_NOT_RUN = (126, 127)


class Commands:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def execute(self, container: str, called: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        """The first 64 KiB of what `command` prints. Docker cannot end a command: one that times out runs on."""
        body = json_body({"Cmd": list(command), "AttachStdout": True, "AttachStderr": True})
        what = f"run a command in {called}"
        made = self._wire.json(Request("POST", f"/containers/{container}/exec", what, body=body, asked="start"))
        output = self._run(made["Id"], what, timeout_seconds)
        state = self._wire.json(Request("GET", f"/exec/{made['Id']}/json", what))
        exit_code = int(state.get("ExitCode") or 0)
        if exit_code in _COULD_NOT_RUN and output.startswith(b"OCI runtime exec failed"):
            raise refusal(self._wire.host, what, 400, output.decode(errors="replace"), "start")
        return ExecResult(exit_code, output.decode(errors="replace"))

    def put_files(
        self, container: str, called: str, folder: str, files: Sequence[FileEntry], asked: Asked = "files"
    ) -> None:
        """Into a container, running or not. Each file is replaced, not written over."""
        if files:
            self._wire.call(
                Request(
                    "PUT",
                    f"/containers/{container}/archive",
                    f"put files into {called}" + (f" below {folder}" if folder != "/" else ""),
                    {"path": folder},
                    render.archive(files),
                    {"Content-Type": "application/x-tar"},
                    asked=asked,
                    timeout_seconds=_LONG_SECONDS,
                )
            )

    def _run(self, execution: str, what: str, timeout_seconds: float) -> bytes:
        request = Request(
            "POST",
            f"/exec/{execution}/start",
            what,
            body=json_body({"Detach": False, "Tty": False}),
            asked="start",
            timeout_seconds=timeout_seconds,
            once=True,
        )
        output = bytearray()
        with self._wire.stream(request) as response:
            for piece in frames(response, terminal=False):
                output += piece[: _LONGEST_OUTPUT_BYTES - len(output)]
        return bytes(output)
