"""Test preparing data, and the library that reads it.

Tested are sources, splits by content, duplicates, broken files, and unsafe archives.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from styletransfer.data.library import PACKED_NOTE_DTYPE, Library
from styletransfer.data.prepare import prepare
from styletransfer.errors import InputError
from styletransfer.formats.read import read_score
from tests.command import Run, refused
from tests.source_folders import by_id, table, tune, write


@pytest.fixture
def maestro(tmp_path: Path) -> Path:
    """Write six performances: tunes 0 to 3, tune 2 by two pianists.

    Tune 0 is in validation, tune 1 in test.
    """
    folder = tmp_path / "maestro"
    rows: list[dict[str, object]] = []
    for number, (seed, split) in enumerate(
        [(0, "validation"), (1, "test"), (2, "train"), (2, "train"), (3, "train")]
    ):
        file = f"2004/{number}.midi"
        write(folder / file, tune(seed), performed=number)
        composer = "Franz Schubert / Franz Liszt" if seed == 3 else "Frédéric Chopin"
        rows.append(
            {
                "canonical_composer": composer,
                "canonical_title": f"No. {seed}",
                "split": split,
                "midi_filename": file,
            }
        )
    table(folder / "maestro-v3.0.0.csv", rows)
    return folder


def test_the_same_data_however_many_processes(run: Run, scores: Path, tmp_path: Path) -> None:
    """A broken file is left out by either; no processes at all are refused."""
    (scores / "chopin" / "9.mid").write_bytes(b"this is no music")
    command = ("data", "prepare", scores)
    outcomes = [run(*command, "-o", f"out-{jobs}", "--jobs", jobs) for jobs in ("1", "3")]
    assert [outcome.code for outcome in outcomes] == [0, 0]
    one, three = (Library.load(tmp_path / f"out-{jobs}").manifest for jobs in (1, 3))
    assert one == three
    assert [name for name, _ in one.left_out] == ["keyboard-scores/chopin/9.mid"]
    refused(run(*command, "-o", "none", "--jobs", "0"), "--jobs 0")


def test_scores_go_where_their_performances_are(
    maestro: Path, scores: Path, tmp_path: Path
) -> None:
    manifest = prepare([maestro, scores], tmp_path / "out")
    library = Library.load(tmp_path / "out")
    assert library.manifest == manifest

    found = by_id(library)
    assert {name: found[f"keyboard-scores/chopin/{name}.mid"].split for name in "012"} == {
        "0": "validation",
        "1": "test",
        "2": "train",
    }
    assert (
        found["maestro/2004/2.midi"].group
        == found["maestro/2004/3.midi"].group
        == "maestro/2004/2.midi"
    )
    assert found["keyboard-scores/chopin/2.mid"].group == "maestro/2004/2.midi"
    assert not manifest.left_out
    assert not manifest.moved

    arranged = found["maestro/2004/4.midi"]
    assert (arranged.composer, arranged.era, arranged.feel) == (
        "unknown",
        "romantic",
        "performance",
    )
    assert library.select("validation", "score", "chopin") == [
        library.pieces.index(found["keyboard-scores/chopin/0.mid"])
    ]
    assert len(library.select(["validation", "test"])) == 4 + (
        found["keyboard-scores/chopin/9.mid"].split != "train"
    )
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
    """Six tunes: unknown composer, one piece held out, none for testing; broken and missing files
    are named.
    """
    folder = tmp_path / "mine"
    for seed in range(6):
        write(folder / f"{seed}.mid", tune(seed))
    (folder / "broken.mid").write_bytes(b"MThd and nonsense")
    (folder / "notes.txt").write_text("no music")
    steps: list[tuple[int, int]] = []
    manifest = prepare(
        [folder], tmp_path / "out", progress=lambda done, total: steps.append((done, total))
    )
    assert [piece.split for piece in manifest.pieces].count("validation") == 1
    assert {piece.split for piece in manifest.pieces} == {"train", "validation"}
    assert {(piece.composer, piece.era, piece.feel) for piece in manifest.pieces} == {
        ("unknown", "unknown", "score")
    }
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
    assert manifest.left_out == (
        ("more/edition.mid", "duplicate: of keyboard-scores/chopin/0.mid"),
    )
    assert {piece.split for piece in manifest.pieces if piece.group == "maestro/2004/0.midi"} == {
        "validation"
    }


def test_two_sources_of_one_name_and_exact_copies(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        write(tmp_path / parent / "mine" / "x.mid", tune(5 if parent == "a" else 6), performed=1)
    write(tmp_path / "b" / "mine" / "copy.mid", tune(5), performed=1)
    manifest = prepare(
        [tmp_path / "a/mine", tmp_path / "b/mine"], tmp_path / "out", feel="performance"
    )
    assert [piece.id for piece in manifest.pieces] == ["mine/x.mid", "mine-2/x.mid"]
    assert manifest.left_out == (("mine/copy.mid", "duplicate: of mine/x.mid"),)


def test_a_copy_leaves_its_split_to_the_one_that_stays(tmp_path: Path) -> None:
    """Otherwise a test piece left out as a copy would be used in training under another name."""
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
        {"file": f"{number}.mid", "composer": "", "split": split}
        for number, split in enumerate(("train", "test", "train"))
    ]
    table(labels, rows)
    manifest = prepare([folder], tmp_path / "out", composers_csv=labels, feel="performance")
    assert [piece.split for piece in manifest.pieces] == ["test", "test", "train"]
    assert manifest.moved == ("mine/0.mid",)
    assert "moved" in manifest.summary()


def test_a_piece_in_another_key_stays_with_its_twin(tmp_path: Path) -> None:
    """Training transposes, so a held-out piece would have been learnt from."""
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
    """A folder containing another collection was mistaken for that collection, and the rest
    ignored.
    """
    folder = tmp_path / "mine"
    write(folder / "other" / "0.mid", tune(0))
    write(folder / "other" / "1.mid", tune(1))
    table(folder / "other" / "metadata.csv", [{"file": "0.mid", "composer": "grieg"}])
    assert [piece.file for piece in prepare([folder], tmp_path / "out").pieces] == ["0.mid"]
    write(folder / "2.mid", tune(2))
    assert [piece.file for piece in prepare([folder], tmp_path / "out").pieces] == [
        "2.mid",
        "other/0.mid",
        "other/1.mid",
    ]


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
    for value, places in (
        (0xFF, (contents,)),
        (99, (8, entry + 10)),
        (1, (6, entry + 8)),
    ):  # data, compression, a password
        (tmp_path / "damaged.zip").write_bytes(
            bytes(value if k in places else one for k, one in enumerate(data))
        )
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


def test_an_older_data_set_is_replaced_and_nothing_is_left_behind(
    maestro: Path, scores: Path, tmp_path: Path
) -> None:
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

    (out / "manifest.json").write_text(
        json.dumps({key: manifest[key] for key in ("kind", "version", "hash")})
    )
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
