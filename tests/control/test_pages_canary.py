"""The page of a canary, and what is seen of one elsewhere: what they say, whose buttons they are, how many queries."""

from __future__ import annotations

import re
import time

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from control.models import AnalysisRun, AnalysisTick, AuditEntry, Deployment, Measurement, RoleBinding
from control.selectors.canary_actions import VERBS
from control.selectors.canary_page import canary_page
from control.services.canaries import mark
from deployer.core.canary.kept import load_state
from deployer.core.canary.values import Analysis
from tests.control import canary_data, factories

pytestmark = pytest.mark.django_db
QUERIES_AT_MOST = 20
CANARY = "/workloads/shop/{}/canary"


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "NOW", time.time())
    factories.application()


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def html_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    html = answer.content.decode()
    assert answer.status_code == status, html
    return html


def words(client: Client, path: str, status: int = 200) -> str:
    html = html_of(client, path, status)
    return " ".join(re.sub(r"<[^>]*>", " ", html[max(html.rfind("<main"), 0) :]).split())


# What it says


def test_a_judged_canary_is_told_whole(ann: Client) -> None:
    canary_data.judged(time.time())
    html, text = html_of(ann, CANARY.format("web")), words(ann, CANARY.format("web"))
    assert "<title>shop/web: canary at 5 %, step 2 of 4: Progressing - Pierhead</title>" in html
    assert "5 % of requests asked for the canary" in text
    assert re.search(r"[45]\.?\d* % measured in the last minute \d+ of 2,4\d\d requests to web", text)
    needs = r"It needs about 340 more requests to the canary, about [23]m( \d+s)? at its present rate, and goes on in"
    assert re.search(needs + r" [^.]* at the soonest\.", text)
    assert "Then: 25 % of requests to the canary." in text
    assert "Whoever came to the canary stays there, by cookie session." in text
    assert "The judge, step 2 Running 25 looks, begun" in text
    assert "abort at 200" in text
    assert "It looks every 10s; the first 1m count as warm-up." in text


def test_the_steps_say_what_is_done_and_what_is_to_come(ann: Client) -> None:
    canary_data.judged(time.time())
    html = html_of(ann, CANARY.format("web"))
    steps = [
        " ".join(re.sub(r"<[^>]*>", " ", one).split())
        for one in re.findall(r"(?s)<li[^>]*>(.*?)</li>", html[html.index('class="stages"') :])[:5]
    ]
    assert steps == [
        "5 % of requests to the canary Done",
        "Judge errors and slow requests for 10m to 30m Progressing Analysis: Running",
        "25 % of requests to the canary To come",
        "Judge errors and slow requests for 10m to 30m To come",
        "All pods are of the new revision, one after the other To come",
    ]
    assert html.count('aria-current="step"') == 1


def test_an_aborted_one_says_why_with_counts_and_what_was_before(ann: Client) -> None:
    canary_data.aborted(time.time())
    text = words(ann, CANARY.format("api"))
    assert text.count(canary_data.WHY) >= 3  # the alarm, the judge, the step
    assert "The commit is skipped. A newer one starts over by itself; Retry tries this one again." in text
    assert "Earlier canaries Aborted revision 3, attempt 2 3333333" in text
    assert "Analyses: 1 inconclusive" in text
    assert "Not reached" in text


def test_measurements_of_a_provider_are_listed_with_their_conditions(ann: Client) -> None:
    canary_data.measured(time.time())
    text = words(ann, CANARY.format("pay"))
    assert "success-rate: 2 of 5 measurements are inconclusive" in text
    assert "Success when result[0] &gt;= 0.95 Failure when result[0] &lt; 0.9" in text
    assert "5 times, every 30s, failureLimit 0" in text
    assert "[0.92] Inconclusive" in text
    assert "nothing Error" in text
    assert "answered 503 Service Unavailable" in text
    assert "p95 dry run p95 in ms of canary pods, as routers count" in text
    assert "212.4 Successful" in text
    assert "requests whose x-canary is always" in text


def test_a_preview_is_no_canary_in_words(ann: Client) -> None:
    canary_data.preview(time.time())
    text = words(ann, CANARY.format("search"))
    assert "shop/search: preview at 0 %, step 2 of 3: Paused" in text
    assert "It waits until a person goes on. Then: 100 % of requests to the preview." in text
    assert "Preview pods: 100 % of the replicas Done" in text
    assert "Active revision 2" in text


def test_before_the_first_canary_the_steps_are_told(ann: Client) -> None:
    canary_data.untouched()
    text = words(ann, CANARY.format("quiet"))
    assert "shop/quiet: no canary yet" in text
    assert "The next change of its template goes through the steps below." in text
    assert "25 % of requests to the canary To come" in text


def test_what_never_had_one_says_so(ann: Client) -> None:
    factories.deployment("plain")
    assert "shop/plain has no canary" in words(ann, CANARY.format("plain"), 404)
    assert "shop/none has no canary" in words(ann, CANARY.format("none"), 404)


def test_a_canary_whose_manifest_asks_for_none_any_more_is_still_told(ann: Client) -> None:
    row = canary_data.judged(time.time())
    Deployment.objects.filter(pk=row.pk).update(annotations={})
    text = words(ann, CANARY.format("web"))
    assert "Its steps are not known" in text
    assert "canary at 5 %, step 2: Progressing" in text


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"phase": "Paused", "paused_by": "ann", "why": "ann paused it"}, "It waits for a person to go on"),
        ({"phase": "Promoting", "step": 4}, "New pods replace the old ones; the weight follows their share."),
        ({"phase": "Completed", "step": 4}, "It is done. The next change of its template starts over."),
        ({"phase": "Aborting", "why": "ann aborted it"}, "The weight of 0 is on its way to all routers"),
        ({"step": 0}, "Canary pods become ready, then routers are told."),
    ],
)
def test_each_phase_says_what_comes_next(ann: Client, state: dict[str, object], said: str) -> None:
    canary_data.changed(canary_data.judged(time.time()), **state)
    assert said in words(ann, CANARY.format("web"))


def test_after_its_time_the_judge_is_told_to_be_late(ann: Client) -> None:
    canary_data.judged(time.time(), minutes=12)
    text = words(ann, CANARY.format("web"))
    assert re.search(r"about [23]m( \d+s)? at its present rate; it is decided in \d+m( \d+s)? at the latest", text)


@pytest.mark.parametrize(
    ("requests", "missing", "said"),
    [
        (1, 344, r"344|340 more requests to the canary, about (29|30|31|32|33|34|35)m at its present rate"),
        (0, 344, r"340 more requests to the canary, and may not get them; a person decides in 2[56]m"),
        (
            1,
            9000,
            r"9,000 more requests to the canary, about 1\dh( \d+m)? at its present rate, and may not get them",
        ),
    ],
)
def test_with_few_requests_it_says_how_long_it_takes(ann: Client, requests: int, missing: int, said: str) -> None:
    canary_data.judged(time.time())
    AnalysisTick.objects.update(canary_requests=requests, canary_failures=0, missing=missing)
    text = words(ann, CANARY.format("web"))
    assert re.search(said, text), text


def test_without_traffic_and_without_ticks_it_says_that(ann: Client) -> None:
    canary_data.judged(time.time())
    Measurement.objects.all().delete(), AnalysisTick.objects.all().delete()
    text = words(ann, CANARY.format("web"))
    assert "No request was counted in the last minute." in text
    assert "It has not looked yet." in text
    assert "It goes on when all is well in" in text


def test_nothing_from_outside_is_obeyed(ann: Client) -> None:
    hostile = "<img src=x onerror=alert(1)>\x1b[31m\u202e"
    row = canary_data.measured(time.time())
    canary_data.changed(row, why=hostile)
    AnalysisTick.objects.update(message=hostile, value=[hostile], verdict="error")
    AnalysisRun.objects.update(message=hostile)
    html = html_of(ann, CANARY.format("pay"))
    assert "<img" not in html
    assert not set("\x1b\u202e") & set(html)


def test_plots_have_words_and_figures(ann: Client) -> None:
    canary_data.judged(time.time())
    html = html_of(ann, CANARY.format("web"))
    assert re.search(r'aria-label="Errors so far. Now: canary [\d.]+ %; stable 0\.\d+ %"', html)
    assert 'aria-label="Evidence that the canary is worse. Now: Errors' in html
    assert html.count('<table class="figures">') == html.count('<figure class="chart"') == 5
    assert re.search(r'<polygon class="band canary" points="[\d., ]+"', html)
    assert " style=" not in html
    assert "<script>" not in html


# What is seen of one elsewhere


def test_the_first_page_and_the_workloads_and_the_applications_tell_of_it(ann: Client) -> None:
    now = time.time()
    canary_data.judged(now), canary_data.measured(now)
    text = words(ann, "/")
    assert "Canaries shop/ pay Paused 20 % of requests, step 3 of 5" in text
    assert re.search(r"shop/ web Progressing 5 % of requests, step 2 of 4 revision 3 3333333 .* Evidence: ", text)
    assert text.index("Canaries") < text.index("Workloads")
    assert "pay Rollout" in text
    text = words(ann, "/workloads/shop/web")
    assert "Canary Progressing 5 % of requests, step 2 of 4 evidence: " in text
    assert 'href="/workloads/shop/web/canary"' in html_of(ann, "/workloads/shop/web")
    text = words(ann, "/applications/shop")
    assert "Rollout shop/ pay" in text
    assert "20 % of requests, step 3 of 5" in text


def test_without_any_nothing_is_said_of_canaries(ann: Client) -> None:
    factories.deployment("plain")
    assert "Canar" not in words(ann, "/") + words(ann, "/workloads/shop/plain") + words(ann, "/applications/shop")


def test_what_is_of_another_namespace_is_not_on_the_first_page(client: Client) -> None:
    canary_data.judged(time.time())
    person = User.objects.create_user("vic")
    RoleBinding.objects.create(subject=person, namespace="mint", role="viewer")
    client.force_login(person)
    assert "Canaries" not in words(client, "/")
    assert client.get(CANARY.format("web")).status_code == 404


# How much it asks


def test_queries_do_not_grow_with_what_there_is(ann: Client) -> None:
    row = canary_data.judged(time.time())
    counts = []
    for number in range(3):
        with CaptureQueriesContext(connection) as queries:
            assert canary_page("shop", "web", time.time())
        counts.append(len(queries))
        canary_data.run_of(row, 3 + number, Analysis(judge=canary_data.JUDGE), time.time() - 30, revision=3)
        for pod in range(5):
            factories.pod(row.replica_sets.get(revision=3), f"web-{number}-{pod}")
    assert len(set(counts)) == 1
    assert counts[0] <= QUERIES_AT_MOST


def test_the_first_page_asks_as_often_for_many_canaries_as_for_one(ann: Client) -> None:
    counts = []
    for number in range(4):
        canary_data.judged(time.time(), name=f"web-{number}")
        if number in (0, 3):
            with CaptureQueriesContext(connection) as queries:
                assert ann.get("/").status_code == 200
            counts.append(len(queries))
    assert counts[0] == counts[1]


# Its buttons


def buttons(client: Client, name: str = "web") -> list[str]:
    return re.findall(r'id="do-([a-z]+)"', html_of(client, CANARY.format(name)))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, "pause skip promote abort"),
        ({"phase": "Paused", "paused_by": "ann"}, "resume skip promote abort"),
        ({"phase": "Promoting", "step": 4}, "abort"),
        ({"phase": "Aborting"}, ""),
        ({"phase": "Aborted"}, "retry"),
        ({"phase": "Completed"}, ""),
    ],
)
def test_what_makes_no_sense_is_not_offered(ann: Client, state: dict[str, object], expected: str) -> None:
    canary_data.changed(canary_data.judged(time.time()), **state)
    assert buttons(ann) == expected.split()


def test_who_may_look_and_not_act_sees_no_button(client: Client) -> None:
    canary_data.judged(time.time())
    person = User.objects.create_user("vic")
    RoleBinding.objects.create(subject=person, namespace="shop", role="viewer")
    client.force_login(person)
    assert buttons(client) == []
    for verb in VERBS:
        assert client.post(f"{CANARY.format('web')}/{verb}", {"seen": seen()}).status_code == 403
    RoleBinding.objects.update(role="operator")
    assert buttons(client) == ["pause", "skip", "promote", "abort"]


def seen() -> str:
    return mark(load_state(Deployment.objects.get(name="web").canary))


@pytest.mark.parametrize(
    ("verb", "state", "phase", "said"),
    [
        ("pause", {}, "Paused", "is paused"),
        ("resume", {"phase": "Paused", "paused_by": "ann"}, "Progressing", "goes on"),
        ("skip", {}, "Progressing", "goes on with the next step"),
        ("promote", {}, "Promoting", "is promoted"),
        ("abort", {}, "Aborting", "is aborted: its weight goes to 0 first, then its pods go"),
        ("retry", {"phase": "Aborted"}, "Progressing", "starts over"),
    ],
)
def test_each_button_does_what_it_says(ann: Client, verb: str, state: dict[str, object], phase: str, said: str) -> None:
    canary_data.changed(canary_data.judged(time.time()), **state)
    place = f"{CANARY.format('web')}/{verb}"
    assert "What happens" in words(ann, place)
    answer = ann.post(place, {"seen": seen()}, follow=True)
    assert answer.redirect_chain == [(CANARY.format("web"), 302)]
    assert f"shop/web {said}." in answer.content.decode()
    assert load_state(Deployment.objects.get().canary).phase == phase
    assert AuditEntry.objects.get().action == f"rollout {verb}"


def test_who_was_slower_is_told_and_nothing_is_done(ann: Client) -> None:
    row = canary_data.judged(time.time())
    before = seen()
    canary_data.changed(row, step=3)
    answer = ann.post(f"{CANARY.format('web')}/abort", {"seen": before})
    assert (answer.status_code, b"It has changed since you opened the page" in answer.content) == (409, True)
    assert load_state(Deployment.objects.get().canary).phase == "Progressing"


def test_what_cannot_be_done_says_what_is_going_on(ann: Client) -> None:
    canary_data.changed(canary_data.judged(time.time()), phase="Completed")
    text = words(ann, f"{CANARY.format('web')}/abort")
    assert "That is not possible now (Completed)." in text
    answer = ann.post(f"{CANARY.format('web')}/abort", {"seen": seen()})
    assert answer.status_code == 409
    assert words(ann, "/workloads/shop/none/canary/abort", 404)


def test_a_question_tells_what_would_happen(ann: Client) -> None:
    canary_data.judged(time.time())
    text = words(ann, f"{CANARY.format('web')}/abort")
    assert "Its weight goes from 5 % to 0 in all routers, at once." in text
    assert "Commit 3333333 is skipped until a newer one comes, or somebody presses Retry." in text
    text = words(ann, f"{CANARY.format('web')}/promote")
    assert "2 analyses are not waited for. 3 steps are left out. All 3 pods are replaced one after the other" in text
    text = words(ann, f"{CANARY.format('web')}/skip")
    assert "Not waited for any longer: Judge errors and slow requests for 10m to 30m." in text
    assert "Then: 25 % of requests to the canary." in text
