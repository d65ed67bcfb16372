"""Streams that can come: known providers, and the channels and providers the configuration collects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from gateway.live.feeds import Feed
from gateway.live.streams import BEST, LiveStream
from gateway.websocket import answers
from schemas.configuration.streams import Streams
from schemas.streams import ACTION_STREAM, BAR_STREAM, MACRO_STREAM, OPTION_STREAM, QUOTE_STREAM, TRADE_STREAM


def collected(streams: Streams) -> Mapping[str, tuple[str, ...]]:
    """Return, per channel that is collected, the providers it comes from."""
    found: dict[str, tuple[str, ...]] = {}
    if streams.quotes is not None:
        found[QUOTE_STREAM.channel("")] = streams.quotes.providers
    if streams.trades is not None:
        found[TRADE_STREAM.channel("")] = (streams.trades.provider,)
    if streams.bars is not None:
        found |= {BAR_STREAM.channel(interval): streams.bars.providers for interval in streams.bars.intervals}
    if streams.actions is not None:
        found[ACTION_STREAM.channel("")] = streams.actions.providers
    if streams.macro is not None:
        found[MACRO_STREAM.channel("")] = tuple(sorted({key.provider for key in streams.series}))
    if streams.options is not None:
        found[OPTION_STREAM.channel("")] = streams.options.providers
    return found


class Offers:
    """Judges whether anything can ever come of a stream, by what is configured now."""

    def __init__(self, known: Collection[str], configured: Callable[[], Streams | None]) -> None:
        """Know the providers that are installed; `configured` None: it is not known what is collected."""
        self._known, self._configured = frozenset(known), configured

    def refusal(self, stream: LiveStream, feed: Feed | None) -> Mapping[str, Any] | None:
        """Return the refusal of a stream that nobody can feed; None where it may come, or has come."""
        if feed is not None and (feed.latest(stream.scope) is not None or feed.snapshot(stream.scope)):
            return None
        if stream.scope != BEST and stream.scope not in self._known:
            text = f"provider {stream.scope} is unknown; use {BEST} or one of {' '.join(sorted(self._known))}"
            return answers.refused(str(stream), "unknown_provider", text)
        streams = self._configured()
        if streams is None or stream.channel == "gaps":
            return None
        offered = collected(streams)
        if stream.channel not in offered:
            text = f"{stream.channel} is not collected; there is {' '.join(offered) or 'nothing'}"
            return answers.refused(str(stream), "not_collected", text)
        if stream.scope not in (BEST, *offered[stream.channel]):
            text = f"{stream.channel} does not come from {stream.scope}; use {BEST} or one of {' '.join(offered[stream.channel])}"
            return answers.refused(str(stream), "not_collected", text)
        return None
