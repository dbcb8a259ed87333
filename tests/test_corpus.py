"""Preparing tune books, kern, and pieces of music21's corpus."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from styletransfer.data import sources
from styletransfer.data.library import Library
from styletransfer.data.prepare import prepare
from styletransfer.errors import InputError

ABC_BOOK = """L:1/8

X:1
T:Walk
M:3/4
K:C
CDEFGA|Bcdefg|

X:2
T:Other
M:2/4
K:G
GABc|d2 B2|c2 A2|G4|

X:3
T:Silence
K:C
z4|
"""


def test_books_kern_and_subfolders(tmp_path: Path) -> None:
    """Each tune of a book is a piece; the same music in another format is a copy; broken files are
    named.
    """
    folder = tmp_path / "mine"
    (folder / "deeper").mkdir(parents=True)
    (folder / "book.abc").write_text(ABC_BOOK)
    (folder / "broken.abc").write_text("no ABC at all")
    (folder / "broken.krn").write_text("no kern at all")
    walk = [
        f"8{name}" for name in ("c", "d", "e", "f", "g", "a", "b", "cc", "dd", "ee", "ff", "gg")
    ]
    (folder / "deeper" / "walk.krn").write_text(
        "\n".join(["**kern", "*M3/4", "=1", *walk[:6], "=2", *walk[6:], "==", "*-", ""])
    )
    manifest = prepare([folder], tmp_path / "out", workers=1)
    assert [(piece.id, piece.title, piece.feel) for piece in manifest.pieces] == [
        ("mine/book.abc#1", "Walk", "score"),
        ("mine/book.abc#2", "Other", "score"),
    ]
    assert dict(manifest.left_out)["mine/deeper/walk.krn"] == "duplicate: of mine/book.abc#1"

    reasons = {file: reason for file, reason in manifest.left_out if "duplicate" not in reason}
    assert set(reasons) == {"mine/book.abc#3", "mine/broken.abc", "mine/broken.krn"}
    assert all(reason.startswith("unusable: it ") for reason in reasons.values())

    library = Library.load(tmp_path / "out")
    assert library.notes(0)["melody"].all()
    assert library.notes(1)["pitch"].tolist() == [67, 69, 71, 72, 74, 71, 72, 69, 67]
    assert library.bars(1)["start"].tolist() == [0, 2, 4, 6]


def test_a_book_whose_numbers_repeat(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "book.abc").write_text("".join(f"X:1\nK:C\n{tune}|\n\n" for tune in ("CDEF", "cBAG")))
    (folder / "one.abc").write_text("X:9\nT:Alone\nK:C\nGEC|\n")
    manifest = prepare([folder], tmp_path / "out", workers=1)
    assert [(piece.id, piece.title) for piece in manifest.pieces] == [
        ("mine/book.abc#1", "book 1"),
        ("mine/book.abc#2", "book 2"),
        ("mine/one.abc", "one"),
    ]


def test_chorales_of_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two harmonisations of one tune that share content are both kept, in one split; the same one
    in kern is a copy.
    """
    corpus = sources.corpus_folder("bach")
    assert sum(path.suffix == ".mxl" for path in corpus.iterdir()) > 400

    few = tmp_path / "few"
    few.mkdir()
    for name in (
        "bwv102.7.mxl",
        "bwv166.6.mxl",
        "bwv281.krn",
        "bwv281.mxl",
        "bwv323.mxl",
        "bwv37.6.mxl",
    ):
        shutil.copy(corpus / name, few / name)

    asked = []
    monkeypatch.setattr(sources, "corpus_folder", lambda name: asked.append(name) or few)
    manifest = prepare([Path("corpus:bach")], tmp_path / "out", workers=1)
    assert asked == ["bach"]
    assert manifest.sources == ("corpus:bach",)

    found = {piece.id.removeprefix("corpus:bach/"): piece for piece in manifest.pieces}
    assert list(found) == [
        "bwv102.7.mxl",
        "bwv166.6.mxl",
        "bwv281.krn",
        "bwv323.mxl",
        "bwv37.6.mxl",
    ]
    assert manifest.left_out == (
        ("corpus:bach/bwv281.mxl", "duplicate: of corpus:bach/bwv281.krn"),
    )
    assert found["bwv166.6.mxl"].group == "corpus:bach/bwv102.7.mxl"
    assert found["bwv166.6.mxl"].split == found["bwv102.7.mxl"].split
    assert {(piece.composer, piece.era, piece.feel) for piece in manifest.pieces} == {
        ("unknown", "unknown", "score")
    }
    assert {piece.split for piece in manifest.pieces} == {"train", "validation"}

    library = Library.load(tmp_path / "out")
    for index in range(len(library)):
        notes = library.notes(index)
        assert np.array_equal(notes["melody"], notes["part"] == 0)  # the soprano
        assert len(np.unique(notes["part"])) == 4


@pytest.mark.parametrize(
    "name", ["corpus:bahc", "corpus:", "corpus:../bach", "corpus:_metadataCache"]
)
def test_a_corpus_that_does_not_exist(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"has no such folder; it has .*bach, .*joplin, .*palestrina.*\.$"
    ):
        prepare([name], tmp_path / "out")
    assert sources.corpus_folder("Joplin").name == "joplin"
