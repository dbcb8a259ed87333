"""Train, save and load styles as PEFT's LoRA adapters on the base.

LoRA: Hu et al., "LoRA: low-rank adaptation of large language models", 2021. An adapter is trained
with PEFT, and anyone can load it with PEFT. For decoding, :func:`load_adapter` adds the low-rank
updates to a copy of the base in memory, so that a step costs what it costs without an adapter and
PEFT isn't imported; a test shows that both give the same logits. A style's control token has a row
in each of two embeddings; the rows are trained with the adapter (``trainable_token_indices``) and
replace the base's.
"""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from styletransfer.errors import InputError
from styletransfer.files import parse_json, read_bounded, write_atomically
from styletransfer.model.weights import Weights
from styletransfer.styles.card import CARD, CONFIG, WEIGHTS, Card, Style
from styletransfer.styles.find import style_at
from styletransfer.tokens.controls import UNKNOWN

if TYPE_CHECKING:
    from pathlib import Path

    from peft import PeftModel

    from styletransfer.model.base import MelodyLlama

AnyModel = TypeVar("AnyModel", Weights, "MelodyLlama")
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
EMBEDDINGS = ("embed_tokens", "style")
"""The tables that have a row for the style's control token."""
HIGHEST_RANK = 64
PREFIX = "base_model.model."
ROWS = ".token_adapter.trainable_tokens_delta"


@dataclass(frozen=True)
class LoraSettings:
    """The shape of an adapter.

    ``rank``: of the updates. ``scale``: what they are multiplied by (alpha / rank). ``targets``:
    the matrices that are updated.
    """

    rank: int = 16
    scale: float = 2.0
    targets: tuple[str, ...] = TARGETS

    def __post_init__(self) -> None:
        if (
            not 1 <= self.rank <= HIGHEST_RANK
            or self.scale <= 0
            or not set(self.targets) <= set(TARGETS)
        ):
            raise ValueError(
                f"the rank lies in 1..{HIGHEST_RANK}, the scale is positive, targets are of"
                f" {', '.join(TARGETS)}"
            )


def style_token(era: str, composer: str) -> str:
    """Return a style's own token: its composer's or its slot's, else its era's."""
    return f"COMPOSER_{composer}" if composer != UNKNOWN else f"ERA_{era}"


def attach(
    model: MelodyLlama, settings: LoraSettings, vocabulary: dict[str, int], token: str
) -> PeftModel:
    """Attach a fresh adapter, which alone is trained; ``model`` itself is changed.

    A reserved slot's row begins as that of the unknown composer, which the base has learnt.
    """
    from peft import LoraConfig, get_peft_model

    index = vocabulary[token]
    if token.startswith("COMPOSER_reserved"):
        with torch.no_grad():
            for table in (model.model.embed_tokens, model.features.style):
                table.weight[index] = table.weight[vocabulary[f"COMPOSER_{UNKNOWN}"]]

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.rank * settings.scale,  # type: ignore[arg-type]  # a float works
        target_modules=list(settings.targets),
        trainable_token_indices={name: [index] for name in EMBEDDINGS},
    )
    with warnings.catch_warnings():  # PEFT 0.21 asks transformers 5 for a property by its old name
        warnings.simplefilter("ignore", FutureWarning)
        peft_model: PeftModel = get_peft_model(model, config)
    return peft_model


def era_to_begin_with(
    styles: Path, era: str, base_hash: str, settings: LoraSettings
) -> Style | None:
    """Return the era's style if its adapter fits the base and settings, else None."""
    if not (styles / era / CARD).is_file():
        return None
    style = style_at(styles / era)
    fits = style.card is not None and style.card.base == base_hash and _has(styles / era, settings)
    return style if fits else None


def begin_as(model: PeftModel, settings: LoraSettings, style: Style) -> None:
    """Give a fresh adapter the updates of a style that was trained on the same base.

    The control token's row remains the base's.

    Raises:
        InputError: where the style has no adapter of these settings, or it can't be read.
    """
    if style.path is None:
        raise InputError(f"{style.name}: this style has no adapter to start from.")
    if not _has(style.path, settings):
        raise InputError(
            f"{style.path}: its rank, scale or targets are different; start from another style."
        )

    state = {
        key.replace(".weight", ".default.weight"): tensor
        for key, tensor in _read_weights(style.path).items()
        if not key.endswith(ROWS)
    }
    updates = {name: parameter for name, parameter in model.named_parameters() if ".lora_" in name}
    shapes = {name: parameter.shape for name, parameter in updates.items()}
    if {name: tensor.shape for name, tensor in state.items()} != shapes:
        raise InputError(f"{style.path / WEIGHTS}: its matrices are not those of this adapter.")

    with torch.no_grad():
        for name, parameter in updates.items():
            parameter.copy_(state[name])


def save_adapter(model: PeftModel, folder: Path, card: Card, readme: str) -> None:
    """Write an adapter (float16), its README and its card into a folder.

    The card is written last: a folder with a card is whole.
    """
    from peft import get_peft_model_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    config = model.peft_config["default"].to_dict()
    config = {
        key: sorted(value) if isinstance(value, set) else value for key, value in config.items()
    }
    config |= {"inference_mode": True, "base_model_name_or_path": None}

    halves = {key: tensor.detach().half().contiguous() for key, tensor in state.items()}
    write_atomically(folder / WEIGHTS, save(halves))
    text = json.dumps(config, indent=1, sort_keys=True, default=str)
    write_atomically(folder / CONFIG, f"{text}\n".encode())
    write_atomically(folder / "README.md", readme.encode())
    write_atomically(folder / CARD, card.to_json().encode())


def load_adapter(base: AnyModel, base_hash: str, tokenizer_hash: str, style: Style) -> AnyModel:
    """Copy the base and add a style's updates to the copy's weights.

    Returns:
        The copy, or the base itself where the style has no adapter.

    Raises:
        InputError: where the adapter belongs to another base or tokenizer, is damaged, or is of an
            unknown kind.
    """
    if style.path is None or style.card is None:
        return base
    if style.card.tokenizer_hash != tokenizer_hash:
        raise InputError(
            f"{style.path}: this style was trained with different tokens; train it again with this"
            " version."
        )
    if style.card.base != base_hash:
        raise InputError(
            f"{style.path}: this style was trained on another base model; train it again with this"
            " one."
        )

    scale, rank, rows = _read_config(style.path)
    token = base.names.index(style_token(style.era, style.composer))
    if rank != style.card.rank or rows != [token]:
        raise InputError(
            f"{style.path / CONFIG}: its rank or its control token is not the card's; the folder is"
            " damaged."
        )

    state = _read_weights(style.path)
    model = copy.deepcopy(base)
    tables = sum(key.endswith(ROWS) for key in state)
    try:
        with torch.no_grad():
            if tables != len(EMBEDDINGS) or len(state) <= tables:
                raise KeyError("tensors are missing")
            for key, tensor in state.items():
                if not (tensor.is_floating_point() and tensor.float().isfinite().all()):
                    raise RuntimeError(f"{key} is not finite")
                _add(model, key, tensor.float(), state, scale, rank, rows)
    except (AttributeError, KeyError, RuntimeError, IndexError) as error:
        raise InputError(
            f"{style.path / WEIGHTS}: its weights don't fit the base model ({error})."
        ) from error
    return model


def _has(folder: Path, settings: LoraSettings) -> bool:
    """Check whether an adapter has these settings."""
    scale, rank, _ = _read_config(folder)
    targets = parse_json(read_bounded(folder / CONFIG)).get("target_modules")
    if not isinstance(targets, list) or not all(isinstance(name, str) for name in targets):
        return False  # PEFT's other ways to name them
    return (scale, rank, set(targets)) == (settings.scale, settings.rank, set(settings.targets))


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        return load(read_bounded(folder / WEIGHTS))
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        # TypeError: a size that torch doesn't have
        raise InputError(f"{folder / WEIGHTS}: the adapter can't be read ({error}).") from error


def _read_config(folder: Path) -> tuple[float, int, list[int]]:
    """Read the updates' scale and rank, and which rows of embeddings are replaced."""
    try:
        config: dict[str, Any] = parse_json(read_bounded(folder / CONFIG))
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
        tokens = config.get("trainable_token_indices") or {}
        rows = {tuple(int(index) for index in indices) for indices in tokens.values()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{folder / CONFIG}: the adapter's settings can't be read ({error})."
        ) from error
    if not 1 <= rank <= HIGHEST_RANK:
        raise InputError(
            f"{folder / CONFIG}: a rank of {rank} is not one of this version's adapters"
            f" (1 to {HIGHEST_RANK})."
        )

    other = (
        "use_dora",
        "use_rslora",
        "rank_pattern",
        "alpha_pattern",
        "modules_to_save",
        "layer_replication",
        "use_qalora",
    )
    if (
        config.get("peft_type") != "LORA"
        or any(config.get(name) for name in other)
        or len(rows) > 1
        or not 0 < alpha < 1e6
    ):
        raise InputError(
            f"{folder / CONFIG}: an adapter of a kind that this version doesn't read; it reads"
            " plain LoRA."
        )
    return alpha / rank, rank, list(next(iter(rows), ()))


def _add(
    model: Weights | MelodyLlama,
    key: str,
    tensor: Tensor,
    state: dict[str, Tensor],
    scale: float,
    rank: int,
    rows: list[int],
) -> None:
    """Add one tensor of PEFT's file, and its partner, to the module that it names."""
    name = key.removeprefix(PREFIX)
    if name.endswith(".lora_B.weight"):
        down = state[key.replace(".lora_B.", ".lora_A.")].float()
        module = name.removesuffix(".lora_B.weight")
        weight = model.get_parameter(module + ".weight")

        shape = (len(tensor), down.shape[1], len(down))
        if module.rpartition(".")[2] not in TARGETS or (*weight.shape, rank) != shape:
            raise RuntimeError(f"{key} is of another module or size")

        weight.add_(tensor @ down, alpha=scale)
        if not weight.isfinite().all():
            raise RuntimeError(f"{key} makes numbers that are not finite")
    elif name.endswith(ROWS) and name.removesuffix(ROWS).rpartition(".")[2] in EMBEDDINGS:
        # PEFT calls the rows a delta, but they replace the base's.
        table = model.get_parameter(name.removesuffix(ROWS) + ".weight")
        if tuple(tensor.shape) != (len(rows), table.shape[1]):
            raise RuntimeError(f"{key} is of another size")
        table[rows] = tensor
    elif not (name.endswith(".lora_A.weight") and key.replace(".lora_A.", ".lora_B.") in state):
        raise KeyError(key)
