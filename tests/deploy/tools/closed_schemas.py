"""Reads {"versions": […], "objects": […]} and writes what the closed schemas of Kubernetes say of each: a list of complaints."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from typing import Any

from kubernetes_validate import utils

# of each kind once: a file has some megabytes
utils.schema_contents = lru_cache(maxsize=None)(utils.schema_contents)


def complaints(each: dict[str, Any], versions: list[str]) -> list[str]:
    found = []
    for version in versions:
        try:
            utils.validate(each, version, strict=True)
        except utils.ValidationError as error:
            found.append(f"{version}: {'.'.join(map(str, error.path))}: {error.message}")
        except utils.SchemaNotFoundError as error:
            found.append(error.message)
    return found


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump([complaints(each, asked["versions"]) for each in asked["objects"]], sys.stdout)
