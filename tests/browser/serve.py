"""The pages of the test database, served as `run web` serves them: `serve.py DATABASE DESCRIPTOR`."""

from __future__ import annotations

import os
import socket
import sys

from django.conf import settings

from control import processes


def main(database: str, descriptor: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control.settings")
    settings.DATABASES["default"]["NAME"] = database
    host, port = socket.socket(fileno=os.dup(descriptor)).getsockname()
    processes.web(host, port, descriptor)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
