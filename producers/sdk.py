"""The one module a third party's provider imports: what it declares, what it is given, and what proves it.

A provider is a `Provider`: its `ProviderFacts`, a function that opens a `VendorApi`, and for trades one that opens a
`VendorSocket`. It is named in the entry-point group `mds.providers`; `broken_promises` is the suite to run in its tests.
"""

from __future__ import annotations

from producers.budget.windows import Purpose
from producers.http.shell.body import MalformedResponse
from producers.http.shell.client import HttpAnswer, VendorHttp
from producers.vendors.action_rows import ActionOrigin, ActionPage, ActionRow, action_events, action_origin
from producers.vendors.answers import (
    ActionsRequest,
    Answer,
    BarsRequest,
    ChainRequest,
    Frame,
    ListingPage,
    MacroRequest,
    PollWindow,
    RejectedValue,
    Response,
    VendorListing,
)
from producers.vendors.bar_rows import (
    BarOrigin,
    BarPage,
    BarRow,
    bar_events,
    bar_origin,
    bar_rows,
    session_hours,
)
from producers.vendors.bar_slots import widened
from producers.vendors.option_rows import (
    ChainOrigin,
    ChainPage,
    LegRow,
    UnderlyingQuote,
    chain_origin,
    leg_rows,
)
from producers.vendors.option_slices import chain_events
from producers.vendors.payloads import VendorModel, Whole, checked_us, first_fault
from producers.vendors.refusals import meaning
from producers.vendors.shell.chains import chain_of_pages
from producers.vendors.shell.contract import broken_promises
from producers.vendors.shell.provider import Frames, Opening, Provider, TradeSocket, VendorApi
from producers.vendors.shell.requests import (
    Asked,
    Request,
    actions_of_pages,
    all_pages,
    answered,
    ask,
    bars_answered,
)
from producers.vendors.shell.socket import SubscriptionKind, VendorSocket
from producers.vendors.trade_rows import frame_hash, trade_event
from producers.vendors.values import quote_values, rejected, under_its_clock
from schemas.errors import (
    HistoryEnded,
    InvalidRecord,
    MalformedPayload,
    MarketDataError,
    NoData,
    PermanentError,
    ProviderBanned,
    ProviderDeclined,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ProviderUnentitled,
    TransientError,
    UnknownSymbol,
)
from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import (
    Adjustments,
    Limits,
    Notes,
    PricingPlan,
    ProviderFacts,
    RefusalWords,
    Settling,
)
from schemas.providers.spelling import AS_WE_DO, NO_SECURITIES, Spelling
from schemas.records import Event
from schemas.symbols.instruments import Instrument

__all__ = [
    "AS_WE_DO",
    "NO_SECURITIES",
    "ActionOrigin",
    "ActionPage",
    "ActionRow",
    "ActionsRequest",
    "Adjustments",
    "Answer",
    "Asked",
    "BarOrigin",
    "BarPage",
    "BarRow",
    "BarsRequest",
    "Capabilities",
    "ChainOrigin",
    "ChainPage",
    "ChainRequest",
    "Event",
    "Frame",
    "Frames",
    "HistoryEnded",
    "HttpAnswer",
    "Instrument",
    "InvalidRecord",
    "LegRow",
    "Limits",
    "ListingPage",
    "MacroRequest",
    "MalformedPayload",
    "MalformedResponse",
    "MarketDataError",
    "NoData",
    "Notes",
    "Opening",
    "PermanentError",
    "PollWindow",
    "PricingPlan",
    "Provider",
    "ProviderBanned",
    "ProviderDeclined",
    "ProviderFacts",
    "ProviderRefused",
    "ProviderThrottled",
    "ProviderUnavailable",
    "ProviderUnentitled",
    "Purpose",
    "RefusalWords",
    "RejectedValue",
    "Request",
    "Response",
    "Settling",
    "Spelling",
    "SubscriptionKind",
    "TradeSocket",
    "TransientError",
    "UnderlyingQuote",
    "UnknownSymbol",
    "VendorApi",
    "VendorHttp",
    "VendorListing",
    "VendorModel",
    "VendorSocket",
    "Whole",
    "action_events",
    "action_origin",
    "actions_of_pages",
    "all_pages",
    "answered",
    "ask",
    "bar_events",
    "bar_origin",
    "bar_rows",
    "bars_answered",
    "broken_promises",
    "chain_events",
    "chain_of_pages",
    "chain_origin",
    "checked_us",
    "first_fault",
    "frame_hash",
    "leg_rows",
    "meaning",
    "quote_values",
    "rejected",
    "session_hours",
    "trade_event",
    "under_its_clock",
    "widened",
]
