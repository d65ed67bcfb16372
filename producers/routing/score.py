"""Score of a provider in a capability, one number in [0, 1]; pure, `now_s` is monotonic seconds.

Four parts are remembered, each as an average whose memory halves every `half_life_s`: success of polls, latency,
freshness and validity of what they brought. A sample stands for the time since the one before, so how often a provider
is asked changes nothing. A provider that lies loses validity, and with it score, exactly like one that fails.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

LATENCY_WEIGHT = 0.3  # of the score, at most, is lost by answering at the deadline
# of the score, at most, is lost by old values: old is worse than late, better than none
FRESHNESS_WEIGHT = 0.65
BREAKER_CAPS = {"closed": 1.0, "half_open": 0.5, "open": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """A time-aware exponentially weighted average in [0, 1]."""

    value: float
    at_s: float

    def after(self, sample: float, now_s: float, half_life_s: float) -> Average:
        """Return the average once `sample` (cut to [0, 1]) has stood for the time since the last one."""
        weight = 1.0 - 0.5 ** (max(0.0, now_s - self.at_s) / half_life_s)
        value = self.value + (min(max(sample, 0.0), 1.0) - self.value) * weight
        return Average(value=min(max(value, 0.0), 1.0), at_s=max(self.at_s, now_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Marks of one answer, each in [0, 1]; None where it cannot be judged.

    `sound`: nothing in the answer speaks against the provider.
    """

    latency: float
    success: float = 1.0
    freshness: float | None = None
    validity: float | None = None
    sound: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityHealth:
    """Memory of one provider in one capability; `sound_since_s` None means: nothing good yet."""

    success: Average
    latency: Average
    freshness: Average
    validity: Average
    sound_since_s: float | None = None


def unknown(now_s: float, half_life_s: float) -> CapabilityHealth:
    """Return the health of a provider nobody has asked: trusted, and the first sample counts for half."""
    start = Average(value=1.0, at_s=now_s - half_life_s)
    return CapabilityHealth(success=start, latency=start, freshness=start, validity=start)


def answered(health: CapabilityHealth, sample: Sample, now_s: float, half_life_s: float) -> CapabilityHealth:
    """Return the health after an answer."""
    judged = {
        name: getattr(health, name).after(value, now_s, half_life_s)
        for name, value in (
            ("success", sample.success),
            ("latency", sample.latency),
            ("freshness", sample.freshness),
            ("validity", sample.validity),
        )
        if value is not None
    }
    since = None
    if sample.sound:
        since = now_s if health.sound_since_s is None else health.sound_since_s
    return replace(health, **judged, sound_since_s=since)


def failed(health: CapabilityHealth, success: float, now_s: float, half_life_s: float) -> CapabilityHealth:
    """Return the health after a poll that brought nothing, where a share `success` of what was asked for came."""
    return replace(health, success=health.success.after(success, now_s, half_life_s), sound_since_s=None)


def score(health: CapabilityHealth, breaker: str) -> float:
    """Return the score in [0, 1]: never above what the state of the breaker allows, and rising with every part."""
    quick = 1.0 - LATENCY_WEIGHT + LATENCY_WEIGHT * health.latency.value
    fresh = 1.0 - FRESHNESS_WEIGHT + FRESHNESS_WEIGHT * health.freshness.value
    return min(BREAKER_CAPS[breaker], health.success.value * health.validity.value * quick * fresh)


def latency_sample(latency_s: float, deadline_s: float) -> float:
    """Return 1 for an answer at once, 0 for one at the deadline or later."""
    return min(max(1.0 - latency_s / deadline_s, 0.0), 1.0)
