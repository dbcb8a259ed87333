"""A fast decode loop for Llama-class models: weights fused once, a static key-value cache, a token a step for a whole batch.

It computes what ``transformers``' Llama computes (tested, token by token), without the cost of its modules at every step: with
a model this small, that is most of the time. Several models of the same sizes (the base, and the base with an adapter) go
step by step together: their weights are stacked, and each reads its own rows of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from styletransfer.model.weights import Weights

EPSILON = 1e-6
"""Of the norms, and the base of the rotary positions' frequencies: a Llama's usual ones."""
THETA = 10_000.0


class Decoder:
    """A batch of sequences that grow together: ``rows`` under each of the models, those of the first model first.

    Columns are absolute: rotary attention only sees their differences, so that sequences padded on the left need no positions
    of their own, only a mask.
    """

    def __init__(self, models: Sequence[Weights], rows: int, pad: int) -> None:
        sizes = models[0].sizes
        batch = rows * len(models)
        if all(model is models[0] for model in models):
            models = models[:1]
        self.models, self.pad, self.length = models, pad, 0
        weight = models[0].lm_head.weight
        self.device, self.heads = weight.device, sizes.heads

        def stacked(name: str, parts: Sequence[str] = ("",)) -> Tensor:
            """(models, in, out) of a layer's weights, or of several that share their input, side by side."""
            rows = [torch.cat([model.get_parameter(name.format(part)) for part in parts]).mT for model in models]
            return torch.stack(rows)

        def norm(name: str) -> Tensor:
            """The same in all models: adapters leave them alone."""
            return models[0].get_parameter(f"model.{name}.weight")

        self.final_norm, self.head = norm("norm"), stacked("lm_head.weight")
        self.layers = [
            (
                norm(f"layers.{k}.input_layernorm"),
                stacked(f"model.layers.{k}.self_attn.{{}}_proj.weight", "qkv"),
                stacked(f"model.layers.{k}.self_attn.o_proj.weight"),
                norm(f"layers.{k}.post_attention_layernorm"),
                stacked(f"model.layers.{k}.mlp.{{}}_proj.weight", ("gate", "up")),
                stacked(f"model.layers.{k}.mlp.down_proj.weight"),
            )
            for k in range(sizes.layers)
        ]
        width = sizes.width // self.heads
        frequencies = 1 / THETA ** (torch.arange(0, width, 2, device=self.device) / width)
        angles = torch.arange(sizes.context, device=self.device)[:, None] * frequencies
        angles = torch.cat([angles, angles], -1)
        self.cosine, self.sine = angles.cos(), angles.sin()  # (context, head width)
        shape = (len(self.layers), batch, self.heads, sizes.context, width)
        kept = torch.bfloat16 if halves_pay(self.device) else weight.dtype
        self.past_keys = torch.zeros(shape, device=self.device, dtype=kept)
        self.past_values = torch.zeros(shape, device=self.device, dtype=kept)
        self.history = torch.full((batch, sizes.context), pad, device=self.device)
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
            kept = self.past_keys.dtype
            self.bias = torch.zeros(hidden.shape, device=self.device, dtype=kept).masked_fill(hidden, -1e9)[:, None, None]
        return self._forward(ids.to(self.device))

    def step(self, column: Sequence[int]) -> Tensor:
        """Append one token to every sequence; returns (batch, vocabulary) logits."""
        return self._forward(torch.tensor(column, device=self.device)[:, None])

    def _forward(self, ids: Tensor) -> Tensor:
        batch, count = ids.shape
        begin, end = self.length, self.length + count
        cosine, sine = self.cosine[begin:end], self.sine[begin:end]
        kept = self.past_keys.dtype
        bias = None if self.bias is None else self.bias[..., :end]
        if count > 1:
            causal = torch.full((count, end), float("-inf"), device=self.device, dtype=kept).triu(begin + 1)
            bias = causal if bias is None else bias + causal
        self.history[:, begin:end] = ids
        x = self._embedded(ids)
        for k, (norm, qkv, out, norm2, gate_up, down) in enumerate(self.layers):
            mixed = self._linear(self._norm(x, norm), qkv).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            query, key = _rotated(mixed[0], cosine, sine), _rotated(mixed[1], cosine, sine)
            self.past_keys[k, :, :, begin:end] = key
            self.past_values[k, :, :, begin:end] = mixed[2]
            keys, values = self.past_keys[k, :, :, :end], self.past_values[k, :, :, :end]
            seen = functional.scaled_dot_product_attention(query.to(kept), keys, values, bias).to(x.dtype)
            x = x + self._linear(seen.transpose(1, 2).reshape(batch, count, -1), out)
            gate, up = self._linear(self._norm(x, norm2), gate_up).chunk(2, -1)
            x = x + self._linear(functional.silu(gate) * up, down)
        self.length = end
        return self._linear(self._norm(x[:, -1], self.final_norm), self.head)

    def _embedded(self, ids: Tensor) -> Tensor:
        """(batch, time, width): each model embeds its own rows."""
        features = self.models[0].values.features(self.history[:, : self.length + ids.shape[1]], ids.shape[1])
        shares = [one.chunk(len(self.models)) for one in (ids, *features)]
        return torch.cat([model.embed(*rest) for model, *rest in zip(self.models, *shares, strict=True)])

    def _linear(self, x: Tensor, weights: Tensor) -> Tensor:
        """x (batch, …, in) times the weights of each row's model, (models, in, out)."""
        return (x.reshape(len(weights), -1, x.shape[-1]) @ weights).view(*x.shape[:-1], -1)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(x, weight.shape, weight, EPSILON)


def halves_pay(device: torch.device) -> bool:
    """Whether keys and values are kept in bfloat16: where a CPU multiplies it, as reading them is what most of a step waits for
    with many candidates (docs/lab-log.md)."""
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def _rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine
