"""Checks side by side: what one meets is its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from infra.preflight.findings import Checked, Finding, ok
from infra.preflight.running import FROZEN, CheckGroup, look
from infra.runtime.kafka.probing import NotAllowed
from schemas.errors import ConfigurationError, StoreUnavailable


async def seven() -> int:
    return 7


def told(facts: Any) -> Finding:
    return ok(f"saw {facts}")


def results(found: list[Checked]) -> dict[str, str]:
    return {each.name: each.finding.result for each in found}


def raising(error: BaseException) -> CheckGroup:
    async def read() -> Any:
        raise error

    return CheckGroup(read=read, checks={"first": told, "second": told}, remedy="start it")


async def test_facts_are_read_once_and_judged_by_each_check_in_order() -> None:
    """The order is that of the groups, whoever is first to answer."""
    reads = []

    async def slowly() -> int:
        reads.append(1)
        await asyncio.sleep(0.01)
        return 1

    found = await look(
        [CheckGroup(read=slowly, checks={"a": told, "b": told}), CheckGroup(read=seven, checks={"c": told})],
        secrets=(),
    )

    assert [(each.name, each.finding.says) for each in found] == [
        ("a", "saw 1"),
        ("b", "saw 1"),
        ("c", "saw 7"),
    ]
    assert reads == [1]


@pytest.mark.parametrize(
    ("error", "result", "says", "remedy"),
    [
        pytest.param(
            ConfigurationError("it is wrong; very", remedy="mend it"), "failed", "it is wrong; very", "mend it",
            id="an-operator-must-act",
        ),
        pytest.param(
            StoreUnavailable("no answer; is it up?"), "unknown", "no answer", "start it", id="not-reached"
        ),
        pytest.param(
            NotAllowed("write to t", "refused"), "failed", "we may not write to t: write to t: refused",
            "allow the services to write to t", id="not-allowed",
        ),
        pytest.param(
            KeyError("x"), "unknown", "the check itself failed: KeyError: 'x'", "start it", id="our-own-fault"
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_said_by_the_first_check(
    error: BaseException, result: str, says: str, remedy: str
) -> None:
    """The others of the group say where to look, and other groups go on."""
    found = await look([raising(error), CheckGroup(read=seven, checks={"other": told})], secrets=())
    first, second, other = (each.finding for each in found)

    assert (first.result, first.says) == (result, says)
    assert first.remedy == remedy or isinstance(error, KeyError)
    assert (second.result, second.says) == ("unknown", "not looked at: see first")
    assert other == ok("saw 7")


async def test_a_check_that_fails_by_itself_hides_no_other() -> None:
    """A judge that raises is a finding."""

    def broken(_: Any) -> Finding:
        raise ZeroDivisionError("by zero")

    found = await look([CheckGroup(read=seven, checks={"broken": broken, "sound": told})], secrets=())

    assert results(found) == {"broken": "unknown", "sound": "ok"}


async def test_what_never_answers_is_given_up_from_outside() -> None:
    """A reader that does not even heed its cancellation holds nobody up."""
    released = asyncio.Event()

    async def frozen() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    groups = [
        CheckGroup(read=frozen, checks={"frozen": told, "beside": told}, within_s=0.02),
        CheckGroup(read=seven, checks={"sound": told}),
    ]
    found = await asyncio.wait_for(look(groups, secrets=()), timeout=5)
    released.set()

    assert results(found) == {"frozen": "unknown", "beside": "unknown", "sound": "ok"}
    assert (found[0].finding.says, found[0].finding.remedy) == ("no answer within 0.02 s", FROZEN)


@pytest.mark.parametrize(("result", "is_read"), [("ok", True), ("failed", False)])
async def test_what_comes_after_another_check_is_read_only_where_that_is_well(
    result: str, is_read: bool
) -> None:
    """An answer of a broker that is not there would be another complaint about the same."""
    reads = []

    async def read() -> int:
        reads.append(1)
        return 1

    def judge(_: Any) -> Finding:
        return Finding(result=result, says="so", remedy="do")  # type: ignore[arg-type]

    found = await look(
        [
            CheckGroup(read=read, checks={"later": told}, after="first"),
            CheckGroup(read=seven, checks={"first": judge}),
        ],
        secrets=(),
    )

    assert bool(reads) is is_read
    assert found[0].finding.result == ("ok" if is_read else "unknown")


async def test_secrets_are_struck_out_of_what_any_check_says() -> None:
    """The last to see a finding takes them out."""
    found = await look([raising(ValueError("token s3cr3t"))], secrets=("s3cr3t",))

    assert "s3cr3t" not in found[0].finding.says
