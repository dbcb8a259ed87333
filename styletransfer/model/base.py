"""Build, save and load the base model, a transformer of the Llama class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from styletransfer.files import write_atomically
from styletransfer.model.features import FeatureEmbedding, followed
from styletransfer.model.weights import ModelConfig, Weights, load_weights
from styletransfer.tokens.follower import TokenLists

SHARD_BYTES = 15_000_000
CAUSAL = "causal"
"""The name under which :func:`causal_attention` is registered.

It takes no mask: where transformers makes one, a compiled model reads it and also computes what it
hides, which takes twice the time. Sequences are padded only at their end.
"""
BLOCK = 64
"""Queries in a block.

What comes after a block's last query isn't computed; shorter blocks save no more time.
"""


def causal_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Attend to earlier tokens, with a faster gradient for grouped heads on CPUs.

    The result is that of transformers' ``sdpa``. PyTorch's fused attention takes five times as long
    backwards as forwards on a CPU. Matrix products in bfloat16, block by block, take two thirds of
    the time of both where all heads of a group are one product; otherwise they don't pay.

    Args:
        query: shape (batch, heads, time, size).
        key, value: shape (batch, groups, time, size); each group serves heads / groups neighbouring
            heads.

    Returns:
        Shape (batch, time, heads, size), and no weights.
    """
    batch, heads, time, size = query.shape
    groups = key.shape[1]
    # Rotary positions leave float32, which autocast would narrow within PyTorch's attention.
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu")
    narrow = query.device.type == "cpu" and torch.bfloat16 in (query.dtype, autocast)
    if not (torch.is_grad_enabled() and narrow and groups < heads and attention_mask is None):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **rest
        )

    scale = size**-0.5 if scaling is None else scaling
    query, key, value = (x.to(torch.bfloat16) for x in (query, key, value))
    found = []
    for first in range(0, time, BLOCK):
        end = min(first + BLOCK, time)
        rows = query[:, :, first:end].reshape(batch, groups, -1, size)
        scores = (rows @ key[:, :, :end].mT).view(batch, heads, end - first, end)
        later = torch.full((end - first, end), float("-inf"), dtype=scores.dtype).triu(first + 1)
        weights = (scores.float() * scale + later).softmax(-1).to(value.dtype)
        mixed = weights.view(batch, groups, -1, end) @ value[:, :, :end]
        found.append(mixed.view(batch, heads, end - first, size))
    return torch.cat(found, 2).transpose(1, 2).contiguous(), None


AttentionInterface.register(CAUSAL, causal_attention)


class MelodyLlama(LlamaForCausalLM):  # type: ignore[no-untyped-call]  # transformers' hook
    """A Llama whose tokens also embed place, the next melody note and the style.

    See :mod:`styletransfer.model.features`. ``names``: the vocabulary's tokens in the order of
    their ids. ``forward`` takes whole sequences; :class:`styletransfer.model.decoder.Decoder`
    decodes with a cache, and reads nothing but the weights.
    """

    def __init__(self, config: LlamaConfig, names: list[str]) -> None:
        super().__init__(config)
        self.loss_type = "ForCausalLM"  # transformers would guess it from the class's name
        self.names = names
        self.features = FeatureEmbedding(config.hidden_size, names)
        for table in self.features.parameters():
            nn.init.normal_(table, std=config.initializer_range)

    @property
    def sizes(self) -> ModelConfig:
        """The model's sizes, from its configuration."""
        config = self.config
        width, hidden, context = (
            config.hidden_size,
            config.intermediate_size,
            config.max_position_embeddings,
        )
        heads, groups = config.num_attention_heads, config.num_key_value_heads or 0
        return ModelConfig(
            width,
            config.num_hidden_layers,
            heads,
            hidden,
            context,
            0 if groups == heads else groups,
        )

    def forward(
        self,
        input_ids: Tensor,
        inputs_embeds: None = None,
        features: Tensor | None = None,
        **rest: Any,
    ) -> Any:
        """Predict as a Llama does.

        Args:
            input_ids: shape (batch, time).
            inputs_embeds: not taken; PEFT names it.
            features: shape (batch, time, features), where the data's workers have computed them.
            rest: as a Llama takes it.
        """
        assert inputs_embeds is None
        if features is None:
            features = _followed(input_ids, self.features.lists)
        return super().forward(inputs_embeds=self.embed(input_ids, features), **rest)

    def embed(self, ids: Tensor, features: Tensor) -> Tensor:
        """Embed tokens, shape (batch, time), and their features, to (batch, time, width)."""
        embedded: Tensor = self.model.embed_tokens(ids) + self.features(features)
        return embedded


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _followed(ids: Tensor, lists: TokenLists) -> Tensor:
    """Compute features uncompiled, as a compiler would unroll the tokens."""
    return followed(ids, lists)


def build_model(config: ModelConfig, vocabulary: dict[str, int]) -> MelodyLlama:
    """Build a model with fresh weights from PyTorch's global generator.

    It has rotary positions, RMSNorm, SwiGLU and tied embeddings.
    """
    llama = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.groups or config.heads,
        intermediate_size=config.hidden,
        max_position_embeddings=config.context,
        tie_word_embeddings=True,
        pad_token_id=vocabulary["PAD"],
        bos_token_id=vocabulary["BOS"],
        eos_token_id=vocabulary["EOS"],
        use_cache=False,
    )
    llama._attn_implementation = CAUSAL
    return MelodyLlama(llama, sorted(vocabulary, key=lambda name: vocabulary[name]))


def save_package(
    model: MelodyLlama,
    folder: Path,
    vocabulary: dict[str, int],
    manifest: dict[str, Any],
    more: Mapping[str, bytes] | None = None,
) -> None:
    """Write a model as a folder that :func:`load_package` reads.

    Such a folder ships in the wheel. It holds the weights (float16 safetensors shards), the
    vocabulary and a manifest with their checksums, each file written atomically.

    Args:
        model: what to write.
        folder: where to; older shards are removed.
        vocabulary: ids by token.
        manifest: has at least ``model`` (the fields of :class:`ModelConfig`) and
            ``tokenizer_hash``.
        more: further files by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Any]] = [{}]
    size = 0
    for name, tensor in sorted(model.state_dict().items()):
        if name == "lm_head.weight":  # tied to the embedding
            continue
        if size and size + tensor.numel() * 2 > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = tensor.detach().to("cpu", torch.float16).contiguous()
        size += tensor.numel() * 2
    files = {
        f"model-{number:05d}.safetensors": save(shard) for number, shard in enumerate(shards, 1)
    }
    files["vocabulary.json"] = json.dumps(vocabulary, indent=0).encode()
    files |= more or {}
    for stale in folder.glob("model-*.safetensors"):
        if stale.name not in files:
            stale.unlink()

    for name, data in files.items():
        write_atomically(folder / name, data)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    write_atomically(
        folder / "manifest.json",
        (json.dumps(manifest | {"sha256": sums}, indent=1) + "\n").encode(),
    )


def load_package(folder: Path) -> tuple[MelodyLlama, dict[str, int], dict[str, Any]]:
    """Load a folder as :func:`.weights.load_weights` does, as a model for training.

    Returns:
        The model (float32, evaluation mode), its vocabulary and its manifest.
    """
    weights, vocabulary, manifest = load_weights(folder)
    return as_llama(weights), vocabulary, manifest


def as_llama(weights: Weights) -> MelodyLlama:
    """Make a model of weights, with or without an adapter's updates.

    It is in float32 and in evaluation mode.
    """
    model = build_model(weights.sizes, {name: index for index, name in enumerate(weights.names)})
    model.load_state_dict(weights.state_dict())
    model.tie_weights()
    model.train(False)
    return model
