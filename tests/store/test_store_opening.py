from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import store_examples as ex
from sqlalchemy import text

from foundry.errors import EnvironmentUnusable, FoundryError, UsageError
from foundry.judge.verdict import JUDGE_VERSION
from foundry.kernel import render
from foundry.store import CallState, Store, schema, settings_key
from foundry.store.filelock import FileLock
from foundry.store.location import locate

GOLDEN = Path(__file__).parent / "assets" / f"{schema.HEAD}.db"


def one_line(error: FoundryError, *words: str) -> None:
    message = str(error)
    assert "\n" not in message
    for word in words:
        assert word in message, message


@pytest.fixture
def golden_copy(tmp_path: Path) -> Path:
    return Path(shutil.copy(GOLDEN, tmp_path / "old.db"))


# Where


def test_the_default_is_the_environment_then_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_DB", "sqlite:///elsewhere.db")
    assert locate().path == Path("elsewhere.db")
    monkeypatch.delenv("FOUNDRY_DB")
    assert locate().path == Path("runs/foundry.db")
    assert locate("plain/file.db").path == Path("plain/file.db")
    assert locate("sqlite:////abs/file.db").path == Path("/abs/file.db")
    assert locate("sqlite://").path is None


@pytest.mark.parametrize("url", ["nosuch://x/y", "sqlite+nosuch:///x.db", "://", "postgres://h/d"])
def test_an_unknown_kind_of_database_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Store.open(url)
    one_line(caught.value, "sqlite:///runs/foundry.db")


def test_a_broken_url_does_not_show_its_password() -> None:
    with pytest.raises(UsageError) as caught:
        Store.open("postgresql://me:secret@host:port:9/x@y")
    one_line(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_says_what_to_install() -> None:
    with pytest.raises(EnvironmentUnusable) as caught:
        Store.open("oracle+oracledb://host/name")
    one_line(caught.value, "oracledb", "pip install")
    assert caught.value.exit_code == 3


def test_a_database_in_memory_works() -> None:
    with Store.open("sqlite://") as store:
        k = ex.kernel()
        store.save(ex.begin(store), k, render(k), ex.passed(k), ex.ORIGIN)
        assert len(list(store.evaluations())) == 1


def test_threads_open_new_databases_at_once(tmp_path: Path) -> None:
    names = ["one.db", "two.db", "one.db", "three.db"]
    together = threading.Barrier(len(names))

    def opened(name: str) -> int:
        together.wait(10)
        with Store.open(str(tmp_path / name)) as store:
            return ex.begin(store)

    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(opened, names))
    assert sorted(found) == [1, 1, 1, 2]


def test_an_uncommon_path_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a b%20?#é" / "x.db"
    with Store.open(str(path).replace("?", "")) as store:
        ex.begin(store)
        place = store.location.path
    assert place is not None
    assert place.exists()
    with Store.open(str(place), read_only=True) as store:
        assert len(store.runs()) == 1


# What is there


def test_a_report_on_nothing_says_what_to_run_first(tmp_path: Path) -> None:
    path = tmp_path / "none" / "x.db"
    with pytest.raises(EnvironmentUnusable) as caught:
        Store.open(str(path), read_only=True)
    one_line(caught.value, str(path), "does not exist", "foundry run")
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


def test_a_report_on_an_empty_file_leaves_it_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.touch()
    with pytest.raises(EnvironmentUnusable) as caught:
        Store.open(str(path), read_only=True)
    one_line(caught.value, "is empty", "foundry run")
    assert path.stat().st_size == 0


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.touch()
    with Store.open(str(path)) as store:
        assert store.runs() == []


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "content", [b"hello, I am a text file\n" * 60, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_file_that_is_no_database_is_left_alone(
    tmp_path: Path, content: bytes, read_only: bool
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(EnvironmentUnusable) as caught:
        Store.open(str(path), read_only=read_only)
    one_line(caught.value, "notes.txt", "--db")
    assert path.read_bytes() == content


@pytest.mark.parametrize("read_only", [False, True])
def test_a_folder_is_no_database(tmp_path: Path, read_only: bool) -> None:
    with pytest.raises(UsageError) as caught:
        Store.open(str(tmp_path), read_only=read_only)
    one_line(caught.value, "is a folder")


def test_a_file_in_the_way_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(EnvironmentUnusable) as caught:
        Store.open(str(tmp_path / "runs" / "x.db"))
    one_line(caught.value, "cannot be written")


@pytest.mark.parametrize("read_only", [False, True])
def test_the_database_of_another_program_is_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    with pytest.raises(EnvironmentUnusable) as caught:
        Store.open(str(path), read_only=read_only)
    one_line(caught.value, "another program", "songs")
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert tables == [("songs",)]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_schema_asks_for_an_upgrade(golden_copy: Path, read_only: bool) -> None:
    with sqlite3.connect(golden_copy) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0977'")
    connection.close()
    with pytest.raises(EnvironmentUnusable) as caught:
        Store.open(str(golden_copy), read_only=read_only)
    one_line(caught.value, "0977", schema.HEAD, "pip install -U metal-foundry")
    assert caught.value.exit_code == 3


# Reading and writing rights


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder that this process may not write in, root or not."""
    Store.open("sqlite://").close()  # imports all it needs while it may still read them
    parent = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    parent.chmod(0o755)
    folder = parent / "locked"
    folder.mkdir()
    with Store.open(str(folder / "x.db")) as store:
        store.finish_run(ex.begin(store), "done")
    os.chmod(folder / "x.db", 0o444)
    os.chmod(folder, 0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    os.chmod(folder, 0o755)
    shutil.rmtree(parent)


def test_reports_work_in_a_read_only_folder(locked_folder: Path) -> None:
    before = sorted(os.listdir(locked_folder))
    with Store.open(str(locked_folder / "x.db"), read_only=True) as store:
        assert len(store.runs()) == 1
    assert sorted(os.listdir(locked_folder)) == before


@pytest.mark.parametrize("name", ["x.db", "new.db", "deeper/new.db"])
def test_writing_in_a_read_only_folder_is_one_line(locked_folder: Path, name: str) -> None:
    with pytest.raises(EnvironmentUnusable) as caught:
        Store.open(str(locked_folder / name))
    one_line(caught.value, "locked", "cannot be written", "--db")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("read_only", [False, True])
def test_a_folder_that_is_closed_to_us_is_one_line(locked_folder: Path, read_only: bool) -> None:
    user = os.geteuid()
    os.seteuid(os.getuid())
    locked_folder.parent.chmod(0o700 if os.getuid() == 0 else 0)
    os.seteuid(user)
    try:
        with pytest.raises(EnvironmentUnusable) as caught:
            Store.open(str(locked_folder / "x.db"), read_only=read_only)
    finally:
        os.seteuid(os.getuid())
        locked_folder.parent.chmod(0o755)
        os.seteuid(user)
    one_line(caught.value, str(locked_folder))


def test_a_read_only_store_refuses_to_write(golden_copy: Path) -> None:
    before = golden_copy.read_bytes()
    with Store.open(str(golden_copy), read_only=True) as store:
        with pytest.raises(EnvironmentUnusable) as caught:
            ex.begin(store)
        one_line(caught.value)
    assert golden_copy.read_bytes() == before


# Revisions


def test_opening_at_the_newest_revision_needs_no_alembic(golden_copy: Path) -> None:
    program = (
        "import sys; from foundry.store import Store\n"
        f"with Store.open({str(golden_copy)!r}) as s: s.overview()\n"
        "print([m for m in ('alembic', 'sqlalchemy.orm', 'mlx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_models_are_what_the_migrations_make(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from foundry.store.tables.models import metadata

    with Store.open(str(tmp_path / "x.db")) as store, store._reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_list_of_revisions_is_complete() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(schema.MIGRATIONS))
    found = [script.revision for script in scripts.walk_revisions()]
    assert list(schema.REVISIONS) == found[::-1]
    for revision in schema.REVISIONS:
        assert (GOLDEN.parent / f"{revision}.db").is_file(), f"no golden database of {revision}"


def _judge_again(path: Path) -> None:
    """As if today's judge had found the same; what an older one found is not used."""
    connection = sqlite3.connect(path)
    for table in ("runs", "evaluations"):
        connection.execute(f"UPDATE {table} SET judge_version = {JUDGE_VERSION}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("revision", schema.REVISIONS)
def test_a_database_of_every_revision_opens_and_goes_on(tmp_path: Path, revision: str) -> None:
    path = Path(shutil.copy(GOLDEN.parent / f"{revision}.db", tmp_path / "old.db"))
    _judge_again(path)
    good, bad = ex.kernel(1), ex.kernel(2)
    with Store.open(str(path)) as store:
        first, second = store.evaluations()
        assert first.evaluation == ex.passed(good, 1.25)
        assert second.parent_hash == good.hash
        assert store.best("silu", ex.DEVICE.id, "float32")[0].text == render(good)
        run_id = store.resumable("run", settings_key({"ops": ["silu"]}, 1, ex.DEVICE))
        assert run_id == 1
        store.resume_run(run_id)
        assert [call.request for call in store.lose_calls(run_id)] == [{"n": 2}]
        assert [call.state for call in store.calls(run_id)] == [CallState.DONE, CallState.LOST]
        assert [node.state for node in store.nodes(run_id)] == ["judged", "open"]
        store.save(run_id, bad, render(bad), ex.passed(bad), ex.ORIGIN)
        store.finish_run(run_id, "done")


@pytest.fixture
def next_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The migrations, and one more that adds a table and a column."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder)
    script = folder / "versions" / "rev_next.py"
    script.write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        f"revision, down_revision = 'next', '{schema.HEAD}'\n"
        "branch_labels = depends_on = None\n"
        "def upgrade():\n"
        "    op.create_table('extra', sa.Column('id', sa.Integer, primary_key=True))\n"
        "    with op.batch_alter_table('nodes') as nodes:\n"
        "        nodes.add_column(sa.Column('depth', sa.Integer))\n"
        "    # FAULT\n"
    )
    monkeypatch.setattr(schema, "MIGRATIONS", folder)
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "next"))
    monkeypatch.setattr(schema, "HEAD", "next")
    return script


def _version(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    finally:
        connection.close()
    return str(found)


def test_an_older_database_is_upgraded_with_all_it_holds(
    golden_copy: Path, next_revision: Path
) -> None:
    with pytest.raises(EnvironmentUnusable, match="older than next") as caught:
        Store.open(str(golden_copy), read_only=True)
    one_line(caught.value, "foundry run")
    assert _version(golden_copy) == GOLDEN.stem
    with Store.open(str(golden_copy)) as store:
        assert len(list(store.evaluations())) == 2
        assert len(store.nodes(1)) == 2
        with store._reading() as connection:
            assert connection.execute(text("SELECT depth FROM nodes")).all() == [(None,), (None,)]
    assert _version(golden_copy) == "next"


def test_a_migration_that_fails_leaves_the_old_database(
    golden_copy: Path, next_revision: Path
) -> None:
    script = next_revision.read_text()
    next_revision.write_text(script.replace("# FAULT", "raise RuntimeError('half way')"))
    with pytest.raises(RuntimeError, match="half way"):
        Store.open(str(golden_copy))
    assert _version(golden_copy) == GOLDEN.stem
    connection = sqlite3.connect(golden_copy)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert "extra" not in tables
    assert not any(re.match("_alembic_tmp", name) for name in tables)


def test_a_disk_that_knows_no_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, mode: int) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    lock = FileLock(tmp_path / "x.db", "run-1")
    monkeypatch.setattr("fcntl.flock", flock)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(EnvironmentUnusable, match="cannot be locked there.*--db on a disk"):
        lock.try_acquire()
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("name", ["what?.db", "50%20.db", "a@b:c.db", "größe #1.db"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    with Store.open(str(tmp_path / name)) as store:
        ex.begin(store)
    assert (tmp_path / name).exists()
    with Store.open(str(tmp_path / name), read_only=True) as store:
        assert len(store.runs()) == 1
