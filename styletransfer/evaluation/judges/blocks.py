"""List the blocks of the judges' features: what each counts, and where it stands.

The features themselves are made in :mod:`styletransfer.evaluation.judges.features`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WIDE = 24
"""Semitones; in histograms, wider intervals count as this one."""

NARROW = 9
"""The same in pairs of intervals."""

LOWEST, PER_BIN, BINS = 21, 6, 16
"""Register: the piano's lowest note, semitones of a bin, and the number of bins."""

LAGS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Onsets after which a figure may return."""

CHORDS = {
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "diminished": (0, 3, 6),
    "augmented": (0, 4, 8),
    "dominant seventh": (0, 4, 7, 10),
    "minor seventh": (0, 3, 7, 10),
    "diminished seventh": (0, 3, 6, 9),
}


@dataclass(frozen=True)
class Block:
    """Features of one kind.

    Attributes:
        name: of the block.
        labels: what each feature counts, for people to read.
    """

    name: str
    labels: tuple[str, ...]

    @property
    def size(self) -> int:
        """The number of its features."""
        return len(self.labels)


def _signed(reach: int) -> tuple[str, ...]:
    return tuple(f"{step:+d}" if step else "0" for step in range(-reach, reach + 1))


def _pairs(labels: tuple[str, ...], count: int = 2) -> tuple[str, ...]:
    result = labels
    for _ in range(count - 1):
        result = tuple(f"{first} {second}" for first in result for second in labels)
    return result


RATIO_NAMES = ("much shorter", "shorter", "same", "longer", "much longer")
_UNIT_NAMES = ("under 1/5", "1/4", "1/2", "1", "2", "4", "8", "over 10")
_DOWNWARDS = ("octave down", "leap down", "fourth down", "third down", "second down")
STEP_NAMES = (*_DOWNWARDS, "repeat", "second up", "third up", "fourth up", "leap up", "octave up")
_DEGREES = tuple(f"{step} in {mode}" for mode in ("major", "minor") for step in range(12))
_SIZES = tuple(str(size) for size in range(1, 6))
_MOVES = _pairs(STEP_NAMES)
_SETS = tuple(
    "bass " + " ".join(str(tone + 1) for tone in range(11) if bits >> tone & 1)
    for bits in range(2048)
)
_REGISTERS = tuple(f"around {LOWEST + PER_BIN * step}" for step in range(BINS))
_MOTIONS = tuple(
    f"bass {low} top {high}" for low in ("down", "stays", "up") for high in ("down", "stays", "up")
)

BLOCKS = (
    Block("melody interval", _signed(WIDE)),
    Block("bass interval", _signed(WIDE)),
    Block("melody pair", _pairs(_signed(NARROW))),
    Block("bass pair", _pairs(_signed(NARROW))),
    Block("left hand pair", _pairs(_signed(NARROW))),
    Block("right hand pair", _pairs(_signed(NARROW))),
    *(Block(f"interval {lag} notes later", _signed(WIDE)) for lag in (1, 2, 3, 4)),
    Block(
        "melody and rhythm",
        tuple(f"{step}, {ratio}" for step in STEP_NAMES for ratio in RATIO_NAMES),
    ),
    Block("melody contour", _pairs(STEP_NAMES, 3)),
    Block("bass contour", _pairs(STEP_NAMES, 3)),
    Block("interval above the bass", tuple(str(step) for step in range(37))),
    Block("spacing in a chord", tuple(str(step) for step in range(1, 26))),
    Block("tones above the bass", _SETS),
    Block("tones of a right-hand chord", _SETS),
    Block("outer interval pair", _pairs(tuple(str(step) for step in range(12)))),
    Block("outer motion", _MOTIONS),
    Block("nearest note next", _signed(12)),
    Block("degree", _DEGREES),
    Block("degree in the bass", _DEGREES),
    Block("degree in the melody", _DEGREES),
    Block("chord", tuple(f"{name} on {degree}" for name in CHORDS for degree in _DEGREES)),
    Block(
        "chord change",
        tuple(f"{pair}, root +{step}" for pair in _pairs(tuple(CHORDS)) for step in range(12)),
    ),
    Block("pitch classes in a window", tuple(str(count) for count in range(1, 13))),
    Block("distance of onsets", _UNIT_NAMES),
    Block("distance of melody notes", _UNIT_NAMES),
    Block("distance of bass notes", _UNIT_NAMES),
    Block("rhythm", _pairs(RATIO_NAMES, 3)),
    Block("melody rhythm", _pairs(RATIO_NAMES, 3)),
    Block("bass rhythm", _pairs(RATIO_NAMES, 3)),
    Block("notes on an onset", tuple(str(size) for size in range(1, 10))),
    Block("notes on three onsets", _pairs(_SIZES, 3)),
    Block(
        "notes in the hands",
        tuple(f"{low} low {high} high" for low in range(6) for high in range(6)),
    ),
    Block("span of a chord", tuple(f"{4 * step} to {4 * step + 3}" for step in range(16))),
    Block("span of the left hand", tuple(str(step) for step in range(25))),
    Block("span of the right hand", tuple(str(step) for step in range(25))),
    Block("gap between the hands", tuple(str(step) for step in range(-6, 31))),
    Block("pitch", _REGISTERS),
    Block("pitch of the melody", _REGISTERS),
    Block("pitch of the bass", _REGISTERS),
    Block(
        "comes back",
        tuple(
            f"{what} after {lag}"
            for what in ("melody", "bass", "chord size", "rhythm")
            for lag in LAGS
        ),
    ),
    Block(
        "moment", ("pitch spread", "melody spread", "bass spread", "range", "clarity of the key")
    ),
)
"""All blocks, in the order of the columns."""

SIZE = sum(block.size for block in BLOCKS)
NAMES = tuple(f"{block.name}: {label}" for block in BLOCKS for label in block.labels)
"""The names of the features, shape (SIZE,)."""

REGISTER = ("pitch", "pitch of the melody", "pitch of the bass")
"""Blocks that depend on absolute pitch."""

_EDGES = np.cumsum([0, *(block.size for block in BLOCKS)]).tolist()
_COLUMNS = {block.name: slice(_EDGES[k], _EDGES[k + 1]) for k, block in enumerate(BLOCKS)}


def block_columns(name: str) -> slice:
    """Give the columns of one block."""
    return _COLUMNS[name]
