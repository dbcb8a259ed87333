"""Is it a copy? The longest run of notes that stands in a training piece, in any transposition.

All 12-grams of the training pieces (:mod:`styletransfer.score.ngrams`, by intervals) are in a Bloom filter (B. Bloom,
"Space/time trade-offs in hash coding with allowable errors", 1970), which ships with the package. A run of r windows in a row
that are all in it, at least one of them a seed, is a match of r + 11 notes. Windows of the given melody alone don't count.

Known deviations from :class:`styletransfer.evaluation.originality.NgramIndex`: the windows of a run may be of several pieces,
so that a length is an upper bound; one window in three hundred is in the filter by accident, so that matches of a single window
aren't told; and which piece it is can't be told (``styletransfer evaluate --data`` can).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.score.ngrams import MIN_DISTINCT, N, NoteSequence, all_melody, distinct, sequence_of, window_hashes
from styletransfer.score.notes import InputError, Piece

PROBES = 8
BITS_A_WINDOW = 12
KIND, VERSION = "styletransfer-copies", 1
COPY = 36
"""Notes of a match from which an arrangement counts as a copy: see docs/decisions.md, "What counts as a copy"."""


@dataclass(frozen=True)
class Copies:
    """The filter: ``bits`` (bytes,) packed. ``about``: the hash of the prepared data that went in."""

    bits: NDArray[np.uint8]
    about: str = ""

    @classmethod
    def build(cls, sequences: Iterable[NoteSequence], about: str = "") -> Copies:
        """The filter of all 12-grams of pieces."""
        hashes = np.unique(
            np.concatenate([np.zeros(0, np.uint64), *(window_hashes(one.pitch, "intervals") for one in sequences)])
        )
        bits = np.zeros(max(math.ceil(len(hashes) * BITS_A_WINDOW / 8), 8) * 8, bool)
        for probe in _probes(hashes, len(bits)):
            bits[probe] = True
        return cls(np.packbits(bits), about)

    def has(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Whether each hash (windows,) is in the filter."""
        found = np.ones(len(hashes), bool)
        for probe in _probes(hashes, 8 * len(self.bits)):
            found &= (self.bits[probe >> 3] >> (7 - (probe & 7)).astype(np.uint8) & 1).astype(bool)
        return found

    def longest(self, piece: NoteSequence) -> tuple[int, None]:
        """Notes of the longest match of a piece, 0 below 13, and that its source isn't known."""
        found = self.has(window_hashes(piece.pitch, "intervals")) & ~all_melody(piece, N)
        position, seed = np.flatnonzero(found), distinct(piece.pitch, N) >= MIN_DISTINCT
        runs = np.split(position, np.flatnonzero(np.diff(position) != 1) + 1)
        longest = max((len(run) for run in runs if seed[run].any()), default=0)
        return longest + N - 1 if longest > 1 else 0, None

    def save(self, path: Path) -> None:
        """Write it as one safetensors file."""
        from safetensors.numpy import save_file

        head = json.dumps({"kind": KIND, "version": VERSION, "probes": PROBES, "about": self.about})
        save_file({"bits": self.bits}, path, metadata={"copies": head})

    @classmethod
    def load(cls, path: Path) -> Copies:
        """The inverse of :meth:`save`.

        Raises:
            InputError: if the file is no such filter, or of another version.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="numpy") as file:
                head = json.loads((file.metadata() or {}).get("copies", "{}"))
                bits = file.get_tensor("bits")
        except (OSError, SafetensorError, ValueError) as error:
            raise InputError(f"{path}: not the index of the training pieces ({error}).") from error
        if (head.get("kind"), head.get("version"), head.get("probes")) != (KIND, VERSION, PROBES):
            raise InputError(f"{path}: not an index of the training pieces of version {VERSION}.")
        return cls(bits, head["about"])


def longest_match(piece: Piece) -> int:
    """Notes of a piece's longest match with the training pieces of the shipped weights; its marked melody is given."""
    return shipped_copies().longest(sequence_of(piece))[0]


@lru_cache(maxsize=1)
def shipped_copies() -> Copies:
    """The filter that comes with the package."""
    return Copies.load(Path(str(resources.files("styletransfer"))) / "assets" / "copies.safetensors")


def _probes(hashes: NDArray[np.uint64], bits: int) -> Iterable[NDArray[np.int64]]:
    """Places (windows,) of each hash in the filter: double hashing by its two halves (Kirsch and Mitzenmacher 2006)."""
    low, high = hashes & np.uint64(0xFFFFFFFF), hashes >> np.uint64(32) | np.uint64(1)
    for k in range(PROBES):
        yield ((low + np.uint64(k) * high) % np.uint64(bits)).astype(np.int64)
