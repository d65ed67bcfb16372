"""Commands that documents fence as `sh deploy`: no test runs them, so each is read by whoever would."""

from __future__ import annotations

import subprocess

import pytest

from tests.architecture.test_documents import tracked
from tests.support.deploy_commands import FENCE, ROOT, commands, faults

BLOCKS = [
    pytest.param(block, id=f"{document.relative_to(ROOT)}-{number}")
    for document in tracked(".md")
    for number, block in enumerate(FENCE.findall(document.read_text("utf-8")))
]


def test_there_are_such_commands() -> None:
    """A fence spelt otherwise would be read by nobody."""
    assert len(BLOCKS) > 10


@pytest.mark.parametrize("block", BLOCKS)
def test_a_shell_can_read_the_commands(block: str) -> None:
    """By the shell's own parser."""
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", BLOCKS)
def test_every_command_is_one_that_is_there(block: str) -> None:
    """`mds` by its own parser, files, modules, targets, values of the chart and routes by what is in the repository."""
    assert list(commands(block))
    assert faults(block) == []


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("mds preflight --gatewys 2", "No such option"),
        ("mds preflight --gateways none", "Invalid value"),
        ("mds topic apply", "mds has no command topic"),
        ("mds migrate between", "Invalid value"),
        ("mds backfill SPY --start 2026-03-02", "Missing option"),
        ("mds", "mds has no command"),
        ("true | frobnicate", "frobnicate is no program"),
        ("cd infra/composed && python3 prepare.py demo", "no folder infra/composed"),
        ("cd infra/compose && python3 prepared.py demo", "no prepared.py"),
        ("cd infra/compose && chcon ../grafana", "chcon is no program"),
        ("cd infra/compose && cat ../grafana", "no ../grafana"),
        ("python -m gatewey new-key desk", "no gatewey"),
        ("MDS_KAFKER=x mds migrate", "MDS_KAFKER is no setting"),
        ("make depoy", "no target depoy"),
        ("make setup EXTRA=lakes", "no requirements-lakes.lock"),
        ("helm install mds infra/helm/other", "no infra/helm/other"),
        ("helm install mds infra/helm", "no chart"),
        (
            "helm install mds infra/helm/market-data-service \\\n  --set kafka.bootstrapServer=k:1",
            "no value kafka.bootstrapServer",
        ),
        ("docker compose exec gateway mds slow", "mds has no command slow"),
        ("export A=$(mds envy)", "mds has no command envy"),
        ("curl -s http://127.0.0.1:8001/healthy", "no GET /healthy"),
        ("curl -s 'http://127.0.0.1:8001/gaps?symbl=SPY'", "symbl"),
        ("curl -s -X POST http://127.0.0.1:8001/gaps", "no POST /gaps"),
    ],
)
def test_a_command_that_would_not_work_is_told(block: str, said: str) -> None:
    """Whatever part of it is wrong."""
    assert any(said in fault for fault in faults(block)), faults(block)


def test_a_command_is_split_as_a_shell_does() -> None:
    """Pipes, lists, redirections, continued lines, quotations over lines, comments, substitutions and loops."""
    block = (
        "cat a | mds env > b && X=1 make \\\n  run # not this\n"
        "printf 'a\nb;c'\n"
        'export Y="$(git rev-parse HEAD)"\n'
        'for f in *.deb; do dpkg -x "$f" there; done\n'
    )

    assert list(commands(block)) == [
        ["cat", "a"],
        ["mds", "env"],
        ["X=1", "make", "run"],
        ["printf", "a\nb;c"],
        ["git", "rev-parse", "HEAD"],
        ["export", "Y=SUBSTITUTED"],
        ["dpkg", "-x", "$f", "there"],
    ]


def test_a_quotation_without_an_end_is_told() -> None:
    """Rather than left out with all that follows."""
    with pytest.raises(ValueError, match="has no end"):
        list(commands("printf 'a\nmds env\n"))
