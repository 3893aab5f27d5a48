"""What holds for a store on SQLite holds on PostgreSQL: the same checks, a fresh database each."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator

import postgres_server
import pytest
import store_examples as ex
import test_store
from sqlalchemy import create_engine

from foundry.errors import UsageError
from foundry.store import Store
from foundry.store.serverlock import SCHEMA, await_turn

OF_FILES = {"test_two_processes_never_work_on_one_run"}
"""They open the store's file a second time."""
CONTRACT = [
    check
    for name, check in vars(test_store).items()
    if name.startswith("test_")
    and name not in OF_FILES
    and list(inspect.signature(check).parameters) == ["store"]
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a fresh server."""
    with postgres_server.running() as url:
        yield url


@pytest.fixture
def database(server: str, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database on it."""
    import psycopg

    name = f"t{abs(hash(request.node.name)) % 10**12}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type, unused-ignore]
    return server.replace("/postgres?", f"/{name}?")


@pytest.mark.slow
@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__[5:])
def test_a_store_on_postgresql(database: str, check: Callable[[Store], None]) -> None:
    with Store.open(database) as store:
        check(store)


@pytest.mark.slow
def test_two_processes_may_find_the_same_kernel_at_once(database: str) -> None:
    """The second waits for the first to be through, and does not fail for it."""
    same, found = ex.kernel(1), list[int]()

    def save() -> None:
        with Store.open(database) as other:
            run_id = ex.begin(other, 2)
            found.append(other.save(run_id, same, "", ex.passed(same), ex.ORIGIN))

    with Store.open(database) as store:
        run_id = ex.begin(store, 1)
        with store.transaction():
            store.save(run_id, same, "", ex.passed(same), ex.ORIGIN)
            thread = threading.Thread(target=save)
            thread.start()
            thread.join(1.0)
            assert thread.is_alive()
        thread.join(30.0)
        assert found
        assert len(list(store.evaluations())) == 2


@pytest.mark.slow
def test_two_processes_never_work_on_one_run_of_a_server(database: str) -> None:
    with Store.open(database) as store:
        run_id = ex.begin(store)
        with Store.open(database) as other:
            with pytest.raises(UsageError, match="at work in another process"):
                other.resume_run(run_id)
            store.finish_run(run_id, "interrupted")
            other.resume_run(run_id)
            with pytest.raises(UsageError, match="at work"):
                store.resume_run(run_id)
        store.resume_run(run_id)  # the other one is gone, and its claim with it


@pytest.mark.slow
def test_tables_are_made_by_one_process_at_a_time(database: str) -> None:
    opened = threading.Event()

    def open_store() -> None:
        Store.open(database).close()
        opened.set()

    engine = create_engine(database)
    with engine.connect() as first:
        await_turn(first, SCHEMA)
        thread = threading.Thread(target=open_store)
        thread.start()
        assert not opened.wait(2.0)
    assert opened.wait(30.0)
    thread.join()
    engine.dispose()
