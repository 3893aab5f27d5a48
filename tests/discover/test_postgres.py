"""A cut search on PostgreSQL: a server of its own in a temporary folder, on a socket alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from searching import Scripted, ScriptedJudge, Stage, scored

from discover.budget.limits import Limits
from discover.history.lessons import words_of
from discover.history.summary import summarise
from discover.pages.markdown import markdown
from discover.pages.story import gather
from foundry.store import Store
from foundry.store.records import CallState

ROOT = scored(1.0)
REPLIES = [f"Step {i}.\n```metal\n{scored(1 + i)}```" for i in range(1, 12)]


def binaries() -> Path | None:
    """Where `initdb` and `pg_ctl` are; Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((f for f in folders if (f / "pg_ctl").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a fresh server."""
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: postgresql)")
    # It refuses to run as root.
    user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    if user and shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and runuser is missing")
    # A short path: a socket's name has room for a hundred characters.
    data = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    data.chmod(0o777)

    def run(*command: str) -> None:
        subprocess.run(
            [*user, *command], check=True, cwd=data, timeout=60, stdout=subprocess.DEVNULL
        )

    tool = str(folder / "pg_ctl")
    options = f"-k {data} -c listen_addresses='' -c fsync=off"
    try:
        run(str(folder / "initdb"), "-D", f"{data}/db", "-U", "foundry", "--auth=trust")
        run(tool, "-D", f"{data}/db", "-l", f"{data}/log", "-w", "-o", options, "start")
        yield f"postgresql+psycopg://foundry@/postgres?host={data}"
        run(tool, "-D", f"{data}/db", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(data, ignore_errors=True)


@pytest.mark.slow
def test_a_search_that_is_cut_goes_on(server: str, tmp_path: Path) -> None:
    first = Stage(tmp_path, url=server)
    settings = {"op": "twice", "dtype": "float32", "proposers": ["scripted"]}
    device = first.store.runs()[0].device
    first.run_id = first.store.begin_run("search", "test", settings, 0, device)
    llm, judge = Scripted(REPLIES), ScriptedJudge(interrupt_at=5)
    with pytest.raises(KeyboardInterrupt):
        first.search([llm], judge, Limits(evaluations=9), roots=[ROOT])
    run_id = first.run_id
    first.store.close()
    again = Stage(tmp_path, run_id=run_id, url=server)
    second = ScriptedJudge()
    outcome = again.search(
        [llm], second, Limits(evaluations=9), roots=[ROOT], resume=True, parallel=2
    )
    assert outcome.state.evaluations == 9
    assert not set(judge.texts[:4]) & set(second.texts)
    assert {c.state for c in again.store.calls(run_id)} == {CallState.DONE}
    run = next(r for r in again.store.runs() if r.id == run_id)
    text = markdown([gather(again.store, summarise(again.store, run))], "Night")
    assert words_of(REPLIES[0]) == "Step 1."
    assert "## twice float32" in text
    again.store.close()
    with Store.open(server, read_only=True) as store:
        assert len(store.nodes(run_id)) == 9
