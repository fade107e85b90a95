"""Quantities, against Kubernetes' rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.objects.quantity import cpu_millicores, format_cpu, format_memory, memory_bytes


@pytest.mark.parametrize(
    ("text", "millicores"),
    [
        ("0", 0), ("1", 1000), ("0.5", 500), (".5", 500), ("1.", 1000), ("500m", 500), ("1500m", 1500), ("+2", 2000),
        ("100u", 1), ("1n", 1), ("0.0001", 1), ("1001u", 2), ("1e-1", 100), ("2k", 2_000_000), ("0.1", 100),
    ],
)  # fmt: skip
def test_cpu_is_counted_in_thousandths_and_rounded_up(text: str, millicores: int) -> None:
    assert cpu_millicores(text) == millicores


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0), ("1Gi", 2**30), ("1G", 10**9), ("1.5Gi", 3 * 2**29), ("128Mi", 2**27), ("100k", 100_000),
        ("1e3", 1000), ("1E3", 1000), ("1E", 10**18), ("0.5", 1), ("100m", 1), ("7Ei", 7 * 2**60), ("1Ki", 1024),
    ],
)  # fmt: skip
def test_memory_is_counted_in_bytes_and_rounded_up(text: str, count: int) -> None:
    assert memory_bytes(text) == count


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1KB", "1ki", "Gi", ".", "1.2.3", "--1", "1e", "0x10", "1,5", "١", "1_000", "inf", "9" * 70],
)
def test_what_is_no_quantity_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity: write"):
        memory_bytes(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("-1", '"-1" is negative: write bytes such as "512Mi" or "1Gi"'),
        ("8Ei", '"8Ei" is more than can be counted'),
        ("1e31", "has an exponent beyond 30"),
        ("1e-99999999999", "has an exponent beyond 30"),
    ],
)
def test_what_cannot_be_counted_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        memory_bytes(text)


@pytest.mark.parametrize(
    ("millicores", "text"), [(0, "0"), (1, "1m"), (500, "500m"), (1000, "1"), (1500, "1500m"), (64000, "64")]
)
def test_cpu_is_written_as_kubernetes_does(millicores: int, text: str) -> None:
    assert format_cpu(millicores) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (1, "1"), (1023, "1023"), (2**20, "1Mi"), (2**30, "1Gi"), (3 * 2**29, "1536Mi"), (5000, "5k"),
     (10**9, "1G"), (2**60, "1Ei")],
)  # fmt: skip
def test_memory_is_written_in_powers_of_1024_where_it_can_be(count: int, text: str) -> None:
    assert format_memory(count) == text


@given(st.integers(min_value=0, max_value=2**62))
def test_what_is_written_reads_back_as_the_same_number(count: int) -> None:
    assert memory_bytes(format_memory(count)) == count
    assert cpu_millicores(format_cpu(count)) == count


@given(st.text(max_size=80))
def test_no_text_does_anything_but_read_or_say_why(text: str) -> None:
    for read in (cpu_millicores, memory_bytes):
        try:
            assert 0 <= read(text) < 2**63
        except ValueError as error:
            assert ": write" in str(error)
