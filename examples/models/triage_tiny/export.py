"""A checkpoint -> a GGUF file of eight bits a weight, with its tokenizer and ChatML as its template."""

from pathlib import Path

import gguf
import torch

from triage_tiny.network import Shape
from triage_tiny.tokenizer import END, END_TURN, SPECIAL, Tokenizer
from triage_tiny.training import SHAPE

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] or '' }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TENSORS = {
    "embed": "token_embd", "norm": "output_norm", "head": "output", "attn_norm": "attn_norm", "ffn_norm": "ffn_norm",
    "q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up",
    "down": "ffn_down",
}  # fmt: skip
"""Our names of parameters, and llama.cpp's."""


def export(checkpoint: Path, to: Path) -> None:
    """Write the file."""
    state = torch.load(checkpoint)
    writer = gguf.GGUFWriter(to, "llama")
    _describe(writer, SHAPE)
    _add_tokenizer(writer, Tokenizer(state["merges"]))
    for name, weights in state["network"].items():
        kind = gguf.GGMLQuantizationType.Q8_0 if weights.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(_tensor_name(name), gguf.quants.quantize(weights.numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_name("triage-tiny")
    writer.add_description("Triage, explanation and tool calls for sensor reports; trained on made-up text")
    writer.add_license("Apache-2.0")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(shape.rotary_base)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    kinds = [gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokenizer.tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in tokenizer.merges])
    writer.add_bos_token_id(tokenizer.ids[END])
    writer.add_pad_token_id(tokenizer.ids[END])
    writer.add_eos_token_id(tokenizer.ids[END_TURN])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(TEMPLATE)


def _tensor_name(parameter: str) -> str:
    """`blocks.2.q.weight` is `blk.2.attn_q.weight`."""
    *block, part, _ = parameter.split(".")
    return (f"blk.{block[1]}." if block else "") + TENSORS[part] + ".weight"
