"""What failed, a request or its provider as a whole: by whether anybody was answered since the same jobs failed before."""

from __future__ import annotations

from collections.abc import Collection

RECENTLY_S = 60.0  # where the jobs never failed before
REMEMBERED = 20_000  # jobs; of the one forgotten first the next failure is its first


class Outages:
    """Failures of jobs, by a clock that never steps (s)."""

    def __init__(self) -> None:
        """Begin with none."""
        self._failed_s: dict[str, float] = {}  # the newest failure of each job, in order

    def is_outage(self, job_ids: Collection[str], *, now_s: float, silent_s: float) -> bool:
        """Note that a request for these jobs failed, and return whether its provider as a whole did.

        `silent_s`: how long ago it gave anybody a usable answer. One that did since the jobs failed before is well, and what
        it fails with is said of them; so each is charged once for an outage at most.
        """
        before_s = max((self._failed_s[each] for each in job_ids if each in self._failed_s), default=None)
        for each in job_ids:
            self._failed_s.pop(each, None)
            self._failed_s[each] = now_s
        while len(self._failed_s) > REMEMBERED:
            del self._failed_s[next(iter(self._failed_s))]
        since_s = RECENTLY_S if before_s is None else now_s - before_s
        return since_s <= silent_s
