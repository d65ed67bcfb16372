"""Random tellings of entries: a source's list of actions or vintages, told again and again, in any order, and changed."""

from __future__ import annotations

from random import Random
from typing import Any

from schemas.clocks import day_of
from schemas.entries import MacroObservation
from schemas.intervals import DAY_US, EPOCH, HOUR_US, SECOND_US
from schemas.partitions import partition_of
from schemas.streams import BY_RAW_TOPIC
from schemas.topics import DEFAULT_PARTITIONS
from tests.support.stream_values import an_event

SERIES = tuple(
    key
    for key in ("FRED:GDPC1", "FRED:UNRATE", "FRED:PAYEMS", "FRED:CPIAUCSL", "FRED:DFF", "UST:10Y", "UST:2Y", "FRED:ICSA")
    if partition_of(key, DEFAULT_PARTITIONS) == 0
)  # fmt: skip
PERIODS, VINTAGES, ACTIONS = 4, 3, 5  # few, so that each is told of often
FIRST_DAY = day_of(EPOCH.replace(year=2016).date())
LONG_AGO_US = -86_400 * SECOND_US  # a source of old values says them of before 1970
MONTH_DAYS = 31

Event = dict[str, Any]


class Tellings:
    """What sources say of the entries of one raw topic."""

    def __init__(self, random: Random, topic: str, *, flips: float, future: float) -> None:
        """Change an entry with the chance `flips` a telling, and stamp it ahead of time with the chance `future`."""
        self._random, self._stream = random, BY_RAW_TOPIC[topic]
        self._flips, self._future = flips, future
        self._told: dict[tuple[str, str], dict[int, Event]] = {}  # by provider and symbol

    @property
    def of_series(self) -> bool:
        """Whether the entries are of macro series."""
        return self._stream.record is MacroObservation

    def of_poll(self, provider: str, symbol: str, now: int) -> list[Event]:
        """Return the answer of one poll of a symbol: what was told before again, changed or not, and news, in any order."""
        random, told = self._random, self._told.setdefault((provider, symbol), {})
        for _ in range(random.randint(0, 2)):
            self._change(told)
        answer = [dict(each) for each in told.values() if random.random() < 0.8]
        random.shuffle(answer)
        if answer and random.random() < 0.1:
            answer.append(dict(random.choice(answer)))  # a source that says a thing twice
        for event in answer:
            event["symbol"], event["event_time"] = symbol, self._stamp(now)
        if random.random() < 0.05:
            answer.append(self._impossible(symbol, now))
        return answer

    def _change(self, told: dict[int, Event]) -> None:
        random = self._random
        number = random.randrange(PERIODS * VINTAGES if self.of_series else ACTIONS)
        if number not in told:
            told[number] = self._observation(number) if self.of_series else self._action(number)
        elif random.random() < self._flips:
            # There and back, so that a version equals one that was known before.
            changed = self._corrected() if self.of_series else self._revised(number)
            told[number] = told[number] | changed

    def _observation(self, number: int) -> Event:
        period, vintage = FIRST_DAY + number // VINTAGES * MONTH_DAYS, number % VINTAGES
        begun = None if vintage == 0 else period + MONTH_DAYS * (vintage + 1)
        published = None if begun is None else (begun + 1) * DAY_US - 1
        return an_event(
            self._stream, period_start=period, period_end=period + MONTH_DAYS, vintage_start=begun, value=1.0, frequency="M",
            published_at=published, published_precision="none" if published is None else "date", simulated=True,
        )  # fmt: skip

    def _corrected(self) -> Event:
        random = self._random
        if random.random() < 0.2:
            return {"units": random.choice(("", "Percent"))}
        return {"value": random.choice((1.0, 2.0, -0.5, None))}

    def _action(self, number: int) -> Event:
        day = FIRST_DAY + number * 7
        published = None if number % 2 else (day - 20) * DAY_US
        return an_event(
            self._stream, action_id=f"dividend-{number}", type="cash_dividend", ex_date=day, ratio_to=None, ratio_from=None,
            amount=0.5, currency="USD", state="announced", published_at=published,
            published_precision="none" if published is None else "time", simulated=True,
        )  # fmt: skip

    def _revised(self, number: int) -> Event:
        random, day = self._random, FIRST_DAY + number * 7
        return random.choice(
            (
                {"amount": random.choice((0.5, 0.55))},
                {"ex_date": day + random.choice((0, 3, 30))},
                {"state": random.choice(("announced", "confirmed", "cancelled"))},
            )
        )

    def _stamp(self, now: int) -> int:
        """Return when it was said: mostly now, of old values long ago, and by a clock that is ahead in a while."""
        roll = self._random.random()
        if roll < self._future:
            return now + self._random.randint(6 * SECOND_US, 2 * HOUR_US)
        if roll < 0.5:
            return LONG_AGO_US if self.of_series else now - 90 * DAY_US
        return now - self._random.choice((0, SECOND_US, 3 * DAY_US))

    def _impossible(self, symbol: str, now: int) -> Event:
        """Return an entry that nothing can be: a dividend below nothing, a period that is over before it begins."""
        event = self._observation(0) if self.of_series else self._action(0)
        wrong = {"period_end": event["period_start"]} if self.of_series else {"amount": -0.5}
        return event | wrong | {"symbol": symbol, "event_time": now}
