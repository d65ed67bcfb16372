"""How vendors' JSON is checked: one model base, one way to say what is wrong."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

LAST_EPOCH_S = 32_503_680_000  # the year 3000: what lies beyond is not a stamp
MAX_FAULT_CHARACTERS = 300


class VendorModel(BaseModel):
    """Part of a vendor's payload: its names in camelCase, types never coerced, keys we do not need ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)


def first_fault(error: ValidationError) -> str:
    """Return the first fault of a payload: where, and what is wrong; never the payload itself."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "the payload"
    return f"{place}: {fault['msg']}"[:MAX_FAULT_CHARACTERS]
