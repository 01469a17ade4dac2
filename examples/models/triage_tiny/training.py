"""Conversations -> a checkpoint. Training goes on from the checkpoint that is there."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from triage_tiny.conversations import Conversations
from triage_tiny.network import Network, Shape
from triage_tiny.tokenizer import Tokenizer

SHAPE = Shape()
BATCH_TOKENS = 2048
LEARNING_RATE = 3e-3
SAVE_EVERY, TELL_EVERY, CHECK_EVERY = 200, 100, 500

Row = tuple[list[int], list[int]]
"""Tokens, and for each whether it is learned."""


class Training:
    """A network, its optimiser and how far they are, kept in a file."""

    def __init__(self, checkpoint: Path) -> None:
        torch.set_num_threads(2)
        torch.manual_seed(0)
        self._checkpoint = checkpoint
        old: dict[str, Any] | None = torch.load(checkpoint) if checkpoint.exists() else None
        self.tokenizer = Tokenizer(old["merges"]) if old else Tokenizer.trained(SHAPE.vocabulary)
        self.network = Network(SHAPE)
        self.network.know_numbers(self.tokenizer.ids)
        self._adam = torch.optim.AdamW(self.network.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        self.step = 0
        if old:
            self.network.load_state_dict(old["network"])
            self._adam.load_state_dict(old["adam"])
            self.step = old["step"]

    def run(self, steps: int) -> None:
        """Up to that many steps in all; tells of it on standard output."""
        begun, losses = time.monotonic(), list[float]()
        size = sum(parameter.numel() for parameter in self.network.parameters())
        print(f"{size} parameters, {len(self.tokenizer.tokens)} tokens, step {self.step}", flush=True)
        for ids, target, weight in batches(self.tokenizer, seed=1000 * self.step):
            if self.step >= steps:
                break
            losses.append(self._learn(ids, target, weight, steps))
            self.step += 1
            if self.step % TELL_EVERY == 0 or self.step == steps:
                recent = np.mean(losses[-TELL_EVERY:])
                print(f"step {self.step} loss {recent:.4f} {time.monotonic() - begun:.0f} s", flush=True)
            if self.step % CHECK_EVERY == 0:
                print(f"  right: {right(self.network, self.tokenizer)}", flush=True)
            if self.step % SAVE_EVERY == 0 or self.step == steps:
                self._save()

    def _learn(self, ids: Tensor, target: Tensor, weight: Tensor, steps: int) -> float:
        rate = LEARNING_RATE * min(1, (self.step + 1) / 100, 2 * (steps - self.step) / steps)  # up, level, down to 0
        for group in self._adam.param_groups:
            group["lr"] = rate
        picked = weight > 0
        each = functional.cross_entropy(self.network(ids, picked), target[picked], reduction="none")
        loss = (each * weight[picked]).sum() / weight.sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        self._adam.step()
        self._adam.zero_grad()
        return float(loss.item())

    def _save(self) -> None:
        state = {"network": self.network.state_dict(), "adam": self._adam.state_dict()}
        torch.save(state | {"merges": self.tokenizer.merges, "step": self.step}, self._checkpoint)


def batches(tokenizer: Tokenizer, *, seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Without end: conversations of similar length, BATCH_TOKENS together."""
    while True:
        conversations = Conversations(f"train-{seed}")
        rows = [tokenizer.encode_conversation(conversations.any()) for _ in range(1024)]
        rows = sorted((row for row in rows if len(row[0]) <= SHAPE.context), key=lambda row: len(row[0]))
        groups: list[list[Row]] = []
        group: list[Row] = []
        for row in rows:
            if group and (len(group) + 1) * len(row[0]) > BATCH_TOKENS:
                groups.append(group)
                group = []
            group.append(row)
        conversations.random.shuffle(groups)
        for group in groups:
            yield batch(group)
        seed += 1


def batch(rows: list[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, what follows each of them, and whether that is learned: (rows, longest row - 1) each."""
    width = max(len(ids) for ids, _ in rows) - 1
    ids, target, weight = (np.zeros((len(rows), width), np.int64) for _ in range(3))
    for at, (tokens, learned) in enumerate(rows):
        ids[at, : len(tokens) - 1] = tokens[:-1]
        target[at, : len(tokens) - 1], weight[at, : len(tokens) - 1] = tokens[1:], learned[1:]
    return torch.from_numpy(ids), torch.from_numpy(target), torch.from_numpy(weight)


@torch.no_grad()
def right(network: Network, tokenizer: Tokenizer, *, each: int = 100) -> dict[str, float]:
    """Share of unseen conversations in which every token that is learned would be chosen, by kind."""
    conversations = Conversations("check")
    shares: dict[str, float] = {}
    for kind in (conversations.triage, conversations.explain, conversations.tools):
        good = 0
        for _ in range(each):
            ids, target, weight = batch([tokenizer.encode_conversation(kind())])
            picked = weight > 0
            good += bool((network(ids, picked).argmax(-1) == target[picked]).all())
        shares[kind.__name__] = good / each
    return shares
