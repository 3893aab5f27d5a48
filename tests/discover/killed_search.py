"""One session of a search on a fake server, as a program of its own: made to be killed.

`python killed_search.py FOLDER URL CANDIDATES`: the run in the folder goes on, or begins.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from searching import ScriptedJudge, Stage, scored

from discover.budget.limits import Limits
from discover.proposers.registry import make
from discover.protocol import ProposerOptions


def main(folder: Path, url: str, candidates: int) -> None:
    begun = (folder / "search.db").exists()
    stage = Stage(folder, run_id=1 if begun else None)
    if begun:
        stage.store.resume_run(1)
    options = ProposerOptions(base_url=url, max_output_tokens=300)
    with closing(make("anthropic:m", options)) as proposer:
        stage.search(
            [proposer],  # type: ignore[list-item]
            ScriptedJudge(),
            Limits(evaluations=candidates),
            roots=[scored(1.0)],
            resume=begun,
        )
    stage.store.finish_run(1, "done")
    stage.store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
