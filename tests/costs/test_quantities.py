"""Numbers as people write them."""

import pytest

from pytest_archcheck import UsageError
from pytest_archcheck.costs.quantities import limit, quantity


@pytest.mark.parametrize(
    ("stated", "inside", "outside"),
    [
        (1000, [1000], [999, 1001]),
        ("1.81G", [1_805_000_000, 1_814_073_344, 1_815_000_000], [1_804_999_999, 1_815_000_001]),
        ("11.7M", [11_689_512], [11_749_999 + 2, 11_649_999]),
        ("25 M", [24_500_000, 25_500_000], [24_499_999]),
        ("7B", [7_000_000_000, 6_738_415_616], [6_499_999_999]),
        ("1,814,073,344", [1_814_073_344], [1_814_073_345]),
        ("1_000", [1000], [1001]),
    ],
)
def test_a_string_stands_for_half_of_its_last_digit(stated, inside, outside):
    wanted = quantity(stated)

    assert all(wanted.allows(number) for number in inside)
    assert not any(wanted.allows(number) for number in outside)


def test_a_bare_number_counts_in_the_unit_of_its_mark():
    """``arch_size("44.66")`` is MiB, as ``arch_size(44.66)`` is."""
    assert quantity("44.66", rel=0.005, unit=2**20).allows(46_796_608)
    assert quantity(44.66, rel=0.005, unit=2**20).allows(46_796_608)


def test_a_relative_tolerance_replaces_it():
    assert quantity(100, rel=0.05).allows(105)
    assert not quantity(100, rel=0.05).allows(106)


def test_an_absolute_tolerance_replaces_it():
    assert quantity("1G", within="5M").allows(1_005_000_000)
    assert not quantity("1G", within="5M").allows(1_005_000_001)


@pytest.mark.parametrize(
    ("stated", "inside", "outside"),
    [
        ("≤ 3.6G", [0, 3_600_000_000], [3_600_000_001]),
        ("<=3.6G", [3_600_000_000], [3_600_000_001]),
        (">= 1M", [1_000_000, 10**12], [999_999]),
    ],
)
def test_a_limit_is_exact_and_open_on_one_side(stated, inside, outside):
    """The half digit of ``"3.6G"`` is no part of ``"≤ 3.6G"``."""
    wanted = quantity(stated)

    assert all(wanted.allows(number) for number in inside)
    assert not any(wanted.allows(number) for number in outside)


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        ("1 KiB", 1024),
        ("44.66 MiB", 46_829_404.16),
        ("3B", 3),
        ("5 kB", 5000),
        ("2GB", 2 * 10**9),
        ("1M", 10**6),
        (2, 2**21),
    ],
)
def test_bytes_have_units_of_their_own(stated, size):
    assert float(quantity(stated, unit=2**20).value) == size


def test_a_limit_by_keyword_is_the_same():
    assert limit("3.6G", "≤").allows(3_600_000_000)
    assert not limit("3.6G", "≤").allows(3_600_000_001)
    assert limit(2.0, "≥", unit=2**20).allows(2**21)
    with pytest.raises(UsageError, match="'≤ 3G' says ≤ itself"):
        limit("≤ 3G", "≤")


@pytest.mark.parametrize(
    ("stated", "options", "message"),
    [
        ("a lot", {}, "'a lot' is no number; write one like"),
        ("1.8X", {}, "is no number; write one like"),
        (True, {}, "True is no number"),
        (-1, {}, "it must be finite and not negative"),
        (float("nan"), {}, "it must be finite"),
        (1.5, {}, r"1.5 is no exact count; write an integer"),
        (1, {"rel": 5}, "rel=5 is no share between 0 and 1"),
        (1, {"rel": True}, "rel=True is no share"),
        (1, {"rel": 0.1, "within": 1}, "rel=0.1 and abs=1: give one tolerance"),
        (1, {"within": "some"}, "'some' is no number"),
        (1, {"within": "≤ 5"}, "'≤ 5' says ≤ itself"),
        ("44 MiB", {}, "'44 MiB' is no number; write one like .*K, M, G, T are powers of 1000, B is G"),
        ("44 Mb/s", {"unit": 2**20}, "write one like .*MiB"),
        ("1,81G", {}, "'1,81G' is no number"),
        ("1__0", {}, "'1__0' is no number"),
        ("< 3G", {}, "'< 3G' is no number; write one like"),
    ],
)
def test_what_is_no_number_is_told(stated, options, message):
    with pytest.raises(UsageError, match=message):
        quantity(stated, **options)
