"""Limits of callers in units of cost: a request is one, and each 16 KiB of its answer is another.

What an answer costs is known when it is made, so that a caller may owe; who owes is refused until that is worked off.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.http.problems import Problem

BURST_S = 5.0
ANSWER_BYTES_PER_UNIT = 16_384
MOST_CALLERS = 10_000  # remembered; whoever was not seen for longest is forgotten, and begins anew


def units_of(answer_bytes: int) -> int:
    """Return what an answer costs beside its request."""
    return answer_bytes // ANSWER_BYTES_PER_UNIT


@dataclass(slots=True)
class _Account:
    balance: float
    at_s: float


class Meter:
    """Units of callers of one sort, by name; each has `units_per_s`, and five seconds' worth of them at once."""

    def __init__(self, sort: str, units_per_s: float, *, most_callers: int = MOST_CALLERS) -> None:
        """`sort` is what callers are told the limit is of: `key` or `address`."""
        self._sort, self._units_per_s, self._burst = sort, units_per_s, units_per_s * BURST_S
        self._most_callers = most_callers
        self._accounts = OrderedDict[str, _Account]()

    def spend(self, caller: str, units: float, now_s: float) -> None:
        """Take units from a caller, who may owe them then; `now_s` is any clock that never steps."""
        self._account(caller, now_s).balance -= units

    def check(self, caller: str, now_s: float) -> None:
        """Raise the Problem (429) of a caller who has less than the unit of a request."""
        balance = self._account(caller, now_s).balance
        if balance >= 1:
            return
        wait_s = max(1, math.ceil((1 - balance) / self._units_per_s))
        detail = (
            f"this {self._sort} may use {self._units_per_s:,.0f} units a second (a request is one, each 16 KiB of an "
            f"answer another); come again in {wait_s} s"
        )
        raise Problem(
            code="rate_limited", detail=detail, retry_after_s=wait_s, headers=self.headers(caller, now_s)
        )

    def headers(self, caller: str, now_s: float) -> Mapping[str, str]:
        """Return what is left to a caller, as the RateLimit fields for HTTP tell it."""
        balance = self._account(caller, now_s).balance
        full_in_s = math.ceil((self._burst - balance) / self._units_per_s)
        return {
            "RateLimit-Policy": f'"{self._sort}";q={self._burst:.0f};w={BURST_S:.0f}',
            "RateLimit": f'"{self._sort}";r={max(0, math.floor(balance))};t={full_in_s}',
        }

    def _account(self, caller: str, now_s: float) -> _Account:
        account = self._accounts.get(caller)
        if account is None:
            account = self._accounts[caller] = _Account(self._burst, now_s)
            if len(self._accounts) > self._most_callers:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(caller)
        earned = (now_s - account.at_s) * self._units_per_s
        account.balance, account.at_s = min(self._burst, account.balance + earned), now_s
        return account
