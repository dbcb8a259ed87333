"""Test preparing songs.

Tested are melodies in a part of their own, chords and labels, eras, and arrangements that stay in
the split of their songs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

from pretrain.data import data_table
from styletransfer.data import prepare as preparing
from styletransfer.data.chord_labels import FITS, QUALITY_OF, fit, label_file, read_labels
from styletransfer.data.library import Library, doublings
from styletransfer.data.prepare import prepare
from styletransfer.errors import InputError
from styletransfer.music.chords import CHORD_DTYPE, ChordTable
from styletransfer.music.notes import BAR_DTYPE, BarTable, NoteTable
from styletransfer.music.qualities import NONE, QUALITIES
from tests.source_folders import TPQ, table, tune, write


def named(notes: NoteTable, bars: BarTable) -> ChordTable:
    """Stand in for the recogniser: C major in each bar."""
    chords = np.zeros(len(bars), CHORD_DTYPE)
    chords["start"], chords["length"] = bars["start"], bars["length"]
    return chords


@pytest.fixture
def recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "recognise", named)


def song(path: Path, names: tuple[str, ...] = ("Voice", "Piano right", "Piano left")) -> None:
    """Write eight bars of 3/4: a tune, chords that sometimes double it, and a bass."""
    rng = np.random.default_rng(0)
    tune = rng.integers(67, 80, 24)
    score: Any = symusic.Score(TPQ)
    score.time_signatures.append(symusic.TimeSignature(0, 3, 4))
    tracks = {
        0: [(beat, pitch) for beat, pitch in enumerate(tune)],
        1: [(beat, tune[beat] if beat % 6 == 0 else 64) for beat in range(24)]
        + [(beat, 60) for beat in range(24)],
        2: [(beat, 48) for beat in range(0, 24, 3)],
    }
    for (_, notes), name in zip(tracks.items(), names, strict=False):
        track: Any = symusic.Track(name=name)
        for beat, pitch in notes:
            track.notes.append(symusic.Note(beat * TPQ, TPQ, int(pitch), 70))
        score.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    score.dump_midi(path)


@pytest.mark.usefixtures("recognised")
def test_a_song_is_distinguished_from_what_two_hands_play(tmp_path: Path) -> None:
    """The melody is a part of its own if its track is named so and is accompanied."""
    for name, tracks in {
        "song": ("Voice", "Piano right", "Piano left"),
        "nameless": ("Right", "Left", "More"),
        "alone": ("Voice",),
    }.items():
        song(tmp_path / f"{name}.mid", tracks)
    write(tmp_path / "hands.mid", tune(1))
    found = {path.stem: preparing.read_piece(path, "score").tune for path in tmp_path.glob("*.mid")}
    assert found == {"song": "part", "nameless": "texture", "alone": "texture", "hands": "texture"}
    assert preparing.read_piece(tmp_path / "song.mid", "performance").tune == "texture"


@pytest.mark.usefixtures("recognised")
def test_a_song_that_was_set_twice_stays_together(tmp_path: Path) -> None:
    """The other setting is in another key, over other chords.

    Other pieces with a random tune of the same kind are kept apart.
    """
    for seed in range(6):
        for number, (up, below) in enumerate(((0, 60), (3, 55))):
            rng = np.random.default_rng(seed)
            tune = rng.integers(67, 80, 40) + up
            score: Any = symusic.Score(TPQ)
            rng = np.random.default_rng(100 + seed + number)
            for name, notes in {
                "Voice": tune,
                "Piano": rng.integers(below - 12, below, 40),
            }.items():
                track: Any = symusic.Track(name=name)
                for beat, pitch in enumerate(notes):
                    track.notes.append(symusic.Note(beat * TPQ, TPQ, int(pitch), 70))
                score.tracks.append(track)

            path = tmp_path / "mine" / f"{seed} {number}.mid"
            path.parent.mkdir(exist_ok=True)
            score.dump_midi(path)

    manifest = prepare([tmp_path / "mine"], tmp_path / "out", feel="score", workers=1)
    assert [piece.tune for piece in manifest.pieces] == ["part"] * 12
    assert [piece.group for piece in manifest.pieces[1::2]] == [
        piece.id for piece in manifest.pieces[::2]
    ]
    assert {piece.split for piece in manifest.pieces} == {"train", "validation"}


@pytest.mark.usefixtures("recognised")
def test_a_transcription_stays_with_its_song(tmp_path: Path) -> None:
    """It shares few of its many bars; its label names the song's composer. Songs by others aren't
    compared.
    """
    folder = tmp_path / "mine"
    shared = tune(0, 10)
    rows: list[dict[str, object]] = []
    for number, (label, rest) in enumerate(
        (
            ("Franz Schubert", 1),
            ("Robert Schumann", 2),
            ("Franz Schubert", 3),
            ("Franz Schubert / Franz Liszt", 4),
        )
    ):
        own = tune(10 + rest, 300)
        begin = shared if number != 2 else tune(5, 10)
        later = own[0] + int(begin[0].max()) + 4
        onset, pitch, hand = (
            np.concatenate(pair) for pair in zip(begin, (later, *own[1:]), strict=True)
        )
        path = folder / f"{number}.mid"
        write(path, (onset, pitch, hand))
        if number < 3:  # the right hand sings
            score: Any = symusic.Score(path)
            score.tracks[0].name = "Voice"
            score.dump_midi(path)
        rows.append({"file": path.name, "composer": label})

    table(folder / "metadata.csv", rows)
    manifest = prepare([folder], tmp_path / "out", feel="score", workers=1)
    groups = {piece.file: piece.group for piece in manifest.pieces}
    assert groups == {
        "0.mid": "mine/0.mid",
        "1.mid": "mine/1.mid",
        "2.mid": "mine/2.mid",
        "3.mid": "mine/0.mid",
    }


@pytest.mark.usefixtures("recognised")
def test_chords_and_tunes_come_back_and_doublings_stay_accompaniment(tmp_path: Path) -> None:
    song(tmp_path / "mine" / "song.mid")
    write(tmp_path / "mine" / "hands.mid", tune(1))
    write(tmp_path / "played" / "played.mid", tune(2), performed=1)
    prepare([tmp_path / "mine"], tmp_path / "out", workers=1)
    prepare([tmp_path / "played"], tmp_path / "out-2", feel="performance", workers=1)
    library, played = Library.load(tmp_path / "out"), Library.load(tmp_path / "out-2")
    found = {piece.file: index for index, piece in enumerate(library.pieces)}
    for index in found.values():
        chords = library.chords(index)
        assert chords.dtype == CHORD_DTYPE
        assert np.array_equal(chords["start"], library.bars(index)["start"])
    assert not len(played.chords(0))

    notes = library.notes(found["song.mid"])
    assert (notes["melody"] == (notes["part"] == 0)).all()
    doubled = doublings(notes)
    assert doubled.sum() == 4
    assert (notes["part"][doubled] == 1).all()
    assert (doublings(notes, octaves=True) >= doubled).all()

    both = played.joined(library)
    assert both.pieces[1 + found["song.mid"]].tune == "part"
    for index in range(len(library)):
        assert np.array_equal(both.chords(1 + index), library.chords(index))
        assert np.array_equal(both.notes(1 + index), library.notes(index))
    view = library.view([found["song.mid"]], era="modern")
    assert np.array_equal(view.chords(0), library.chords(found["song.mid"]))
    table = data_table(both)
    assert "| others | unknown | 1 | 2 | 1 |" in table


@pytest.mark.usefixtures("recognised")
def test_the_eras_of_composers_without_an_id(tmp_path: Path) -> None:
    """From the catalogue, the table's column, or the year of birth;
    impossible years are ignored.
    """
    rows: list[dict[str, object]] = [
        {"composer": "Maurice Ravel", "era": "romantic", "born": 1875, "died": 1937},
        {"composer": "A", "era": "classical", "born": 1779, "died": 1826},
        {"composer": "B", "era": "", "born": 1709, "died": ""},
        {"composer": "C", "era": "", "born": 1774, "died": 1800},
        {"composer": "D", "era": "", "born": 1859, "died": 1930},
        {"composer": "E", "era": "", "born": "1860", "died": ""},
        {"composer": "F", "era": "modern", "born": 1880, "died": 1865},
        {"composer": "G", "era": "baroque", "born": 0, "died": 1911},
        {"composer": "Anonymous", "era": "", "born": "", "died": ""},
    ]
    for number, row in enumerate(rows):
        write(tmp_path / "mine" / f"{number}.mid", tune(number))
        row["file"] = f"{number}.mid"
    table(tmp_path / "mine" / "metadata.csv", rows)
    manifest = prepare([tmp_path / "mine"], tmp_path / "out", workers=1)
    assert [piece.era for piece in manifest.pieces] == [
        "modern", "classical", "baroque", "classical", "romantic", "modern", "romantic", "romantic",
        "unknown",
    ]  # fmt: skip


LABELS = "onset,duration,root,chord_type,bass,key,mode,roman,cadence,phrase_end"


def label_table(path: Path, rows: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([LABELS, *rows]))
    return path


def four_bars() -> BarTable:
    bars = np.zeros(4, BAR_DTYPE)
    bars["start"], bars["length"] = np.arange(4) * 3, 3
    return bars


def test_an_experts_labels_are_chords_without_gaps_or_overlaps(tmp_path: Path) -> None:
    rows = [
        "1,2,0,M,4,0,major,I6,,{",
        "3,4,7,Mm7,7,0,major,V7,,",  # runs into the next one
        "6,1,6,Ger,8,0,minor,Ger,,",
        "7,1,2,Fr,8,0,minor,Fr,,",
        "8,0,,,,0,minor,,,}",
        "9,1,0,mM7,0,0,minor,i7,,",
        "10,1,0,m,0,0,minor,i,,",
    ]
    chords = read_labels(label_table(tmp_path / "a.csv", rows), four_bars())
    assert chords.dtype == CHORD_DTYPE

    major, minor, seventh = (
        QUALITIES.index(name) for name in ("major", "minor", "dominant-seventh")
    )
    silent = (NONE, NONE, NONE)
    assert [
        (
            float(one["start"]),
            float(one["length"]),
            *(int(one[k]) for k in ("root", "quality", "bass")),
        )
        for one in chords
    ] == [
        (0, 1, *silent),
        (1, 2, 0, major, 4),
        (3, 3, 7, seventh, 7),
        (6, 2, 8, seventh, 8),
        (8, 1, *silent),
        (9, 2, 0, minor, 0),
        (11, 1, *silent),
    ]
    assert set(QUALITY_OF.values()) == set(range(len(QUALITIES)))

    empty = read_labels(label_table(tmp_path / "b.csv", []), four_bars())
    assert empty.tolist() == [(0.0, 12.0, *silent)]

    with pytest.raises(InputError, match="can't be read"):
        read_labels(label_table(tmp_path / "c.csv", ["x,1,0,M,0,0,major,I,,"]), four_bars())


def test_labels_are_found_by_name_and_folder(tmp_path: Path) -> None:
    for name in ("chopin/a.csv", "jc_bach/b.csv", "bach/b.csv", "schubert/n05.csv"):
        label_table(tmp_path / name, [])
    for source, file, found in (
        ("keyboard-scores", "chopin/a.mid", "chopin/a.csv"),
        ("keyboard-scores", "liszt/a.mid", None),
        ("mutopia", "chopin/a.mid", None),
        ("dcml-more", "jc_bach_sonatas/b.mid", "jc_bach/b.csv"),
        (
            "lieder-scores",
            "schubert/Winterreise_D.911-5_Der_Lindenbaum-lc1.mid",
            "schubert/n05.csv",
        ),
        ("lieder-scores", "schubert/Winterreise_D.911-4_Erstarrung-lc1.mid", None),
        ("lieder-scores", "chopin/a.mid", None),
    ):
        assert label_file(tmp_path, source, file) == (tmp_path / found if found else None)


@pytest.mark.usefixtures("recognised")
def test_labels_that_do_not_fit_are_not_used(scores: Path, tmp_path: Path) -> None:
    """Of two movements, one has labels that fit its notes, the other labels that don't."""
    labels = tmp_path / "labels"
    onset, pitch, _ = tune(0)
    rows = [
        f"{time / 4},0.25,{key % 12},M,{key % 12},0,major,I,,"
        for time, key in sorted(zip(onset, pitch, strict=True))
    ]
    right = label_table(labels / "chopin" / "0.csv", rows)
    label_table(labels / "chopin" / "1.csv", ["0,999,1,o,1,0,major,I,,"])
    manifest = prepare([scores], tmp_path / "out", labels=labels, workers=1)
    library = Library.load(tmp_path / "out")
    found = {piece.file: index for index, piece in enumerate(library.pieces)}
    piece = preparing.read_piece(scores / "chopin/0.mid", "score")
    assert fit(read_labels(right, piece.bars), piece.notes) > FITS
    assert np.array_equal(library.chords(found["chopin/0.mid"]), read_labels(right, piece.bars))

    for other in ("chopin/1.mid", "chopin/2.mid"):
        index = found[other]
        assert np.array_equal(
            library.chords(index), named(library.notes(index), library.bars(index))
        )
    assert "of 1 pieces are the experts'" in manifest.remarks[0]
    assert "chopin/1.mid" in manifest.remarks[1]

    with pytest.raises(InputError, match="no such folder of chord labels"):
        prepare([scores], tmp_path / "out", labels=tmp_path / "nowhere")
