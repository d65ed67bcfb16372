"""The choice of who serves a capability: the preferred provider while it is well, another one where that is clearly better; pure.

A dead choice is left at once. Every other change needs a margin or a proof, and waits for the dwell, so that constant
scores never make it swing. Whatever the scores do, switches are paid from an account that earns one per dwell and holds
two: in any stretch of time there are at most two more of them than dwells. A return that fails doubles the proof of the
next one, so that what fails again and again is asked for less and less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from schemas.clocks import EventTime
from schemas.journals import HealthChange

NEVER = float("-inf")
# a provider that pauses for longer does not go back over what the others served
CONTINUED_US = 86_400_000_000
LONGEST_PROOF_S = 3_600.0
LASTED_S = 3_600.0  # a return that is left within it has failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules of the choice; seconds, and scores in [0, 1]."""

    margin: float
    floor: float
    dwell_s: float
    proof_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One provider as it is now; `sound_s` is for how long nothing has spoken against it, None: nothing known."""

    provider: str
    score: float
    breaker: str
    sound_s: float | None

    def usable(self, rules: Rules) -> bool:
        """Whether it may serve at all."""
        return self.breaker != "open" and self.score >= rules.floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The provider that serves, since when (monotonic seconds) and why; `changed` says what the last decision did."""

    provider: str
    reason: str
    changed: HealthChange
    since_s: float
    previous: str = ""
    exhausted: bool = False  # nobody is usable
    paid_until_s: float = NEVER  # the account: up to when switches are paid for in advance
    returned: bool = False  # to one that had been left for a less preferred one
    failed_returns: Mapping[str, int] = field(default_factory=dict)  # in a row, by provider

    def proof_s(self, provider: str, rules: Rules) -> float:
        """Return for how long nothing may speak against a provider before it is returned to."""
        doubled = rules.proof_s * 2.0 ** min(self.failed_returns.get(provider, 0), 32)
        return max(rules.proof_s, min(doubled, LONGEST_PROOF_S))


def choose(choice: Choice | None, candidates: Sequence[Candidate], rules: Rules, now_s: float) -> Choice:
    """Return who serves from now on; `candidates` are in order of preference, at least one.

    Returns `choice` itself where nothing changes.
    """
    current = next((c for c in candidates if choice is not None and c.provider == choice.provider), None)
    if choice is None or current is None:
        return _first(choice, candidates, rules, now_s)
    usable = [candidate for candidate in candidates if candidate.usable(rules)]
    others = [candidate for candidate in usable if candidate is not current]
    if current not in usable:
        if not others or now_s < choice.paid_until_s - rules.dwell_s:
            return _exhausted(choice, current, rules, others)
        best = max(others, key=lambda candidate: candidate.score)
        return _switched(choice, best, candidates, f"{_fault(current, rules)}", rules, now_s)
    if now_s >= choice.paid_until_s:
        for candidate in others:
            if (why := _advantage(candidate, current, candidates, choice, rules)) is not None:
                return _switched(choice, candidate, candidates, why, rules, now_s)
    if choice.exhausted:
        reason = f"{current.provider} is usable again (score {current.score:.2f})"
        return replace(choice, exhausted=False, changed="restored", reason=reason)
    return choice


def resume_position(own: EventTime | None, served: EventTime) -> EventTime:
    """Return from where a provider goes on that takes over a stream of bars served up to `served`.

    Its own position where that is older, so that its stream has no hole, but not from further back than a day; and
    never later than `served`, so that no bar is skipped. What is not gone back over was served elsewhere, and is told so.
    """
    if own is None or served - own > CONTINUED_US:
        return served
    return min(own, served)


def _first(before: Choice | None, candidates: Sequence[Candidate], rules: Rules, now_s: float) -> Choice:
    """Return the choice among candidates none of which serves; `before`: one that is no candidate any more."""
    usable = [candidate for candidate in candidates if candidate.usable(rules)]
    chosen = (usable or candidates)[0]
    reason = f"{chosen.provider} is the first in order of preference" + (" that is usable" if usable else "")
    return Choice(
        provider=chosen.provider,
        reason=reason if before is None else f"{before.provider} is configured for it no more; {reason}",
        changed="initial" if before is None else "failover",
        since_s=now_s,
        previous="" if before is None else before.provider,
        exhausted=not usable,
    )


def _exhausted(choice: Choice, current: Candidate, rules: Rules, others: Sequence[Candidate]) -> Choice:
    if choice.exhausted:
        return choice
    why = "the others have flapped as well" if others else "nobody else is usable"
    reason = f"{_fault(current, rules)}, and {why}; it is still asked"
    return replace(choice, exhausted=True, changed="exhausted", reason=reason)


def _fault(candidate: Candidate, rules: Rules) -> str:
    if candidate.breaker == "open":
        return f"the breaker of {candidate.provider} is open"
    return f"{candidate.provider} scores {candidate.score:.2f}, below the floor of {rules.floor:.2f}"


def _advantage(
    candidate: Candidate, current: Candidate, candidates: Sequence[Candidate], choice: Choice, rules: Rules
) -> str | None:
    """Return why a usable candidate is to be preferred to a usable choice; None where it is not."""
    if candidate.sound_s is None:
        return None  # no answer of its own speaks for it
    proven = candidate.sound_s >= choice.proof_s(candidate.provider, rules)
    if candidate.provider in choice.failed_returns and not proven:
        return None
    if candidate.score >= current.score + rules.margin:
        return f"{candidate.provider} scores {candidate.score:.2f}, {current.provider} {current.score:.2f}"
    preferred = candidates.index(candidate) < candidates.index(current)
    if preferred and proven and candidate.score >= current.score - rules.margin / 2:
        return f"{candidate.provider} is preferred and was well for {candidate.sound_s:.0f} s"
    return None


def _switched(
    choice: Choice, to: Candidate, candidates: Sequence[Candidate], why: str, rules: Rules, now_s: float
) -> Choice:
    order = [candidate.provider for candidate in candidates]
    back = order.index(to.provider) < order.index(choice.provider)
    return Choice(
        provider=to.provider,
        reason=why,
        changed="failback" if back else "failover",
        since_s=now_s,
        previous=choice.provider,
        paid_until_s=max(now_s, choice.paid_until_s) + rules.dwell_s,
        returned=back,
        failed_returns=_failed_returns(choice, now_s),
    )


def _failed_returns(left: Choice, now_s: float) -> Mapping[str, int]:
    """Return how many returns to each provider have failed in a row, once `left` is left."""
    counts = dict(left.failed_returns)
    lasted = now_s - left.since_s >= LASTED_S
    before = counts.pop(left.provider, 0)
    failed = 0 if lasted else before + left.returned
    return counts | {left.provider: failed} if failed else counts
