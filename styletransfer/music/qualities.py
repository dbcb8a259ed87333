"""The names of the qualities of chords.

Their intervals are in :mod:`styletransfer.music.chords`.
"""

QUALITIES = (
    "major",
    "minor",
    "diminished",
    "augmented",
    "dominant-seventh",
    "major-seventh",
    "minor-seventh",
    "half-diminished",
    "diminished-seventh",
)
"""The qualities; chord tables hold an index into them."""

NONE = -1
"""The quality, root and bass of a span without a chord."""
