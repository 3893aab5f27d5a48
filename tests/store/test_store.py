from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import store_examples as ex

from foundry.errors import UsageError
from foundry.judge.verdict import OutputError, Proven, Status
from foundry.kernel import parse, render
from foundry.store import CallState, NodeRecord, Store, Tokens, settings_key
from foundry.store.filelock import FileLock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/runs/foundry.db") as opened:
        yield opened


def test_an_evaluation_comes_back_as_it_was_saved(store: Store) -> None:
    k = ex.kernel()
    evaluation = ex.passed(k)
    run_id = ex.begin(store)
    store.save(run_id, k, render(k), evaluation, ex.ORIGIN, parent_hash="ab" * 32)
    (stored,) = store.evaluations()
    assert stored.evaluation == evaluation
    assert stored.text == render(k)
    assert parse(stored.text).hash == k.hash
    assert stored.origin == ex.ORIGIN
    assert stored.parent_hash == "ab" * 32
    assert stored.device == ex.DEVICE
    assert stored.device.id == ex.DEVICE.id
    assert stored.run_id == run_id
    assert stored.created_at.tzinfo is UTC


def test_a_failure_keeps_every_word(store: Store) -> None:
    k = ex.kernel()
    store.save(ex.begin(store), k, render(k), ex.failed(k), ex.ORIGIN)
    (stored,) = store.evaluations()
    first, second = stored.evaluation.diagnostics
    assert first == ex.failed(k).diagnostics[0]
    assert second.message == "second\nline é ∑ \\udcff \\x00"
    assert second.hidden


def test_a_text_that_is_no_kernel_is_kept_as_given(store: Store) -> None:
    evaluation = ex.failed(ex.kernel(), Status.INVALID)
    store.save(ex.begin(store), None, "Sure! Here is\n your\0 kernel", evaluation, ex.ORIGIN)
    (stored,) = store.evaluations()
    assert stored.text == "Sure! Here is\n your\\x00 kernel"


def test_the_canonical_text_is_stored_whatever_was_given(store: Store) -> None:
    k = ex.kernel()
    store.save(ex.begin(store), k, "\n" + render(k) + "\n\n", ex.passed(k), ex.ORIGIN)
    assert store.kernel_text(k.hash) == render(k)


def test_an_evaluation_of_another_kernel_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="evaluation of"):
        store.save(ex.begin(store), ex.kernel(1), "", ex.passed(ex.kernel(2)), ex.ORIGIN)
    assert list(store.evaluations()) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, 5e-324])
def test_errors_keep_values_that_are_no_numbers(store: Store, value: float) -> None:
    k = ex.kernel()
    error = OutputError(workload="w", output="out", max_abs_error=value, bound_ratio=value)
    evaluation = ex.failed(k).model_copy(update={"errors": (error,)})
    store.save(ex.begin(store), k, render(k), evaluation, ex.ORIGIN)
    (stored,) = store.evaluations()
    assert repr(stored.evaluation.errors[0]) == repr(error)


def test_save_is_one_transaction(store: Store) -> None:
    """A fault half way leaves neither kernel nor evaluation."""
    k = ex.kernel()
    run_id = ex.begin(store)
    unknown_device = ex.passed(k, device_id="cpu-000000000000")
    with pytest.raises(Exception, match="(?i)foreign key"):
        store.save(run_id, k, render(k), unknown_device, ex.ORIGIN)
    assert list(store.evaluations()) == []
    with pytest.raises(UsageError):
        store.kernel_text(k.hash)
    store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)
    assert len(list(store.evaluations())) == 1


def test_a_block_is_one_transaction(store: Store) -> None:
    k = ex.kernel()
    run_id = ex.begin(store)
    call = store.begin_call(run_id, "openai", "gpt", "h", {"input": "x"})

    def answer() -> None:
        with store.transaction():
            store.finish_call(call, state=CallState.DONE, response={"text": "k"})
            store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer()
    assert store.calls(run_id)[0].state is CallState.SENT
    assert list(store.evaluations()) == []


def test_find_prefers_disproof_then_timed_pass_then_latest(store: Store) -> None:
    k = ex.kernel()
    run_id = ex.begin(store)

    def found() -> Status | None:
        evaluation = store.find_evaluation(k.hash, ex.DEVICE.id, "float32")
        return evaluation and evaluation.status

    def save(evaluation: object) -> None:
        store.save(run_id, k, render(k), evaluation, ex.ORIGIN)  # type: ignore[arg-type]

    assert found() is None
    save(ex.failed(k, Status.TIMEOUT))
    assert found() is Status.TIMEOUT
    save(ex.passed(k, 1.5))
    assert found() is Status.FASTER
    save(ex.passed(k, 1.2, status=Status.CORRECT, timings=()))
    assert found() is Status.FASTER
    save(ex.passed(k, 0.9))
    assert found() is Status.CORRECT
    save(ex.failed(k, Status.CRASH))
    assert found() is Status.CORRECT
    save(ex.failed(k, Status.WRONG_RESULT))
    save(ex.passed(k, 1.9))
    assert found() is Status.WRONG_RESULT
    assert store.find_evaluation(k.hash, ex.DEVICE.id, "float16") is None
    assert store.find_evaluation(k.hash, "metal-0", "float32") is None


def test_evaluations_of_another_judge_do_not_count(store: Store) -> None:
    k = ex.kernel()
    old = ex.passed(k, judge_version=0)
    store.save(ex.begin(store), k, render(k), old, ex.ORIGIN)
    assert store.find_evaluation(k.hash, ex.DEVICE.id, "float32") is None
    assert store.best("silu", ex.DEVICE.id, "float32") == []
    assert len(list(store.evaluations())) == 1


def test_best_is_the_latest_score_of_proven_kernels(store: Store) -> None:
    run_id = ex.begin(store)
    a, b, c, d = (ex.kernel(n) for n in range(4))
    for k, evaluation in (
        (a, ex.passed(a, 9.0)),  # a lucky measurement, taken back by the next
        (a, ex.passed(a, 1.1)),
        (b, ex.passed(b, 1.3)),
        (c, ex.passed(c, 5.0)),  # disproved later
        (c, ex.failed(c)),
        (d, ex.passed(d, 7.0, status=Status.CORRECT, timings=())),
    ):
        store.save(run_id, k, render(k), evaluation, ex.ORIGIN)
    found = store.best("silu", ex.DEVICE.id, "float32", limit=None)
    assert [s.evaluation.kernel_hash for s in found] == [b.hash, a.hash]
    assert [s.evaluation.score for s in found] == pytest.approx([1.3, 1.1])
    assert len(store.best("silu", ex.DEVICE.id, "float32")) == 1
    assert store.best("silu", ex.DEVICE.id, "float16") == []
    assert store.best("softmax", ex.DEVICE.id, "float32") == []


def test_overview_counts_and_names_the_best(store: Store) -> None:
    assert store.overview() == []
    run_id = ex.begin(store)
    a, b = ex.kernel(1), ex.kernel(2)
    store.save(run_id, a, render(a), ex.passed(a, 1.3), ex.ORIGIN)
    store.save(run_id, b, render(b), ex.failed(b), ex.ORIGIN)
    store.save(run_id, b, render(b), ex.failed(b, dtype="float16"), ex.ORIGIN)
    half, single = store.overview()
    assert (half.op, half.dtype, half.statuses) == ("silu", "float16", {"wrong_result": 1})
    assert half.best_hash is None
    assert single.statuses == {"faster": 1, "wrong_result": 1}
    assert single.evaluations == 2
    assert single.best_hash == a.hash
    assert single.best_score == pytest.approx(1.3)
    assert single.device_name == ex.DEVICE.name


def test_iteration_pages_filters_and_limits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foundry.store.store._PAGE", 3)
    first, second = ex.begin(store), ex.begin(store, seed=2)
    for number in range(8):
        k = ex.kernel(number, "silu" if number % 2 else "softmax")
        evaluation = ex.failed(k) if number == 7 else ex.passed(k)
        store.save(first if number < 5 else second, k, render(k), evaluation, ex.ORIGIN)
    ids = [s.id for s in store.evaluations()]
    assert ids == list(range(1, 9))
    assert [s.id for s in store.evaluations(newest_first=True, limit=4)] == [8, 7, 6, 5]
    assert [s.id for s in store.evaluations(limit=7)] == list(range(1, 8))
    assert [s.id for s in store.evaluations(op="softmax")] == [1, 3, 5, 7]
    assert [s.id for s in store.evaluations(status=Status.WRONG_RESULT)] == [8]
    assert [s.id for s in store.evaluations(run_id=second)] == [6, 7, 8]
    assert list(store.evaluations(device_id="metal-0")) == []
    assert list(store.evaluations(limit=0)) == []


def test_saving_while_iterating_is_fine(store: Store) -> None:
    run_id = ex.begin(store)
    for number in range(3):
        k = ex.kernel(number)
        store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)
    for number, _ in enumerate(store.evaluations(limit=3)):
        k = ex.kernel(10 + number)
        store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)
    assert len(list(store.evaluations())) == 6


def test_kernels_answer_to_the_first_digits_of_their_hash(store: Store) -> None:
    run_id = ex.begin(store)
    for number in range(60):
        k = ex.kernel(number)
        store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)
    assert store.kernel_hash(k.hash[:12]) == k.hash
    assert store.kernel_text(k.hash[:12].upper()) == render(k)
    for prefix, words in (("abc", "4 or more"), ("wxyz", "not a kernel hash"), ("f%__", "not a")):
        with pytest.raises(UsageError, match=words):
            store.kernel_hash(prefix)
    with pytest.raises(UsageError, match="no kernel"):
        store.kernel_hash("0" * 40)


def test_an_ambiguous_prefix_names_the_candidates(store: Store) -> None:
    run_id = ex.begin(store)
    for end in "ab":
        evaluation = ex.failed(ex.kernel(), Status.INVALID)
        evaluation = evaluation.model_copy(update={"kernel_hash": "1234" + "0" * 59 + end})
        store.save(run_id, None, "x", evaluation, ex.ORIGIN)
    with pytest.raises(UsageError, match="ambiguous: 12340000, 12340000; give more digits"):
        store.kernel_hash("1234")


def test_a_run_is_taken_up_again_until_it_is_done(store: Store) -> None:
    key = settings_key({"ops": ["silu"]}, 1, ex.DEVICE)
    assert store.resumable("run", key) is None
    run_id = ex.begin(store)
    assert store.resumable("run", key) == run_id
    assert store.resumable("search", key) is None
    assert store.resumable("run", settings_key({"ops": ["silu"]}, 2, ex.DEVICE)) is None
    store.finish_run(run_id, "interrupted")
    assert store.resumable("run", key) == run_id
    store.resume_run(run_id)
    (run,) = store.runs()
    assert (run.outcome, run.finished_at, run.resumed) == (None, None, 1)
    store.finish_run(run_id, "done")
    assert store.resumable("run", key) is None
    (run,) = store.runs()
    assert run.outcome == "done"
    assert run.finished_at is not None
    assert run.finished_at >= run.started_at


def test_two_processes_never_work_on_one_run(store: Store) -> None:
    run_id = ex.begin(store)
    with Store.open(str(store.location.path)) as other:
        with pytest.raises(UsageError, match="at work in another process"):
            other.resume_run(run_id)
        store.finish_run(run_id, "interrupted")
        other.resume_run(run_id)
        with pytest.raises(UsageError, match="at work"):
            store.resume_run(run_id)
    store.resume_run(run_id)


def test_claims_leave_no_files(tmp_path: Path) -> None:
    locks = tmp_path / "x.db.locks"
    with Store.open(str(tmp_path / "x.db")) as store:
        done, left = ex.begin(store, 1), ex.begin(store, 2)
        assert {f"run-{done}", f"run-{left}"} <= {path.name for path in locks.iterdir()}
        store.finish_run(done, "done")
        assert not (locks / f"run-{done}").exists()
    assert not [path for path in locks.iterdir() if path.name.startswith("run-")]


def test_a_lock_whose_file_was_removed_is_taken_on_the_new_file(tmp_path: Path) -> None:
    first, second, third = (FileLock(tmp_path / "x.db", "run-1") for _ in range(3))
    assert first.try_acquire()
    first.discard()
    assert second.try_acquire()
    assert not third.try_acquire()
    second.release()
    assert third.try_acquire()
    third.discard()


def test_unknown_runs_are_usage_errors(store: Store) -> None:
    for act in (lambda: store.resume_run(99), lambda: store.finish_run(99, "done")):
        with pytest.raises(UsageError, match="no run 99"):
            act()


def test_a_run_records_what_it_ran_under(store: Store) -> None:
    run_id = store.begin_run(
        "search", "discover search silu", {"c": 1.5, "ops": ["silu"]}, 7, ex.DEVICE
    )
    (run,) = store.runs()
    assert run.id == run_id
    assert run.settings == {"c": 1.5, "ops": ["silu"]}
    assert run.device == ex.DEVICE
    assert run.environment["packages"]["mlx"]
    assert run.environment["python"]
    assert run.evaluations == 0


def test_settings_keys_ignore_order_and_nothing_else() -> None:
    key = settings_key({"a": 1, "b": [1, 2]}, 3, ex.DEVICE)
    assert settings_key({"b": [1, 2], "a": 1}, 3, ex.DEVICE) == key
    assert settings_key({"b": [2, 1], "a": 1}, 3, ex.DEVICE) != key
    assert settings_key({"b": [1, 2], "a": 1}, 4, ex.DEVICE) != key


def test_a_call_is_a_row_before_and_after(store: Store) -> None:
    run_id = ex.begin(store)
    request = {"model": "m", "messages": [{"role": "user", "content": "é\udcff"}]}
    call = store.begin_call(
        run_id, "anthropic", "claude", "hash", request, most_tokens=9000, most_usd=0.25
    )
    (sent,) = store.calls(run_id)
    assert sent.id == call
    assert sent.state is CallState.SENT
    assert sent.request == request
    assert (sent.most_tokens, sent.most_usd) == (9000, 0.25)
    assert (sent.response, sent.finished_at, sent.cost_usd) == (None, None, None)
    tokens = Tokens(1200, 340, 1000, 100, 300, estimated=True)
    store.finish_call(
        call,
        state=CallState.DONE,
        response={"text": "kernel", "nan": [1.5]},
        tokens=tokens,
        cost_usd=0.0123,
        provider_request_id="req_1",
    )
    (done,) = store.calls(run_id)
    assert done.tokens == tokens
    assert done.response == {"text": "kernel", "nan": [1.5]}
    assert (done.cost_usd, done.provider_request_id) == (0.0123, "req_1")
    with pytest.raises(ValueError, match="no call 99"):
        store.finish_call(99, state=CallState.FAILED)


def test_calls_under_way_at_a_kill_are_lost_once(store: Store) -> None:
    run_id, other_run = ex.begin(store), ex.begin(store, seed=2)
    store.begin_call(other_run, "p", "m", "h", {})
    pending = store.begin_call(run_id, "p", "m", "h", {}, most_usd=0.5)
    lost = store.lose_calls(run_id)
    assert [(c.id, c.state, c.most_usd) for c in lost] == [(pending, CallState.LOST, 0.5)]
    assert store.lose_calls(run_id) == []
    assert store.calls(other_run)[0].state is CallState.SENT


def test_nodes_are_replaced_and_come_back_in_order(store: Store) -> None:
    run_id, other = ex.begin(store), ex.begin(store, seed=2)
    root = NodeRecord(0, None, "root:template", "judged", "ab", 1.25, 3, {"seed": 4})
    child = NodeRecord(1, 0, "mutate", "open")
    for node in (child, root):
        store.save_node(run_id, node)
    store.save_node(other, NodeRecord(0, None, "root:store", "judged"))
    assert store.nodes(run_id) == [root, child]
    closed = NodeRecord(1, 0, "mutate", "judged", "cd", None, 0, {"repairable": True})
    store.save_node(run_id, closed)
    assert store.nodes(run_id) == [root, closed]
    assert len(store.nodes(other)) == 1


def test_threads_take_turns(store: Store) -> None:
    run_id = ex.begin(store)

    def work(start: int) -> None:
        for number in range(start, start + 10):
            k = ex.kernel(number)
            store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)
            assert store.find_evaluation(k.hash, ex.DEVICE.id, "float32") is not None

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(store.evaluations())) == 40


def test_times_are_utc_whatever_zone_the_clock_has(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, 1, 30, tzinfo=timezone(timedelta(hours=9)))
    with Store.open(str(tmp_path / "t.db"), clock=lambda: now) as store:
        ex.begin(store)
        (run,) = store.runs()
    assert run.started_at == datetime(2026, 11, 20, 16, 30, tzinfo=UTC)


def test_a_clock_without_a_zone_is_refused(tmp_path: Path) -> None:
    naive = datetime(2026, 11, 21)  # noqa: DTZ001
    with (
        Store.open(str(tmp_path / "t.db"), clock=lambda: naive) as store,
        pytest.raises(Exception, match="time zone"),
    ):
        ex.begin(store)


def test_the_sizes_a_kernel_was_right_on_are_kept() -> None:
    k = ex.kernel()
    proven = Proven(axes={"rows": (1, 521), "cols": (1, 70_001)}, elements=1 << 21)
    with Store.open("sqlite://") as store:
        run_id = ex.begin(store)
        store.save(run_id, k, render(k), ex.passed(k, proven=proven), ex.ORIGIN)
        store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)
        assert [e.evaluation.proven for e in store.evaluations()] == [proven, None]
