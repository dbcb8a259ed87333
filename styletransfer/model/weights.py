"""Load the base's weights as they ship into plain modules, for decoding.

Decoding reads a model's matrices and nothing else, so that it does without ``transformers``, whose
import takes seconds. Training, likelihoods and PEFT use
:class:`styletransfer.model.base.MelodyLlama`, whose parameters have the same names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor, nn

from styletransfer.errors import InputError
from styletransfer.model.features import FeatureEmbedding


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of a model.

    ``width``: of the residual stream. ``layers``, and attention ``heads`` in each. ``hidden``: the
    width inside SwiGLU. ``context``: in tokens. ``groups``: heads of keys and values, each shared
    by equally many heads of queries (0: every head has its own).
    """

    width: int = 256
    layers: int = 6
    heads: int = 4
    hidden: int = 688
    context: int = 768
    groups: int = 0

    def __post_init__(self) -> None:
        if (
            self.width % self.heads
            or min(self.width, self.layers, self.heads, self.hidden, self.context) < 1
        ):
            raise ValueError("the width must be a multiple of the heads, and every size positive")
        if self.groups < 0 or (self.groups and self.heads % self.groups):
            raise ValueError("the heads must be a multiple of the groups")


class Norm(nn.Module):
    """The scale of an RMSNorm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class Layer(nn.Module):
    """The matrices of a layer of a Llama."""

    def __init__(self, sizes: ModelConfig) -> None:
        super().__init__()
        width, hidden = sizes.width, sizes.hidden
        shared = width // sizes.heads * (sizes.groups or sizes.heads)
        self.self_attn = nn.ModuleDict({f"{name}_proj": _matrix(width, width) for name in "qo"})
        self.self_attn.update({f"{name}_proj": _matrix(width, shared) for name in "kv"})
        self.mlp = nn.ModuleDict(
            {f"{name}_proj": _matrix(width, hidden) for name in ("gate", "up")}
        )
        self.mlp["down_proj"] = _matrix(hidden, width)
        self.input_layernorm, self.post_attention_layernorm = Norm(width), Norm(width)


class Weights(nn.Module):
    """The parameters of a base model, in float32 on the CPU.

    ``names``: the vocabulary's tokens in the order of their ids.
    """

    def __init__(self, sizes: ModelConfig, names: list[str]) -> None:
        super().__init__()
        self.sizes, self.names = sizes, names
        self.model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(len(names), sizes.width),
                "layers": nn.ModuleList(Layer(sizes) for _ in range(sizes.layers)),
                "norm": Norm(sizes.width),
            }
        )
        self.lm_head = _matrix(sizes.width, len(names))
        self.features = FeatureEmbedding(sizes.width, names)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Make the embedding's table the head."""
        table = self.model["embed_tokens"]
        assert isinstance(table, nn.Embedding)
        self.lm_head.weight = table.weight

    def embed(self, ids: Tensor, features: Tensor) -> Tensor:
        """Embed tokens, (batch, time), and their features (:func:`.features.followed`).

        Returns:
            Shape (batch, time, width).
        """
        embedded: Tensor = self.model["embed_tokens"](ids) + self.features(features)
        return embedded


def _matrix(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


def load_weights(folder: Path) -> tuple[Weights, dict[str, int], dict[str, Any]]:
    """Load a folder that :func:`styletransfer.model.base.save_package` wrote.

    Returns:
        The weights, the vocabulary and the manifest.

    Raises:
        InputError: where it is no such folder, or a file in it doesn't match its checksum.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        contents = {name: (folder / name).read_bytes() for name in manifest["sha256"]}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: not a model folder ({error})") from error
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != manifest["sha256"][name]:
            raise InputError(
                f"{folder / name}: damaged, its checksum is not the manifest's; install the package"
                " again"
            )

    vocabulary: dict[str, int] = json.loads(contents["vocabulary.json"])
    model = Weights(
        ModelConfig(**manifest["model"]), sorted(vocabulary, key=lambda name: vocabulary[name])
    )
    state: dict[str, Tensor] = {}
    for name, data in sorted(contents.items()):
        if name.endswith(".safetensors"):
            state |= {key: tensor.float() for key, tensor in load(data).items()}
    found = model.load_state_dict(state, strict=False)
    if found.unexpected_keys or set(found.missing_keys) - {"lm_head.weight"}:
        raise InputError(
            f"{folder}: its weights are not those of this version's model; train or install it"
            " again"
        )
    model.train(False)
    return model, vocabulary, manifest


def weights_hash(manifest: Mapping[str, Any]) -> str:
    """Return 16 hex digits of a base's checksums, by which adapters name their base."""
    return hashlib.sha256(json.dumps(manifest["sha256"], sort_keys=True).encode()).hexdigest()[:16]
