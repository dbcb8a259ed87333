"""The base model: a decoder-only transformer of the Llama class, and the folder that it is shipped in."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer.score.notes import InputError

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

SHARD_BYTES = 15_000_000


@dataclass(frozen=True)
class ModelConfig:
    """Sizes: ``width`` of the residual stream, ``layers``, attention ``heads``, ``hidden`` width of SwiGLU, ``context``."""

    width: int = 256
    layers: int = 6
    heads: int = 4
    hidden: int = 688
    context: int = 768

    def __post_init__(self) -> None:
        if self.width % self.heads or min(asdict(self).values()) < 1:
            raise ValueError("the width must be a multiple of the heads, and every size positive")


def build_model(config: ModelConfig, vocabulary: int, pad: int, bos: int, eos: int) -> LlamaForCausalLM:
    """A model with fresh weights from PyTorch's global generator: rotary positions, RMSNorm, SwiGLU, tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            intermediate_size=config.hidden,
            max_position_embeddings=config.context,
            tie_word_embeddings=True,
            pad_token_id=pad,
            bos_token_id=bos,
            eos_token_id=eos,
            use_cache=False,
        )
    )


def save_package(model: LlamaForCausalLM, folder: Path, vocabulary: dict[str, int], manifest: dict[str, Any]) -> None:
    """Write weights (float16 safetensors shards), the vocabulary and a manifest with their checksums, atomically a file.

    The folder is what :func:`load_package` reads and what ships in the wheel. ``manifest`` must hold ``model`` (the fields
    of :class:`ModelConfig`) and ``tokenizer_hash``.
    """
    import torch
    from safetensors.torch import save

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
    files = {f"model-{number:05d}.safetensors": save(shard) for number, shard in enumerate(shards, 1)}
    files["vocabulary.json"] = json.dumps(vocabulary, indent=0).encode()
    for stale in folder.glob("model-*.safetensors"):
        if stale.name not in files:
            stale.unlink()
    for name, data in files.items():
        write_atomically(folder / name, data)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    write_atomically(folder / "manifest.json", (json.dumps(manifest | {"sha256": sums}, indent=1) + "\n").encode())


def load_package(folder: Path) -> tuple[LlamaForCausalLM, dict[str, int], dict[str, Any]]:
    """The model (float32, evaluation mode), its vocabulary and its manifest.

    Raises:
        InputError: where the folder is none, or a file of it doesn't match its checksum.
    """
    import torch
    from safetensors.torch import load

    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        contents = {name: (folder / name).read_bytes() for name in manifest["sha256"]}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: not a model folder ({error})") from error
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != manifest["sha256"][name]:
            raise InputError(f"{folder / name}: damaged, its checksum is not the manifest's; install the package again")
    vocabulary: dict[str, int] = json.loads(contents["vocabulary.json"])
    with torch.device("meta"):
        model = build_model(ModelConfig(**manifest["model"]), len(vocabulary), *(vocabulary[n] for n in ("PAD", "BOS", "EOS")))
    state = {}
    for name, data in sorted(contents.items()):
        if name.endswith(".safetensors"):
            state |= {key: tensor.float() for key, tensor in load(data).items()}
    model = model.to_empty(device="cpu")
    _restore_rotary(model)
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    return model.eval(), vocabulary, manifest


def _restore_rotary(model: LlamaForCausalLM) -> None:
    """Rotary frequencies are no part of a state dict: compute them anew after a model was made without memory."""
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    model.model.rotary_emb = LlamaRotaryEmbedding(model.config)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name in its folder, then rename it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
