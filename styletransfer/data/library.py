"""Read a prepared data set: all notes in one file, described by a manifest.

It is a folder of four files that :mod:`styletransfer.data.prepare` writes:

- ``notes.npy``: all notes, ``PACKED_NOTE_DTYPE``, piece after piece, each sorted by onset and
  pitch;
- ``bars.npy``: all bars of the scores, ``PACKED_BAR_DTYPE``;
- ``chords.npy``: all chords of the scores, ``CHORD_DTYPE`` of :mod:`styletransfer.music.chords`;
- ``manifest.json``: version, sources, hash, a row for each piece (:class:`PieceInfo`), and the
  files that were left out.

Time is in **seconds for performances and quarters for scores**, by ``PieceInfo.feel``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.music.chords import ChordTable
from styletransfer.music.composers import Era
from styletransfer.music.ngrams import NoteSequence, packed_sequence
from styletransfer.music.notes import BarTable, Feel, NoteTable

VERSION = 2
KIND = "styletransfer-prepared-data"

Split = Literal["train", "validation", "test"]
Tune = Literal["part", "texture"]
T = TypeVar("T")
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

PACKED_NOTE_DTYPE = np.dtype(
    [
        ("onset", "<f4"),  # seconds for a performance, quarters for a score
        ("duration", "<f4"),  # the same unit, > 0
        ("pitch", "u1"),  # MIDI number
        ("velocity", "u1"),  # 1-127
        ("part", "u1"),  # track in the file; in a piano score 0 is the right hand
        ("melody", "?"),
    ]
)

PACKED_BAR_DTYPE = np.dtype(
    [("start", "<f4"), ("length", "<f4"), ("numerator", "u1"), ("denominator", "u1")]
)


@dataclass(frozen=True)
class PieceInfo:
    """One row of the manifest.

    ``id``: source/file. ``file``: the path inside the source. ``title`` and ``composer``: from the
    source's table; the composer is an id of the catalogue or ``unknown``. ``group``: the id of the
    first piece with the same content. ``notes``, ``bars`` and ``chords``: (start, stop) rows of the
    arrays. ``quarters_per_minute``: the tempo at the start of the file, meaningless for a
    performance. ``seconds``: the length. ``tune``: ``part`` where the melody is a part of its own
    that others accompany (a song), ``texture`` where it was found in what two hands play, or where
    there is nothing else.
    """

    id: str
    file: str
    source: str
    title: str
    composer: str
    era: Era
    feel: Feel
    split: Split
    group: str
    notes: tuple[int, int]
    bars: tuple[int, int]
    quarters_per_minute: float
    seconds: float
    tune: Tune = "texture"
    chords: tuple[int, int] = (0, 0)

    @property
    def count(self) -> int:
        """The number of notes."""
        return self.notes[1] - self.notes[0]


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds.

    ``left_out``: ids with reasons. ``moved``: the ids of pieces that left an official split because
    of a twin in another. ``remarks``: sentences to show after preparing.
    """

    pieces: tuple[PieceInfo, ...]
    hash: str
    sources: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    moved: tuple[str, ...] = ()
    version: int = VERSION
    remarks: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the manifest as JSON, with a line for each piece."""
        rows = ",\n  ".join(json.dumps(asdict(piece), ensure_ascii=False) for piece in self.pieces)
        head = {"kind": KIND} | {
            item.name: getattr(self, item.name) for item in fields(self) if item.name != "pieces"
        }
        body = json.dumps(head, ensure_ascii=False, indent=1)
        return f'{body[:-2]},\n "pieces": [\n  {rows}\n ]\n}}\n'

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Manifest:
        """Make a manifest of parsed JSON; the inverse of :meth:`to_json`."""
        rows = ("notes", "bars", "chords")
        pieces = tuple(
            PieceInfo(**{**row, **{name: tuple(row[name]) for name in rows}})
            for row in data["pieces"]
        )
        return cls(
            pieces=pieces,
            hash=data["hash"],
            sources=tuple(data["sources"]),
            left_out=tuple((file, reason) for file, reason in data["left_out"]),
            moved=tuple(data["moved"]),
            version=data["version"],
            remarks=tuple(data["remarks"]),
        )

    def counts(self) -> dict[tuple[str, str, str], tuple[int, int, float]]:
        """Count (pieces, notes, hours) by (composer, feel, split)."""
        result: dict[tuple[str, str, str], tuple[int, int, float]] = {}
        for piece in self.pieces:
            key = (piece.composer, piece.feel, piece.split)
            pieces, notes, hours = result.get(key, (0, 0, 0.0))
            result[key] = (pieces + 1, notes + piece.count, hours + piece.seconds / 3600)
        return dict(sorted(result.items()))

    def summary(self) -> str:
        """Return a table of pieces by composer, feel and split, and of what was left out."""
        columns = [(feel, split) for feel in ("performance", "score") for split in SPLITS]
        counts = self.counts()
        lines = [f"{'':<14}{'performances':>24}{'scores':>24}{'notes':>12}"]
        lines.append(f"{'composer':<14}" + "".join(f"{split[:5]:>8}" for _, split in columns))
        for composer in sorted({piece.composer for piece in self.pieces}):
            cells = [counts.get((composer, *column), (0, 0, 0.0))[0] for column in columns]
            notes = sum(value[1] for key, value in counts.items() if key[0] == composer)
            lines.append(
                f"{composer:<14}" + "".join(f"{cell:>8}" for cell in cells) + f"{notes:>12,}"
            )

        totals = Counter[tuple[str, str]]((piece.feel, piece.split) for piece in self.pieces)
        notes = sum(piece.count for piece in self.pieces)
        lines.append(
            f"{'all':<14}" + "".join(f"{totals[column]:>8}" for column in columns) + f"{notes:>12,}"
        )

        reasons = Counter(reason.split(":")[0] for _, reason in self.left_out)
        lines += [f"left out, {reason}: {count}" for reason, count in sorted(reasons.items())]
        if self.moved:
            lines.append(f"moved to another split because of a twin there: {len(self.moved)}")
        return "\n".join([*lines, *self.remarks])


@dataclass(frozen=True)
class Library:
    """A prepared data set, opened for reading.

    ``notes.npy`` is memory-mapped, so that opening costs no memory.
    """

    path: Path
    manifest: Manifest
    _notes: NoteTable
    _bars: BarTable
    _chords: ChordTable

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = True) -> Library:
        """Open a prepared folder.

        Args:
            path: the folder.
            verify: compute the hash over all files again (0.2 s for 7 M notes).

        Raises:
            InputError: where the folder isn't a prepared data set of this version, or its files
                don't match its hash.
        """
        path = Path(path)
        if not is_prepared(path):
            raise InputError(
                f"{path}: not a prepared data set; make one with `styletransfer data prepare`."
            )
        data = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        if data.get("version") != VERSION:
            found = data.get("version")
            raise InputError(
                f"{path}: prepared data of version {found}, not {VERSION}; prepare it again."
            )

        try:
            manifest = Manifest.from_json(data)
            found = content_hash(path, manifest.pieces) if verify else manifest.hash
            notes = np.load(path / "notes.npy", mmap_mode="r")
            bars = np.load(path / "bars.npy")
            chords = np.load(path / "chords.npy")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: damaged prepared data ({error}); prepare it again from its sources."
            ) from error
        if found != manifest.hash:
            raise InputError(
                f"{path}: its files don't match its manifest's hash; prepare it again from its"
                " sources."
            )
        return cls(path, manifest, notes, bars, chords)

    @property
    def pieces(self) -> tuple[PieceInfo, ...]:
        """All pieces; the other methods' ``i`` is a place in this tuple."""
        return self.manifest.pieces

    @property
    def hash(self) -> str:
        """The hash of the content: notes, bars, chords and rows of pieces."""
        return self.manifest.hash

    def __len__(self) -> int:
        return len(self.pieces)

    def notes(self, i: int) -> NoteTable:
        """Return the notes of piece ``i``, read-only, in seconds or quarters by its feel."""
        start, stop = self.pieces[i].notes
        return self._notes[start:stop]

    def bars(self, i: int) -> BarTable:
        """Return the bars of piece ``i`` in quarters, none for a performance."""
        start, stop = self.pieces[i].bars
        return self._bars[start:stop]

    def chords(self, i: int) -> ChordTable:
        """Return the chords of piece ``i`` in quarters, none for a performance."""
        start, stop = self.pieces[i].chords
        return self._chords[start:stop]

    def view(
        self,
        indices: Iterable[int],
        *,
        era: str | None = None,
        composer: str | None = None,
        split: str | None = None,
    ) -> Library:
        """Choose pieces, and give them another era, composer or split.

        The arrays are shared.
        """
        labels = {
            key: value
            for key, value in (("era", era), ("composer", composer), ("split", split))
            if value is not None
        }
        pieces = tuple(replace(self.pieces[i], **labels) for i in indices)  # type: ignore[arg-type]  # texts
        content = json.dumps([self.hash, *(asdict(piece) for piece in pieces)])
        chosen = hashlib.sha256(content.encode()).hexdigest()
        return replace(self, manifest=replace(self.manifest, pieces=pieces, hash=chosen))

    def without_held_out(self) -> Library:
        """Return all pieces as training pieces."""
        return self.view(range(len(self)), split="train")

    def joined(self, other: Library) -> Library:
        """Join the pieces of two libraries in memory, this one's first."""
        tables: dict[str, list[NDArray[np.void]]] = {"notes": [], "bars": [], "chords": []}
        stops = dict.fromkeys(tables, 0)
        pieces = []
        for library in (self, other):
            for i, piece in enumerate(library.pieces):
                own = {
                    "notes": library.notes(i),
                    "bars": library.bars(i),
                    "chords": library.chords(i),
                }
                rows = {
                    name: (stops[name], stops[name] + len(table)) for name, table in own.items()
                }
                for name, table in own.items():
                    tables[name].append(table)
                    stops[name] = rows[name][1]
                pieces.append(replace(piece, **rows))  # type: ignore[arg-type]  # of its kind
        both = hashlib.sha256(f"{self.hash} {other.hash}".encode()).hexdigest()
        manifest = replace(self.manifest, pieces=tuple(pieces), hash=both)
        notes, bars, chords = (np.concatenate(table) for table in tables.values())
        return replace(self, manifest=manifest, _notes=notes, _bars=bars, _chords=chords)

    def select(
        self,
        split: str | Iterable[str] | None = None,
        feel: str | None = None,
        composer: str | Iterable[str] | None = None,
        era: str | None = None,
    ) -> list[int]:
        """Return the places of the pieces that match everything that is given, ascending."""
        splits = _choice(split)
        composers = _choice(composer)
        return [
            index
            for index, piece in enumerate(self.pieces)
            if (splits is None or piece.split in splits)
            and (feel is None or piece.feel == feel)
            and (composers is None or piece.composer in composers)
            and (era is None or piece.era == era)
        ]


def spread(pool: list[T], count: int) -> list[T]:
    """Return at most ``count`` items of a list, evenly spread over it."""
    count = min(count, len(pool))
    return [pool[k * len(pool) // count] for k in range(count)]


def _choice(value: str | Iterable[str] | None) -> set[str] | None:
    return None if value is None else {value} if isinstance(value, str) else set(value)


def is_prepared(path: Path) -> bool:
    """Check whether a folder is a prepared data set, of any version."""
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        return bool(manifest.get("kind") == KIND)
    except (OSError, ValueError, AttributeError):
        return False


def content_hash(path: Path, pieces: Iterable[PieceInfo]) -> str:
    """Return the SHA-256 of the array files and the rows of pieces."""
    digest = hashlib.sha256()
    for name in ("notes.npy", "bars.npy", "chords.npy"):
        with (path / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    for piece in pieces:
        digest.update(json.dumps(asdict(piece), sort_keys=True).encode())
    return digest.hexdigest()


def doublings(notes: NoteTable, *, octaves: bool = False) -> NDArray[np.bool_]:
    """Mark notes of a score's accompaniment that double the melody, shape (notes,).

    Such a note begins with a note of the melody and has its pitch, or, with ``octaves``, its pitch
    class.
    """
    melody = notes["melody"]
    pitch = notes["pitch"].astype(np.int64) % (12 if octaves else 128)
    _, moment = np.unique(notes["onset"], return_inverse=True)
    key = moment * 128 + pitch
    return np.asarray(~melody & np.isin(key, key[melody]))


def training_sequences(library: Library) -> Iterator[NoteSequence]:
    """Yield training pieces and their accompaniments, to index them.

    See :meth:`styletransfer.music.copies.Copies.build`.
    """
    for i in library.select(split="train"):
        for accompaniment in (False, True):
            yield packed_sequence(
                library.notes(i), library.pieces[i].feel, accompaniment=accompaniment
            )
