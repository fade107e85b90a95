"""Events and the audit trail: filters, counts, pages by key, spreadsheets."""

from __future__ import annotations

import csv
import io
import re
import time
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from control.dashboard.spreadsheets import cell
from control.models import AuditEntry, Event
from control.selectors import newest_first
from tests.control import factories, people_data

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e\"><img src=x>"
QUERIES_AT_MOST = 10


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "NOW", time.time())


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada", password="a long harbour wall"))
    return client


def page(client: Client, path: str = "/events", **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.content
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def sheet(path: str) -> list[list[str]]:
    """The rows of a download, as a spreadsheet reads them. The server that streams is an asynchronous one."""

    async def fetch() -> bytes:
        client = AsyncClient()
        await client.aforce_login(await User.objects.aget(username="ada"))
        response = await client.get(path)
        assert response.status_code == 200
        assert "attachment" in response["Content-Disposition"]
        return b"".join([part async for part in response.streaming_content])  # type: ignore[attr-defined]

    return list(csv.reader(io.StringIO(async_to_sync(fetch)().decode())))


def done(action: str = "node drain", target: str = "Node n1", **fields: Any) -> AuditEntry:
    given = {"actor": "ada", "at": factories.NOW - 60, "source": "10.0.0.9", **fields}
    return AuditEntry.objects.create(action=action, object=target, **given)


def log() -> None:
    now = factories.NOW
    factories.event("Started", "it runs", name="web-1", node="n1", last_at=now - 10)
    factories.event("BackOff", "container crashed, 5 times", type="Warning", count=5, name="web-2", last_at=now - 20)
    factories.event("Synced", "1 changed", kind="Application", namespace="", name="shop", last_at=now - 7200)
    factories.event("Started", "it runs", namespace="bank", name="vault-1", node="n2", last_at=now - 30)


# --- events ---


def test_everything_the_newest_first(admin: Client) -> None:
    log()
    html = page(admin)
    text = words(html)
    assert "<title>4 events - Pierhead</title>" in html
    assert "4 events, 1 warning" in text
    assert re.findall(r"web-\d|vault-1|>shop<", html) != []
    assert text.index("web-1") < text.index("web-2") < text.index("vault-1") < text.index("1 changed")
    assert "Normal 3" in text
    assert "Pod 3" in text
    assert "5 times in 1m" in text
    assert 'href="/audit"' in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("type=Warning", ["web-2"], id="type"),
        pytest.param("kind=Application", ["shop"], id="kind"),
        pytest.param("namespace=bank", ["vault-1"], id="namespace"),
        pytest.param("name=web-1", ["web-1"], id="name"),
        pytest.param("node=n2", ["vault-1"], id="node"),
        pytest.param("words=crashed+backoff", ["web-2"], id="words"),
        pytest.param("words=100%25", [], id="a sign that means something to a database"),
        pytest.param("since=3600", ["web-1", "web-2", "vault-1"], id="since"),
        pytest.param("since=nonsense", ["web-1", "web-2", "vault-1", "shop"], id="no time"),
        pytest.param("type=Normal&namespace=shop", ["web-1"], id="two"),
        pytest.param("before=nonsense", ["web-1", "web-2", "vault-1", "shop"], id="no key"),
        pytest.param("before=nan:1", ["web-1", "web-2", "vault-1", "shop"], id="a key that is no number"),
        pytest.param("before=1e999:99999999999999999999", ["web-1", "web-2", "vault-1", "shop"], id="a large key"),
    ],
)
def test_filters(admin: Client, query: str, found: list[str]) -> None:
    log()
    names = [Event.objects.get(pk=pk).name for pk in re.findall(r'id="event-(\d+)"', page(admin, f"/events?{query}"))]
    assert names == found


def test_a_filter_counts_what_the_others_would_leave(admin: Client) -> None:
    log()
    text = words(page(admin, "/events?type=Warning"))
    assert "1 event, 1 warning" in text
    assert "Normal 3" in text
    assert "Application" not in text.partition("Kind")[2]
    assert "Show all" in words(page(admin, "/events?name=none"))


def test_pages_go_by_key_whatever_comes_meanwhile(admin: Client) -> None:
    for number in range(120):
        factories.event(f"R{number}", last_at=factories.NOW - 1000 - number // 3)  # three at the same moment
    seen: list[str] = []
    path: str | None = "/events"
    while path:
        html = page(admin, path)
        seen += re.findall(r'id="event-(\d+)"', html)
        factories.event(f"new{len(seen)}", last_at=factories.NOW)
        older = re.search(r'rel="next" href="(\?[^"]*)"', html)
        path = f"/events{older[1].replace('&amp;', '&')}" if older else None
    assert seen == [str(pk) for pk in Event.objects.filter(reason__startswith="R").values_list("pk", flat=True)]


def test_counting_ends_somewhere(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_first, "COUNTED", 5)
    monkeypatch.setattr("control.selectors.event_log.COUNTED", 5)
    for number in range(9):
        factories.event(f"R{number}")
    assert "5 or more events" in words(page(admin))


def test_who_does_not_see_all_sees_their_namespaces(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    log()
    done("rollout undo", "Deployment bank/vault", actor="bea")
    done("rollout undo", "Deployment shop/web", actor="bea")
    done("node drain", actor="bea")
    done("user password", "User ada")
    monkeypatch.setattr("control.dashboard.records.namespaces", lambda _: frozenset({"bank"}))
    html = page(admin)
    assert "vault-1" in html
    assert "web-1" not in html
    assert "1 changed" not in html
    assert [row[7] for row in sheet("/events.csv")[1:]] == ["vault-1"]
    assert [row[3] for row in sheet("/audit.csv")[1:]] == ["User ada", "Deployment bank/vault"]
    assert "shop/" not in words(page(admin, "/audit"))


def test_a_role_in_one_namespace_opens_its_records(client: Client) -> None:
    log()
    done("rollout undo", "Deployment bank/vault", actor="bea")
    done("rollout undo", "Deployment shop/web", actor="bea")
    done("token create", "Token ci", actor="eve (token ci)")
    client.force_login(people_data.person("eve", {"bank": "viewer"}))
    assert "1 event" in words(page(client))
    assert "Audit: 2 entries" in words(page(client, "/audit"))


def test_the_page_moves_and_rests(admin: Client) -> None:
    log()
    html = page(admin, "/events?namespace=shop")
    assert "kind=Event&amp;namespace=shop" in html
    part = page(admin, "/events?namespace=shop", **{"HX-Request": "true"})
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', part)
    assert seen
    assert admin.get(f"/events?namespace=shop&seen={seen[1]}", headers={"HX-Request": "true"}).status_code == 204


# --- audit ---


def test_who_did_what_from_where(admin: Client) -> None:
    done("rollout undo", "Deployment shop/web", detail="to revision 2", actor="bea")
    done()
    done("sign-in", "name 0123456789abcdef", actor="unknown", source="10.9.9.9")
    html = page(admin, "/audit")
    text = words(html)
    assert "Audit: 3 entries" in text
    assert "bea rollout undo Deployment shop/ web to revision 2 10.0.0.9 1m" in text
    assert 'href="/workloads/shop/web"' in html
    assert 'href="/nodes/n1"' in html
    assert "name 0123456789abcdef" in text
    assert "Audit: 1 entry" in words(page(admin, "/audit?actor=bea"))
    assert "Audit: 1 entry" in words(page(admin, "/audit?action=node+drain"))
    assert "Audit: 1 entry" in words(page(admin, "/audit?object=Node+n1"))
    assert "Audit: 1 entry" in words(page(admin, "/audit?words=revision"))
    assert "No entry is like that." in words(page(admin, "/audit?actor=nobody"))
    assert "nobody 0" in words(page(admin, "/audit?actor=nobody"))


# --- spreadsheets ---


def test_a_download_has_all_rows_of_the_filters(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_first, "BATCH", 7)
    for number in range(60):
        factories.event(f"R{number}", last_at=factories.NOW - number)
    factories.event("Other", "x", namespace="bank")
    rows = sheet("/events.csv?namespace=shop")
    assert rows[0][:5] == ["last", "first", "count", "type", "reason"]
    assert [row[4] for row in rows[1:]] == [f"R{number}" for number in range(60)]
    assert rows[1][0].endswith("Z")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r=", "＝", " ="])
def test_no_cell_is_a_formula(sign: str) -> None:
    assert cell(f"{sign}cmd|' /C calc'!A0").startswith("'")


def test_what_others_wrote_is_text_in_a_spreadsheet(admin: Client) -> None:
    factories.event("=1+1", '@SUM(1)\x1b[31m,"x"\nnext', name="-n", node="+1")
    done("=HYPERLINK(1)", "@x", actor="-a", detail="+d\u202e")
    assert sheet("/events.csv")[1][4:] == ["'=1+1", "Pod", "shop", "'-n", "'+1", '\'@SUM(1),"x" next']
    assert sheet("/audit.csv")[1][1:] == ["'-a", "'=HYPERLINK(1)", "'@x", "10.0.0.9", "'+d"]


def test_downloads_are_for_those_who_signed_in(client: Client) -> None:
    for path in ("/events.csv", "/audit.csv"):
        assert client.get(path)["Location"].startswith("/sign-in?next=/")


# --- whatever comes ---


def test_whatever_comes_from_outside_is_shown_and_not_obeyed(admin: Client) -> None:
    factories.event(HOSTILE[:60], HOSTILE, name=HOSTILE, type="Warning")
    factories.event("Odd", HOSTILE, kind="Node", namespace="", name=HOSTILE)
    done(HOSTILE[:60], f"Node {HOSTILE}", actor=HOSTILE, detail=HOSTILE, source=HOSTILE[:60])
    query = "words=%3Cscript%3E&name=%1b[31m&namespace=%E2%80%AE&actor=%22%3E%3Cimg&object=%01&before=%01"
    for path in ("/events", "/audit", f"/events?{query}", f"/audit?{query}"):
        html = page(admin, path)
        assert not re.search(r"<script>|<img|\x1b|\u202e|\x01", html), path
    assert "&lt;script&gt;alert" in page(admin)


@pytest.mark.parametrize("path", ["/events", "/audit", "/events?words=it&type=Normal"])
def test_queries_do_not_grow(admin: Client, path: str) -> None:
    counts = []
    for many in (1, 200):
        for number in range(many):
            factories.event(f"R{number}")
            done(target=f"Node n{number}")
        with CaptureQueriesContext(connection) as queries:
            page(admin, path)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= QUERIES_AT_MOST
