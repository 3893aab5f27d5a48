"""Kernels in the place of a model's own code: the same tokens, and nothing that stays behind."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from pattern_package import at_work, written

pytest.importorskip("mlx_lm")

from mlx_lm.models.cache import KVCache, QuantizedKVCache
from mlx_lm.tuner.trainer import grad_checkpoint

from foundry.models import tiny
from foundry.models.comparing import compared
from foundry.models.conditions import ValidationPlan
from foundry.models.decoding import decode
from foundry.models.loading import load
from foundry.models.validation import validate

NAME = "patterns"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("patterns"), NAME, ("float32", "bfloat16"))


@pytest.fixture
def package(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv(f"{NAME.upper()}_CACHE_DIR", str(tmp_path))
    with at_work(folder, NAME) as module:
        module.dispatch.forget()
        yield module


FEW = ("llama", "qwen3_moe")
STABLE = ValidationPlan("stable", tokens=12, pairs=0)


def same_tokens(package: ModuleType, family: str, plan: ValidationPlan) -> Any:
    found = validate(load(f"tiny:{family}"), package, plan)
    assert found.is_same, found.prompts
    assert found.patterns
    assert found.kernels_ran
    return found


@pytest.mark.parametrize("family", FEW)
def test_tokens_stay_the_same(package: ModuleType, family: str) -> None:
    found = same_tokens(package, family, STABLE)
    assert {"rms_norm", "swiglu", "rope"} <= set(found.kernels_ran)


def test_what_ran_is_told_of_every_validation(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ValidationPlan("stable", tokens=2, pairs=0)
    first, again = (validate(load("tiny:llama"), package, plan) for _ in range(2))
    assert again == first.model_copy(
        update={"plain_bytes": again.plain_bytes, "kernels_bytes": again.kernels_bytes}
    )
    assert again.kernels_ran
    monkeypatch.setattr(tiny, "_SEED", 12)
    assert load("tiny:llama").weights_hash != first.weights_hash, "other values, other weights"


def test_a_kernel_that_never_answers_says_why(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kernel,) = (k for k in package.FUNCTIONS["rope"].op["kernels"] if k["dtype"] == "float32")
    proven = kernel["record"]["proven"]
    monkeypatch.setitem(proven["axes"], "head_dim", [64, 128])
    plan = ValidationPlan("stable", tokens=2, pairs=0)
    found = validate(load("tiny:llama"), package, plan)
    assert "rms_norm" in found.kernels_ran
    assert "softmax" not in found.kernels_idle, "no layer asks for it"
    assert found.kernels_idle == {"rope": "head_dim=16 is outside of what was proven, 64 to 128"}
    monkeypatch.setitem(proven["axes"], "head_dim", [1, 128])
    monkeypatch.setitem(proven["params"], "base", [2.0, 3.0])
    again = validate(load("tiny:llama"), package, plan)
    assert again.kernels_idle == {"rope": "base=10000.0 is outside of what was proven, 2.0 to 3.0"}


class TwiceNorm(nn.RMSNorm):
    def __call__(self, x: mx.array) -> mx.array:
        return 2 * super().__call__(x)


class ComputedNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.eps, self._half = 1e-5, mx.random.uniform(shape=(64,))

    @property
    def weight(self) -> mx.array:
        return 2 * self._half

    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.rms_norm(x, self.weight, self.eps)


class BareNorm(ComputedNorm):
    weight = None  # type: ignore[assignment]

    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.rms_norm(x, self.weight, self.eps)


def test_what_is_no_array_is_left_to_the_layer(package: ModuleType) -> None:
    function = package.FUNCTIONS["rms_norm"]
    x, weight = mx.ones((2, 64)), mx.ones((64,))
    assert function.kernel((x, weight), {}, exactly=True) is not None
    for arrays in ((None, weight), (x, None), (np.ones((2, 64), np.float32), weight), (x, [1.0])):
        assert function.kernel(arrays, {}, exactly=True) is None


class SwiGLU(nn.Module):
    def __call__(self, x: mx.array, gate: mx.array) -> mx.array:
        return mx.minimum(nn.silu(gate), 0.1) * x


def test_experts_with_a_unit_of_ones_own_keep_it(package: ModuleType) -> None:
    from mlx_lm.models.switch_layers import SwitchGLU

    for unit, served in ((None, True), (SwiGLU(), False)):
        experts = SwitchGLU(64, 64, 4, **({} if unit is None else {"activation": unit}))
        nn.quantize(experts, 64, 4)
        x, index = mx.random.normal((1, 3, 64)), mx.array([[[0, 1], [2, 3], [1, 2]]])
        plain = experts(x, index)
        package.dispatch.forget_decisions()
        with package.patched(nn.Sequential(experts), "edge"):
            assert mx.allclose(experts(x, index), plain, 1e-4, 1e-4).item()
            asked = package.FUNCTIONS["gather_qmm_swiglu"].kernels_kept
            assert any(run is not None for run in asked.values()) is served


@pytest.mark.parametrize("only", [(), ("residual_norm",)])
@pytest.mark.parametrize("made", [lambda: TwiceNorm(64, 1e-5), ComputedNorm, BareNorm])
def test_norms_of_a_class_of_ones_own_stay_what_they_are(
    package: ModuleType, made: Any, only: tuple[str, ...]
) -> None:
    model, tokens = tiny.build("llama"), mx.array([[1, 2, 3, 4]])
    for layer in model.layers:
        layer.post_attention_layernorm = made()
    plain = model(tokens)
    with package.patched(model, "fast", only=only) as report:
        assert report.counts["residual_norm"] == 2
        assert mx.allclose(model(tokens), plain, 1e-4, 1e-4).item()


@pytest.mark.slow
@pytest.mark.parametrize("family", [f for f in tiny.families() if f not in FEW])
def test_tokens_of_every_family_stay_the_same(package: ModuleType, family: str) -> None:
    same_tokens(package, family, ValidationPlan("stable", tokens=50, pairs=0))


@pytest.mark.slow
@pytest.mark.parametrize("family", tiny.families())
def test_no_mode_breaks_a_model(package: ModuleType, family: str) -> None:
    """Sums in another order; what they add up to is bounded, whether tokens part or not."""
    found = validate(
        load(f"tiny:{family}", quantised=4), package, ValidationPlan("edge", tokens=20, pairs=0)
    )
    assert found.kernels_ran
    assert all(p.furthest < FURTHEST for p in found.prompts), found


FURTHEST = 1e-3
"""Difference of two logits of a tiny model in float32, of some units."""


def test_a_kernel_that_is_slightly_wrong_is_farther_than_that() -> None:
    model = tiny.build("llama")
    plain = decode(model, (1, 2, 3), 4)
    model.model.layers[0].input_layernorm.weight *= 1.001
    assert compared(plain, decode(model, (1, 2, 3), 4)).furthest > FURTHEST


def test_in_16_bits_only_kernels_with_the_bits_of_the_baseline_answer(package: ModuleType) -> None:
    found = validate(load("tiny:llama", "bfloat16"), package, STABLE)
    assert found.is_same, found.prompts
    same = {
        f.op["name"]: package.dispatch.here().verdicts[package.choice.key_of(k)].same_bits
        for f in package.FUNCTIONS.values()
        for k in f.op["kernels"]
        if k["dtype"] == "bfloat16" and package.choice.key_of(k) in package.dispatch.here().verdicts
    }
    assert set(found.kernels_ran) == {name for name, is_same in same.items() if is_same}


def test_fast_serves_more_patterns_than_stable(package: ModuleType) -> None:
    model = tiny.build("qwen3_moe")
    stable, fast = package.patch(model).counts, package.patch(model, "fast").counts
    assert stable == {"norms": 9, "glu": 2, "rope": 2}
    assert fast == stable | {
        "residual_norm": 2, "attention_decode": 2, "moe_gating": 2, "moe_combine": 2,
    }  # fmt: skip


@pytest.mark.parametrize(("family", "norms"), [("gemma", 5), ("gemma2", 9), ("gemma3_text", 13)])
def test_norms_of_a_class_of_their_own_are_found_by_their_form(
    package: ModuleType, family: str, norms: int
) -> None:
    model, tokens = tiny.build(family), mx.array([[1, 5, 7]])
    plain = model(tokens)
    package.dispatch.forget_decisions()

    with package.patched(model, only=["norms"]) as report:
        near = mx.abs(model(tokens) - plain).max().item()

    assert report.counts == {"norms": norms}
    assert answered(package, "rms_norm")
    assert near < FURTHEST


def answered(package: ModuleType, op: str) -> bool:
    """Whether a kernel of an op answered a call since the last decision was forgotten."""
    return any(run is not None for run in package.FUNCTIONS[op].kernels_kept.values())


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
@pytest.mark.parametrize(
    ("only", "without"),
    [(("moe_gating",), ()), (("moe_combine",), ()), ((), ("moe_combine",)), ((), ("moe_gating",))],
)
def test_each_part_of_a_layer_of_experts_is_asked_for_alone(
    package: ModuleType, family: str, only: tuple[str, ...], without: tuple[str, ...]
) -> None:
    model, tokens = tiny.build(family), mx.array([[1, 5, 7]])
    plain = model(tokens)
    wanted = {"topk_gating": "moe_gating", "moe_combine": "moe_combine"}
    package.dispatch.forget_decisions()
    with package.patched(model, "fast", only=only, without=without) as report:
        assert mx.allclose(model(tokens), plain, 1e-4, 1e-4).item()
    for op, pattern in wanted.items():
        is_meant = pattern in only if only else pattern not in without
        assert (pattern in report.counts) is is_meant
        assert answered(package, op) is is_meant


def test_where_gating_has_no_kernel_the_sum_still_asks(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokens = tiny.build("mixtral"), mx.array([[1, 5, 7]])
    plain = model(tokens)
    monkeypatch.setitem(package.FUNCTIONS["topk_gating"].op, "kernels", [])
    package.dispatch.forget_decisions()
    with package.patched(model, "fast"):
        assert mx.allclose(model(tokens), plain, 1e-4, 1e-4).item()
    assert answered(package, "moe_combine")
    assert not answered(package, "topk_gating")


def test_a_sum_of_experts_keeps_the_dtype_of_the_layers_own_code(package: ModuleType) -> None:
    """Mixtral's does not cast: shares in float32 make it float32."""
    module = package.patching.patterns.experts_layer
    serving = package.patching.pattern.Serving(package.FUNCTIONS, exactly=False)
    y = mx.ones((3, 2, 64), mx.bfloat16)
    for form, dtype in zip(module._FORMS, (mx.float32, mx.bfloat16), strict=True):
        layer = module.ExpertsLayer(lambda: None, form, serving, combines=True)
        assert layer._combined(y, mx.ones((3, 2), mx.float32)).dtype == dtype
        assert layer._combined(y, mx.ones((3, 2), mx.bfloat16)).dtype == mx.bfloat16


def test_unpatch_leaves_nothing_behind(package: ModuleType) -> None:
    model = tiny.build("llama")
    kinds = {path: type(layer) for path, layer in model.named_modules()}
    weights = [name for name, _ in tree_flatten(model.parameters())]
    report = package.patch(model, "edge")
    assert isinstance(model.model.norm, nn.RMSNorm)
    assert [name for name, _ in tree_flatten(model.parameters())] == weights
    assert package.patch(model, "edge").layers == report.layers
    assert package.unpatch(model) == len(report.layers)
    assert {path: type(layer) for path, layer in model.named_modules()} == kinds
    assert package.unpatch(model) == 0


def test_a_block_with_other_kernels_ends_with_those_that_were_there(package: ModuleType) -> None:
    model = tiny.build("qwen3_moe")
    package.patch(model, "fast")
    kinds = {path: type(layer) for path, layer in model.named_modules()}
    layers = dict(model.named_modules())
    with package.patched(model, only=["norms"]):
        assert {path: type(layer) for path, layer in model.named_modules()} != kinds
    assert {path: type(layer) for path, layer in model.named_modules()} == kinds
    assert all(layers[path] is layer for path, layer in model.named_modules())
    assert package.unpatch(model)


def test_a_package_leaves_the_kernels_of_another_in_place(
    package: ModuleType, tmp_path: Path
) -> None:
    model = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.RMSNorm(16))
    plain = [type(layer) for layer in model.layers]
    with at_work(written(tmp_path, "others", ops=("layer_norm",)), "others") as other:
        package.patch(model, only=["norms"])
        ours = [type(layer) for layer in model.layers]
        other.patch(model)
        assert all(isinstance(a, b) for a, b in zip(model.layers, ours, strict=True))
        other.unpatch(model)
        assert [type(layer) for layer in model.layers] == ours
    package.unpatch(model)
    assert [type(layer) for layer in model.layers] == plain


def test_a_pickle_holds_the_plain_model_and_a_copy_its_kernels(package: ModuleType) -> None:
    model, tokens = tiny.build("llama"), mx.array([[1, 2, 3, 4]])
    plain, kinds = model(tokens), [type(layer) for _, layer in model.named_modules()]
    package.patch(model, "edge")
    read = pickle.loads(pickle.dumps(model))
    assert [type(layer) for _, layer in read.named_modules()] == kinds
    assert mx.array_equal(read(tokens), plain).item()
    assert not package.unpatch(read)
    copied = copy.deepcopy(model)
    assert package.unpatch(copied) == package.unpatch(model)


def test_other_models_are_not_touched(package: ModuleType) -> None:
    one, other = tiny.build("llama"), tiny.build("llama")
    package.patch(one)
    assert not package.unpatch(other)


def test_an_unknown_family_is_left_alone_and_said_so(package: ModuleType) -> None:
    model = tiny.build("llama")
    model.model_type = "nobody_knows"
    report = package.patch(model)
    assert "nobody_knows is left alone: no model of this family was tried" in str(report)
    model.model_type = "gpt_oss"
    assert "sinks" in str(package.patch(model))
    assert not report.layers
    assert not package.unpatch(model)


def test_a_family_that_runs_by_the_code_of_another_is_that_one(package: ModuleType) -> None:
    report = package.patch(tiny.build("llama", model_type="mistral"))
    assert (report.family, report.counts["norms"]) == ("mistral", 5)
    model = tiny.build("llama", model_type="kimi_k2")
    assert "kimi_k2 is left alone: attention over a compressed cache" in str(package.patch(model))


@pytest.mark.parametrize(
    ("family", "said"),
    [("gpt_oss", "gpt_oss is left alone: attention has sinks"), ("nobody_knows", "was tried")],
)
def test_what_is_left_alone_is_so_within_layers_of_ones_own(
    package: ModuleType, family: str, said: str
) -> None:
    model = tiny.build("llama")
    assert package.patch(nn.Sequential(model)).counts["norms"] == 5
    model.model_type = family
    report = package.patch(nn.Sequential(nn.RMSNorm(8), model))
    assert said in str(report)
    assert not report.layers


def test_a_layer_of_a_family_that_nobody_tried_is_left_alone_by_its_file(
    package: ModuleType,
) -> None:
    from mlx_lm.models.gpt_oss import MLPBlock, ModelArgs
    from mlx_lm.models.switch_layers import SwitchGLU

    small = ModelArgs(hidden_size=64, intermediate_size=64, num_local_experts=2)
    assert "sinks" in str(package.patch(nn.Sequential(MLPBlock(small))))
    experts = nn.Sequential(SwitchGLU(64, 64, 2), nn.RMSNorm(64))
    assert package.patch(experts).counts["norms"] == 1, "a file without a model is no family"


def test_layers_of_mlx_alone_are_served(package: ModuleType) -> None:
    model = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.RMSNorm(16), nn.Softmax())
    x = mx.random.normal((2, 3, 16))
    plain = model(x)
    assert package.patch(model).counts == {"norms": 2, "softmax": 1}
    assert mx.allclose(model(x), plain, 1e-5, 1e-6).item()
    with package.patched(nn.Sequential(nn.LayerNorm(16, affine=False))) as report:
        assert report.counts == {"norms": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (({},), "takes an mlx.nn.Module, not a dict"),
        ((nn.RMSNorm(4), "quick"), "mode is 'quick'; give stable, fast, edge"),
    ],
)
def test_wrong_arguments_get_one_sentence(
    package: ModuleType, arguments: tuple[Any, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        package.patch(*arguments)
    with pytest.raises(ValueError, match="no pattern 'norm'; there are norms"):
        package.patch(nn.RMSNorm(4), without=["norm"])
    with pytest.raises(ValueError, match=r"take lists, as only=\['norms'\]"):
        package.patch(nn.RMSNorm(4), only="norms")
    with pytest.raises(ValueError, match=r"take lists, as only=\['norms'\], not None"):
        package.patch(nn.RMSNorm(4), without=None)
    with pytest.raises(ValueError, match=r"unpatch takes an mlx\.nn\.Module, not a dict"):
        package.unpatch({})
    with (
        pytest.raises(ValueError, match=r"patched takes an mlx\.nn\.Module, not a NoneType"),
        package.patched(None),
    ):
        pass


def test_a_pattern_that_the_mode_has_not_says_so(package: ModuleType) -> None:
    report = package.patch(tiny.build("llama"), only=["norms", "attention_decode"])
    assert report.counts == {"norms": 5}
    assert report.left == {"attention_decode": "a pattern of mode fast; the mode is stable"}


def loss(model: Any, tokens: mx.array) -> mx.array:
    logits = model(tokens[:, :-1])
    return nn.losses.cross_entropy(logits, tokens[:, 1:], reduction="mean")


@pytest.mark.parametrize("checkpointed", [False, True])
def test_gradients_pass_through_a_patched_model(package: ModuleType, checkpointed: bool) -> None:
    model = tiny.build("llama")
    tokens = mx.array([[1, 5, 7, 2, 9], [3, 3, 8, 1, 4]])
    plain_loss, plain = nn.value_and_grad(model, loss)(model, tokens)
    package.patch(model)
    if checkpointed:
        kind = type(model.layers[0])
        call = kind.__call__
        grad_checkpoint(model.layers[0])
    try:
        found_loss, found = nn.value_and_grad(model, loss)(model, tokens)
    finally:
        if checkpointed:
            kind.__call__ = call
    assert mx.allclose(found_loss, plain_loss, 1e-5, 1e-6).item()
    for (name, a), (_, b) in zip(tree_flatten(found), tree_flatten(plain), strict=True):
        assert mx.allclose(a, b, 1e-3, 1e-5).item(), name
    assert package.FUNCTIONS["rms_norm_vjp"].kernels_kept
    assert package.FUNCTIONS["swiglu_vjp"].kernels_kept


@pytest.mark.slow
@pytest.mark.parametrize("quantised", [0, 4])
@pytest.mark.parametrize("family", ["llama", "qwen3_moe"])
def test_gradients_pass_through_every_pattern(
    package: ModuleType, family: str, quantised: int
) -> None:
    """Through experts and packed weights; what is trained is what is not packed."""
    model = load(f"tiny:{family}", quantised=quantised).model
    tokens = mx.array([[1, 5, 7, 2, 9]])
    plain_loss, plain = nn.value_and_grad(model, loss)(model, tokens)
    package.dispatch.forget_decisions()
    package.patch(model, "edge")
    found_loss, found = nn.value_and_grad(model, loss)(model, tokens)
    assert mx.allclose(found_loss, plain_loss, 1e-4, 1e-5).item()
    pairs = list(zip(tree_flatten(found), tree_flatten(plain), strict=True))
    assert pairs
    for (name, a), (_, b) in pairs:
        assert mx.allclose(a, b, 1e-2, 1e-4).item(), name
    assert answered(package, "qmm_4bit") is bool(quantised)
    assert answered(package, "moe_combine") is (family == "qwen3_moe")


def steps(model: Any, cache: list[Any]) -> mx.array:
    """Scores of a batch of two: a prompt, then three tokens one by one."""
    tokens = mx.array([[1, 5, 7, 2, 4, 6, 11], [3, 3, 8, 1, 9, 2, 5]])
    found = [model(tokens[:, :4], cache=cache)]
    found += [model(tokens[:, at : at + 1], cache=cache) for at in (4, 5, 6)]
    return mx.concatenate(found, axis=1)


@pytest.mark.parametrize("bits", [0, 8])
def test_batches_and_quantised_caches_keep_working(package: ModuleType, bits: int) -> None:
    """Heads of 32, a group of a quantised cache."""
    model = tiny.build("llama", head_dim=32)

    def cache() -> list[Any]:
        return [QuantizedKVCache(32, bits) if bits else KVCache() for _ in model.layers]

    plain = steps(model, cache())
    package.dispatch.forget_decisions()
    with package.patched(model, "edge"):
        assert mx.allclose(steps(model, cache()), plain, 1e-3, 1e-4).item()
    assert answered(package, "rms_norm")
    assert answered(package, "attention") is (bits == 0)


COMPILED = """
compiled = mx.compile(lambda t: model(t))
assert mx.allclose(compiled(tokens), plain, 1e-4, 1e-5).item()
"""


@pytest.mark.parametrize("then", ["", pytest.param(COMPILED, marks=pytest.mark.slow)])
def test_without_metal_a_patched_model_is_the_plain_one(folder: Path, then: str) -> None:
    import subprocess
    import sys

    code = """
import mlx.core as mx, patterns
from mlx_lm.tuner.trainer import grad_checkpoint

from foundry.models import tiny
model = tiny.build("llama")
tokens = mx.array([[1, 5, 7, 2]])
plain = model(tokens)
patterns.patch(model, "edge")
assert mx.array_equal(model(tokens), plain).item()
"""
    done = subprocess.run(
        [sys.executable, "-c", code + then], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_greedy_decoding_parts_where_logits_do(package: ModuleType) -> None:
    """The comparison can fail: a model with other weights is told from itself."""
    one, other = tiny.build("llama"), tiny.build("llama")
    other.model.norm.weight = other.model.norm.weight * 1.7
    other.model.layers[0].mlp.down_proj.weight *= -1.0
    a, b = decode(one, (1, 2, 3), 20), decode(other, (1, 2, 3), 20)
    found = compared(a, b)
    assert not found.is_same
    assert found.identical < 20
    assert found.parted_by is not None
    assert found.parted_by > 0
    assert found.plain_margin is not None
    assert found.plain_margin > 0
