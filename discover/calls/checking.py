"""Asks every proposer, before anything is spent, whether it would be answered at all."""

from __future__ import annotations

from collections.abc import Sequence

from discover.proposers.keys import without_secrets
from discover.protocol import Probed, Proposer
from foundry.errors import EnvironmentUnusable

PROBE_S = 10.0


def check(proposers: Sequence[Proposer]) -> None:
    """Ask every proposer that can tell whether it would be answered.

    Raises:
        EnvironmentUnusable: One would not be.
    """
    for proposer in proposers:
        failure = proposer.probe(PROBE_S) if isinstance(proposer, Probed) else None
        if failure is not None:
            title = " ".join(filter(None, (proposer.name, proposer.model)))
            raise EnvironmentUnusable(
                f"{title}: {without_secrets(failure.message)}.",
                "Mend it, or choose another with --llm; nothing was sent or judged.",
            )
