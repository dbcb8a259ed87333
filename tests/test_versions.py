"""Test comparisons of versions: paired differences, a forest, and the recipe.

The recipe writes the page.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval import harmony
from eval.harmony import LABELS, SHOWN
from styletransfer.errors import InputError
from styletransfer.evaluation import versions
from styletransfer.evaluation.versions import auc, paired, told_apart
from styletransfer.formats.midi_out import write_midi
from styletransfer.music.notes import Piece, bars_of, make_notes


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make forests take a second, not a minute."""
    monkeypatch.setattr(versions, "TREES", 25)
    monkeypatch.setattr(versions, "FORESTS", 1)


def test_paired() -> None:
    """Differences of 1, 2, 3 and none: mean 2, standard error 1 / sqrt 3, of three songs."""
    nan = float("nan")
    first = [{"x": 1.0, "y": 5.0}, {"x": 1.0, "y": 5.0}, {"x": 1.0, "y": 5.0}, {"x": nan, "y": 5.0}]
    other = [{"x": 2.0, "y": 5.0}, {"x": 3.0, "y": 5.0}, {"x": 4.0, "y": 5.0}, {"x": 9.0, "y": 5.0}]
    found = paired(other, first, ["a", "b", "c", "d"])
    assert (found["x"]["songs"], found["x"]["value"], found["x"]["reference"]) == (3.0, 3.0, 1.0)
    assert found["x"]["difference"] == 2.0
    assert 1.0 <= found["x"]["low"] < 2.0 < found["x"]["high"] <= 3.0
    assert found["x"]["t"] == pytest.approx(2 * math.sqrt(3))
    assert (found["y"]["difference"], found["y"]["low"], found["y"]["high"]) == (0.0, 0.0, 0.0)
    assert math.isnan(found["y"]["t"])


def test_auc() -> None:
    """Of four pairs one is lost and one is a tie: 2.5 of 4."""
    found = auc(np.array([0.5, 0.9]), np.array([0.5, 0.7]))
    assert found["auc"] == 2.5 / 4
    assert found["low"] <= found["auc"] <= found["high"]


def test_forests_find_what_differs_and_nothing_else(few_trees: None) -> None:
    """If one of two measures differs by three deviations, the forest is certain; if none does, it
    is at chance.
    """
    rng = np.random.default_rng(3)

    def version(shift: float) -> list[list[dict[str, float]]]:
        return [
            [{"a": rng.normal(), "b": rng.normal(shift), "c": float("nan")} for _ in range(2)]
            for _ in range(20)
        ]  # fmt: skip

    same, other, again = version(0.0), version(3.0), version(0.0)
    found = told_apart(other, same, ["a", "b", "c"])
    assert found["auc"] > 0.95
    assert (found["songs"], found["windows"]) == (20.0, 80.0)
    assert told_apart(other, same, ["a"])["auc"] < 0.75
    assert told_apart(again, same, ["a", "b", "c"])["low"] < 0.5


def test_recipe(tmp_path: Path, few_trees: None) -> None:
    """Three songs, two versions: one row a measure, the difference that was put in, valid JSON."""
    folders = {name: tmp_path / name for name in ("tunes", "composer", "mine")}
    for folder in folders.values():
        folder.mkdir()
    for song in ("one", "two", "three"):
        tune = make_notes([float(k) for k in range(64)], [1.0] * 64, [72, 74, 76, 77] * 16)
        for name, length in (("composer", 4.0), ("mine", 2.0)):
            count = int(64 / length)
            onset = [k * length for k in range(count) for _ in range(3)]
            chord = make_notes(onset, [length] * 3 * count, [48, 64, 67] * count, part=1)
            bars = bars_of([(0.0, 4, 4)], 64.0)
            whole = Piece(np.concatenate([tune, chord]), "score", bars, parts=("Voice", "Piano"))
            write_midi(whole.with_notes(whole.notes), folders[name] / f"{song}-{name}.mid")
        write_midi(replace(whole, notes=tune, parts=("Voice",)), folders["tunes"] / f"{song}.mid")

    pairs = [f"{name}={folders[name]}" for name in ("composer", "mine")]
    out = [str(tmp_path / "out.json"), str(tmp_path / "out.md")]
    command = [str(folders["tunes"]), *pairs, "--write", out[0], "--page", out[1]]
    assert harmony.main(command) == 0

    text = Path(out[1]).read_text()
    assert all(f"| {label} |" in text for label in LABELS.values())
    assert "Nothing is chosen by them" in text
    report = json.loads(Path(out[0]).read_text())
    assert report["compared"]["mine"]["rhythm"]["difference"] == 0.0
    assert report["compared"]["mine"]["spread"]["value"] == 0.0
    assert report["rows"]["mine"][0]["repeated_thrice"] == 1.0
    assert report["rows"]["mine"][0].keys() == LABELS.keys()
    assert report["rows"]["mine"][0]["chords"] == 1 / 16  # C major throughout
    assert report["told_apart"]["mine"]["songs"] == 3

    lists = tmp_path / "lists.json"
    lists.write_text(json.dumps({"few": ["two"]}))
    assert harmony.songs_in(folders["tunes"], lists, "few") == ["two"]
    with pytest.raises(InputError, match="no list many"):
        harmony.songs_in(folders["tunes"], lists, "many")
    with pytest.raises(InputError, match=r"no four\.mid"):
        harmony.file_of(folders["mine"], "four")

    chords = replace(whole, notes=whole.notes[whole.notes["part"] == 1])
    write_midi(chords, folders["mine"] / "one-mine.mid", force=True)
    with pytest.raises(InputError, match="isn't the tune"):
        harmony.read_version(folders["tunes"], folders["mine"], "one")


def test_the_forest_sees_no_forbidden_notes() -> None:
    """0.1.0 never plays above the tune or in unison: that alone would give it away."""
    assert not set(SHOWN) & {"note_above", "note_in_unison"}
    assert len(SHOWN) == 21
