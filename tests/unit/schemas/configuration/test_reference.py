"""The reference and the published JSON Schema are what the code says, and their examples work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from schemas.configuration.model import parse_configuration
from schemas.configuration.reference import configuration_page, json_schema_text, undocumented
from schemas.errors import ConfigurationError

ROOT = Path(__file__).parents[4]
FENCE = re.compile(r"^```yaml( refused)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCHEMA = json.loads(json_schema_text())


def test_every_key_says_what_it_means() -> None:
    """A key without a description is not to be published."""
    assert undocumented() == []


def test_the_examples_of_the_reference_work() -> None:
    """Each is valid to the code and to the schema, and the refused one is refused as it says."""
    text = configuration_page()
    found = FENCE.findall(text)

    assert len(found) >= 4
    for refused, example in found:
        if refused:
            with pytest.raises(ConfigurationError) as error:
                parse_configuration(example, source="mds.yaml")
            assert str(error.value) in text
        else:
            parse_configuration(example, source="mds.yaml")
            jsonschema.validate(yaml.safe_load(example), SCHEMA)


def test_the_published_schema_agrees_with_the_code_on_the_packaged_file() -> None:
    """It is a schema, it takes config/mds.yaml, and it refuses a misspelt key as we do."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = yaml.safe_load((ROOT / "config" / "mds.yaml").read_text("utf-8"))
    jsonschema.validate(document, SCHEMA)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "strems": {}}, SCHEMA)
