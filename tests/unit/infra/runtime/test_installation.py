"""Where an installation keeps things, and how it starts its own modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.runtime.installation import (
    IN_CHECKOUT,
    default_configuration,
    default_home,
    example_configuration,
    module_command,
)
from infra.runtime.settings import MdsSettings


def test_tests_run_in_a_checkout() -> None:
    """There the home is `.mds` here and the configuration is the committed one, whatever the user's folders are."""
    assert IN_CHECKOUT
    settings = MdsSettings.from_env({"HOME": "/home/desk", "XDG_DATA_HOME": "/data"})

    assert (settings.home, settings.configuration_path) == (Path(".mds"), Path("config/mds.yaml"))


@pytest.mark.parametrize(
    ("env", "home"),
    [
        pytest.param({"HOME": "/home/desk"}, "/home/desk/.local/share/market-data-service", id="user"),
        pytest.param({"HOME": "/h", "XDG_DATA_HOME": "/data"}, "/data/market-data-service", id="xdg"),
        pytest.param(
            {"HOME": "/h", "XDG_DATA_HOME": ""}, "/h/.local/share/market-data-service", id="empty-xdg"
        ),
        pytest.param(
            {"HOME": "/h", "XDG_DATA_HOME": "data"}, "/h/.local/share/market-data-service", id="relative-xdg"
        ),
        pytest.param({"HOME": "nowhere"}, ".mds", id="no-home"),
    ],
)
def test_an_installed_command_means_one_home_wherever_it_is_called(env: dict[str, str], home: str) -> None:
    """It is this user's data folder; a relative XDG_DATA_HOME is invalid by the specification and does not count."""
    assert default_home(env, in_checkout=False) == Path(home)
    assert default_configuration(Path(home), in_checkout=False) == Path(home) / "mds.yaml"


def test_mds_home_is_taken_as_it_is() -> None:
    """And an empty one is as good as none."""
    assert MdsSettings.from_env({"MDS_HOME": "/srv/mds"}).home == Path("/srv/mds")
    assert MdsSettings.from_env({"MDS_HOME": ""}).home == Path(".mds")


def test_the_example_is_the_committed_configuration() -> None:
    """`mds example` prints what a checkout starts from."""
    assert example_configuration() == Path("config/mds.yaml").read_text("utf-8")


def test_a_module_is_not_taken_from_the_folder_a_command_is_called_in(tmp_path: Path) -> None:
    """Somebody may have a `this` of his own there, which a checkout would run."""
    (tmp_path / "this.py").write_text("print('mine')")
    done = [
        subprocess.run(
            module_command("this", in_checkout=in_checkout),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for in_checkout in (True, False)
    ]

    assert done[0] == "mine\n"
    assert "The Zen of Python" in done[1]
    assert module_command("sinks", "archive")[0] == sys.executable
    assert module_command("sinks", "archive")[-3:] == ["-m", "sinks", "archive"]
