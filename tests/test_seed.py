"""Test plain MidiTok with byte pair encoding.

This project started from that tokenizer. Tested are coding, training and free composition.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from pretrain import train as recipe
from styletransfer.data.batches import IGNORE, MixtureConfig
from styletransfer.data.library import Library
from styletransfer.data.plain import PlainWindows, training_tables
from styletransfer.errors import InputError
from styletransfer.model.loading import load_model
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.notes import Feel, Piece, make_notes
from styletransfer.tokens.controls import Controls
from styletransfer.tokens.loading import (
    KINDS,
    codec_of_package,
    tokenizer_files,
    tokenizer_settings,
)
from styletransfer.tokens.miditok_codec import BAR_LINE, MidiTokCodec, MidiTokConfig
from styletransfer.training.likelihood import bits_per_note, plain_windows
from styletransfer.training.tokenizer import tokenizer_of_run
from styletransfer.transfer.free import generate
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import Request
from tests.tiny import random_piece

ROOT = Path(__file__).parents[1]
VOCABULARY = 483
STEP = {"performance": 1 / 16, "score": 1 / 8}  # seconds, quarters


@lru_cache(maxsize=2)
def codec(vocabulary: int = VOCABULARY) -> MidiTokCodec:
    tables = [
        (feel, piece.notes, piece.bars, 90.0)
        for feel in STEP
        for piece in (random_piece(seed, feel) for seed in range(4))
    ]
    return MidiTokCodec.train(MidiTokConfig(bpe_vocabulary=vocabulary), tables)


def test_seed_yaml_is_what_is_documented() -> None:
    seed = tokenizer_settings(ROOT / "configs/tokenizer/seed.yaml")
    assert isinstance(seed, MidiTokConfig)
    assert seed.beat_res == (((0, 4), 8), ((4, 12), 4))
    assert seed.chords
    assert seed.tempos
    assert seed.time_signatures
    assert seed.bpe_vocabulary > len(codec(0).vocabulary)


@pytest.mark.parametrize("vocabulary", [0, VOCABULARY])
@pytest.mark.parametrize("feel", ["performance", "score"])
def test_no_note_is_lost(feel: Feel, vocabulary: int) -> None:
    tokens = codec(vocabulary)
    for seed in range(20, 24):
        piece = random_piece(seed, feel)
        ids = tokens.encode(piece, Controls(feel, "baroque", "bach").tokens())
        assert ids[0] == tokens.bos
        assert ids[-1] == tokens.eos
        again = tokens.decode(ids, feel)
        assert sorted(again.notes["pitch"]) == sorted(piece.notes["pitch"])
        before, after = (
            p.onset_seconds if feel == "performance" else p.notes["onset"] - p.bars["start"][0]
            for p in (piece, again)
        )
        assert np.abs(np.sort(before) - np.sort(after)).max() <= STEP[feel] / 2 + 1e-3
        second = tokens.decode(tokens.encode(again), feel)
        assert np.array_equal(second.notes, again.notes)


def test_hard_notes_stay() -> None:
    """Notes off the keyboard, two of the same pitch at once, very short or long ones, and one after
    a long silence.
    """
    notes = make_notes([0, 0, 0, 0.01, 90], [0.001, 500, 1, 1, 1], [3, 60, 60, 127, 60])
    again = codec().decode(codec().encode(Piece(notes, "performance")))
    assert sorted(again.notes["pitch"]) == [27, 60, 60, 60, 103]
    assert again.onset_seconds.max() == 45.0


def test_merges_shorten_and_are_named() -> None:
    plain, merged = codec(0), codec()
    piece = random_piece(1, "score")
    assert len(merged.encode(piece)) < 0.8 * len(plain.encode(piece))
    assert merged.size == len(merged.vocabulary) == VOCABULARY
    flat = [
        name for index in merged.encode(piece) for name in merged.parts[index] if name != BAR_LINE
    ]
    assert flat == [plain.parts[index][0] for index in plain.encode(piece)]
    assert not any(
        name.startswith(("Pitch_", "TimeShift_", "Duration_")) for name in merged.vocabulary
    )


def test_decoding_leaves_its_argument_alone() -> None:
    """MidiTok's TSD.decode writes into the list of sequences that it is given."""
    ids = codec().encode(random_piece(1, "performance"))
    copy = list(ids)
    assert np.array_equal(codec().decode(ids).notes, codec().decode(ids).notes)
    assert ids == copy


def test_saved_and_loaded(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(codec().to_json())
    again = MidiTokCodec.load(tmp_path / "tokenizer.json")
    assert again.hash == codec().hash != codec(0).hash
    assert again.vocabulary == codec().vocabulary
    assert again.has(MidiTokConfig(bpe_vocabulary=VOCABULARY))
    assert not again.has(MidiTokConfig(bpe_vocabulary=VOCABULARY, rests=True))
    assert not again.has(MidiTokConfig(bpe_vocabulary=VOCABULARY + 1))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        MidiTokCodec.load(tmp_path / "tokenizer.json")


def test_a_tokenizer_is_one_more_entry(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its entry follow the settings in YAML, the file of a run, and the loading of weights."""

    @dataclass(frozen=True)
    class OtherConfig(MidiTokConfig):
        pass

    class Other(MidiTokCodec):
        settings = OtherConfig
        file = "other.json"

    monkeypatch.setitem(KINDS, "other", Other)
    yaml_file = tmp_path / "other.yaml"
    yaml_file.write_text("other: {rests: true}")
    library = Library.load(tiny_data)
    made = tokenizer_of_run(str(yaml_file), library, MixtureConfig(), tmp_path)
    assert type(made) is Other
    assert (tmp_path / "other.json").read_bytes() == made.to_json()
    assert tokenizer_files(made) == {"other.json": made.to_json()}

    files = ["vocabulary.json", "other.json"]
    loaded = codec_of_package(tmp_path, made.vocabulary, files, made.hash)
    assert type(loaded) is Other
    assert loaded.vocabulary == made.vocabulary
    with pytest.raises(InputError, match="another tokenizer"):
        codec_of_package(tmp_path, made.vocabulary, files, "0" * 16)

    yaml_file.write_text("other: {rests: false}")
    with pytest.raises(InputError, match=r"other\.json: holds a tokenizer with other settings"):
        tokenizer_of_run(str(yaml_file), library, MixtureConfig(), tmp_path)


def test_merges_within_notes() -> None:
    """No merged token reaches beyond one note's pitch, velocity and duration, and each piece comes
    back.
    """
    settings = MidiTokConfig(bpe_vocabulary=VOCABULARY, bpe_across_notes=False)
    pieces = [random_piece(seed, feel) for feel in STEP for seed in range(4)]
    tokens = MidiTokCodec.train(
        settings, [(piece.feel, piece.notes, piece.bars, 90.0) for piece in pieces]
    )
    kinds = [[name.split("_")[0] for name in names] for names in tokens.parts if len(names) > 1]
    assert len(kinds) == VOCABULARY - codec(0).size
    assert all(
        row in (["Pitch", "Velocity"], ["Velocity", "Duration"], ["Pitch", "Velocity", "Duration"])
        for row in kinds
    )
    for piece in pieces:
        ids = tokens.encode(piece)
        assert len(ids) < len(codec(0).encode(piece))
        assert sorted(tokens.decode(ids, piece.feel).notes["pitch"]) == sorted(piece.notes["pitch"])
    assert tokens.has(settings)
    assert not tokens.has(MidiTokConfig(bpe_vocabulary=VOCABULARY))
    assert not codec().has(settings)


def test_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(InputError, match="bpe_vocabulary 9"):
        MidiTokCodec.train(MidiTokConfig(bpe_vocabulary=9))
    with pytest.raises(InputError, match="pieces to learn from"):
        MidiTokCodec.train(MidiTokConfig(bpe_vocabulary=VOCABULARY))


def test_grammar_admits_real_music() -> None:
    tokens = codec()
    for feel in STEP:
        ids = tokens.encode(random_piece(30, feel))[:-1]
        start = len(tokens.leading(ids))
        assert start >= 1
        assert all(
            tokens.follows[before, after]
            for before, after in zip(ids[start - 1 :], ids[start:], strict=False)
        )
    assert not tokens.follows[:, tokens.is_special].any()
    assert tokens.follows[~tokens.is_special].any(1).all()


def test_windows(tiny_data: Path) -> None:
    library = Library.load(tiny_data)
    windows = PlainWindows(library, codec(), MixtureConfig(), 64, seed=3)
    for number in range(20):
        window = windows[number]
        learnt = window["labels"] != IGNORE
        assert window["input_ids"].shape == window["labels"].shape == (64,)
        assert (window["labels"][learnt] == window["input_ids"][learnt]).all()
        assert window["input_ids"][0] == codec().bos
        assert not codec().is_special[window["input_ids"][learnt]][:-1].any()
        assert learnt.sum() > 30
        assert all(np.array_equal(window[key], windows[number][key]) for key in window)


def test_merges_come_from_training_pieces_only(tiny_data: Path) -> None:
    library = Library.load(tiny_data)
    chosen = {table[1]["onset"].tobytes() for table in training_tables(library, 10**9)}
    held = {
        library.notes(i)["onset"].tobytes() for i in library.select(split=["validation", "test"])
    }
    assert len(chosen) == len(library.select(split="train"))
    assert not chosen & held
    assert len(list(training_tables(library, 1))) == 1
    performed = training_tables(library, 10**9, MixtureConfig(score_share=0.0))
    assert {table[0] for table in performed} == {"performance"}


def test_every_token_counts_once() -> None:
    tokens = codec()
    music = tokens.encode(random_piece(5, "performance"))[:-1]
    windows = plain_windows(tokens, [tokens.bos], music, 32)
    counted = [int(label) for window in windows for label in window.labels if label != IGNORE]
    assert counted == [*music[len(tokens.leading(music)) :], tokens.eos]
    assert len(windows) > 3


def test_train_and_generate(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = tmp_path / "seed.yaml"
    settings = asdict(MidiTokConfig(bpe_vocabulary=VOCABULARY))
    settings["beat_res"] = [[[0, 4], 8], [[4, 12], 4]]
    tokenizer.write_text(yaml.safe_dump({"miditok": settings}))
    config = {
        "tokenizer": str(tokenizer),
        "model": {"width": 32, "layers": 2, "heads": 2, "hidden": 64, "context": 64},
        "mixture": {"score_share": 0.0},
        "batch": 2,
        "steps": 3,
        "warmup": 1,
        "evaluate_every": 3,
        "evaluate_pieces": 1,
        "compile": False,
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    out = tmp_path / "run"
    assert (
        recipe.main(
            ["--config", str(tmp_path / "run.yaml"), "--data", str(tiny_data), "--out", str(out)]
        )
        == 0
    )
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert any(0 < row.get("eval_bits_per_note_performance", 0) < 100 for row in rows)

    base = load_model(out / "final")
    model, tokens = base.model, base.codec
    assert isinstance(tokens, MidiTokCodec)
    assert (
        (out / "tokenizer.json").read_bytes()
        == (out / "final/tokenizer.json").read_bytes()
        == tokens.to_json()
    )
    library = Library.load(tiny_data)
    with pytest.raises(ValueError, match="no melody"):
        bits_per_note(model, tokens, library, [0], 64, with_melody=True)

    first, again, other = (
        generate("chopin", 8, SamplingConfig(2, seed=s), out / "final") for s in (1, 1, 2)
    )
    assert np.array_equal(first.piece.notes, again.piece.notes)
    assert not np.array_equal(first.piece.notes, other.piece.notes)
    assert len(first.piece.notes) > 1  # of a model that has learnt nothing
    assert first.piece.onset_seconds.max() < 8
    with pytest.raises(InputError, match=r"can only generate\.$"):
        apply(Request("twinkle", "bach", model=out / "final"))

    tokenizer.write_text(yaml.safe_dump({"miditok": settings | {"bpe_vocabulary": VOCABULARY + 1}}))
    with pytest.raises(InputError, match="other settings"):
        tokenizer_of_run(str(tokenizer), library, MixtureConfig(), out)
    capsys.readouterr()
