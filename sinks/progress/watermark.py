"""From which moment on everything is stored: progress claims it, and it holds once the sink has passed its offsets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.clocks import CanonicalOffset, KnowledgeTime
from schemas.partitions import TopicPartition
from schemas.records import NO_CANONICAL_OFFSET, Progress
from schemas.topics import EVIDENCE

# claims of one partition; beyond it every second one is dropped, which only coarsens the steps
MAX_PENDING = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """All of a canonical partition known strictly before `complete_before` lies below `end_offset`.

    And all evidence of it, of what is missing there, below `evidence_end` of the evidence of the same number; negative
    where the progress of an older version says nothing of that.
    """

    partition: TopicPartition
    end_offset: CanonicalOffset
    evidence_end: CanonicalOffset = NO_CANONICAL_OFFSET
    complete_before: KnowledgeTime
    # where progress.v1 says so: not passed before the claim holds, or a restart would forget it
    progress_offset: CanonicalOffset


def claim_of(progress: Progress, progress_offset: CanonicalOffset) -> Claim:
    """Return what a progress record claims."""
    before = progress.complete_before
    return Claim(
        partition=TopicPartition(progress.canonical_topic, progress.partition),
        end_offset=progress.canonical_end_offset,
        evidence_end=progress.evidence_end_offset,
        complete_before=progress.known_from if before is None else before,
        progress_offset=progress_offset,
    )


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims that do not hold yet, by canonical partition, in log order."""

    pending: Mapping[TopicPartition, Sequence[Claim]] = field(default_factory=dict)

    def with_new(self, claims: Iterable[Claim]) -> Claims:
        """Return these claims and new ones; of too many for one partition, every second is forgotten."""
        pending = {partition: list(known) for partition, known in self.pending.items()}
        for claim in claims:
            of_partition = pending.setdefault(claim.partition, [])
            of_partition.append(claim)
            if len(of_partition) > MAX_PENDING:
                # Counted from the end, so the newest is kept: it is the one an idle log ends with.
                del of_partition[-2::-2]
        return Claims(pending)

    def settled(
        self, ends: Mapping[TopicPartition, CanonicalOffset] | None
    ) -> tuple[dict[TopicPartition, KnowledgeTime], Claims]:
        """Return the greatest complete_before (µs) that holds at the positions `ends`, and the claims left.

        Without positions (a replay, which has all a claim speaks of before the claim) every one holds.
        """
        complete: dict[TopicPartition, KnowledgeTime] = {}
        left: dict[TopicPartition, list[Claim]] = {}
        for partition, claims in self.pending.items():
            evidence = TopicPartition(EVIDENCE, partition[1])
            for claim in claims:
                if ends is None or (
                    claim.end_offset <= ends.get(partition, -1)
                    and claim.evidence_end <= ends.get(evidence, NO_CANONICAL_OFFSET)
                ):
                    complete[partition] = max(
                        complete.get(partition, claim.complete_before), claim.complete_before
                    )
                else:
                    left.setdefault(partition, []).append(claim)
        return complete, Claims(left)

    def first_offset(self, partition_number: int) -> CanonicalOffset | None:
        """Return where progress.v1 holds the earliest of these claims, for one partition number."""
        offsets = (
            claim.progress_offset
            for (_, number), claims in self.pending.items()
            if number == partition_number
            for claim in claims
        )
        return min(offsets, default=None)
