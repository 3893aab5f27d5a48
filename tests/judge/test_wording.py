"""What the judge says of hidden workloads tells nothing of their sizes."""

from __future__ import annotations

from foundry.judge.wording import OVER_OTHERS, build_failure, wrong_result
from foundry.kernel import parse
from foundry.program import BuildFailure
from ops import registry

KERNEL = parse("""/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
threadgroup float4 kept[256];
out[thread_position_in_grid.x] = x[thread_position_in_grid.x];
""")
LOG = """source:1:25: error: 'kept' is 16396 bytes, more than 4099u or 0x1003; float4 needs 256
    1 | threadgroup float4 kept[256];"""


def test_a_compilers_words_about_a_hidden_workload_hold_no_number_of_its_own() -> None:
    (workload, *_) = registry.get("silu").workloads("hidden", "float32")
    shown, hidden = (
        build_failure(BuildFailure(LOG), KERNEL, workload, hidden=hidden)
        for hidden in (False, True)
    )
    assert "16396 bytes, more than 4099u or 0x1003; float4 needs 256" in shown.message
    assert "'kept' is ? bytes, more than ?u or ?; float4 needs 256" in hidden.message
    assert hidden.message.startswith(f"kernel:{shown.line}:25: error")
    assert "threadgroup float4 kept[256];" in hidden.message
    assert hidden.line == shown.line == 7


def test_a_result_that_is_wrong_over_what_others_left_says_so_and_hides_sizes() -> None:
    (workload, *_) = registry.get("silu").workloads("hidden", "float32")
    shown, hidden = (
        wrong_result("out", "at [3] it is 7", "normal", workload, hidden=hidden, manner=OVER_OTHERS)
        for hidden in (False, True)
    )
    assert "other inputs left their results in the outputs" in shown.message
    assert "at [3] it is 7" in shown.message
    assert "other inputs left their results in the outputs" in hidden.message
    assert "[3]" not in hidden.message
    assert workload.id not in hidden.message
