"""Test adapters on a model of two layers.

PEFT and the decoder agree, and adapters that don't fit are refused.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load, save

from styletransfer.errors import InputError
from styletransfer.folders import COPIES, IDIOM
from styletransfer.model.adapters import (
    LoraSettings,
    attach,
    load_adapter,
    save_adapter,
    style_token,
)
from styletransfer.music.copies import Copies
from styletransfer.music.idiom import load_profile
from styletransfer.styles.card import CARD, CONFIG, WEIGHTS, Card, Style
from styletransfer.styles.find import style_at
from tests.tiny import codec, tiny_model

BASE = "0" * 16
IDS = torch.tensor(
    [[codec().vocabulary[name] for name in ("BOS", "FEEL_score", "TEMPO_80", "ERA_unknown")]]
)


def card(**changes: Any) -> Card:
    known = Card("mine", "user", "unknown", "reserved-0", BASE, codec().hash, 20, 40.0, 9000)
    return replace(known, **changes)


def sequence(composer: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    music = torch.randint(60, codec().size, (1, 40), generator=generator)
    return torch.cat([IDS, torch.tensor([[codec().vocabulary[f"COMPOSER_{composer}"]]]), music], 1)


def logits(model: Any, composer: str = "reserved-0") -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=sequence(composer)).logits
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an adapter whose every weight has moved."""
    folder = tmp_path_factory.mktemp("styles") / "mine"
    adapted = attach(tiny_model(), LoraSettings(rank=4), codec().vocabulary, "COMPOSER_reserved-0")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    save_adapter(adapted, folder, card(rank=4), "# mine\n")
    return folder


def loaded(style: Style) -> Any:
    return load_adapter(tiny_model(), BASE, codec().hash, style)


def changed_copy(written: Path, folder: Path, name: str, data: bytes) -> Style:
    return style_at(changed_folder(written, folder, name, data))


def changed_folder(written: Path, folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir()
    for path in written.iterdir():
        (folder / path.name).write_bytes(data if path.name == name else path.read_bytes())
    return folder


def test_an_untrained_adapter_changes_nothing() -> None:
    """This holds under a composer's own token; a reserved slot begins as an unknown composer."""
    base = logits(tiny_model(), "bach")
    adapted = attach(tiny_model(), LoraSettings(), codec().vocabulary, "COMPOSER_bach")
    torch.testing.assert_close(logits(adapted, "bach"), base)
    slot = attach(tiny_model(), LoraSettings(), codec().vocabulary, "COMPOSER_reserved-0")
    own, unknown = logits(slot).clone(), logits(tiny_model(), "unknown")
    reserved = codec().vocabulary["COMPOSER_reserved-0"]
    own[..., reserved] = unknown[
        ..., reserved
    ]  # the head is tied: its own column has moved with the row
    torch.testing.assert_close(own, unknown)


def test_only_the_adapter_is_trained() -> None:
    adapted = attach(tiny_model(), LoraSettings(rank=4), codec().vocabulary, "COMPOSER_reserved-0")
    names = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name or "trainable_tokens_delta" in name for name in names)
    assert sum("trainable_tokens_delta" in name for name in names) == 2
    assert sum("lora_A" in name for name in names) == 2 * 7


def test_plain_peft_loads_it_and_gives_the_same(written: Path) -> None:
    from peft import PeftModel

    ours, base = logits(loaded(style_at(written))), logits(tiny_model())
    theirs = logits(PeftModel.from_pretrained(tiny_model(), str(written)))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (ours - base).abs().max() > 0.1


def test_the_base_is_left_as_it_was(written: Path) -> None:
    model = tiny_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    load_adapter(model, BASE, codec().hash, style_at(written))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_style_without_an_adapter_is_the_base() -> None:
    model = tiny_model()
    assert (
        load_adapter(model, BASE, codec().hash, Style("bach", "composer", "baroque", "bach"))
        is model
    )


def test_another_base_or_tokenizer_is_refused(written: Path) -> None:
    with pytest.raises(InputError, match="another base model"):
        load_adapter(tiny_model(), "1" * 16, codec().hash, style_at(written))
    with pytest.raises(InputError, match="different tokens"):
        load_adapter(tiny_model(), BASE, "1" * 16, style_at(written))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": 65}, "a rank of 65"),
        ({"r": 8}, "not the card's"),
        ({"lora_alpha": float("nan")}, "can't be read"),
        ({"trainable_token_indices": {"embed_tokens": [3], "style": [3]}}, "not the card's"),
        ({"trainable_token_indices": None}, "not the card's"),
        ({"r": 0}, "a rank of 0"),
        ({"r": "eight"}, "can't be read"),
        ({"use_dora": True}, "of a kind"),
        ({"peft_type": "IA3"}, "of a kind"),
        ({"modules_to_save": ["lm_head"]}, "of a kind"),
        (
            {"trainable_token_indices": {"embed_tokens": [100_000], "style": [100_000]}},
            "not the card's",
        ),
    ],
)
def test_settings_that_are_not_ours_are_refused(
    change: dict[str, Any], message: str, written: Path, tmp_path: Path
) -> None:
    config = json.loads((written / "adapter_config.json").read_text())
    data = json.dumps(config | change).encode()
    with pytest.raises(InputError, match=message):
        loaded(changed_copy(written, tmp_path / "copy", "adapter_config.json", data))


def test_weights_that_are_not_ours_are_refused(written: Path, tmp_path: Path) -> None:
    """They are of other sizes, of missing modules, incomplete or cut off.

    A pickle is never read.
    """
    state = load((written / WEIGHTS).read_bytes())
    down = next(key for key in state if "lora_A" in key)
    cases = {
        "narrow": state | {down: state[down][:, :-1].contiguous()},
        "foreign": {key.replace("layers.1", "layers.9"): tensor for key, tensor in state.items()},
        "half": {key: tensor for key, tensor in state.items() if "lora_B" not in key},
        "nothing": {},
        "rows alone": {key: tensor for key, tensor in state.items() if "lora" not in key},
        "not finite": state | {down: torch.full_like(state[down], float("nan"))},
        "the head": {
            key.replace("layers.1.mlp.up_proj", "lm_head"): tensor for key, tensor in state.items()
        },
        "more": state | {"base_model.model.model.norm.weight": torch.ones(32)},
    }
    for name, one in cases.items():
        with pytest.raises(InputError, match="don't fit the base model"):
            loaded(changed_copy(written, tmp_path / name, WEIGHTS, save(one)))

    with pytest.raises(InputError, match="can't be read"):
        loaded(
            changed_copy(written, tmp_path / "cut", WEIGHTS, (written / WEIGHTS).read_bytes()[:100])
        )
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    torch.save(state, pickled / "adapter_model.bin")
    for name in (CARD, "adapter_config.json"):
        (pickled / name).write_bytes((written / name).read_bytes())

    with pytest.raises(InputError, match=WEIGHTS):
        style_at(pickled)


@pytest.mark.parametrize("text", ["NaN", "1e999", "-1e999", "9" * 5000, "[" * 5000 + "]" * 5000])
@pytest.mark.parametrize(
    ("file", "key"),
    [
        (CONFIG, "r"),
        (CONFIG, "lora_alpha"),
        (CONFIG, "trainable_token_indices"),
        (CONFIG, "target_modules"),
        (CARD, "rank"),
        (CARD, "minutes"),
    ],
)
def test_numbers_that_are_none_and_deep_lists_are_refused(
    text: str, file: str, key: str, written: Path, tmp_path: Path
) -> None:
    data = json.dumps(json.loads((written / file).read_text()) | {key: "@"}).replace('"@"', text)
    copy = changed_folder(written, tmp_path / "copy", file, data.encode())
    with pytest.raises(InputError, match="can't be read"):
        loaded(style_at(copy))


@pytest.mark.parametrize("file", [CONFIG, CARD, WEIGHTS, COPIES, IDIOM])
@pytest.mark.parametrize("size", [0, 20 << 30])
def test_empty_files_and_those_of_20_gb_are_not_read(
    file: str, size: int, written: Path, tmp_path: Path
) -> None:
    copy = changed_folder(written, tmp_path / "copy", WEIGHTS, (written / WEIGHTS).read_bytes())
    (copy / file).touch()
    os.truncate(copy / file, size)
    read = {COPIES: Copies.load, IDIOM: load_profile}.get(file, lambda _: loaded(style_at(copy)))
    with pytest.raises(InputError, match="larger than" if size else "read|training|means"):
        read(copy / file)


@pytest.mark.parametrize("head", ["[]", "5", "[" * 5000 + "]" * 5000, '{"about": [1]}', "whole"])
def test_an_index_without_bits_or_with_a_damaged_head_is_refused(head: str, tmp_path: Path) -> None:
    path = tmp_path / COPIES
    Copies(np.zeros(0, np.uint8)).save(path)
    if head != "whole":
        save_file({"bits": np.ones(8, np.uint8)}, path, metadata={"copies": head})
    with pytest.raises(InputError, match="not the index of the training pieces"):
        Copies.load(path)


def test_weights_whose_product_is_infinite_are_refused(written: Path, tmp_path: Path) -> None:
    state = load((written / WEIGHTS).read_bytes())
    cases = {
        "product": {key: torch.full_like(one.float(), 1e30) for key, one in state.items()},
        "double": {key: torch.full_like(one.double(), 1e300) for key, one in state.items()},
        "complex": {key: one.to(torch.complex64) for key, one in state.items()},
    }
    for name, one in cases.items():
        with pytest.raises(InputError, match="not finite"):
            loaded(changed_copy(written, tmp_path / name, WEIGHTS, save(one)))


def test_a_tensor_of_an_endless_size_is_refused(written: Path, tmp_path: Path) -> None:
    tensor = {"dtype": "F32", "shape": [0, 2**64 - 1], "data_offsets": [0, 0]}
    head = json.dumps({"a": tensor}).encode()
    data = len(head).to_bytes(8, "little") + head
    with pytest.raises(InputError, match="can't be read"):
        loaded(changed_copy(written, tmp_path / "copy", WEIGHTS, data))


def test_tokens_of_styles() -> None:
    assert style_token("baroque", "bach") == "COMPOSER_bach"
    assert style_token("unknown", "reserved-0") == "COMPOSER_reserved-0"
    assert style_token("baroque", "unknown") == "ERA_baroque"
    with pytest.raises(ValueError, match="rank"):
        LoraSettings(rank=0)
