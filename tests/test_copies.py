"""The index that ships: it finds copies, in any key, and reports nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pretrain import copies as recipe
from pretrain.report import memorised_table
from styletransfer import folders
from styletransfer.cli.apply import print_copied
from styletransfer.data.library import Library
from styletransfer.errors import InputError
from styletransfer.evaluation.measures.originality import NgramIndex, training_indexes
from styletransfer.folders import COPIES
from styletransfer.music.copies import (
    COPY,
    SHORT,
    Copies,
    Match,
    copy_from,
    match_of,
    shipped_copies,
)
from styletransfer.music.ngrams import accompaniment_of, packed_sequence, sequence, sequence_of
from styletransfer.music.notes import Piece, bars_of, make_notes
from styletransfer.transfer.ranking.choice import indexes_for
from styletransfer.transfer.ranking.rank import Music, score
from tests.tiny import random_piece


def test_it_finds_what_the_exact_index_finds() -> None:
    """Two training pieces' runs stand between new notes, one of them transposed."""
    pieces = [sequence_of(random_piece(seed, "score"), given_melody=False) for seed in range(8)]
    filtered, index = (
        Copies.build(pieces),
        NgramIndex.build([str(k) for k in range(8)], pieces, "intervals"),
    )
    rng = np.random.default_rng(0)
    for length in (5, 13, 14, 20):
        new = rng.integers(30, 90, 40)
        pitch = np.concatenate(
            [new[:20], pieces[0].pitch[3 : 3 + length].astype(int) + 5, new[20:]]
        )
        row = sequence(np.arange(len(pitch), dtype=float), pitch, "score")
        assert (
            filtered.longest(row)[0]
            == (index.longest(row)[0] if length != 13 else 0)
            == (length if length >= 14 else 0)
        )


def test_the_given_melody_is_no_copy() -> None:
    piece = random_piece(1, "score")
    row = sequence_of(piece, given_melody=False)
    filtered = Copies.build([row])
    assert filtered.longest(row)[0] == len(row.pitch)
    given = sequence(
        np.arange(len(row.pitch), dtype=float), row.pitch, "score", np.ones(len(row.pitch), bool)
    )
    assert filtered.longest(given)[0] == 0


def test_what_is_in_it_by_accident_is_rare() -> None:
    pieces = [sequence_of(random_piece(seed, "score"), given_melody=False) for seed in range(20)]
    filtered = Copies.build(pieces)
    hashes = np.random.default_rng(0).integers(0, 2**63, 20_000).astype(np.uint64)
    assert filtered.has(hashes).mean() < 0.05


def test_an_index_is_written_and_read(tmp_path: Path) -> None:
    filtered = Copies.build([sequence_of(random_piece(1, "score"), given_melody=False)], "data")
    filtered.save(tmp_path / "copies.safetensors")
    read = Copies.load(tmp_path / "copies.safetensors")
    assert (read.bits.tobytes(), read.about) == (filtered.bits.tobytes(), "data")
    (tmp_path / "other.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="not the index"):
        Copies.load(tmp_path / "other.safetensors")


def test_the_shipped_index_distinguishes_real_pieces_from_random_ones() -> None:
    """Bach's C major prelude is a training piece of every model trained on MAESTRO; noise isn't."""
    broken = (
        (60, 64, 67, 72, 76),
        (60, 62, 69, 74, 77),
        (59, 62, 67, 74, 77),
        (60, 64, 67, 72, 76),
    )
    bars = [pitch for chord in broken for pitch in 2 * (*chord, *chord[2:])]
    prelude = sequence(np.arange(len(bars), dtype=float), np.array(bars) + 2, "score")
    assert shipped_copies().match(prelude).is_copy(len(bars))
    noise = np.random.default_rng(0).integers(30, 90, 3000)
    assert shipped_copies().match(sequence(np.arange(3000, dtype=float), noise, "score")).notes < 16


def test_a_scale_in_octaves_is_no_copy() -> None:
    """The longest matches between real pieces were such scales, of up to a hundred notes."""
    scale = np.repeat(np.arange(36, 85), 2) + 12 * np.tile([0, 1], 49)
    row = sequence(np.arange(98, dtype=float), scale, "score")
    found = Copies.build([row]).match(row)
    assert found.notes == 98
    assert not found.is_copy(98)


def test_longer_music_may_have_more_in_common() -> None:
    assert copy_from(1) == copy_from(SHORT) == COPY
    assert copy_from(8 * SHORT) == COPY + 18
    assert Match(90, COPY).is_copy(SHORT)
    assert not Match(90, COPY).is_copy(2 * SHORT)


def test_an_accompaniment_is_found_under_another_melody() -> None:
    piece = random_piece(3, "score", quarters=80)
    index = Copies.build([accompaniment_of(piece)])
    other = piece.notes.copy()
    other["pitch"][other["melody"]] = np.random.default_rng(5).integers(
        84, 108, int(other["melody"].sum())
    )
    rest = int((~piece.notes["melody"]).sum())
    assert match_of(piece.with_notes(other), [index]).notes == rest > COPY


def test_a_users_style_brings_its_own_index(tmp_path: Path) -> None:
    piece = random_piece(3, "score", quarters=80)
    mine = tmp_path / "mine"
    shutil.copytree(next(iter(folders.shipped().glob("*/style.json"))).parent, mine)
    assert len(indexes_for(str(mine))) == len(indexes_for("bach")) == 1
    assert match_of(piece, indexes_for(str(mine))).notes < COPY
    Copies.build([sequence_of(piece, given_melody=False)]).save(mine / COPIES)
    assert match_of(piece, indexes_for(f"{mine},bach")).is_copy(len(piece.notes))


def test_a_copy_ranks_below_everything() -> None:
    piece = random_piece(1, "score")
    melody, rest = piece.notes[piece.notes["melody"]], piece.notes[~piece.notes["melody"]]
    copied, other = Match(90, 90), Match(90, COPY - 1)
    assert (
        score(Music(melody, rest, style_logprob=-0.1, base_logprob=-0.9, match=copied))["total"]
        < score(Music(melody, rest[:0], style_logprob=-0.9, base_logprob=-0.8, match=other))[
            "total"
        ]
    )


def test_a_copy_is_reported_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_copied({"copied": True, "longest_match_notes": 40}, "out.mid  ")
    print_copied({"copied": False, "longest_match_notes": 19})
    told = capsys.readouterr().out
    assert told.startswith("out.mid  40 notes in a row also occur in a training piece")
    assert told.count("\n") == 1


def test_the_recipe(tiny_data: Path, tmp_path: Path) -> None:
    index, out = tmp_path / "copies.safetensors", tmp_path / "copies.json"
    assert recipe.main(["build", "--data", str(tiny_data), "--index", str(index)]) == 0

    library = Library.load(tiny_data)
    for i in range(len(library)):
        row = packed_sequence(library.notes(i), library.pieces[i].feel)
        assert (Copies.load(index).longest(row)[0] == len(row.pitch)) == (
            library.pieces[i].split == "train"
        )

    assert (
        recipe.main(
            ["measure", "--data", str(tiny_data), "--index", str(index), "--write", str(out)]
        )
        == 0
    )
    report = json.loads(out.read_text())
    assert report["held-out pieces"]["arrangement, 32 notes"]["excerpts"] > 0
    assert report["held-out pieces"]["arrangement, 32 notes"]["copies"] == 0
    assert report["copies among training excerpts"]["32 notes"] > 0.9

    rows = [
        whole
        for whole, _ in recipe.excerpts(
            library, library.select(split="train"), 32, 4, np.random.default_rng(0)
        )
    ]
    found = recipe.beside(library, Copies.load(index), rows)
    assert found["excerpts"] == len(rows) >= found["with a match"] > 0.5 * len(rows)
    assert found["equal"] > 0.8


def test_an_index_of_all_pieces_measures_no_held_out_ones(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "copies.safetensors"
    assert (
        recipe.main(["build", "--data", str(tiny_data), "--index", str(index), "--all-pieces"]) == 0
    )
    library = Library.load(tiny_data)
    row = packed_sequence(
        library.notes(held := library.select(split="validation")[0]), library.pieces[held].feel
    )
    assert Copies.load(index).longest(row)[0] == len(row.pitch)
    assert recipe.main(["measure", "--data", str(tiny_data), "--index", str(index)]) == 2
    assert "STYLETRANSFER_WEIGHTS" in capsys.readouterr().err


def test_free_samples_beside_held_out_pieces(
    tiny_data: Path, tiny_package: Path, tmp_path: Path
) -> None:
    """The recipe's report and table; a copy of the beginning of a training piece is reported as
    one.
    """
    index, out = tmp_path / "copies.safetensors", tmp_path / "samples.json"
    call = [
        "--data",
        str(tiny_data),
        "--index",
        str(index),
        "--work",
        str(tmp_path),
        "--write",
        str(out),
    ]
    assert recipe.main(["build", *call]) == 0
    assert (
        recipe.main(
            ["sample", *call, "--model", str(tiny_package), "--samples", "3", "--seconds", "4"]
        )
        == 0
    )
    report = json.loads(out.read_text())
    assert report["samples"]["count"] == report["held-out performances"]["count"] == 3
    assert report["samples"]["notes"] == report["held-out performances"]["notes"]
    rows = memorised_table([], report).splitlines()
    assert [row.split(" | ")[0].strip("| ") for row in rows[-2:]] == [
        "samples",
        "held-out performances",
    ]

    library = Library.load(tiny_data)
    learnt = library.select(split="train", feel="score")[0]
    notes = library.notes(learnt)[:30]
    played = Piece(
        make_notes(notes["onset"], notes["duration"], notes["pitch"]),
        "score",
        bars=bars_of([], 40.0),
    )
    exact = training_indexes(library, tmp_path, print)
    told = recipe.memorised(library, Copies.load(index), exact, [played])["samples"]
    longest = {f"quantile {q:g}": 30 for q in recipe.QUANTILES} | {"in": library.pieces[learnt].id}
    assert told["longest, exact"] == told["longest, intervals"] == longest
    assert told["copies"] == 1
