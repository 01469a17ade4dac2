"""The model: llama's architecture, small. RMSNorm, rotary positions on neighbouring pairs, SwiGLU."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """How large it is."""

    vocabulary: int = 640
    width: int = 128
    layers: int = 4
    heads: int = 4
    inner: int = 384
    """Width within a layer's second half."""
    context: int = 1024
    rotary_base: float = 10_000.0
    epsilon: float = 1e-5


class Block(nn.Module):
    """One layer: attention, then SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, self.heads = shape.width, shape.heads
        self.attn_norm, self.ffn_norm = nn.RMSNorm(width, shape.epsilon), nn.RMSNorm(width, shape.epsilon)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(width, shape.inner, bias=False), nn.Linear(width, shape.inner, bias=False)
        self.down = nn.Linear(shape.inner, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """x: (batch, time, width) -> the same shape."""
        batch, time, width = x.shape
        seen = self.attn_norm(x)
        q, k, v = (f(seen).view(batch, time, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = (_rotated(z, cosine, sine) for z in (q, k))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(batch, time, width))
        seen = self.ffn_norm(x)
        out: Tensor = x + self.down(functional.silu(self.gate(seen)) * self.up(seen))
        return out


class Network(nn.Module):
    """Tokens -> what may follow each of them."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed, self.norm = nn.Embedding(shape.vocabulary, shape.width), nn.RMSNorm(shape.width, shape.epsilon)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)
        half = shape.width // shape.heads // 2
        angle = torch.outer(torch.arange(shape.context), shape.rotary_base ** (-torch.arange(half) / half))
        self.register_buffer("cosine", angle.cos(), persistent=False)
        self.register_buffer("sine", angle.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=_spread(name, shape.width))

    def forward(self, ids: Tensor, picked: Tensor) -> Tensor:
        """ids: (batch, time); picked: the same shape, true where an answer is wanted -> (picked ones, vocabulary)."""
        x, time = self.embed(ids), ids.shape[1]
        for block in self.blocks:
            x = block(x, self.cosine[:time], self.sine[:time])
        logits: Tensor = self.head(self.norm(x[picked]))
        return logits

    def know_numbers(self, ids: Mapping[str, int]) -> None:
        """Tokens of numbers start with their value in some dimensions: it is learned sooner what is more than what."""
        periods = (200, 100, 50, 20, 10, 5)
        with torch.no_grad():
            for token, id in ids.items():
                if re.fullmatch("[0-9]{1,2}", token):
                    x = float(token)
                    waves = [wave(2 * math.pi * x / period) for period in periods for wave in (math.sin, math.cos)]
                    value = [x / 50 - 1, x / 25 - 2, float(len(token) == 2), x % 10 / 5 - 1, *waves]
                    self.embed.weight[id, : len(value)] = torch.tensor(value)


def _rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1).flatten(-2)


def _spread(name: str, width: int) -> float:
    """Standard deviation of a matrix's first values; what ends a layer begins small."""
    if name.startswith("embed"):
        return 0.5
    if name.startswith("head"):
        return 0.02
    return float(width**-0.5 * (0.2 if name.endswith(("o.weight", "down.weight")) else 1))
