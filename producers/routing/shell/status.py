"""Last outcomes of each provider, for health: when it last answered, and why it last did not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from infra.runtime.clock import monotonic_s
from schemas.errors import BudgetExhausted

SHOWN_SYMBOLS = 20


@dataclass(slots=True)
class _Provider:
    succeeded_s: float | None = None
    failing: bool = False
    last_error: str = ""
    refused: tuple[str, ...] = ()


class ProviderStatus:
    """Outcomes per provider; `breakers` gives the state of each provider's breaker."""

    def __init__(self, breakers: Mapping[str, Callable[[], str]]) -> None:
        """Know the providers of `breakers`."""
        self._breakers: Mapping[str, Callable[[], str]] = {}
        self._providers: dict[str, _Provider] = {}
        self.know(breakers)

    def know(self, breakers: Mapping[str, Callable[[], str]]) -> None:
        """Know the providers of `breakers`, and those known before, from now on."""
        self._breakers = {**self._breakers, **breakers}
        self._providers = {name: self._providers.get(name) or _Provider() for name in self._breakers}

    def succeeded(self, provider: str) -> None:
        """Note an answer."""
        entry = self._providers[provider]
        entry.succeeded_s, entry.failing = monotonic_s(), False

    def failed(self, provider: str, error: Exception) -> None:
        """Note why a request brought nothing; its message is ours and holds no secret.

        Our own limits say nothing of the provider: it is failing, or is not, as before.
        """
        entry = self._providers[provider]
        entry.failing = entry.failing or not isinstance(error, BudgetExhausted)
        entry.last_error = str(error)

    def refuses(self, provider: str, symbols: Collection[str]) -> None:
        """Note which symbols the provider's socket refuses now."""
        self._providers[provider].refused = tuple(sorted(symbols))

    def ready(self, provider: str) -> bool:
        """Whether the provider has answered and is not left alone now."""
        return self._providers[provider].succeeded_s is not None and self._breakers[provider]() != "open"

    def sound(self, provider: str) -> bool:
        """Whether nothing speaks against a provider, though it may not have been asked for hours."""
        return not self._providers[provider].failing and self._breakers[provider]() != "open"

    def document(self, provider: str) -> dict[str, Any]:
        """Return what an operator wants to know."""
        entry = self._providers[provider]
        since = entry.succeeded_s
        return {
            "breaker": self._breakers[provider](),
            "failing": entry.failing,
            "last_error": entry.last_error,
            "refused_symbols": len(entry.refused),
            "refused_first": list(entry.refused[:SHOWN_SYMBOLS]),
            "seconds_since_answer": None if since is None else round(monotonic_s() - since, 1),
        }
