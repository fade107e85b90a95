"""Who serves on which side of a Service with a canary, what maps say, and that nothing but a strategy is structure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.core.canary.values import HeaderMatch, HeaderRoute, Split, Stickiness
from deployer.core.network import splits
from deployer.core.network.config import router_config
from deployer.core.network.maps import FIRST, HEADER_ROUTES, INGRESS_PREFIX, REVISIONS, STICKY, WEIGHTS, map_path
from deployer.core.network.splits import easing, first_maps
from deployer.core.network.values import Cluster, RoutedPod, RouterConfig
from tests.core.network.hunt import hunted
from tests.core.network.sketch import cluster, config, httpget, ingress, pods, section, service

OLD, NEW, LEFT = "aaa", "bbb", "ccc"
BACKEND = "svc.shop.web.80"
CANARY = f"{BACKEND}:canary"
ROUTE = HeaderRoute("team", (HeaderMatch("X-Team", "exact", "ours"),))
WEB = service("web", {"port": 80, "name": "http"}, {"port": 5432, "name": "db"}, type="NodePort")
SITE = ingress("site", "shop.test/ Prefix web:80", "db.test/ Prefix web:5432")


def split(weight: int = 500, **more: Any) -> Split:
    return Split("shop/web", NEW, weight, **{"stable_hash": OLD, "labels": (("app", "web"),), **more})


IDLE = Split("shop/web", labels=(("app", "web"),))


def town(picture: str = "OONl") -> tuple[RoutedPod, ...]:
    """O old, N new, l left over of an earlier one, o and n not ready, x and y (old, new) being deleted, f foreign."""
    kinds = {"o": (OLD, "r"), "n": (NEW, "r"), "x": (OLD, "t"), "y": (NEW, "t"), "l": (LEFT, "R"), "f": ("", "R")}
    found = []
    for number, letter in enumerate(picture):
        made_from, ready = kinds.get(letter) or ({"O": OLD, "N": NEW}[letter], "R")
        one = pods("web", f"a:{ready}", template_hash=made_from, owner="Pod/x" if letter == "f" else "Rollout/web")[0]
        found.append(replace(one, uid=f"uid-{number}", name=f"{letter.lower()}{number}", ip=f"10.208.16.{number + 2}"))
    return tuple(found)


def sides(found: RouterConfig) -> tuple[str, str]:
    """The servers of either side in short."""

    def short(backend: str) -> str:
        return " ".join(one.name.removeprefix("shop.").replace("_backup", "*") for one in found.servers[backend])

    return short(BACKEND), short(CANARY)


@pytest.mark.parametrize(
    ("picture", "wanted", "stable", "canary"),
    [
        pytest.param("OON", split(), "o0 o1 n2*", "n2 o0* o1*", id="either side is the other's reserve"),
        pytest.param("OON", IDLE, "n2 o0 o1", "", id="between two canaries all are alike"),
        pytest.param("OO", split(), "o0 o1", "o0* o1*", id="before the canary has a pod, stable ones are there"),
        pytest.param("Oon", split(), "o0", "o0*", id="who is not ready serves nowhere"),
        pytest.param("OxNy", split(), "o0 n2*", "n2 o0*", id="who is being deleted neither"),
        pytest.param("NN", split(10_000), "n0* n1*", "n0 n1", id="all old pods are gone: the new ones are there"),
        pytest.param("OlN", split(), "o0 l1* n2*", "n2 o0* l1*", id="what is left of an earlier one is reserve"),
        pytest.param("OlN", split(stable_hash=""), "l1 o0 n2*", "n2 l1* o0*", id="without a stable revision it is not"),
        pytest.param("OfN", split(), "f1 o0 n2*", "n2 f1* o0*", id="a pod of nobody's is stable"),
        pytest.param(
            "ON", split(0, withdrawn=True), "o0 n1*", "n1 o0*", id="a canary that goes back ends its requests"
        ),
        pytest.param("Oy", split(0, withdrawn=True), "o0", "", id="and when it is gone its side is empty"),
    ],
)
def test_who_serves_where(picture: str, wanted: Split, stable: str, canary: str) -> None:
    found = config(WEB, town(picture), splits=(wanted,))
    assert [set(one.split()) for one in sides(found)] == [set(stable.split()), set(canary.split())]
    reserve = [one for name in (BACKEND, CANARY) for one in found.servers[name] if one.name.endswith("_backup")]
    assert all(one.arguments[0] == "backup" for one in reserve)
    assert not found.problems


@pytest.mark.parametrize(
    ("wanted", "weight", "routes"),
    [
        pytest.param(split(500, headers=(ROUTE,)), "500", 1, id="its weight"),
        pytest.param(split(0, headers=(ROUTE,)), "0", 1, id="routes lead there at any weight"),
        pytest.param(split(20_000), "10000", 0, id="never more than all"),
        pytest.param(split(-5), "0", 0, id="never less than none"),
        pytest.param(IDLE, "0", 0, id="no canary"),
        pytest.param(replace(IDLE, weight=500, headers=(ROUTE,)), "0", 0, id="no canary, whatever else is said"),
        pytest.param(split(500, withdrawn=True, headers=(ROUTE,)), "0", 0, id="it goes back"),
        pytest.param(split(500, canary_service="web", headers=(ROUTE,)), "10000", 0, id="the canary's own Service"),
        pytest.param(split(0, canary_service="web", withdrawn=True), "0", 0, id="even that one when it goes back"),
        pytest.param(replace(IDLE, canary_service="web"), "0", 0, id="and between two canaries"),
        pytest.param(split(500, stable_service="web", headers=(ROUTE,)), "0", 0, id="the stable pods' own Service"),
    ],
)
def test_weights_and_routes_are_in_maps(wanted: Split, weight: str, routes: int) -> None:
    found = config(WEB, SITE, town(), splits=(wanted,))
    names = [BACKEND, "svc.shop.web.5432", "ingress.shop.web.5432"]
    assert found.maps[WEIGHTS] == dict.fromkeys(names, weight)
    assert len(found.maps[HEADER_ROUTES]) == routes * len(names)
    assert {name: found.maps[name] for name in FIRST} == first_maps((WEB,), town(), (wanted,))


def test_a_service_of_stable_pods_is_split_for_the_ingresses_that_are_named() -> None:
    """As Argo Rollouts does with nginx. Whoever asks the Service itself, or by another Ingress, gets stable pods."""
    web, other = service("web", 80), ingress("other", "other.test/ Prefix web:80")
    site = ingress("site", "shop.test/ Prefix web:80")
    wanted = split(500, stable_service="web", ingresses=("site",), headers=(ROUTE,), sticky=Stickiness("client"))
    found = config(web, site, other, town("ON"), splits=(wanted,))
    assert found.maps[INGRESS_PREFIX] == {"shop.test/": "ingress.shop.web.80", "other.test/": BACKEND}
    assert found.maps[WEIGHTS] == {BACKEND: "0", "ingress.shop.web.80": "500"}
    assert [key.startswith(r"^ingress\x2eshop") for key in found.maps[HEADER_ROUTES]] == [True]
    assert found.maps[STICKY] == {"ingress.shop.web.80": "client|shop/web"}
    assert sides_of(found, "ingress.shop.web.80:canary") == {"shop.n1", "shop.o0_backup"}
    assert {name: found.maps[name] for name in FIRST} == first_maps((web,), town("ON"), (wanted,))
    gone = config(web, site, other, town("ON"), splits=(replace(wanted, weight=0, withdrawn=True),))
    assert gone.maps[WEIGHTS]["ingress.shop.web.80"] == "0" and gone.structure == found.structure
    plain = config(web, site, other, town("ON"), splits=(replace(wanted, ingresses=()),))
    assert plain.maps[INGRESS_PREFIX] == {"shop.test/": BACKEND, "other.test/": BACKEND}
    assert plain.maps[WEIGHTS] == {BACKEND: "0"}


def test_every_way_in_chooses() -> None:
    found = config(WEB, SITE, town(), splits=(split(sticky=Stickiness("cookie", "uid")),))
    http = ("frontend vip.shop.web.80", "frontend node.", "frontend ingress.http", "frontend ingress.https")
    for head in http:
        name = next(line.split()[1] for line in found.text.splitlines() if line.startswith(head))
        lines = section(found, f"frontend {name}")
        assert f"http-request set-var(txn.backend) var(txn.canary) if {FALLS}" in lines, head
        assert any("req.cook(uid)" in line for line in lines)
        assert any(line.startswith("use_backend %[var(txn.backend)]") for line in lines)
    assert section(found, "frontend vip.shop.web.5432")[-2:] == [
        "use_backend svc.shop.web.5432:canary if { nbsrv(svc.shop.web.5432:canary) gt 0 }"
        " { var(txn.lot),sub(txn.weight) -m int lt 0 }",
        "default_backend svc.shop.web.5432",
    ]
    assert {"ingress.shop.web.5432", "ingress.shop.web.5432:canary"} <= set(found.servers)


FALLS = "{ var(txn.route) -m found } or { var(txn.lot),sub(txn.weight) -m int lt 0 }"


def test_a_cluster_without_strategies_has_nothing_of_it() -> None:
    found = config(WEB, SITE, town())
    assert "canary" not in found.text and WEIGHTS not in found.maps
    assert sides_of(found, BACKEND) == {"shop.o0", "shop.o1", "shop.n2", "shop.l3"}
    assert first_maps((WEB,), town(), ()) == {}


def sides_of(found: RouterConfig, backend: str) -> set[str]:
    return {one.name for one in found.servers[backend]}


PHASES = (
    IDLE,
    split(0),
    split(500, headers=(ROUTE,)),
    split(10_000),
    split(0, withdrawn=True),
    replace(IDLE, weight=9),
)
PICTURES = ("", "OO", "OON", "ONNy", "NN", "lxN", "on")


@given(
    st.sampled_from(PHASES), st.sampled_from(PHASES), st.sampled_from(PICTURES), st.sampled_from(PICTURES),
    st.sampled_from([None, Stickiness("client"), Stickiness("cookie"), Stickiness("header", "x-user")]),
    st.sampled_from(["", "web"]), st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_neither_phase_nor_weight_nor_pods_are_structure(
    one: Split, other: Split, before: str, after: str, sticky: Stickiness | None, canary_service: str, affine: bool
) -> None:
    spec = {"sessionAffinity": "ClientIP"} if affine else {}
    web = service("web", 80, 5432, type="NodePort", **spec)
    first, second = (
        config(web, SITE, town(picture), splits=(replace(wanted, sticky=sticky, canary_service=canary_service),))
        for wanted, picture in ((one, before), (other, after))
    )
    assert first.structure == second.structure


def test_the_property_finds_what_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = splits.choices

    def broken(*args: Any) -> Any:
        found, problems = real(*args)
        return {uid: one for uid, one in found.items() if one.split.canary_hash}, problems

    monkeypatch.setattr(splits, "choices", broken)
    with pytest.raises(AssertionError):
        hunted(
            test_neither_phase_nor_weight_nor_pods_are_structure, st.sampled_from(PHASES), st.sampled_from(PHASES),
            st.just("OON"), st.just("OON"), st.none(), st.just(""), st.just(False),
        )  # fmt: skip


def test_a_strategy_stickiness_and_its_name_are_structure() -> None:
    kinds = [None, Stickiness("client"), Stickiness("cookie"), Stickiness("cookie", "a"), Stickiness("cookie", "b")]
    found = {config(WEB, town(), splits=(split(sticky=one),)).structure for one in kinds}
    assert len(found | {config(WEB, town()).structure}) == len(kinds) + 1


def test_a_service_is_split_by_its_pods_where_labels_say_nothing() -> None:
    """A template whose labels changed: the Service still selects the old pods."""
    found = config(WEB, town("OO"), splits=(split(labels=(("app", "web2"),)),))
    assert CANARY in found.servers
    assert CANARY not in config(WEB, (), splits=(split(labels=(("app", "web2"),)),)).servers
    assert CANARY in config(WEB, (), splits=(split(),)).servers
    assert CANARY not in config(WEB, (), splits=(replace(split(), workload="else/web"),)).servers


def test_maps_know_a_pod_by_both_of_its_names() -> None:
    them = tuple(replace(one, readiness=httpget("/ready"), revision=3) for one in town("ON"))
    found = config(WEB, them, splits=(split(),))
    names = {"shop.o0", "shop.o0_backup", "shop.n1", "shop.n1_backup"}
    assert found.maps[REVISIONS] == dict.fromkeys(names, "3")
    assert set(found.maps["maps/check-path.map"]) == set(found.maps["maps/check-host.map"]) == names


@pytest.mark.parametrize(
    ("things", "wanted", "said"),
    [
        pytest.param(
            (service("web", 80, clusterIP="None", index=0),), split(),
            "Service shop/web (headless) leads to single pods of shop/web, so no requests are split there: use a"
            " Service with an address to give a canary its share", id="headless",
        ),
        pytest.param(
            (WEB,), split(sticky=Stickiness("cookie", "uid")),
            "Service shop/web: port 5432 is carried as tcp: the client's address decides there who goes to the canary",
            id="a cookie over tcp",
        ),
        pytest.param(
            (WEB,), split(headers=(ROUTE,)),
            "Service shop/web: port 5432 is carried as tcp: header routes lead nobody to the canary there",
            id="a header over tcp",
        ),
        pytest.param(
            (service("web", 80),), split(headers=(HeaderRoute("r", (HeaderMatch("x", "regex", "(a+)+"),)),)),
            "Service shop/web: header route 'r' is left out: header x: its regex repeats with '+' a group with a choice"
            " or a repetition in it", id="a regex that is refused",
        ),
        pytest.param(
            (service("web", 80),), split(sticky=Stickiness("header", "a b")),
            "the canary of shop/web is not sticky: a header named 'a b' cannot be asked for; use up to 64 letters,"
            " digits, - and _", id="a name that is none",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(things: tuple[Any, ...], wanted: Split, said: str) -> None:
    assert said in config(*things, town(), splits=(wanted,)).problems


def test_of_two_workloads_behind_one_service_the_first_is_split() -> None:
    api = pods("api", "a:RR", template_hash=NEW, owner="Deployment/api", labels={"app": "web"})
    other = Split("shop/api", NEW, 300, labels=(("app", "web"),))
    found = config(service("web", 80), town("ON"), api, splits=(split(), other))
    assert sides_of(found, CANARY) == {"shop.api-1", "shop.api-2", "shop.o0_backup", "shop.n1_backup"}
    assert found.maps[WEIGHTS] == {BACKEND: "300"}
    assert found.problems == (
        "Service shop/web selects pods of 2 workloads with a canary: shop/api is split, all pods of shop/web get"
        " traffic as stable ones; give each workload a Service of its own",
    )


def test_client_affinity_makes_the_choice_sticky() -> None:
    found = config(service("web", 80, sessionAffinity="ClientIP"), town(), splits=(split(),))
    assert found.maps[STICKY][BACKEND] == "client|shop/web"
    assert "stick match src" in section(found, f"backend {CANARY}")
    named = config(service("web", 80), town(), splits=(split(sticky=Stickiness("cookie", "pierhead-canary")),))
    assert named.maps[STICKY][BACKEND] == "cookie|shop/web"


def test_easing_takes_and_never_gives() -> None:
    running = {
        WEIGHTS: {"a": "500", "b": "100", "c": "300", "d": "0"},
        HEADER_ROUTES: {"^x": "canary", "^gone;": "canary"},
    }
    wanted = {WEIGHTS: {"a": "0", "b": "900", "d": "0", "e": "7"}, HEADER_ROUTES: {"^x": "canary", "^new": "canary"}}
    weights, routes = map_path(WEIGHTS), map_path(HEADER_ROUTES)
    assert set(easing(running, wanted)) == {
        f"set map {weights} a 0", rf"del map {routes} ^gone\;",
    }  # fmt: skip


TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "a\n    server evil 6.6.6.6:80",
        "a b",
        "%[env(HOME)]",
        '"',
        "\\",
        "#a",
        "a;b",
        "a}",
        "a\x00b",
        "\r\n",
        "(?#",
        "${A}",
    ]
)
MATCHES = st.builds(HeaderMatch, TEXT, st.sampled_from(["exact", "prefix", "regex"]), TEXT)


def made(wanted: Split) -> Cluster:
    return cluster(WEB, SITE, town(), splits=(wanted,))


@given(st.lists(st.builds(HeaderRoute, TEXT, st.lists(MATCHES, max_size=3).map(tuple)), max_size=3).map(tuple))
@settings(deadline=None)
def test_no_word_of_a_header_route_is_in_the_text(routes: tuple[HeaderRoute, ...]) -> None:
    found = router_config(made(split(headers=routes)))
    assert found.text == router_config(made(split())).text
    for key, value in found.maps[HEADER_ROUTES].items():
        assert value == "canary" and key.isascii() and key.isprintable() and " " not in key
        assert key.startswith(("^svc\\x2eshop\\x2eweb\\x2e", "^ingress\\x2eshop\\x2eweb\\x2e"))
    assert all(problem.isprintable() for problem in found.problems)


@given(TEXT, TEXT, st.sampled_from(["cookie", "header", "client"]))
@settings(deadline=None)
def test_no_name_that_is_none_is_in_the_text(workload: str, name: str, by: Any) -> None:
    """One that is left out leaves the text of a strategy without it; any other adds no word."""
    found = router_config(made(split(sticky=Stickiness(by, name))))
    assert (
        found.text == PLAIN or shape(found.text) == shape(router_config(made(split(sticky=LIKE[by]))).text) or not name
    )
    renamed = router_config(made(replace(split(), workload=f"shop/{workload}")))
    assert shape(renamed.text) in (shape(PLAIN), shape(UNSPLIT))


def shape(text: str) -> list[int]:
    """Words by line, but for those of pods."""
    lines = (
        line for line in text.splitlines() if "proc.structure" not in line and not line.startswith("    server shop.")
    )
    return [len(line.split()) for line in lines]


LIKE = {"cookie": Stickiness("cookie", "uid"), "header": Stickiness("header", "uid"), "client": Stickiness("client")}
PLAIN, UNSPLIT = router_config(made(split())).text, router_config(cluster(WEB, SITE, town())).text
