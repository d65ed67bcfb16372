"""The SQL of the ledger as text."""

from __future__ import annotations

import re

from gateway.database import ledger_statements


def test_what_was_known_then_is_asked_for_wherever_the_past_is_read() -> None:
    """Of evidence and of bars; gaps as they are now have no moment."""
    for text in (
        ledger_statements.EVIDENCE,
        ledger_statements.FIRST_EVIDENCE,
        ledger_statements.HORIZONS,
        ledger_statements.STORED_STARTS,
    ):
        reads = re.findall(r"FROM (?:gap_evidence|bars|bars_superseded)\b", text)
        assert reads
        assert len(re.findall(r"known_from <= \$\d", text)) == len(reads)
