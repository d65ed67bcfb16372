"""Who decides what is polled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producers.jobs.lease import Lease, after, holder
from schemas.records import Job


def a_job(kind: str = "lease", source: str = "feed", lease_s: float = 5.0) -> Job:
    """Return a lease, or a poll."""
    return Job(version=1, job_id="j", type=kind, source=source, created_time=1, lease_s=lease_s)  # type: ignore[arg-type]


def test_nobody_holds_a_lease_until_a_feed_takes_it() -> None:
    """Without a feed the sweeper polls; anybody's single job does not silence it."""
    submitted = after(Lease(), a_job("poll", "cli"), age_s=0.0, now_s=10.0)

    assert holder(Lease(), 10.0) == "sweeper"
    assert holder(submitted, 10.0) == "sweeper"


def test_a_lease_lapses_after_its_seconds_and_polls_of_its_source_renew_it() -> None:
    """From the moment the broker appended it, on a monotonic clock."""
    held = after(Lease(), a_job(), age_s=1.0, now_s=10.0)
    renewed = after(held, a_job("poll"), age_s=0.0, now_s=13.0)
    other = after(held, a_job("poll", "cli"), age_s=0.0, now_s=13.0)

    assert (holder(held, 13.9), holder(held, 14.0)) == ("feed", "sweeper")
    assert (holder(renewed, 17.9), holder(renewed, 18.0)) == ("feed", "sweeper")
    assert other == held


def test_a_lease_given_back_is_over_at_once_and_polls_do_not_bring_it_back() -> None:
    """A feed that stops in order leaves no second unpolled."""
    held = after(Lease(), a_job(), age_s=0.0, now_s=10.0)
    back = after(held, a_job(lease_s=0.0), age_s=0.0, now_s=11.0)

    assert holder(back, 11.0) == "sweeper"
    assert holder(after(back, a_job("poll"), age_s=0.0, now_s=11.0), 11.0) == "sweeper"


def test_an_old_message_renews_nothing() -> None:
    """A long queue of a feed that died an hour ago does not silence the sweeper; a broken clock does not prolong."""
    held = after(Lease(), a_job(), age_s=3_600.0, now_s=10.0)
    ahead = after(Lease(), a_job(), age_s=-3_600.0, now_s=10.0)

    assert holder(held, 10.0) == "sweeper"
    assert holder(ahead, 15.0) == "sweeper"


@given(
    st.lists(
        st.tuples(st.sampled_from(["lease", "poll"]), st.sampled_from("ab"), st.floats(0, 9), st.floats(0, 5))
    )
)
def test_a_lease_never_outlives_the_newest_word_of_its_source(
    steps: list[tuple[str, str, float, float]],
) -> None:
    """After the longest lease ever asked for has passed in silence, the sweeper polls, whatever came before."""
    lease, now_s = Lease(), 0.0
    for kind, source, lease_s, pause_s in steps:
        now_s += pause_s
        lease = after(lease, a_job(kind, source, lease_s), age_s=0.0, now_s=now_s)

        assert lease.until_s <= now_s + 9.0
    assert holder(lease, now_s + 9.0) == "sweeper"
