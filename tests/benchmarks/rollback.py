"""A click on rollback, on three real hosts: until three pods of the old version are ready, until those of the new one
are gone, and until a page shows it.

    .venv/bin/python -m tests.benchmarks.rollback [--rounds 5]

The click is the form's POST, as a browser sends it. A pod is gone when its containers are, and with them its record.
"Shows" is the workload's page, asked for whenever its event stream says so: its headline and its Rollout panel, for the
list of revisions names the old version all the time. Hosts, control plane and script share the machine.
"""

from __future__ import annotations

import argparse
import http.client
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.benchmarks.figures import show
from tests.engines import images
from tests.engines.control_plane import control_plane, deployment
from tests.engines.hosts import hosts
from tests.engines.router_image import router
from tests.engines.shop import HTTPD, Shop

REPLICAS = 3
OLD, NEW = "test/web:1", "test/web:2"
ROWS = (
    ("click on rollback -> the old version ready", 4.0, 2.0),
    ("click on rollback -> the new version's pods gone", None, None),
    ("click on rollback -> a page shows it healthy", None, None),
)
CURRENT = re.compile(r'ready, revision \d+.*?<span class="images">([^<]*)</span>')


class Browser:
    """Cookies, forms, and one event stream."""

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}
        form = self._token(self.get("/sign-in"))
        self.post("/sign-in", {"username": "admin", "password": password, **form})

    def get(self, path: str) -> str:
        return self._ask("GET", path, None)[1]

    def post(self, path: str, form: dict[str, str]) -> int:
        return self._ask("POST", path, urlencode(form))[0]

    def form(self, path: str, **more: str) -> dict[str, str]:
        """What the form at `path` holds."""
        html = self.get(path)
        hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', html))
        return {**hidden, **self._token(html), **more}

    def stream(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        connection.request("GET", path, headers={"Cookie": self._cookie()})
        return connection.getresponse()

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"Cookie": self._cookie(), "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self._cookies[key] = rest.partition(";")[0]
        html = answer.read().decode()
        connection.close()
        return answer.status, html

    def _cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    @staticmethod
    def _token(html: str) -> dict[str, str]:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
        return {"csrfmiddlewaretoken": found[1]} if found else {}


def web(image: str) -> str:
    return deployment("web", image=image, replicas=REPLICAS, command=HTTPD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with hosts(3) as three:
        for archive in (router(), images.web(OLD), images.web(NEW)):
            three.load(archive)
        with control_plane() as plane, tempfile.TemporaryDirectory() as folder:
            for host in three:
                plane.add(host)
            shop = Shop.open(plane, three, Path(folder), web(OLD))
            shop.sync("--wait")
            password = re.search(r"with the password (\S+)", plane.said())
            assert password is not None
            report([_round(shop, Browser(plane.port, password[1])) for _ in range(options.rounds)])


def _round(shop: Shop, browser: Browser) -> tuple[float, ...]:
    """Seconds from the click, as ROWS names them."""
    for image in (OLD, NEW):
        shop.push(web(image))
        shop.sync("--wait")
    shop.wait_ready(REPLICAS, image=NEW)
    shown = browser.get(f"/applications/{shop.name}")
    path = re.findall(rf'href="(/applications/{shop.name}/rollback/[0-9a-f]+)"', shown)[0]
    form = browser.form(path)
    found: list[float] = []
    seen = threading.Thread(target=_watch, args=(browser, shop.name, found))
    seen.start()
    began = time.monotonic()
    assert browser.post(path, form) == 302
    shop.wait(lambda: len(_of(OLD, shop.plane.ready_pods(shop.name))) == REPLICAS)
    ready = time.monotonic() - began
    shop.wait(lambda: not _of(NEW, shop.pods()))
    gone = time.monotonic() - began
    seen.join(60)
    assert browser.post(f"/applications/{shop.name}/resume", browser.form(f"/applications/{shop.name}/resume")) == 302
    return ready, gone, found[0] - began


def _of(image: str, pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [pod for pod in pods if pod["spec"]["containers"][0]["image"] == image]


def _watch(browser: Browser, name: str, found: list[float]) -> None:
    """Until the page says that the old version is what runs, and that it is healthy."""
    stream = browser.stream(f"/stream?namespace={name}")
    while True:
        if b"event: changed" not in stream.fp.readline():
            continue
        html = browser.get(f"/workloads/{name}/web")
        if "web: Healthy" in html and CURRENT.findall(html) == [OLD]:
            found.append(time.monotonic())
            stream.close()
            return


def report(rows: list[tuple[float, ...]]) -> None:
    for index, (name, at_least, aim) in enumerate(ROWS):
        show(name, [row[index] for row in rows], "s", at_least=at_least, aim=aim)


if __name__ == "__main__":
    main()
