"""Option contracts by their names: the four spellings of an OCC symbol, read from the right, and what a root says of its contracts.

A name ends in date (yymmdd), right and strike; what stands before is the root, which may hold digits, so that only from the right is it unambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from schemas.errors import InvalidContract

Right = Literal["C", "P"]
Spelling = Literal["compact", "occ21", "polygon", "dxfeed"]
Style = Literal["american", "european"]
Settlement = Literal["am", "pm", "unknown"]
Delivery = Literal["physical", "cash"]

ROOT_CHARS = 6
STRIKE_DIGITS = 8
TAIL_CHARS = 6 + 1 + STRIKE_DIGITS
LONGEST_NAME_CHARS = 32
YEARS_AHEAD = 12
"""A name of two digits for the year means the 2000s, and nothing is listed for longer than this."""
STANDARD_MULTIPLIER = 100

ROOT = re.compile(r"[A-Z][A-Z0-9]{0,5}")
_DOTTED = re.compile(r"(?P<root>.*?)(?P<day>[0-9]{6})(?P<right>.)(?P<strike>[0-9]+(?:\.[0-9]+)?)")


@dataclass(frozen=True, slots=True, order=True)
class OptionContract:
    """One listed contract. `strike_mills` counts thousandths of a dollar, as OCC does; `expiry` is the date in the name."""

    root: str
    expiry: date
    right: Right
    strike_mills: int

    @property
    def strike(self) -> float:
        """Dollars."""
        return self.strike_mills / 1000


def parse_contract(text: str, *, today: date) -> OptionContract:
    """Return the contract of a name in any of the four spellings, in either case; raise InvalidContract naming the part that is wrong."""
    name = text.strip().upper()
    if not name or len(name) > LONGEST_NAME_CHARS:
        raise InvalidContract(text, part="length", remedy="give root, yymmdd, C or P, and the strike")
    if name.startswith("."):
        root, day, right, strike = _dotted_parts(name[1:], text)
    else:
        name = name.removeprefix("O:")
        if len(name) <= TAIL_CHARS:
            raise InvalidContract(
                text, part="length", remedy="a root and 15 characters behind it, as AAPL140621C00092860"
            )
        tail = name[-TAIL_CHARS:]
        root, day, right, strike = name[:-TAIL_CHARS].strip(), tail[:6], tail[6], tail[7:]
        if not _is_digits(strike):
            raise InvalidContract(text, part="strike", remedy="8 digits, thousandths of a dollar")
    if not ROOT.fullmatch(root):
        raise InvalidContract(
            text, part="root", remedy="a letter, and up to five letters or digits behind it"
        )
    if right not in ("C", "P"):
        raise InvalidContract(text, part="right", remedy="C or P")
    mills = int(strike)
    if not 0 < mills < 10**STRIKE_DIGITS:
        raise InvalidContract(text, part="strike", remedy="above 0, below 100,000 dollars")
    return OptionContract(root, _expiry(day, text, today), "C" if right == "C" else "P", mills)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _dotted_parts(name: str, text: str) -> tuple[str, str, str, str]:
    """Return root, day, right and thousandths of a name with a decimal strike."""
    found = _DOTTED.fullmatch(name)
    if found is None:
        raise InvalidContract(
            text, part="form", remedy="a root, yymmdd, C or P, and the strike, as .AAPL140621C92.86"
        )
    mills = Decimal(found["strike"]) * 1000
    if mills != mills.to_integral_value():
        raise InvalidContract(text, part="strike", remedy="whole thousandths of a dollar")
    return found["root"], found["day"], found["right"], str(int(mills))


def _expiry(day: str, text: str, today: date) -> date:
    try:
        expiry = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:])) if _is_digits(day) else None
    except ValueError:
        expiry = None
    if expiry is None:
        raise InvalidContract(text, part="date", remedy="yymmdd, a day that exists")
    if expiry.year > today.year + YEARS_AHEAD:
        raise InvalidContract(text, part="date", remedy=f"no later than {today.year + YEARS_AHEAD}")
    return expiry


def spelled(contract: OptionContract, spelling: Spelling = "compact") -> str:
    """Return the name of a contract: `compact` is ours, without padding; `occ21` pads the root to six characters."""
    day = contract.expiry.strftime("%y%m%d") + contract.right
    if spelling == "dxfeed":
        return f".{contract.root}{day}{Decimal(contract.strike_mills) / 1000}"
    tail = f"{day}{contract.strike_mills:0{STRIKE_DIGITS}d}"
    if spelling == "occ21":
        return f"{contract.root:<{ROOT_CHARS}}{tail}"
    return f"{'O:' if spelling == 'polygon' else ''}{contract.root}{tail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootTerms:
    """Terms of a root's contracts: whose they are, when they may be exercised, and what ends them.

    Settled `am`, they end on the opening of the expiry date; `pm`, on the close of the last session by then; of an index root we do not know,
    `unknown`, and then nothing is to be priced: on 11 days the difference is 2.5 % of the time. `is_adjusted`: what is delivered is not 100 shares.
    """

    underlying: str
    style: Style
    settlement: Settlement
    delivery: Delivery
    is_adjusted: bool


_INDICES: Mapping[str, tuple[str, Style, Settlement]] = MappingProxyType(
    {
        "SPX": ("^SPX", "european", "am"),
        "SPXW": ("^SPX", "european", "pm"),
        "NDX": ("^NDX", "european", "am"),
        "NDXP": ("^NDX", "european", "pm"),
        "RUT": ("^RUT", "european", "am"),
        "RUTW": ("^RUT", "european", "pm"),
        "VIX": ("^VIX", "european", "am"),
        "VIXW": ("^VIX", "european", "am"),
        "XSP": ("^XSP", "european", "pm"),
        "DJX": ("^DJX", "european", "am"),
        # on the close, as OEX (Cboe, XEO product specification), unlike the others of its kind
        "XEO": ("^OEX", "european", "pm"),
        "OEX": ("^OEX", "american", "pm"),
        # the simulator's own, as SPX and SPXW: no real index has prices that nobody made
        "SIMX": ("^SIMX", "european", "am"),
        "SIMXW": ("^SIMX", "european", "pm"),
    }
)
_SHARE_CLASSES: Mapping[str, str] = MappingProxyType({"BRKB": "BRK.B", "BFB": "BF.B"})


def root_terms(
    root: str,
    *,
    underlying: str | None = None,
    multiplier: float = STANDARD_MULTIPLIER,
    is_nonstandard: bool = False,
) -> RootTerms:
    """Return the terms of a root; `underlying` is the vendor's word where it has one, `is_nonstandard` its flag.

    Shares and funds: American, physical, settled on the close. A root that ends in a digit (`AAPL1`, the mini `AAPL7`), another multiplier or
    the vendor's flag make an adjusted deliverable.
    """
    standard = multiplier == STANDARD_MULTIPLIER and not is_nonstandard
    if root in _INDICES:
        of, style, settlement = _INDICES[root]
        return RootTerms(
            underlying=of, style=style, settlement=settlement, delivery="cash", is_adjusted=not standard
        )
    if underlying is not None and underlying.startswith("^"):
        return RootTerms(
            underlying=underlying,
            style="european",
            settlement="unknown",
            delivery="cash",
            is_adjusted=not standard,
        )
    letters = root.rstrip("0123456789")
    return RootTerms(
        underlying=underlying or _SHARE_CLASSES.get(letters, letters),
        style="american",
        settlement="pm",
        delivery="physical",
        is_adjusted=letters != root or not standard,
    )
