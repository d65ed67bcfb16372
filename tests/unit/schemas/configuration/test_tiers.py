"""How often each tier is polled, and how far polls of bars overlap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.configuration.streams import BAR_INTERVALS
from schemas.configuration.tiers import TierCadence, Tiers, cadence_us, overlap_us
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US, slot_us
from schemas.universe import TIERS


@pytest.mark.parametrize(
    ("interval", "every_s", "every_us"),
    [
        pytest.param("1m", 60.0, MINUTE_US, id="a-minute-as-it-is-said"),
        pytest.param("1m", 5.0, 5 * SECOND_US, id="minutes-as-told"),
        pytest.param("5m", 30.0, MINUTE_US, id="a-fifth-of-five"),
        pytest.param("5m", 300.0, 5 * MINUTE_US, id="slower-than-a-fifth"),
        pytest.param("1h", 60.0, 12 * MINUTE_US, id="a-fifth-of-an-hour"),
        pytest.param("1d", 60.0, HOUR_US, id="a-day-hourly"),
        pytest.param("1d", 3600.0, HOUR_US, id="never-less-than-hourly"),
    ],
)
def test_a_longer_bar_is_polled_less_often(interval: str, every_s: float, every_us: int) -> None:
    """Every fifth of its length, at most hourly."""
    assert cadence_us(interval, every_s) == every_us


def test_a_poll_asks_for_two_bars_again_at_least() -> None:
    """The overlap of the file holds where it is more."""
    assert overlap_us("1m", 300.0) == 5 * MINUTE_US
    assert overlap_us("5m", 300.0) == 10 * MINUTE_US
    assert overlap_us("1d", 300.0) == 2 * DAY_US


def test_what_a_tier_does_not_say_is_its_default_or_the_streams_own() -> None:
    """A faster T1 draws T0 with it, a slower one T2."""
    tiers = Tiers()

    assert [tiers.bars_every_s(tier, 60.0) for tier in TIERS] == [30.0, 60.0, 300.0]
    assert [tiers.quotes_every_s(tier, 5.0) for tier in TIERS] == [1.0, 5.0, 60.0]
    assert [tiers.bars_every_s(tier, 10.0) for tier in TIERS] == [10.0, 10.0, 300.0]
    assert [tiers.quotes_every_s(tier, 90.0) for tier in TIERS] == [1.0, 90.0, 90.0]
    assert [tiers.options_every_s(tier, 300.0) for tier in TIERS] == [60.0, 300.0, 900.0]
    assert [tiers.options_every_s(tier, 30.0) for tier in TIERS] == [30.0, 30.0, 900.0]
    assert [tiers.options_every_s(tier, 1800.0) for tier in TIERS] == [60.0, 1800.0, 1800.0]


def test_what_a_tier_says_is_what_holds() -> None:
    """Each stream of each tier on its own."""
    tiers = Tiers(
        T0=TierCadence(quotes_every_s=2.0, options_every_s=120.0), T2=TierCadence(bars_every_s=900.0)
    )

    assert [tiers.quotes_every_s(tier, 5.0) for tier in TIERS] == [2.0, 5.0, 60.0]
    assert [tiers.bars_every_s(tier, 60.0) for tier in TIERS] == [30.0, 60.0, 900.0]
    assert [tiers.options_every_s(tier, 300.0) for tier in TIERS] == [120.0, 300.0, 900.0]


@pytest.mark.parametrize(
    ("stream", "seconds"),
    [
        ("bars", 0.5),
        ("bars", 3601.0),
        ("quotes", 0.4),
        ("options", 9.0),
        ("options", 3601.0),
        ("options", "nan"),
    ],
)
def test_a_cadence_that_no_vendor_or_reader_would_bear_is_refused(stream: str, seconds: float) -> None:
    """By its name, so that it is found in the file."""
    name = f"{stream}_every_s"
    with pytest.raises(ValidationError, match=name):
        TierCadence.model_validate({name: seconds})


def test_a_stream_no_tier_knows_is_refused() -> None:
    """A slip would be a default that nobody asked for."""
    with pytest.raises(ValidationError, match="option_every_s"):
        TierCadence.model_validate({"option_every_s": 60.0})


@given(
    interval=st.sampled_from(BAR_INTERVALS),
    own_s=st.floats(1.0, 3600.0),
    overlap_s=st.floats(60.0, 86_400.0),
)
def test_tiers_are_in_order_and_no_bar_slips_between_two_polls(
    interval: str, own_s: float, overlap_s: float
) -> None:
    """T0 is never slower than T1, nor T1 than T2; between two polls lies less than what a poll asks for again."""
    every = [cadence_us(interval, Tiers().bars_every_s(tier, own_s)) for tier in TIERS]

    assert every == sorted(every)
    assert overlap_us(interval, overlap_s) >= 2 * slot_us(interval)
    fastest = SECOND_US if interval == "1m" else min(slot_us(interval) // 5, HOUR_US)
    assert all(fastest <= each <= HOUR_US for each in every)
    chains = [Tiers().options_every_s(tier, own_s) for tier in TIERS]
    assert chains == sorted(chains)
