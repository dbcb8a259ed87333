"""Test the recipe that makes the shipped styles, on a model of two layers.

All of it is run twice, with its tables.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune import matrix, report, strength, train
from styletransfer.data.library import Library
from styletransfer.model.adapters import LoraSettings, era_to_begin_with
from styletransfer.styles.find import style_at

YAML = """
lora: {rank: 2}
batch: 2
steps: 4
evaluate_every: 2
evaluate_pieces: 1
"""
pytestmark = pytest.mark.slow


def test_the_recipe_from_pieces_to_tables(
    tiny_data: Path,
    tiny_package: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text(YAML)
    places = {name: tmp_path / name for name in ("styles", "work", "columns")}
    monkeypatch.setattr(train, "MORE", {})
    monkeypatch.setattr(train, "STEPS", {"baroque": 2})
    call = [
        "--data",
        str(tiny_data),
        "--config",
        str(config),
        "--base",
        str(tiny_package),
        "--out",
        str(places["styles"]),
    ]
    call += [
        "--work",
        str(places["work"]),
        "--composers",
        str(config),
        "--eras",
        str(places["styles"]),
    ]
    call += ["--only", "bach", "chopin", "baroque"]
    assert train.main(call) == 0
    made = {path.name: style_at(path) for path in places["styles"].iterdir()}
    assert {name: style.kind for name, style in made.items()} == {
        "bach": "composer",
        "chopin": "composer",
        "baroque": "era",
    }
    assert made["bach"].card is not None
    assert {name: style.card.steps for name, style in made.items() if style.card} == {
        "bach": 4,
        "chopin": 4,
        "baroque": 2,
    }
    assert (made["bach"].composer, made["baroque"].composer, made["baroque"].era) == (
        "bach",
        "unknown",
        "baroque",
    )
    times = {path: path.stat().st_mtime_ns for path in places["styles"].rglob("*")}
    assert train.main(call) == 0
    assert capsys.readouterr().out.count("there already") == 3
    assert times == {path: path.stat().st_mtime_ns for path in places["styles"].rglob("*")}

    out = tmp_path / "matrix.json"
    ask = [
        "--data",
        str(tiny_data),
        "--base",
        str(tiny_package),
        "--styles",
        str(places["styles"]),
        "--out",
        str(out),
    ]
    ask += ["--columns", str(places["columns"])]
    assert matrix.main(ask) == 0
    first = json.loads(out.read_text())
    assert set(first["bits"]) == {"base", "tag", "bach", "chopin"}
    assert {piece["composer"] for piece in first["pieces"]} <= {"bach", "chopin"}
    assert len({tuple(column) for column in first["bits"].values()}) == 4
    kept = json.loads((places["columns"] / "tag.json").read_text())
    kept["bits"] = [bit + 1 for bit in kept["bits"]]
    (places["columns"] / "tag.json").write_text(json.dumps(kept))
    assert matrix.main(ask) == 0
    again = json.loads(out.read_text())
    assert again["bits"]["tag"] == [
        bit + 1 for bit in first["bits"]["tag"]
    ]  # what was read is not read again
    assert again["bits"]["bach"] == first["bits"]["bach"]

    monkeypatch.setattr(strength, "STRENGTHS", (0.0, 2.0))
    monkeypatch.setattr(strength, "SHARES", (0.0, 0.5))
    monkeypatch.setattr(strength, "CANDIDATES", 2)
    monkeypatch.setattr("styletransfer.folders.shipped", lambda: places["styles"])
    measured = tmp_path / "strength.json"
    try_out = [
        "--data",
        str(tiny_data),
        "--styles",
        "bach",
        "--pairs",
        "bach:chopin",
        "--tunes",
        "twinkle",
    ]
    assert strength.main([*try_out, "--model", str(tiny_package), "--out", str(measured)]) == 0
    rows = json.loads(measured.read_text())["rows"]
    assert len(rows) == 2 + 2 * 2
    assert all(row["bits under bach"] > 0 for row in rows.values())

    readme = tmp_path / "README.md"
    names = ("styles", "matrix", "strength")
    readme.write_text("".join(f"<!-- begin {name} -->\n<!-- end {name} -->\n" for name in names))
    told = [
        "--styles",
        str(places["styles"]),
        "--matrix",
        str(out),
        "--readme",
        str(readme),
        "--strength",
        str(measured),
    ]
    assert report.main([*told, "--picture", str(tmp_path / "matrix.png")]) == 0
    assert "| chopin | composer |" in readme.read_text()
    assert "weighted adapters: bach to chopin" in readme.read_text()
    assert (tmp_path / "matrix.png").stat().st_size > 1000


def test_the_table_counts_own_adapters_and_pairs_pieces() -> None:
    """There are two pieces by a, one by b; a's own adapter is the best of its row, b's isn't."""
    pieces = [
        {
            "id": str(k),
            "composer": name,
            "feel": "score",
            "group": str(k),
            "split": "test",
            "notes": 100,
        }
        for k, name in enumerate("aab")
    ]
    bits = {
        "base": [400, 300, 500],
        "tag": [390, 290, 480],
        "a": [300, 200, 450],
        "b": [350, 250, 460],
    }
    table = report.Table({"split": "test", "windows_a_piece": 3, "pieces": pieces, "bits": bits})
    assert table.cell("a", "a") == 2.5
    assert table.cell("b", "base") == 5

    saved = table.paired("a", "a", "base")
    assert (saved.value, saved.low, saved.high) == (1, 1, 1)

    text = table.text()
    assert "For 1 of 2 composers, their own adapter is the best of the row" in text
    assert "| b | 5.00 | 4.80 | **4.50** | 4.60 |" in text
    assert "| 1 (1) | 0.400 | 0.200 | -0.100 a |" in text  # one piece: no interval


def test_a_composer_without_validation_pieces_holds_some_out(tiny_data: Path) -> None:
    library = Library.load(tiny_data)
    learnt = library.view([i for i, piece in enumerate(library.pieces) if piece.split == "train"])
    split = train.with_held_out(learnt)
    held = {piece.group for piece in split.pieces if piece.split == "validation"}
    assert 1 <= len(held) <= 2
    assert not held & {piece.group for piece in split.pieces if piece.split == "train"}
    assert train.with_held_out(library) is library


def test_what_ships_has_enough_notes(tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library.load(tiny_data)
    assert train.styles_of(library)[:4] == ["baroque", "classical", "romantic", "modern"]
    monkeypatch.setattr(train, "FEWEST_NOTES", 10)
    assert train.styles_of(library)[4:6] == ["bach", "chopin"]
    assert np.array(train.styles_of(library)).size == 2 + 4 + len(train.OTHERS)


def test_a_composer_begins_with_the_era_and_learns_from_one_half(
    tiny_data: Path, tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import load_file

    config = tmp_path / "quick.yaml"
    config.write_text(YAML)
    still = (
        tmp_path / "still.yaml"
    )  # at a rate of next to nothing, an adapter stays what it began as
    still.write_text(YAML + "learning_rate: 1.0e-12\n")
    call = [
        "--data",
        str(tiny_data),
        "--config",
        str(config),
        "--composers",
        str(still),
        "--base",
        str(tiny_package),
    ]
    call += [
        "--out",
        str(tmp_path / "styles"),
        "--eras",
        str(tmp_path / "styles"),
        "--work",
        str(tmp_path / "work"),
    ]
    assert train.main([*call, "--only", "romantic", "chopin"]) == 0
    era, own = (
        load_file(tmp_path / "styles" / name / "adapter_model.safetensors")
        for name in ("romantic", "chopin")
    )
    updates = [key for key in era if "lora_" in key]
    assert len(updates) == 2 * 7 * 2
    assert all(torch.allclose(era[key], own[key], atol=1e-4) for key in updates)
    assert any(era[key].abs().max() > 0 for key in updates if "lora_B" in key)
    card = style_at(tmp_path / "styles" / "chopin").card
    assert card is not None
    assert card.begun_as == "romantic"
    base = style_at(tmp_path / "styles" / "romantic").card
    assert base is not None
    for settings in (
        LoraSettings(2),
        LoraSettings(4),
        LoraSettings(2, 1.0),
        LoraSettings(2, 2.0, ("q_proj",)),
    ):
        found = era_to_begin_with(
            tmp_path / "styles", "romantic", base.base, settings
        )  # one that doesn't fit is left alone
        assert (found is not None) == (settings == LoraSettings(2))
    assert (
        era_to_begin_with(tmp_path / "styles", "romantic", "another base", LoraSettings(2)) is None
    )
    for half in ("A", "B"):
        assert train.main([*call, "--only", "chopin", "--half", half]) == 0
    halves = [style_at(tmp_path / "styles" / f"chopin-{half}").card for half in ("A", "B")]
    assert sum(one.pieces for one in halves if one) == card.pieces
    assert all(one and one.pieces and one.held_out == card.held_out for one in halves)
    assert train.main([*call, "--only", "romantic", "--half", "A"]) == 2
    assert "halves are of composers" in capsys.readouterr().err


def test_a_style_of_all_pieces_states_what_its_twin_gained(
    tiny_data: Path, tiny_package: Path, tmp_path: Path
) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text(YAML)
    call = [
        "--data",
        str(tiny_data),
        "--config",
        str(config),
        "--composers",
        str(config),
        "--base",
        str(tiny_package),
    ]
    call += ["--eras", str(tmp_path), "--work", str(tmp_path / "work"), "--only", "chopin"]
    twin, every = tmp_path / "twin", tmp_path / "every"
    assert train.main([*call, "--out", str(twin)]) == 0
    assert train.main([*call, "--out", str(every), "--measured", str(twin)]) == 0

    known, card = style_at(twin / "chopin").card, style_at(every / "chopin").card
    assert known is not None
    assert card is not None
    assert card.pieces == len(Library.load(tiny_data).select(composer="chopin")) > known.pieces
    assert (card.held_out, card.base_bits, card.style_bits, card.touch) == (
        known.held_out, known.base_bits, known.style_bits, known.touch,
    )  # fmt: skip
    assert "learnt from them, too" in (every / "chopin" / "README.md").read_text()
    assert (
        train.main(
            [*call, "--out", str(tmp_path / "none"), "--measured", str(tmp_path / "nowhere")]
        )
        == 2
    )


def test_two_libraries_become_one(tiny_data: Path) -> None:
    library = Library.load(tiny_data)
    both = library.view([2, 3]).joined(library.view([0, 1], composer="reserved-0"))
    assert [piece.id for piece in both.pieces] == [library.pieces[i].id for i in (2, 3, 0, 1)]
    assert [piece.composer for piece in both.pieces][2:] == ["reserved-0"] * 2
    for i, j in enumerate((2, 3, 0, 1)):
        assert (both.notes(i) == library.notes(j)).all()
        assert (both.bars(i) == library.bars(j)).all()


def test_a_held_out_piece_in_the_corpus_is_found(
    tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library.load(tiny_data)
    held = library.view(library.select(split="validation", feel="score"), composer="bach")
    again = held.view([0])
    again = replace(
        again, manifest=replace(again.manifest, pieces=(replace(again.pieces[0], split="train"),))
    )
    monkeypatch.setattr(train, "corpus_of", lambda name, work: again)
    with pytest.raises(ValueError, match="cross a split"):
        train.with_corpus(held, "chorales", Path())
