"""Measure how much of a piece is copied from the training pieces.

There are shares of common n-grams, the longest run, and the nearest piece.

Definitions: a piece is the sequence of its pitches in onset order, chords sorted from the bass up,
where a chord is as :mod:`styletransfer.data.fingerprint` defines it. Its n-grams are the runs of
n notes; those of 12 notes with fewer than 6 distinct pitches (trills, repeated chords) can't tell
music apart and are no *seeds*, and a longer n-gram counts if it contains a seed. An n-gram is
*found* where a training piece has the same n pitches in a row. The share is of the positions of the
piece, so that a passage that is copied twice counts twice. Transposition-invariant measures compare
the intervals between the n notes instead.

The *input melody is excluded*: n-grams of nothing but melody notes, which a locked melody forces on
every system, are neither counted nor searched for. n-grams that mix melody and accompaniment count:
music that harmonises a known melody as its composer did is copied.

Citations: n-gram containment as in A. Broder, "On the resemblance and containment of documents",
1997; shares of n-grams that occur in training data as the measure of copying in music: Z. Yin et
al., "Measuring when a music generation algorithm copies too much: the originality report,
cardinality score, and symbolic fingerprinting by geometric hashing", SN Computer Science 3, 2022,
and in text: N. Carlini et al., "Quantifying memorization across neural language models", ICLR 2023.

Known deviations from these: rhythm is no part of an n-gram (a copy in another rhythm is a copy),
sequences are never sampled, and equality is exact: one changed note in twelve hides a copy from n =
12, so that runs and shares are lower bounds. Equality is that of 64-bit hashes of 12 notes, then of
the notes themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.library import Library
from styletransfer.errors import InputError
from styletransfer.music.ngrams import (
    MIN_DISTINCT,
    Mode,
    N,
    NoteSequence,
    all_melody,
    distinct,
    packed_sequence,
    seeds_in,
    seeds_of,
)

LENGTHS = (12, 16, 32)
"""Notes of the n-grams whose shares are reported; none shorter than a seed."""

KIND = "styletransfer-ngram-index"
VERSION = 1


@dataclass(frozen=True)
class Originality:
    """How much of a piece is found in training pieces, in one mode.

    Attributes:
        shares: by n, the share of the piece's n-grams that are found, from 0 to 1 (0 where it has
            none).
        counts: by n, how many n-grams it has.
        longest: notes of the longest run that is found, 0 below 12.
        longest_in: the training piece of that run, None for none.
        longest_at: where the run begins in the piece's sequence, -1 for none.
        nearest: the training piece with the most of its 12-grams, None for none.
        nearest_share: the share of the piece's 12-grams that are found there.
    """

    shares: dict[int, float]
    counts: dict[int, int]
    longest: int
    longest_in: str | None
    longest_at: int
    nearest: str | None
    nearest_share: float


@dataclass(frozen=True)
class NgramIndex:
    """All seeds of the training pieces, to find runs of notes in.

    The 5.7 million notes of MAESTRO's training pieces take about 70 MB per mode.

    Attributes:
        hashes: of the seeds, ascending, shape (seeds,).
        positions: of the seeds in ``pitch``, shape (seeds,).
        pitch: the sequences of all pieces end to end, shape (notes,).
        ids: of the pieces; piece ``ids[i]`` is ``pitch[starts[i]:starts[i + 1]]``.
        starts: where the pieces begin.
        about: what went in, such as the data's hash.
    """

    mode: Mode
    hashes: NDArray[np.uint64]
    positions: NDArray[np.int32]
    pitch: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ids: tuple[str, ...]
    about: str = ""

    @classmethod
    def build(
        cls,
        ids: Iterable[str],
        sequences: Iterable[NoteSequence],
        mode: Mode = "exact",
        about: str = "",
    ) -> NgramIndex:
        """Build an index of training pieces from their ids and sequences."""
        pieces = [one.pitch for one in sequences]
        pitch = np.concatenate([np.zeros(0, np.uint8), *pieces])
        starts = np.concatenate(
            [[0], np.cumsum([len(one) for one in pieces], dtype=np.int64)]
        ).astype(np.int64)
        hashes, seeds = seeds_in(pitch, mode)
        owner = np.searchsorted(starts, seeds, side="right") - 1
        inside = seeds + N <= starts[owner + 1] if len(pieces) else np.zeros(0, bool)
        hashes, seeds = hashes[inside], seeds[inside]
        order = np.argsort(hashes, kind="stable")
        return cls(
            mode, hashes[order], seeds[order].astype(np.int32), pitch, starts, tuple(ids), about
        )

    def save(self, path: str | Path) -> None:
        """Write the index as one safetensors file, under a temporary name first."""
        from safetensors.numpy import save_file

        path = Path(path)
        head = {
            "kind": KIND,
            "version": VERSION,
            "mode": self.mode,
            "ids": self.ids,
            "about": self.about,
        }
        arrays = {name: getattr(self, name) for name in ("hashes", "positions", "pitch", "starts")}
        temporary = path.with_name(path.name + ".part")
        save_file(arrays, temporary, metadata={"index": json.dumps(head, ensure_ascii=False)})
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: str | Path) -> NgramIndex:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: if the file is no such index, or of another version.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="numpy") as file:
                head = json.loads((file.metadata() or {}).get("index", "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it isn't a dict
        except (OSError, SafetensorError, ValueError) as error:
            raise InputError(
                f"{path}: not an index of n-grams ({error}); build it again."
            ) from error
        if head.get("kind") != KIND or head.get("version") != VERSION:
            raise InputError(
                f"{path}: not an index of n-grams of version {VERSION}; build it again."
            )
        return cls(mode=head["mode"], ids=tuple(head["ids"]), about=head["about"], **arrays)

    def originality(self, piece: NoteSequence, *, without: Sequence[str] = ()) -> Originality:
        """Measure how much of a piece is found in the index.

        Args:
            piece: its sequence; melody notes that are given are excluded, as the module states.
            without: ids of training pieces that don't count, such as the piece itself.
        """
        eligible = _eligible(piece)
        start, stop, owner = self._runs(piece, [self.ids.index(name) for name in without])
        shares, counts = {}, {}
        for n in LENGTHS:
            windows = eligible[n]
            found = _covered(start, stop - n + 1, len(windows)) & windows
            counts[n] = int(windows.sum())
            shares[n] = float(found.sum() / windows.sum()) if windows.any() else 0.0
        if not len(start):
            return Originality(shares, counts, 0, None, -1, None, 0.0)
        longest = int((stop - start).argmax())
        best, share = self._nearest(start, stop, owner, eligible[N])
        length = int(stop[longest] - start[longest])
        return Originality(
            shares, counts, length, self.ids[owner[longest]], int(start[longest]), best, share
        )

    def longest(self, piece: NoteSequence) -> tuple[int, str | None]:
        """Find the longest run: its number of notes, 0 below 12, and its training piece."""
        found = self.originality(piece)
        return found.longest, found.longest_in

    def _nearest(
        self,
        start: NDArray[np.int64],
        stop: NDArray[np.int64],
        owner: NDArray[np.int64],
        windows: NDArray[np.bool_],
    ) -> tuple[str, float]:
        """Find the training piece with the most of the piece's 12-grams, and their share."""
        best, most = 0, -1
        for candidate in np.unique(owner):
            mine = owner == candidate
            shared = int((_covered(start[mine], stop[mine] - N + 1, len(windows)) & windows).sum())
            if shared > most:
                best, most = int(candidate), shared
        return self.ids[best], most / int(windows.sum())

    def _runs(
        self, piece: NoteSequence, without: list[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Find the maximal runs of 12 notes or more with a seed each.

        Returns:
            Runs [start, stop) of the piece, and the training piece of each.
        """
        hashes, seeds = seeds_of(piece, self.mode)
        low, high = (
            np.searchsorted(self.hashes, hashes),
            np.searchsorted(self.hashes, hashes, side="right"),
        )
        count = high - low
        here = np.repeat(seeds, count)
        index = (
            np.arange(count.sum())
            - np.repeat(np.cumsum(count) - count, count)
            + np.repeat(low, count)
        )
        there = self.positions[index].astype(np.int64)
        owner = np.searchsorted(self.starts, there, side="right") - 1
        keep = ~np.isin(owner, without)
        here, there, owner = here[keep], there[keep], owner[keep]
        order = np.lexsort((here, there - here))
        here, there, owner = here[order], there[order], owner[order]
        # Seeds in a row belong to one run: only its first is extended to the left, and only its
        # last to the right.
        apart = (np.diff(there - here) != 0) | (np.diff(here) != 1) | (np.diff(owner) != 0)
        first, last = np.append(True, apart)[: len(here)], np.append(apart, True)[: len(here)]
        start = here[first] - self._extend(piece.pitch, here[first], there[first], owner[first], -1)
        stop = (
            here[last]
            + N
            + self._extend(piece.pitch, here[last] + N - 1, there[last] + N - 1, owner[last], 1)
        )
        return start, stop, owner[first]

    def _extend(
        self,
        pitch: NDArray[np.uint8],
        here: NDArray[np.int64],
        there: NDArray[np.int64],
        owner: NDArray[np.int64],
        step: int,
    ) -> NDArray[np.int64]:
        """Count how many more notes are equal from two places on, to the left or right.

        Equal means equal intervals to the note at ``here`` in the piece and ``there`` in the index,
        which are equal pitches in the exact mode.
        """
        length = np.zeros(len(here), np.int64)
        alive = np.arange(len(here))
        shift = pitch[here].astype(int) - self.pitch[there].astype(int)
        while len(alive):
            a = here[alive] + step * (length[alive] + 1)
            b = there[alive] + step * (length[alive] + 1)
            inside = (
                (a >= 0)
                & (a < len(pitch))
                & (b >= self.starts[owner[alive]])
                & (b < self.starts[owner[alive] + 1])
            )
            alive, a, b = alive[inside], a[inside], b[inside]
            equal = pitch[a].astype(int) - self.pitch[b] == shift[alive]
            alive = alive[equal]
            length[alive] += 1

        return length


def training_indexes(
    library: Library,
    folder: Path,
    tell: Callable[[str], None],
    modes: Sequence[Mode] = ("exact", "intervals"),
) -> list[NgramIndex]:
    """Load the indexes of a library's training pieces, which are kept in a folder.

    Where one has to be built first, ``tell`` is called with a sentence that says so.
    """
    found = []
    for mode in modes:
        path = folder / f"ngrams-{mode}-{library.hash[:16]}.safetensors"
        if not path.exists():
            tell(f"indexing the training pieces ({mode}) …")
            train = library.select(split="train")
            sequences = (packed_sequence(library.notes(i), library.pieces[i].feel) for i in train)
            folder.mkdir(parents=True, exist_ok=True)
            NgramIndex.build(
                [library.pieces[i].id for i in train], sequences, mode, library.hash
            ).save(path)
        found.append(NgramIndex.load(path))
    return found


def _eligible(piece: NoteSequence) -> dict[int, NDArray[np.bool_]]:
    """Mark by n the windows that count: with a seed that isn't all melody."""
    seed = (distinct(piece.pitch, N) >= MIN_DISTINCT) & ~all_melody(piece, N)
    before = np.concatenate([[0], np.cumsum(seed)])
    result = {}
    for n in LENGTHS:
        windows = max(len(piece.pitch) - n + 1, 0)
        result[n] = before[n - N + 1 : n - N + 1 + windows] > before[:windows]
    return result


def _covered(start: NDArray[np.int64], stop: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    """Mark the indices in any of the ranges [start, stop): shape (length,)."""
    change = np.zeros(length + 1, np.int64)
    real = stop > start
    np.add.at(change, start[real], 1)
    np.add.at(change, stop[real], -1)
    return np.cumsum(change)[:length] > 0
