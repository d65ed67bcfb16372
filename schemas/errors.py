"""Every error of the service, by what the caller must do about it.

MarketDataError
├── TransientError            retry with backoff; nothing is wrong with the data
│   ├── ProviderThrottled     the vendor asked us to wait
│   │   ├── ProviderBanned    it shut us out: asking again makes it last longer
│   │   └── BudgetExhausted   it was not asked: our own limits leave no room yet
│   ├── ProviderUnavailable   outage, time-out, broken connection
│   ├── BrokerUnavailable     Kafka cannot take or give records now
│   ├── StoreUnavailable      PostgreSQL cannot answer now
│   │   └── StoreOverrun      it was not done in time: ask for less at once
│   ├── ArchiveUnavailable    the archive's disk cannot take files now
│   └── CatalogUnavailable    the Iceberg catalog cannot answer now
├── PermanentError            retrying changes nothing: dead-letter it, or answer 4xx
│   ├── MalformedPayload      bytes that do not parse as what they claim to be
│   ├── ProviderRefused       key missing or wrong, or the request is not taken
│   │   ├── ProviderUnentitled  the key is good, the plan does not include this
│   │   └── ProviderDeclined  the key is good, this one request is never taken
│   ├── NoData                the vendor says there is nothing; not a failure
│   │   └── HistoryEnded      it gives nothing as old as this any more, whatever there was
│   ├── InvalidRecord         parsed, but breaks a rule of the vocabulary
│   │   └── InvalidContract   the name of an option that is none
│   ├── TooManyCandidates     a question whose answer would take too much work: narrow it
│   └── UnknownSymbol         nobody we can ask knows this symbol
│       └── AmbiguousSymbol   more than one instrument answers to it
├── Fenced                    somebody newer owns this partition: stop, do not retry
└── ConfigurationError        an operator must change something before start
"""

from __future__ import annotations

from collections.abc import Sequence


class MarketDataError(Exception):
    """Base of every error this service raises on purpose."""


class TransientError(MarketDataError):
    """Retry with backoff."""


class PermanentError(MarketDataError):
    """Do not retry; `reason` is a stable word for dead letters and metrics."""

    reason = "permanent"


class ProviderThrottled(TransientError):
    """The vendor refused for now; wait `retry_after_s` seconds (None: it did not say)."""

    def __init__(self, provider: str, retry_after_s: float | None = None) -> None:
        wait = (
            "it did not say for how long" if retry_after_s is None else f"retry after {retry_after_s:.1f} s"
        )
        super().__init__(f"{provider} throttled us, {wait}")
        self.provider = provider
        self.retry_after_s = retry_after_s


class ProviderBanned(ProviderThrottled):
    """The vendor shut us out for a while, by key or by address; the wait is long because asking again prolongs it."""


class BudgetExhausted(ProviderThrottled):
    """Our own limits left no room for a request in time: nothing was sent, and it says nothing of the vendor.

    `limit` says in words what is used up, `setting` which one would allow more.
    """

    def __init__(self, provider: str, retry_after_s: float, *, limit: str, setting: str) -> None:
        super().__init__(provider, retry_after_s)
        used_up = f"our own budget for {provider} is used up: {limit}, room in {retry_after_s:.1f} s"
        self.args = (f"{used_up}; raise {setting} or poll less often",)


class ProviderUnavailable(TransientError):
    """The vendor did not answer usefully: outage, time-out or a broken connection."""


class BrokerUnavailable(TransientError):
    """Kafka cannot take or give records now."""


class StoreUnavailable(TransientError):
    """PostgreSQL cannot answer now."""


class StoreOverrun(StoreUnavailable):
    """PostgreSQL did not finish a transaction in time; the same again may never end, a part of it may."""


class ArchiveUnavailable(TransientError):
    """The archive's disk cannot take files now: it is full, or gone; nothing that was archived is touched by it."""


class CatalogUnavailable(TransientError):
    """The Iceberg catalog cannot answer now, or its tables' metadata cannot be written; a commit may have been taken or not."""


class MalformedPayload(PermanentError):
    """Bytes that do not parse as what they claim to be."""

    reason = "malformed"


class ProviderRefused(PermanentError):
    """Our key is missing or wrong, or the request is not taken; an operator must act."""

    reason = "refused"


class ProviderUnentitled(ProviderRefused):
    """The vendor knows our key, and its plan does not include what was asked for."""

    reason = "unentitled"


class ProviderDeclined(ProviderRefused):
    """The vendor does not take this request, and says nothing against our key: the same again is refused again."""

    reason = "declined"


class NoData(PermanentError):
    """The vendor answered that there is nothing in the range asked for."""

    reason = "no_data"


class HistoryEnded(NoData):
    """The vendor keeps nothing as old as what was asked for: there may have been something."""

    reason = "history_ended"


class UnknownSymbol(PermanentError):
    """Nobody we can ask knows the symbol; `candidates` are what may have been meant."""

    reason = "unknown_symbol"

    def __init__(self, message: str, *, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class AmbiguousSymbol(UnknownSymbol):
    """More than one instrument answers to the symbol: using it would be a guess; `candidates` are the instruments."""

    reason = "ambiguous_symbol"


class InvalidRecord(PermanentError):
    """A parsed record that breaks a rule of the vocabulary (not finite, negative size, empty symbol)."""

    reason = "invalid"


class InvalidContract(InvalidRecord):
    """The name of an option of which a `part` is wrong: length, form, root, date, right or strike."""

    reason = "invalid_contract"

    def __init__(self, text: str, *, part: str, remedy: str) -> None:
        super().__init__(f"option {text[:40]!r}: {part} is wrong; {remedy}")
        self.part = part


class TooManyCandidates(PermanentError):
    """More candidates for a strategy than are looked at; `narrower` is the filter that would help most."""

    reason = "too_many"

    def __init__(self, count: int, *, most: int, narrower: str) -> None:
        super().__init__(f"{count} candidates, at most {most} are looked at: narrow `{narrower}`")
        self.count = count
        self.narrower = narrower


class Fenced(MarketDataError):
    """A newer owner holds this partition; whatever was being written was rolled back."""


class ConfigurationError(MarketDataError):
    """Something an operator must change; the message ends with the remedy."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy
