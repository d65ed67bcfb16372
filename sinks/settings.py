"""Settings of the sinks (`SINKS_*`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from infra.runtime.dsn import Dsn
from infra.runtime.environment import Port, Settings
from schemas.journals import CADENCE_JOURNAL, HEALTH_JOURNAL, JOURNALS, Journal
from schemas.streams import STREAMS, StreamName
from schemas.tables import tables


def _cut_by_time(name: StreamName) -> StreamName:
    stream = next(each for each in STREAMS if each.name == name)
    if not tables(stream).timed:
        raise ValueError(f"{name} are few and kept for good: take them out of SINKS_KEEP_DAYS")
    return name


def _read(given: Any) -> Any:
    """Return what the text of a variable says."""
    try:
        return json.loads(given) if isinstance(given, str) else given
    except ValueError:
        raise ValueError('it is no JSON: write {"quotes": 30}') from None


KeptDays = Annotated[float, Field(ge=1.0, le=36_500.0)]
KeepDays = Annotated[
    Mapping[Annotated[StreamName, AfterValidator(_cut_by_time)], KeptDays], BeforeValidator(_read)
]


class SinkSettings(Settings):
    """Settings of the sinks alone; what all services share is in MdsSettings."""

    prefix: ClassVar[str] = "SINKS_"

    ops_port: Port = Field(
        default=8103, ge=1, le=65535, description="Port of `/livez`, `/readyz` and `/metrics`."
    )
    session_timeout_s: float = Field(
        default=10.0, ge=6.0, le=300.0, description="Silence after which a sink loses its partitions."
    )
    batch_records: int = Field(
        default=20_000,
        ge=1,
        le=200_000,
        description="Records of one transaction, about: whole blocks until there are so many.",
    )
    linger_ms: float = Field(
        default=20.0, ge=0.0, le=250.0, description="How long the first record of a batch waits for others."
    )
    provider_health_days: float = Field(
        default=HEALTH_JOURNAL.retention_days,
        gt=0.0,
        le=3_650.0,
        description="Days for which the history of provider health is kept.",
    )
    cadence_days: float = Field(
        default=CADENCE_JOURNAL.retention_days,
        gt=0.0,
        le=3_650.0,
        description="Days for which the history of cadence is kept.",
    )
    keep_days: KeepDays = Field(
        default_factory=dict,
        description='Days for which market data are kept, by stream, such as `{"quotes": 30}`: whole days or months '
        "older than that are dropped. What is not named is kept for ever.",
    )
    write_timeout_s: float = Field(
        default=20.0,
        ge=1.0,
        le=300.0,
        description="Longest that one transaction may take; then its connection is cut.",
    )
    archive: Path | None = Field(
        default=None, description="Folder of the archive. Unset: `archive` in MDS_HOME."
    )
    archive_ops_port: Port = Field(default=8105, ge=1, le=65535, description="Ops port of `mds archive run`.")
    archive_file_mb: int = Field(
        default=128,
        ge=1,
        le=1_024,
        description="MB of keys and values after which a file of the archive is closed, if its hour is not over before.",
    )
    archive_keep_free_mb: int = Field(
        default=1_024,
        ge=0,
        description="MB of the archive's disk that are left to what else lives there.",
    )
    # a password is no argument
    replay_dsn: Dsn = Field(
        default=SecretStr(""),
        description="Database that `python -m sinks replay` and `mds rebuild` fill; never that of the services.",
    )

    def journal_days(self) -> Mapping[Journal, float]:
        """Return for how many days of wall time each journal is kept; its declaration says so where no setting does."""
        set_here = {HEALTH_JOURNAL: self.provider_health_days, CADENCE_JOURNAL: self.cadence_days}
        return {journal: set_here.get(journal, journal.retention_days) for journal in JOURNALS.values()}
