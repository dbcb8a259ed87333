"""Decode Llama-class models fast, with fused weights and a static key-value cache.

The decoder computes what ``transformers``' Llama computes (tested token by token), without the cost
of its modules at every step, which is most of the time with a model this small. Each sequence has
its own length, and a step appends to each as many tokens as are known, so that tokens that follow
without a choice cost no step. Several models of the same sizes (the base, and the base with an
adapter) take their steps together: their weights are stacked, and each reads its own rows of the
batch.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from styletransfer.model.weights import Weights
from styletransfer.tokens.follower import Follower

THETA = 10_000.0
"""The base of the rotary positions' frequencies, as is usual for a Llama."""


class Decoder:
    """A batch of sequences that grow together.

    There are ``rows`` sequences under each of the models, those of the first model first. The
    norms' scales are multiplied into the matrices after them; queries and keys have the two halves
    of a head side by side, as complex numbers that a rotary position turns.
    """

    def __init__(self, models: Sequence[Weights], rows: int) -> None:
        sizes = models[0].sizes
        self.rows, self.batch = rows, rows * len(models)
        self.heads, self.context, self.width = sizes.heads, sizes.context, sizes.width
        self.groups = sizes.groups or sizes.heads
        if all(model is models[0] for model in models):
            models = models[:1]
        self.models = models
        self.device = models[0].lm_head.weight.device
        half = sizes.width // sizes.heads // 2
        every = torch.arange(sizes.width, device=self.device)
        turned = [
            every[: 2 * half * heads].view(heads, 2, half).mT.flatten()
            for heads in (self.heads, self.groups)
        ]

        stacked = partial(_stacked, models)
        self.layers = [
            (
                stacked(
                    [f"{at}.self_attn.{one}_proj.weight" for one in "qkv"],
                    f"{at}.input_layernorm.weight",
                    turned,
                ),
                stacked([f"{at}.self_attn.o_proj.weight"]),
                stacked(
                    [f"{at}.mlp.{one}_proj.weight" for one in ("gate", "up")],
                    f"{at}.post_attention_layernorm.weight",
                ),
                stacked([f"{at}.mlp.down_proj.weight"]),
            )
            for at in (f"model.layers.{k}" for k in range(sizes.layers))
        ]
        self.head = stacked(["lm_head.weight"], "model.norm.weight")

        # One table of all rows that make up an embedding: model by model, of the ids, then of each
        # feature.
        tables = [
            [model.lm_head.weight, *(one.weight for one in model.features.tables())]
            for model in models
        ]
        self.table = torch.cat([table for one in tables for table in one])
        self.offsets: list[int] = np.cumsum([0, *map(len, tables[0])]).tolist()

        angles = torch.arange(sizes.context, device=self.device)[:, None] / THETA ** (
            torch.arange(half, device=self.device) / half
        )
        self.turns = torch.polar(torch.ones_like(angles), angles)[:, None]  # (context, 1, half)
        self.columns = torch.arange(sizes.context, device=self.device)
        kept = torch.bfloat16 if halves_pay(self.device) else self.table.dtype
        shape = (2, self.batch, self.groups, sizes.context, 2 * half)  # keys, then values
        self.past = [
            torch.zeros(shape, device=self.device, dtype=kept) for _ in range(sizes.layers)
        ]
        self.lengths = [0] * self.batch
        self.followers: list[Follower] = []

    @property
    def length(self) -> int:
        """The number of tokens in the longest sequence."""
        return max(self.lengths)

    def start(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """Read whole sequences, and forget what was there before.

        Args:
            sequences: of the batch; all models have equally many tokens.

        Returns:
            Logits after the last token of each sequence, shape (batch, vocabulary).
        """
        self.lengths = [0] * self.batch
        lists = self.models[0].features.lists
        self.followers = [Follower(lists) for _ in range(self.batch)]
        ends = torch.tensor([len(ids) for ids in sequences], device=self.device).cumsum(0) - 1
        return self._logits(self._forward(sequences).flatten(0, 1)[ends])

    def step(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Append tokens to every sequence.

        Args:
            tokens: of each sequence of the batch; all models have equally many.

        Returns:
            Logits after each token, sequence by sequence, shape (tokens, vocabulary).
        """
        return self._logits(self._forward(tokens))

    def _forward(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Return what comes out of the last layer, shape (models, tokens of each, width)."""
        before, counts = self.lengths, [len(ids) for ids in tokens]
        self.lengths = [had + count for had, count in zip(before, counts, strict=True)]
        places = [(r, k) for r in range(self.batch) for k in range(before[r], self.lengths[r])]
        row, column = torch.tensor(places, device=self.device).T
        turns = self.turns[column]
        attention = _Attention(before, counts, self.rows, self.columns, self.past[0].dtype)
        x = functional.embedding_bag(self._entries(tokens), self.table, mode="sum").view(
            len(self.models), -1, self.width
        )
        for (qkv, out, gate_up, down), past in zip(self.layers, self.past, strict=True):
            mixed = (_norm(x) @ qkv).view(len(places), self.heads + 2 * self.groups, -1)
            torch.view_as_complex(
                mixed.view(*mixed.shape[:2], -1, 2)[:, : self.heads + self.groups]
            ).mul_(turns)
            mixed = mixed.to(past.dtype)
            past.permute(1, 3, 0, 2, 4)[row, column] = mixed[:, self.heads :].view(
                len(places), 2, self.groups, -1
            )
            seen = attention(mixed[:, : self.heads], past)
            x = torch.baddbmm(x, seen.view(x.shape).to(x.dtype), out)
            gate, up = (_norm(x) @ gate_up).chunk(2, -1)
            x = torch.baddbmm(x, functional.silu(gate) * up, down)

        return x

    def _entries(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Look up the rows that make up each token's embedding, shape (tokens, tables)."""
        rows, of_model = [], self.batch // len(self.models)
        for r, (ids, follower) in enumerate(zip(tokens, self.followers, strict=True)):
            first = r // of_model * self.offsets[-1]
            offsets = [first + offset for offset in self.offsets[:-1]]
            for index in ids:  # a model without plans has no tables for the last features
                rows.append(
                    [
                        o + entry
                        for o, entry in zip(offsets, (index, *follower.push(index)), strict=False)
                    ]
                )
        return torch.tensor(rows, device=self.device)

    def _logits(self, x: Tensor) -> Tensor:
        return (_norm(x.view(len(self.models), -1, self.width)) @ self.head).flatten(0, 1)


class _Attention:
    """What the new tokens of a batch attend to.

    Sequences that get one token are computed all together, a sequence that gets several alone,
    under all models at once.

    Args:
        before: lengths of the sequences, those under the first model first.
        counts: how many tokens each gets.
        rows: sequences under each model.
        columns: 0, 1, 2 …, shape (context,).
        dtype: of keys and values.
    """

    def __init__(
        self, before: list[int], counts: list[int], rows: int, columns: Tensor, dtype: torch.dtype
    ) -> None:
        first = [sum(counts[:r]) for r in range(len(counts))]
        self.rows = rows
        self.single = [r for r, count in enumerate(counts) if count == 1]
        self.all_single = len(self.single) == len(counts)
        self.single_at = torch.tensor([first[r] for r in self.single], device=columns.device)
        self.single_rows = torch.tensor(self.single, device=columns.device)
        self.longest = max((before[r] + 1 for r in self.single), default=0)
        self.bias: Tensor | None = None  # (batch, 1, 1, longest)
        if any(before[r] + 1 < self.longest for r in self.single):
            seen = torch.tensor(before, device=columns.device)[:, None, None, None]
            self.bias = torch.where(columns[: self.longest] <= seen, 0.0, -1e9).to(dtype)
        self.several = []
        for r, count in enumerate(counts[:rows]):
            if count > 1:
                at = torch.tensor(
                    [first[k] for k in range(r, len(counts), rows)], device=columns.device
                )
                seen = columns[: before[r] + count] <= columns[before[r] : before[r] + count, None]
                bias = torch.where(seen, 0.0, -1e9).to(dtype) if before[r] else None
                self.several.append((r, at[:, None] + columns[:count], before[r] + count, bias))

    def __call__(self, query: Tensor, past: Tensor) -> Tensor:
        """Attend.

        Args:
            query: shape (tokens, heads, head width).
            past: keys and values, shape (2, batch, heads, context, head width).

        Returns:
            Shape (tokens, heads, head width).
        """
        found = query if self.all_single else torch.empty_like(query)
        if self.single:
            asked = query
            if not self.all_single:
                asked = query.new_zeros(past.shape[1], *query.shape[1:])
                asked[self.single_rows] = query[self.single_at]
            keys, values = past[..., : self.longest, :]
            shared = asked.shape[1] != keys.shape[1]
            seen = functional.scaled_dot_product_attention(
                asked[:, :, None], keys, values, self.bias, enable_gqa=shared
            )[:, :, 0]
            if self.all_single:
                return seen.contiguous()
            found[self.single_at] = seen[self.single_rows]

        for row, at, length, bias in self.several:
            keys, values = past[:, row :: self.rows, :, :length]
            asked = query[at].transpose(1, 2)
            shared = asked.shape[1] != keys.shape[1]
            seen = functional.scaled_dot_product_attention(
                asked, keys, values, bias, is_causal=bias is None, enable_gqa=shared
            )
            found[at] = seen.transpose(1, 2)
        return found


def _stacked(
    models: Sequence[Weights],
    parts: Sequence[str],
    norm: str | None = None,
    order: Sequence[Tensor] = (),
) -> Tensor:
    """Put weights that share their input side by side, shape (models, in, out).

    ``norm``: the scale to multiply in. ``order``: of the rows of the first weights.
    """
    found = []
    for model in models:
        rows: list[Tensor] = [model.get_parameter(part) for part in parts]
        rows[: len(order)] = [one[places] for one, places in zip(rows, order, strict=False)]
        scale = model.get_parameter(norm)[:, None] * model.sizes.width**0.5 if norm else 1.0
        found.append(torch.cat(rows).mT * scale)
    return torch.stack(found)


def halves_pay(device: torch.device) -> bool:
    """Decide whether keys and values are kept in bfloat16.

    They are where an Intel CPU multiplies bfloat16, as with many candidates most of a step waits
    for reading them. AMD's CPUs have the instructions, too, but attention is slower with them
    (docs/lab-log.md). The speed isn't measured here: a busy machine would decide otherwise, and
    make other bytes.
    """
    return device.type == "cpu" and multiplies_bfloat16() and _maker() == "GenuineIntel"


def multiplies_bfloat16() -> bool:
    """Decide whether PyTorch can use a CPU's instructions for bfloat16.

    The CPU alone doesn't decide: PyTorch's kernels for them are those for AVX-512, and with
    ``ATEN_CPU_CAPABILITY=avx2`` or ``default`` its attention refuses long sequences in bfloat16.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    return capability.startswith("AVX512") and torch.cpu._is_avx512_bf16_supported()


@cache
def _maker() -> str:
    """Return the CPU's vendor as it states it, "" where that is unknown."""
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        found = re.search(r"vendor_id\s*:\s*(\w+)", text)
        return found[1] if found else ""
    return "GenuineIntel" if "GenuineIntel" in platform.processor() else ""


def _norm(x: Tensor) -> Tensor:
    """Return the direction of each vector.

    That is an RMSNorm without the root of the width, which is in the matrices, and without its
    epsilon, a millionth of what it is added to.
    """
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length
