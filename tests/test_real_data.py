"""Test the real data: true twins are found, and none is in two splits.

This is skipped where the archives are missing.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from styletransfer.data.fingerprint import Fingerprint, fingerprint, similar_pairs
from styletransfer.data.sources import SourceFile, opened, source_files, source_name
from styletransfer.data.splits import Pair, assign_splits, check_splits
from styletransfer.formats.read import read_score
from styletransfer.music.composers import CORRECTIONS, composer_id

Real = tuple[list[SourceFile], list[Fingerprint], list[Pair], set[tuple[int, int]]]

ROOT = Path(__file__).parents[1]
ARCHIVES = ("maestro-v3.0.0-midi", "keyboard-scores", "asap-scores")


def real_sources() -> list[Path]:
    """Return the three archives or their folders, or [] where one is missing."""
    places = [Path(os.environ["STYLETRANSFER_DATA"])] if "STYLETRANSFER_DATA" in os.environ else []
    for place in [*places, ROOT / "data", ROOT.parent / "shared" / "data"]:
        found = []
        for stem in ARCHIVES:
            names = (stem.removesuffix("-midi"), f"{stem}.tar.xz", f"{stem}.zip")
            found += [place / name for name in names if (place / name).exists()][:1]
        if len(found) == len(ARCHIVES):
            return found
    return []


@pytest.fixture(scope="module")
def real() -> Real:
    """Return files, fingerprints and similar pairs of the real data.

    The (score, performance) pairs that ASAP names come with them.
    """
    sources = real_sources()
    if not sources:
        pytest.skip(
            "the archives of MAESTRO, keyboard and ASAP scores are missing; set STYLETRANSFER_DATA"
        )

    files: list[SourceFile] = []
    prints: list[Fingerprint] = []
    rows: list[dict[str, str]] = []
    for source in sources:
        with opened(source) as folder:
            for file in source_files(folder, source_name(source)):
                piece = read_score(file.path, file.feel)
                onset = piece.onset_seconds if piece.feel == "performance" else piece.notes["onset"]
                prints.append(fingerprint(onset, piece.notes["pitch"], piece.feel))
                files.append(file)
            for metadata in folder.rglob("metadata.csv"):
                with metadata.open(encoding="utf-8") as text:
                    rows += [
                        row for row in csv.DictReader(text) if row.get("maestro_midi_performance")
                    ]

    index = {file.id: number for number, file in enumerate(files)}
    truth = {
        (
            index["asap/" + row["midi_score"]],
            index["maestro/" + row["maestro_midi_performance"].removeprefix("{maestro}/")],
        )
        for row in rows
    }
    return files, prints, similar_pairs(prints), truth


def test_real_scores_find_their_performances_and_no_piece_is_in_two_splits(
    real: Real,
) -> None:
    files, prints, pairs, truth = real
    plan = assign_splits(
        [f.id for f in files], [f.source for f in files], [f.split for f in files], pairs
    )
    linked = {(max(i, j), min(i, j)) for i, j, _ in pairs}
    assert len(truth) > 500
    assert truth <= linked
    check_splits(similar_pairs(prints), plan.splits, [file.id for file in files])
    assert not plan.moved
    for score, performance in truth:
        assert plan.splits[score] == plan.splits[performance]
        if files[performance].split != "train":
            assert plan.splits[score] != "train"
    assert [plan.splits[k] for k, file in enumerate(files) if file.split] == [
        f.split for f in files if f.split
    ]


def test_real_twins_have_one_composer(
    real: Real,
) -> None:
    """After MAESTRO's five wrong labels are corrected, no two similar files have different
    composers.
    """
    files, _, pairs, _ = real
    assert set(CORRECTIONS) <= {file.file for file in files}
    names = [composer_id(file.label) for file in files]
    assert {
        (files[i].id, files[j].id)
        for i, j, _ in pairs
        if "unknown" not in (names[i], names[j]) and names[i] != names[j]
    } == set()
