"""A fast decode loop for Llama-class models: weights fused once, a static key-value cache, a token a step for a whole batch.

It computes what ``transformers``' Llama computes (tested, token by token), without the cost of its modules at every step: with
a model this small, that is most of the time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from styletransfer.model.base import MelodyLlama


class Decoder:
    """A batch of sequences that grow together. Columns are absolute: rotary attention only sees their differences, so that
    sequences padded on the left need no positions of their own, only a mask.
    """

    def __init__(self, model: MelodyLlama, batch: int, pad: int) -> None:
        config = model.config
        weight = model.model.embed_tokens.weight
        self.pad, self.length = pad, 0
        self.device, self.heads = weight.device, config.num_attention_heads
        self.eps = config.rms_norm_eps
        self.embedding, self.final_norm, self.head = weight, model.model.norm.weight, model.lm_head.weight
        self.layers = [
            (
                layer.input_layernorm.weight,
                torch.cat([getattr(layer.self_attn, f"{name}_proj").weight for name in "qkv"]),
                layer.self_attn.o_proj.weight,
                layer.post_attention_layernorm.weight,
                torch.cat([layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight]),
                layer.mlp.down_proj.weight,
            )
            for layer in model.model.layers
        ]
        context = config.max_position_embeddings
        positions = torch.arange(context, device=self.device)[None]
        cosine, sine = model.model.rotary_emb(weight, positions)
        self.cosine, self.sine = cosine[0], sine[0]  # (context, head width)
        width = config.hidden_size // self.heads
        shape = (len(self.layers), batch, self.heads, context, width)
        self.past_keys = torch.zeros(shape, device=self.device, dtype=weight.dtype)
        self.past_values = torch.zeros(shape, device=self.device, dtype=weight.dtype)
        self.history = torch.full((batch, context), pad, device=self.device)
        self.values, self.features = model.values, model.features
        self.bias: Tensor | None = None  # (batch, 1, 1, context), minus infinity on the padding

    def start(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """Read whole sequences, padded on the left, and forget what was before; returns (batch, vocabulary) logits."""
        longest = max(len(ids) for ids in sequences)
        gaps = [longest - len(ids) for ids in sequences]
        ids = torch.tensor([[self.pad] * gap + list(row) for gap, row in zip(gaps, sequences, strict=True)])
        self.length, self.bias = 0, None
        if any(gaps):
            columns = torch.arange(self.past_keys.shape[3], device=self.device)
            hidden = columns[None] < torch.tensor(gaps, device=self.device)[:, None]
            self.bias = torch.zeros(hidden.shape, device=self.device).masked_fill(hidden, -1e9)[:, None, None]
        return self._forward(ids.to(self.device))

    def step(self, column: Sequence[int]) -> Tensor:
        """Append one token to every sequence; returns (batch, vocabulary) logits."""
        return self._forward(torch.tensor(column, device=self.device)[:, None])

    def _forward(self, ids: Tensor) -> Tensor:
        batch, count = ids.shape
        begin, end = self.length, self.length + count
        cosine, sine = self.cosine[begin:end], self.sine[begin:end]
        bias = None if self.bias is None else self.bias[..., :end]
        if count > 1:
            causal = torch.full((count, end), float("-inf"), device=self.device).triu(begin + 1)
            bias = causal if bias is None else bias + causal
        self.history[:, begin:end] = ids
        x = self.embedding[ids] + self.features(self.values.features(self.history[:, :end], count))
        for k, (norm, qkv, out, norm2, gate_up, down) in enumerate(self.layers):
            mixed = functional.linear(self._norm(x, norm), qkv).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            query, key = _rotated(mixed[0], cosine, sine), _rotated(mixed[1], cosine, sine)
            self.past_keys[k, :, :, begin:end] = key
            self.past_values[k, :, :, begin:end] = mixed[2]
            scores = query @ self.past_keys[k, :, :, :end].mT * key.shape[-1] ** -0.5
            if bias is not None:
                scores = scores + bias
            seen = torch.softmax(scores, -1) @ self.past_values[k, :, :, :end]
            x = x + functional.linear(seen.transpose(1, 2).reshape(batch, count, -1), out)
            gate, up = functional.linear(self._norm(x, norm2), gate_up).chunk(2, -1)
            x = x + functional.linear(functional.silu(gate) * up, down)
        self.length = end
        return functional.linear(self._norm(x[:, -1], self.final_norm), self.head)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(x, weight.shape, weight, self.eps)


def _rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine
