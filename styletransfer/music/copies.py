"""Is it a copy? The longest run of notes that stands in a training piece.

Transposed runs count. All 12-grams of the training pieces, and those of their accompaniments
(:mod:`styletransfer.music.ngrams`, by intervals), are in a Bloom filter (B. Bloom, "Space/time
trade-offs in hash coding with allowable errors", 1970), which ships with the package. A run of r
consecutive windows that are all in it, at least one of them a seed, is a match of r + 11 notes.
Windows of the given melody alone don't count. The accompaniment is looked up by itself too: a copy
under another melody shows only there.

The longest matches of real pieces with each other are scales in octaves. So what makes a copy is
the *telling* part of a match: its windows with at least :data:`VARIETY` different intervals.

Known deviations from :class:`styletransfer.evaluation.measures.originality.NgramIndex`: the windows
of a run may be of several pieces, so that a length is an upper bound; one window in fifty is in the
filter by accident, so that runs of less than :data:`FEWEST` windows aren't reported; and the piece
itself can't be named (``styletransfer evaluate --data`` names it).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.files import LARGEST_INDEX, check_size, parse_json
from styletransfer.folders import COPIES, weights_folder
from styletransfer.music.ngrams import (
    MIN_DISTINCT,
    N,
    NoteSequence,
    accompaniment_of,
    all_melody,
    distinct,
    sequence_of,
    variety,
    window_hashes,
)
from styletransfer.music.notes import Piece

PROBES = 6
BITS_A_WINDOW = 8
KIND, VERSION = "styletransfer-copies", 1
FEWEST = 3
"""The fewest windows of a match; three in a row are in the filter by accident once in a hundred
thousand notes."""
VARIETY = 5
"""The fewest different intervals in a telling window, which has eleven intervals."""
SHORT = 128
"""Notes of music up to which the limit for a copy is the same."""
COPY, COPY_DOUBLED = 23, 6
"""The telling notes of a match that make a copy of music of :data:`SHORT` notes or less, and how
many more are needed for each doubling; see docs/decisions/0027, "What counts as a copy"."""


@dataclass(frozen=True)
class Match:
    """The longest match of a piece with the training pieces.

    ``notes`` is the length of the longest match, 0 for none; ``telling`` are the telling notes of
    the match that has the most of them.
    """

    notes: int = 0
    telling: int = 0

    def is_copy(self, notes: int) -> bool:
        """Return whether the match makes music of so many notes a copy."""
        return self.telling >= copy_from(notes)


NO_MATCH = Match()


def copy_from(notes: int) -> float:
    """Return the telling notes from which on music of so many notes is a copy."""
    return COPY + COPY_DOUBLED * math.log2(max(notes / SHORT, 1))


@dataclass(frozen=True)
class Copies:
    """The filter of training pieces.

    ``bits`` are packed, shape (bytes,); ``about`` is the hash of the prepared data that went in.
    """

    bits: NDArray[np.uint8]
    about: str = ""

    @classmethod
    def build(cls, sequences: Iterable[NoteSequence], about: str = "") -> Copies:
        """Build the filter of all 12-grams of pieces."""
        hashes = np.unique(
            np.concatenate(
                [
                    np.zeros(0, np.uint64),
                    *(window_hashes(one.pitch, "intervals") for one in sequences),
                ]
            )
        )
        bits = np.zeros(max(math.ceil(len(hashes) * BITS_A_WINDOW / 8), 8) * 8, bool)
        for probe in _probes(hashes, len(bits)):
            bits[probe] = True
        return cls(np.packbits(bits), about)

    def has(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return whether each hash is in the filter, shape (windows,)."""
        found = np.ones(len(hashes), bool)
        for probe in _probes(hashes, 8 * len(self.bits)):
            found &= (self.bits[probe >> 3] >> (7 - (probe & 7)).astype(np.uint8) & 1).astype(bool)
        return found

    def match(self, piece: NoteSequence) -> Match:
        """Find the longest match of a piece."""
        found = self.has(window_hashes(piece.pitch, "intervals")) & ~all_melody(piece, N)
        position, seed = np.flatnonzero(found), distinct(piece.pitch, N) >= MIN_DISTINCT
        runs = np.split(position, np.flatnonzero(np.diff(position) != 1) + 1)
        runs = [run for run in runs if len(run) >= FEWEST and seed[run].any()]
        if not runs:
            return NO_MATCH
        telling = variety(piece.pitch, N) >= VARIETY
        return Match(
            max(map(len, runs)) + N - 1, max(int(telling[run].sum()) for run in runs) + N - 1
        )

    def longest(self, piece: NoteSequence) -> tuple[int, None]:
        """Return the notes of the longest match of a piece, 0 for none.

        The second value is None: the source of the match isn't known.
        """
        return self.match(piece).notes, None

    def save(self, path: Path) -> None:
        """Write the filter as one safetensors file."""
        from safetensors.numpy import save_file

        head = json.dumps({"kind": KIND, "version": VERSION, "probes": PROBES, "about": self.about})
        save_file({"bits": self.bits}, path, metadata={"copies": head})

    @classmethod
    def load(cls, path: Path) -> Copies:
        """Load a filter that :meth:`save` wrote.

        Raises:
            InputError: where the file is no such filter, or of another version.
        """
        from safetensors import SafetensorError, safe_open

        try:
            check_size(path, LARGEST_INDEX)
            with safe_open(str(path), framework="numpy") as file:
                head = parse_json((file.metadata() or {}).get("copies", "{}"))
                if not isinstance(head, dict) or not isinstance(head.setdefault("about", ""), str):
                    raise ValueError("its head is damaged")
                bits = file.get_tensor("bits")
                if bits.dtype != np.uint8 or bits.ndim != 1 or not len(bits):
                    raise ValueError("it has no bits")
        except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as error:
            # TypeError and AttributeError: types that numpy doesn't have
            raise InputError(f"{path}: not the index of the training pieces ({error}).") from error
        if (head.get("kind"), head.get("version"), head.get("probes")) != (KIND, VERSION, PROBES):
            raise InputError(f"{path}: not an index of the training pieces of version {VERSION}.")
        return cls(bits, head["about"])


def match_of(piece: Piece, indexes: Sequence[Copies]) -> Match:
    """Find the longest match of a piece or of its accompaniment with any index.

    The melody that is marked counts as given.
    """
    return match_of_sequences([sequence_of(piece), accompaniment_of(piece)], indexes)


def match_of_sequences(sequences: Sequence[NoteSequence], indexes: Sequence[Copies]) -> Match:
    """Find the longest match of any sequence with any index."""
    found = [index.match(one) for index in indexes for one in sequences]
    return Match(max(one.notes for one in found), max(one.telling for one in found))


@lru_cache(maxsize=1)
def shipped_copies() -> Copies:
    """Load the filter that comes with the weights."""
    return Copies.load(weights_folder() / COPIES)


def _probes(hashes: NDArray[np.uint64], bits: int) -> Iterable[NDArray[np.int64]]:
    """Yield the places of each hash in the filter, shape (windows,), for each probe.

    Double hashing by the two halves of the hash (Kirsch and Mitzenmacher 2006).
    """
    low, high = hashes & np.uint64(0xFFFFFFFF), hashes >> np.uint64(32) | np.uint64(1)
    for k in range(PROBES):
        yield ((low + np.uint64(k) * high) % np.uint64(bits)).astype(np.int64)
