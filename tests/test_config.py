"""Test that every YAML file fills its dataclass, and mistakes are found."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from styletransfer.configuration import from_dict, load_config, recipe_parser
from styletransfer.errors import InputError
from styletransfer.tokens.loading import KINDS as TOKENIZERS
from styletransfer.tokens.loading import kind_of, tokenizer_settings
from styletransfer.tokens.tokenizer import PlainTokenizer
from styletransfer.training.finetune import FinetuneConfig
from styletransfer.training.trainer import TrainConfig

CONFIGS = Path(__file__).parents[1] / "configs"
KINDS = {"pretrain": TrainConfig, "finetune": FinetuneConfig}
"""The dataclass of each folder under ``configs``, but for the tokenizers, which a key names."""
FILES = sorted(CONFIGS.rglob("*.y*ml"))
COUNT = 10
"""How many files there are: a test that finds none passes too easily."""


def test_all_are_found() -> None:
    assert len(FILES) == COUNT


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CONFIGS)) for path in FILES])
def test_loads(path: Path) -> None:
    folder = path.relative_to(CONFIGS).parts[0]
    if folder == "tokenizer":
        settings = tokenizer_settings(path)
        assert yaml.safe_load(path.read_text()).keys() == {
            name for name, kind in TOKENIZERS.items() if kind is kind_of(settings)
        }
    else:
        assert isinstance(load_config(KINDS[folder], path), KINDS[folder])


def test_each_tokenizer_has_its_own_settings_and_file() -> None:
    assert len({kind.settings for kind in TOKENIZERS.values()}) == len(TOKENIZERS)
    plain = [kind.file for kind in TOKENIZERS.values() if issubclass(kind, PlainTokenizer)]
    assert len(set(plain)) == len(plain)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "one of bars, miditok"),
        ("{bars: {}, miditok: {}}", "one of bars, miditok"),
        ("words: {}", "one of bars, miditok"),
        ("bars: 3", "keys with values"),
        ("miditok: {velocities: many}", "'many', not a int"),
    ],
)
def test_mistakes_in_a_tokenizer_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        tokenizer_settings(path)


def test_a_users_style_is_learnt_by_the_documented_settings() -> None:
    assert load_config(FinetuneConfig, CONFIGS / "finetune" / "default.yaml") == FinetuneConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bach: 8", "unknown key 'bach'"),
        ("model: {widht: 8}", "unknown key 'widht'"),
        ("batch: eight", "'eight', not a int"),
        ("batch: true", "True, not a int"),
        ("batch: 0", "positive"),
        ("log_every: 0", "positive"),
        ("learning_rate: -1", "positive"),
        ("evaluate_pieces: -1", "negative"),
        ("mixture: {transpose: -1}", "negative"),
        ("mixture: {score_share: 2}", "between 0 and 1"),
        ("model: {width: 10, heads: 4}", "multiple of the heads"),
        ("- a list", "keys with values"),
        ("a: b: c", "mapping values"),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_config(TrainConfig, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ["pretrain", "finetune", "eval", "benchmarks"])
def test_recipes_have_one_parser(folder: str) -> None:
    texts = {path: path.read_text() for path in (CONFIGS.parent / folder).glob("*.py")}
    assert not [path for path, text in texts.items() if "ArgumentParser(" in text]
    assert [path for path, text in texts.items() if "recipe_parser(__doc__, data=True)" in text]


def test_the_parser_of_a_recipe() -> None:
    arguments = recipe_parser("What it does.", data=True).parse_args([])
    assert arguments.data == Path("data/prepared")
    assert not hasattr(recipe_parser("What it does.").parse_args([]), "data")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        load_config(TrainConfig, tmp_path / "none.yaml")


def test_whole_numbers_do_for_floats() -> None:
    assert from_dict(TrainConfig, {"learning_rate": 1}).learning_rate == 1.0
    assert from_dict(TrainConfig, {}) == TrainConfig()
