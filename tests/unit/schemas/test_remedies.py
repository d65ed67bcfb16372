"""What a model refuses is answered with what it takes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, ValidationError

from schemas.remedies import problem_of, remedy_of


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("an even number is asked for; write 2 or 4")
    return value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: Literal["one", "two"] = "one"
    share: float = Field(default=0.5, ge=0.0, lt=1.0)
    count: int = Field(default=1, gt=0, le=64)
    flag: bool = False
    name: str = Field(default="ab", pattern="^[a-z]+$", max_length=3)
    names: tuple[str, ...] = ("a",)
    others: frozenset[str] = frozenset()
    address: HttpUrl | None = None
    even: Annotated[int, AfterValidator(_even)] = 2


def complaint(**given: Any) -> dict[str, Any]:
    with pytest.raises(ValidationError) as caught:
        _Model(**given)
    return dict(caught.value.errors(include_url=False)[0])


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"word": "three"}, "use one of one, two"),
        ({"share": -0.1}, "set it to 0 or more"),
        ({"share": 1.0}, "set it to less than 1"),
        ({"share": "much"}, "set it to a number"),
        ({"count": 0}, "set it to more than 0"),
        ({"count": 65}, "set it to 64 or less"),
        ({"count": 1.5}, "set it to a whole number"),
        ({"flag": "perhaps"}, "set it to true or false"),
        ({"name": "A"}, "write it to match ^[a-z]+$"),
        ({"name": "abcd"}, "give at most 3"),
        ({"name": 5}, "write text, in quotes where it looks like a number"),
        ({"names": 5}, "write a list, such as [a, b]"),
        ({"others": "a"}, "write a list, such as [a, b]"),
        ({"address": "ftp://x"}, "write an address that begins with http, https"),
        ({"address": "nowhere"}, "write a whole address, such as https://host/path"),
        ({"even": 3}, "write 2 or 4"),
    ],
)
def test_the_remedy_names_what_is_valid(given: dict[str, Any], remedy: str) -> None:
    """Bounds, words, forms: never `a valid value`."""
    assert remedy_of(complaint(**given)) == remedy


def test_a_check_of_ours_says_problem_and_remedy_apart() -> None:
    """They are told in their two places, once each."""
    assert problem_of(complaint(even=3)) == "an even number is asked for"
    assert problem_of(complaint(count=0)) == "Input should be greater than 0"
