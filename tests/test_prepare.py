"""Preparing: sources, splits by content, duplicates, broken files, unsafe archives, and the library that reads it."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic
from numpy.typing import NDArray

from pretrain.data import data_table
from styletransfer.data import prepare as preparing
from styletransfer.data.chord_labels import FITS, QUALITY_OF, fit, label_file, read_labels
from styletransfer.data.library import PACKED_NOTE_DTYPE, Library, PieceInfo, doublings
from styletransfer.data.prepare import prepare
from styletransfer.errors import InputError
from styletransfer.score.chords import CHORD_DTYPE, NONE, QUALITIES, ChordTable
from styletransfer.score.notes import BAR_DTYPE, BarTable, NoteTable
from styletransfer.score.read import read_score

TPQ = 480
Tune = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]  # onset in sixteenths, pitch, hand


def tune(seed: int, quarters: int = 32) -> Tune:
    """Random music of two hands: a walk in quarters and eighths over a bass."""
    rng = np.random.default_rng(seed)
    right = np.cumsum(rng.choice([2, 4], quarters * 2))
    left = np.arange(0, int(right[-1]), 4)
    onset = np.concatenate([right - right[0], left])
    pitch = np.concatenate([rng.integers(62, 86, len(right)), rng.integers(36, 58, len(left))])
    return onset, pitch, np.repeat([0, 1], [len(right), len(left)])


def write(path: Path, music: Tune, *, performed: int | None = None) -> None:
    """A MIDI file: two tracks on the grid in 3/4, or, with a seed, one track played freely."""
    onset, pitch, hand = music
    score: Any = symusic.Score(TPQ)  # symusic's stubs know its factories only
    score.tempos.append(symusic.Tempo(0, qpm=90 if performed is None else 120))
    if performed is None:
        score.time_signatures.append(symusic.TimeSignature(0, 3, 4))
        ticks = onset * TPQ // 4
        hands = hand
    else:
        rng = np.random.default_rng(performed)
        ticks = (onset * TPQ // 3 * 1.03 + rng.uniform(0, 35, len(onset))).astype(int)
        hands = np.zeros_like(hand)
    for number in np.unique(hands):
        track: Any = symusic.Track(name=("right", "left")[number])
        for time, key in zip(ticks[hands == number], pitch[hands == number], strict=True):
            track.notes.append(symusic.Note(int(time), TPQ // 4, int(key), 70))
        score.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    score.dump_midi(path)


def table(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def maestro(tmp_path: Path) -> Path:
    """Six performances: tunes 0 to 3, tune 2 by two pianists; tune 0 in validation, tune 1 in test."""
    folder = tmp_path / "maestro"
    rows: list[dict[str, object]] = []
    for number, (seed, split) in enumerate([(0, "validation"), (1, "test"), (2, "train"), (2, "train"), (3, "train")]):
        file = f"2004/{number}.midi"
        write(folder / file, tune(seed), performed=number)
        composer = "Franz Schubert / Franz Liszt" if seed == 3 else "Frédéric Chopin"
        rows.append({"canonical_composer": composer, "canonical_title": f"No. {seed}", "split": split, "midi_filename": file})
    table(folder / "maestro-v3.0.0.csv", rows)
    return folder


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """The scores of tunes 0, 1, 2 and of one that isn't performed, in the form of the keyboard scores."""
    folder = tmp_path / "scores"
    rows: list[dict[str, object]] = []
    for seed in (0, 1, 2, 9):
        write(folder / f"chopin/{seed}.mid", tune(seed))
        row = {"file": f"chopin/{seed}.mid", "composer": "Frédéric Chopin", "title": f"op. {seed}"}
        rows.append(row | {"downbeats_on_bars": 1.0})
    table(folder / "metadata.csv", rows)
    return folder


def by_id(library: Library) -> dict[str, PieceInfo]:
    return {piece.id: piece for piece in library.pieces}


def test_scores_go_where_their_performances_are(maestro: Path, scores: Path, tmp_path: Path) -> None:
    manifest = prepare([maestro, scores], tmp_path / "out")
    library = Library.load(tmp_path / "out")
    assert library.manifest == manifest
    found = by_id(library)
    assert {name: found[f"keyboard-scores/chopin/{name}.mid"].split for name in "012"} == {
        "0": "validation",
        "1": "test",
        "2": "train",
    }
    assert found["maestro/2004/2.midi"].group == found["maestro/2004/3.midi"].group == "maestro/2004/2.midi"
    assert found["keyboard-scores/chopin/2.mid"].group == "maestro/2004/2.midi"
    assert not manifest.left_out
    assert not manifest.moved
    arranged = found["maestro/2004/4.midi"]
    assert (arranged.composer, arranged.era, arranged.feel) == ("unknown", "romantic", "performance")
    assert library.select("validation", "score", "chopin") == [library.pieces.index(found["keyboard-scores/chopin/0.mid"])]
    assert len(library.select(["validation", "test"])) == 4 + (found["keyboard-scores/chopin/9.mid"].split != "train")
    assert "chopin" in manifest.summary()


def test_units_bars_hands_and_order(maestro: Path, scores: Path, tmp_path: Path) -> None:
    prepare([maestro, scores], tmp_path / "out")
    library = Library.load(tmp_path / "out")
    for index, piece in enumerate(library.pieces):
        notes, bars = library.notes(index), library.bars(index)
        assert notes.dtype == PACKED_NOTE_DTYPE
        assert len(notes) == piece.count > 0
        assert (np.lexsort((notes["pitch"], notes["onset"])) == np.arange(len(notes))).all()
        assert notes["duration"].min() > 0
        assert 0 < notes["melody"].sum() < len(notes)
        if piece.feel == "score":
            onset, _, hand = tune(int(Path(piece.file).stem))
            assert np.array_equal(notes["onset"], np.sort(onset) / 4)
            assert (notes["part"] == 0).sum() == (hand == 0).sum()
            assert not notes["melody"][notes["part"] == 1].any()
            assert (bars["numerator"] == 3).all()
            assert np.array_equal(bars["start"], np.arange(len(bars)) * 3)
            assert piece.quarters_per_minute == pytest.approx(90, abs=0.1)
        else:
            source = read_score(maestro / piece.file, "performance")
            assert notes["onset"] == pytest.approx(source.onset_seconds, abs=1e-4)
            assert not len(bars)


def test_archives_are_the_same_as_folders(maestro: Path, scores: Path, tmp_path: Path) -> None:
    zipped, tarred = tmp_path / "maestro.zip", tmp_path / "scores.tar.xz"
    with zipfile.ZipFile(zipped, "w") as archive:
        for path in sorted(maestro.rglob("*")):
            archive.write(path, Path("maestro-v3.0.0") / path.relative_to(maestro))
    with tarfile.open(tarred, "w:xz") as packed:
        packed.add(scores, "scores")
    manifest = prepare([maestro, scores], tmp_path / "folders")
    assert prepare([zipped, tarred], tmp_path / "archives").hash == manifest.hash


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_cannot_write_outside(kind: str, tmp_path: Path) -> None:
    source = tmp_path / f"evil.{'zip' if kind == 'zip' else 'tar.gz'}"
    if kind == "zip":
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("../../evil.mid", b"MThd")
    else:
        with tarfile.open(source, "w:gz") as packed:
            packed.addfile(tarfile.TarInfo("../../evil.mid"), io.BytesIO())
    with pytest.raises(InputError, match="can't be unpacked"):
        prepare([source], tmp_path / "out")
    assert not list(tmp_path.parent.glob("**/evil.mid"))


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    """Six tunes: unknown composer, one piece held out, none for test; broken and missing files are named."""
    folder = tmp_path / "mine"
    for seed in range(6):
        write(folder / f"{seed}.mid", tune(seed))
    (folder / "broken.mid").write_bytes(b"MThd and nonsense")
    (folder / "notes.txt").write_text("no music")
    steps: list[tuple[int, int]] = []
    manifest = prepare([folder], tmp_path / "out", progress=lambda done, total: steps.append((done, total)))
    assert [piece.split for piece in manifest.pieces].count("validation") == 1
    assert {piece.split for piece in manifest.pieces} == {"train", "validation"}
    assert {(piece.composer, piece.era, piece.feel) for piece in manifest.pieces} == {("unknown", "unknown", "score")}
    assert [file for file, _ in manifest.left_out] == ["mine/broken.mid"]
    assert steps == [(number + 1, 7) for number in range(7)]
    assert prepare([folder], tmp_path / "again").hash == manifest.hash


def test_a_users_table(tmp_path: Path) -> None:
    folder, labels = tmp_path / "mine", tmp_path / "labels.csv"
    for seed in range(3):
        write(folder / f"{seed}.mid", tune(seed), performed=seed)
    rows: list[dict[str, object]] = [
        {"file": "0.mid", "composer": "Nobody", "title": "Gymnopédie", "split": "test"},
        {"file": "1.mid", "composer": "grieg", "title": "", "split": ""},
        {"file": "gone.mid", "composer": "grieg", "title": "", "split": ""},
    ]
    table(labels, rows)
    manifest = prepare([folder], tmp_path / "out", composers_csv=labels, feel="performance")
    assert [(piece.title, piece.composer, piece.split) for piece in manifest.pieces] == [
        ("Gymnopédie", "unknown", "test"),
        ("1", "grieg", "train"),
    ]
    assert manifest.left_out[0][0] == "mine/gone.mid"
    assert manifest.left_out[0][1].startswith("missing")
    for bad in (
        {"file": "0.mid"},
        {"file": "../x.mid", "composer": ""},
        {"file": "0.mid", "composer": "", "split": "dev"},
    ):
        table(labels, [dict(bad)])
        with pytest.raises(InputError):
            prepare([folder], tmp_path / "out", composers_csv=labels)
    with pytest.raises(InputError, match="single source"):
        prepare([folder, folder], tmp_path / "out", composers_csv=labels)


def test_the_second_engraving_of_a_movement_is_left_out_and_its_twins_stay_together(
    maestro: Path, scores: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    onset, pitch, hand = tune(0)
    pitch = pitch.copy()
    pitch[::25] += 1  # another edition
    write(more / "edition.mid", (onset, pitch, hand))
    manifest = prepare([maestro, scores, more], tmp_path / "out")
    assert manifest.left_out == (("more/edition.mid", "duplicate: of keyboard-scores/chopin/0.mid"),)
    assert {piece.split for piece in manifest.pieces if piece.group == "maestro/2004/0.midi"} == {"validation"}


def test_two_sources_of_one_name_and_exact_copies(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        write(tmp_path / parent / "mine" / "x.mid", tune(5 if parent == "a" else 6), performed=1)
    write(tmp_path / "b" / "mine" / "copy.mid", tune(5), performed=1)
    manifest = prepare([tmp_path / "a/mine", tmp_path / "b/mine"], tmp_path / "out", feel="performance")
    assert [piece.id for piece in manifest.pieces] == ["mine/x.mid", "mine-2/x.mid"]
    assert manifest.left_out == (("mine/copy.mid", "duplicate: of mine/x.mid"),)


def test_a_copy_leaves_its_split_to_the_one_that_stays(tmp_path: Path) -> None:
    """Else a test piece that was left out as a copy would be trained on under the other name."""
    folder, labels = tmp_path / "mine", tmp_path / "labels.csv"
    rows: list[dict[str, object]] = []
    for number, split in enumerate(("train", "test")):
        write(folder / f"{number}.mid", tune(0), performed=1)
        rows.append({"file": f"{number}.mid", "composer": "", "split": split})
    table(labels, rows)
    manifest = prepare([folder], tmp_path / "out", composers_csv=labels, feel="performance")
    assert [(piece.id, piece.split) for piece in manifest.pieces] == [("mine/0.mid", "test")]


def test_a_train_piece_with_a_twin_in_test_is_moved_and_named(tmp_path: Path) -> None:
    folder, labels = tmp_path / "mine", tmp_path / "labels.csv"
    for number, seed in enumerate((0, 0, 1)):
        write(folder / f"{number}.mid", tune(seed), performed=number)
    rows: list[dict[str, object]] = [
        {"file": f"{number}.mid", "composer": "", "split": split} for number, split in enumerate(("train", "test", "train"))
    ]
    table(labels, rows)
    manifest = prepare([folder], tmp_path / "out", composers_csv=labels, feel="performance")
    assert [piece.split for piece in manifest.pieces] == ["test", "test", "train"]
    assert manifest.moved == ("mine/0.mid",)
    assert "moved" in manifest.summary()


def test_a_piece_in_another_key_stays_with_its_twin(tmp_path: Path) -> None:
    """Training transposes: held out, it would have been learnt from."""
    folder = tmp_path / "mine"
    for seed in range(6):
        onset, pitch, hand = tune(seed)
        write(folder / f"{seed}.mid", (onset, pitch, hand))
        write(folder / f"{seed} higher.mid", (onset, pitch + 2, hand))
    manifest = prepare([folder], tmp_path / "out")
    assert len(manifest.pieces) == 12
    splits = {piece.file: piece.split for piece in manifest.pieces}
    assert set(splits.values()) == {"train", "validation"}
    assert all(splits[f"{seed}.mid"] == splits[f"{seed} higher.mid"] for seed in range(6))


def test_a_copy_may_have_other_tracks(tmp_path: Path) -> None:
    onset, pitch, hand = tune(3)
    write(tmp_path / "mine" / "a.mid", (onset, pitch, hand))
    write(tmp_path / "mine" / "b.mid", (onset, pitch, np.zeros_like(hand)))
    manifest = prepare([tmp_path / "mine"], tmp_path / "out", feel="performance")
    assert manifest.left_out == (("mine/b.mid", "duplicate: of mine/a.mid"),)


def test_a_table_below_speaks_for_all_music_or_not_at_all(tmp_path: Path) -> None:
    """A folder with some other collection in it was taken for that collection, and the rest passed over."""
    folder = tmp_path / "mine"
    write(folder / "other" / "0.mid", tune(0))
    write(folder / "other" / "1.mid", tune(1))
    table(folder / "other" / "metadata.csv", [{"file": "0.mid", "composer": "grieg"}])
    assert [piece.file for piece in prepare([folder], tmp_path / "out").pieces] == ["0.mid"]
    write(folder / "2.mid", tune(2))
    assert [piece.file for piece in prepare([folder], tmp_path / "out").pieces] == ["2.mid", "other/0.mid", "other/1.mid"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mid")
    try:
        write(tmp_path / "mine" / name, tune(0))
    except OSError:
        pytest.skip("no such names here")
    prepare([tmp_path / "mine"], tmp_path / "out")
    assert [piece.file for piece in Library.load(tmp_path / "out").pieces] == [name]


def test_what_is_refused(maestro: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="isn't a prepared data set"):
        prepare([maestro], precious)
    assert (precious / "thesis.txt").exists()
    for source in ("nowhere", "precious/thesis.txt"):
        with pytest.raises(InputError):
            prepare([tmp_path / source], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no piece could be read"):
        prepare([tmp_path / "empty"], tmp_path / "out")
    (tmp_path / "bad.zip").write_bytes(b"not a zip")
    with pytest.raises(InputError, match="can't be unpacked"):
        prepare([tmp_path / "bad.zip"], tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.mid", bytes(1000))
    data = (tmp_path / "whole.zip").read_bytes()
    entry, contents = data.index(b"PK\1\2"), 30 + len("a.mid")
    for value, places in ((0xFF, (contents,)), (99, (8, entry + 10)), (1, (6, entry + 8))):  # data, compression, a password
        (tmp_path / "damaged.zip").write_bytes(bytes(value if k in places else one for k, one in enumerate(data)))
        with pytest.raises(InputError, match="can't be unpacked"):
            prepare([tmp_path / "damaged.zip"], tmp_path / "out")
    with tarfile.open(tmp_path / "damaged.tar.xz", "w:xz") as packed:
        packed.add(maestro, "a")
    data = (tmp_path / "damaged.tar.xz").read_bytes()
    (tmp_path / "damaged.tar.xz").write_bytes(data[:60] + bytes(len(data) - 60))
    with pytest.raises(InputError, match="can't be unpacked"):
        prepare([tmp_path / "damaged.tar.xz"], tmp_path / "out")
    with tarfile.open(tmp_path / "cut.tar", "w", format=tarfile.USTAR_FORMAT) as packed:
        packed.add(maestro, "a")
    data = bytearray((tmp_path / "cut.tar").read_bytes())
    header = data.rindex(b"ustar")
    data[header - 100 : header] = bytes(range(100))
    (tmp_path / "cut.tar").write_bytes(data)
    with pytest.raises(InputError, match="breaks off"):
        prepare([tmp_path / "cut.tar"], tmp_path / "out")
    table(tmp_path / "empty" / "maestro-v3.0.0.csv", [{"composer": "x"}])
    with pytest.raises(InputError, match="lacks the column"):
        prepare([tmp_path / "empty"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_older_data_set_is_replaced_and_nothing_is_left_behind(maestro: Path, scores: Path, tmp_path: Path) -> None:
    out = tmp_path / "sets" / "out"
    prepare([maestro], out)
    manifest = prepare([maestro, scores], out)
    assert Library.load(out).hash == manifest.hash
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_the_library_refuses_what_does_not_match(scores: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare([scores], out)
    manifest = json.loads((out / "manifest.json").read_text())
    with pytest.raises(InputError, match="not a prepared data set"):
        Library.load(tmp_path)
    (out / "manifest.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(InputError, match="version 99"):
        Library.load(out)
    relabelled = [{**row, "composer": "liszt"} for row in manifest["pieces"]]
    (out / "manifest.json").write_text(json.dumps(manifest | {"pieces": relabelled}))
    with pytest.raises(InputError, match="don't match"):
        Library.load(out)
    (out / "manifest.json").write_text(json.dumps({key: manifest[key] for key in ("kind", "version", "hash")}))
    with pytest.raises(InputError, match="damaged"):
        Library.load(out)
    (out / "manifest.json").write_text(json.dumps(manifest))
    Library.load(out)
    data = bytearray((out / "notes.npy").read_bytes())
    data[-1] ^= 1
    (out / "notes.npy").write_bytes(bytes(data))
    with pytest.raises(InputError, match="don't match"):
        Library.load(out)
    (out / "notes.npy").unlink()
    with pytest.raises(InputError, match="damaged"):
        Library.load(out, verify=False)


def named(notes: NoteTable, bars: BarTable) -> ChordTable:
    """What stands in for the recogniser: C major in each bar."""
    chords = np.zeros(len(bars), CHORD_DTYPE)
    chords["start"], chords["length"] = bars["start"], bars["length"]
    return chords


@pytest.fixture
def recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "recognise", named)


def song(path: Path, names: tuple[str, ...] = ("Voice", "Piano right", "Piano left")) -> None:
    """Eight bars of 3/4: a tune, chords that double it now and then, and a bass."""
    rng = np.random.default_rng(0)
    tune = rng.integers(67, 80, 24)
    score: Any = symusic.Score(TPQ)
    score.time_signatures.append(symusic.TimeSignature(0, 3, 4))
    tracks = {
        0: [(beat, pitch) for beat, pitch in enumerate(tune)],
        1: [(beat, tune[beat] if beat % 6 == 0 else 64) for beat in range(24)] + [(beat, 60) for beat in range(24)],
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
def test_a_song_is_told_from_what_two_hands_play(tmp_path: Path) -> None:
    """The melody is a part of its own where its track says so and something accompanies it."""
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
    """In another key, over other chords; other pieces with the same kind of random tune stay apart."""
    for seed in range(6):
        for number, (up, below) in enumerate(((0, 60), (3, 55))):
            rng = np.random.default_rng(seed)
            tune = rng.integers(67, 80, 40) + up
            score: Any = symusic.Score(TPQ)
            rng = np.random.default_rng(100 + seed + number)
            for name, notes in {"Voice": tune, "Piano": rng.integers(below - 12, below, 40)}.items():
                track: Any = symusic.Track(name=name)
                for beat, pitch in enumerate(notes):
                    track.notes.append(symusic.Note(beat * TPQ, TPQ, int(pitch), 70))
                score.tracks.append(track)
            path = tmp_path / "mine" / f"{seed} {number}.mid"
            path.parent.mkdir(exist_ok=True)
            score.dump_midi(path)
    manifest = prepare([tmp_path / "mine"], tmp_path / "out", feel="score", workers=1)
    assert [piece.tune for piece in manifest.pieces] == ["part"] * 12
    assert [piece.group for piece in manifest.pieces[1::2]] == [piece.id for piece in manifest.pieces[::2]]
    assert {piece.split for piece in manifest.pieces} == {"train", "validation"}


@pytest.mark.usefixtures("recognised")
def test_a_transcription_stays_with_its_song(tmp_path: Path) -> None:
    """It shares a few bars of many; whose song it is, its label says. Songs by others aren't asked."""
    folder = tmp_path / "mine"
    shared = tune(0, 10)
    rows: list[dict[str, object]] = []
    for number, (label, rest) in enumerate(
        (("Franz Schubert", 1), ("Robert Schumann", 2), ("Franz Schubert", 3), ("Franz Schubert / Franz Liszt", 4))
    ):
        own = tune(10 + rest, 300)
        begin = shared if number != 2 else tune(5, 10)
        later = own[0] + int(begin[0].max()) + 4
        onset, pitch, hand = (np.concatenate(pair) for pair in zip(begin, (later, *own[1:]), strict=True))
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
    assert groups == {"0.mid": "mine/0.mid", "1.mid": "mine/1.mid", "2.mid": "mine/2.mid", "3.mid": "mine/0.mid"}


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
    """By the catalogue, by the table's column, by the year of birth; impossible years aren't believed."""
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
        "modern", "classical", "baroque", "classical", "romantic", "modern", "romantic", "romantic", "unknown",
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
    major, minor, seventh = (QUALITIES.index(name) for name in ("major", "minor", "dominant-seventh"))
    silent = (NONE, NONE, NONE)
    assert [
        (float(one["start"]), float(one["length"]), *(int(one[k]) for k in ("root", "quality", "bass"))) for one in chords
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
        ("lieder-scores", "schubert/Winterreise_D.911-5_Der_Lindenbaum-lc1.mid", "schubert/n05.csv"),
        ("lieder-scores", "schubert/Winterreise_D.911-4_Erstarrung-lc1.mid", None),
        ("lieder-scores", "chopin/a.mid", None),
    ):
        assert label_file(tmp_path, source, file) == (tmp_path / found if found else None)


@pytest.mark.usefixtures("recognised")
def test_labels_that_do_not_fit_are_not_used(scores: Path, tmp_path: Path) -> None:
    """Of two movements, one is labelled by what it plays, the other by what it doesn't."""
    labels = tmp_path / "labels"
    onset, pitch, _ = tune(0)
    rows = [f"{time / 4},0.25,{key % 12},M,{key % 12},0,major,I,," for time, key in sorted(zip(onset, pitch, strict=True))]
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
        assert np.array_equal(library.chords(index), named(library.notes(index), library.bars(index)))
    assert "of 1 pieces are the experts'" in manifest.remarks[0]
    assert "chopin/1.mid" in manifest.remarks[1]
    with pytest.raises(InputError, match="no such folder of chord labels"):
        prepare([scores], tmp_path / "out", labels=tmp_path / "nowhere")
