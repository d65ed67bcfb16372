"""Providers there are: ours, found by the names of their facts, and those of installed packages; all are alike."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from infra.runtime.providers import installed_providers
from producers.vendors.shell.provider import Provider
from schemas.providers.built_in import BUILT_IN


def built_in_providers() -> Mapping[str, Provider]:
    """Return the providers we ship by name: each is `PROVIDER` of its client's module."""
    modules = {name: import_module(f"producers.vendors.{name}.shell.client") for name in BUILT_IN}
    return {name: module.PROVIDER for name, module in modules.items()}


def known_providers() -> Mapping[str, Provider]:
    """Return every provider by name; a package whose provider cannot be used is named in the log and left out."""
    plugged = installed_providers()
    return {
        **built_in_providers(),
        **{name: provider for name, provider in plugged.items() if isinstance(provider, Provider)},
    }
