"""What the benchmark of the network reads out of wrk, and how it compares our ways in with Docker Swarm's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import beside_swarm
from tests.benchmarks.beside_swarm import NAT, SWARM, Way, compare
from tests.benchmarks.figures import COLLECTED, OURS, load
from tests.benchmarks.wrk import read
from tests.engines.net import Client

SAID = """\
  Latency Distribution
     50%  {median}
     99%    5.00ms
  10000 requests in 5.00s, 1.00MB read
{more}Requests/sec:   2000.25
"""
PORT = "a published port"


@pytest.mark.parametrize(("median", "ms"), [("80.00us", 0.08), ("1.25ms", 1.25), ("2.00s", 2000.0)])
def test_wrk_says_median_and_rate(median: str, ms: float) -> None:
    assert read(SAID.format(median=median, more="")) == (pytest.approx(ms), 2000.25)


@pytest.mark.parametrize(
    "failed",
    ["  Non-2xx or 3xx responses: 7\n", "  Socket errors: connect 0, read 3, write 0, timeout 0\n"],
)
def test_requests_that_failed_are_no_throughput(failed: str) -> None:
    with pytest.raises(AssertionError, match="Requests/sec"):
        read(SAID.format(median="1.00ms", more=failed))


def test_ways_are_asked_in_turns_and_compared_round_by_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is ten times slower in the second round: both are, and the ratio stays."""
    asked: list[tuple[str, bool, bool]] = []
    rates = {"ours": 50.0, "swarm": 100.0, "nat": 80.0}

    def wrk(url: str, clients: int, seconds: int, *, at: Client | None, new: bool) -> tuple[float, float]:
        asked.append((url, at is not None, new))
        slower = 10 if sum(one == asked[-1] for one in asked) == 2 else 1
        return 1.0, rates[url.partition("-")[0]] / slower

    monkeypatch.setattr(beside_swarm, "wrk", wrk)
    monkeypatch.setattr(beside_swarm, "_answers", lambda url: True)
    monkeypatch.setenv(COLLECTED, str(tmp_path / "figures"))
    at = Client.__new__(Client)
    names = {OURS: "ours", SWARM: "swarm", NAT: "nat"}
    compare([Way(of, f"{name}-port", f"{name}-address", at) for of, name in names.items()], 1, 2)

    turn = ["ours-port", "swarm-port", "nat-port"]
    assert [url for url, _, new in asked if not new][:6] == [*turn, *turn]
    assert {(url, inside) for url, inside, _ in asked} == {
        (f"{name}-{way}", way == "address") for name in names.values() for way in ("port", "address")
    }
    assert sum(new for _, _, new in asked) == 6
    found = {(one.name, one.of): one for one in load(tmp_path / "figures")}
    assert found[f"{PORT}, 8 clients", OURS].values == (50.0, 5.0)
    beside = found[f"{PORT}: throughput against {SWARM}", OURS]
    assert (beside.values, beside.at_least, beside.aim, beside.verdict) == ((0.5, 0.5), 1.0, 1.5, "missed")
    stand_in = found[f"{PORT}: throughput against {NAT}", OURS]
    assert (stand_in.values, stand_in.verdict) == ((0.625, 0.625), "missed")
    assert not found[f"a virtual address: throughput against {SWARM}", OURS].verdict
