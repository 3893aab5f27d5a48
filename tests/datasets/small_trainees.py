"""A tokenizer of a few hundred words and a Llama of a few thousand weights, to train for a step."""

from __future__ import annotations

from typing import Any

_TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<eos>{% endfor %}"
_TURN = "{% if add_generation_prompt %}<assistant>{% endif %}"


def tokenizer_of(text: str) -> Any:
    """One that knows the words of a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<unk>", "<pad>", "<eos>"]
    made.train_from_iterator([text], trainers.BpeTrainer(vocab_size=400, special_tokens=special))
    found = PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>"
    )
    found.chat_template = _TEMPLATE + _TURN
    return found


def llama_for(tokenizer: Any) -> Any:
    """A model of transformers that speaks its words."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=32768,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.eos_token_id,
        )
    )
