"""What the configuration adds to calendars, as one value, and the fingerprint of how calendars answer."""

from __future__ import annotations

import pytest

from schemas.calendar import hours, overlay
from schemas.calendar.overlay import NO_OVERLAY, NOTHING, calendar_fingerprint, overlay_of

CLOSED = overlay_of({"XNYS": ["2025-01-09"]}, {})


def test_overlays_that_say_the_same_are_equal() -> None:
    """Whatever the order, and whether a market without a day is mentioned."""
    one = overlay_of({"XNYS": ["2025-01-09", "2025-01-08"], "XLON": []}, {"FX": {"2025-01-02": "12:00"}})
    other = overlay_of(
        {"XNYS": ["2025-01-08", "2025-01-09", "2025-01-08"]}, {"FX": {"2025-01-02": "12:00"}, "XPAR": {}}
    )

    assert one == other and hash(one) == hash(other)
    assert calendar_fingerprint(one) == calendar_fingerprint(other)
    assert overlay_of({"XNYS": []}, {}) == NO_OVERLAY
    assert one.of("XNYS").closed == {"2025-01-08", "2025-01-09"}
    assert one.of("FX").early_closes == (("2025-01-02", "12:00"),)
    assert one.of("XLON") == NOTHING


def test_a_fingerprint_tells_overlays_apart() -> None:
    """A closed day, another market's, and an early close are three things; it is 16 digits of hex."""
    prints = [
        calendar_fingerprint(each)
        for each in (
            NO_OVERLAY,
            CLOSED,
            overlay_of({"XLON": ["2025-01-09"]}, {}),
            overlay_of({}, {"XNYS": {"2025-01-09": "13:00"}}),
            overlay_of({}, {"XNYS": {"2025-01-09": "14:00"}}),
        )
    ]

    assert len(set(prints)) == 5
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in prints)


@pytest.mark.parametrize("changed", ["library", "table", "rules"])
def test_a_fingerprint_tells_calendars_apart(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another library, another fact in our table, another rule: another answer, so another fingerprint."""
    before = calendar_fingerprint(CLOSED)
    overlay.tables.cache_clear()
    if changed == "library":
        monkeypatch.setattr(overlay, "version", lambda _: "99.0")
    elif changed == "table":
        monkeypatch.setattr(hours, "HOURS", {**hours.HOURS, "XTST": hours.VenueHours(source="x")})
    else:
        monkeypatch.setattr(overlay, "RULES", overlay.RULES + 1)
    try:
        assert calendar_fingerprint(CLOSED) != before
    finally:
        monkeypatch.undo()
        overlay.tables.cache_clear()
    assert calendar_fingerprint(CLOSED) == before
