"""Report bits per note of held-out pieces by feel and composer, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.intervals import DRAWS, ratio_interval

if TYPE_CHECKING:
    from styletransfer.data.library import Library

SEED = 0


def bits_report(
    library: Library, pieces: Iterable[int], bits: NDArray[np.float64], about: dict[str, Any]
) -> dict[str, Any]:
    """Report bits per note of held-out pieces, as plain data.

    They are given by feel, by feel and composer, and for each piece.

    Args:
        library: where the pieces are.
        pieces: indices into the library.
        bits: the bits of each whole piece, shape (pieces,).
        about: which model, split and sequences; copied to the head of the report.
    """
    chosen = [library.pieces[index] for index in pieces]
    feels = np.array([piece.feel for piece in chosen])
    composers = np.array([piece.composer for piece in chosen])
    notes = np.array([piece.count for piece in chosen], float)
    groups = [piece.group for piece in chosen]

    def cell(rows: NDArray[np.bool_]) -> dict[str, Any]:
        inside = np.flatnonzero(rows)
        rng = np.random.default_rng(SEED)
        interval = ratio_interval(bits[inside], notes[inside], [groups[i] for i in inside], rng)
        return {
            "bits_per_note": round(interval.value, 4),
            "interval": None
            if math.isnan(interval.low)
            else [round(interval.low, 4), round(interval.high, 4)],
            "pieces": len(inside),
            "groups": interval.groups,
            "notes": int(notes[inside].sum()),
        }

    by_composer = {
        feel: {
            name: cell((feels == feel) & (composers == name))
            for name in sorted(set(composers[feels == feel]))
        }
        for feel in sorted(set(feels))
    }
    return {
        **about,
        "draws": DRAWS,
        "feels": {feel: cell(feels == feel) for feel in sorted(set(feels))},
        "composers": by_composer,
        "pieces": [
            {
                "id": piece.id,
                "feel": piece.feel,
                "notes": piece.count,
                "bits": round(float(value), 1),
            }
            for piece, value in zip(chosen, bits, strict=True)
        ],
    }
