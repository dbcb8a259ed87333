"""Names of the qualities of chords; their intervals are in :mod:`styletransfer.music.chords`."""

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
"""By their index, which chord tables hold."""

NONE = -1
"""The quality, root and bass of a span without a chord."""
