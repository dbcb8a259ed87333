"""Define the transfer report's systems, and their songs and styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from styletransfer.errors import InputError
from styletransfer.evaluation.crossfit import HALVES
from styletransfer.formats.read import read_song
from styletransfer.music.melody import marked
from styletransfer.music.notes import Piece
from styletransfer.styles.card import Style
from styletransfer.styles.find import find_style, style_at

MELODY, CHORDS, BASE, TAG, ADAPTER, BOTH, WRONG = (
    "melody",
    "chords",
    "base",
    "tag",
    "adapter",
    "tag+adapter",
    "wrong",
)
REAL_SCORES, REAL_PERFORMANCES, SHUFFLED = "real scores", "real performances", "shuffled"
LABELS = {
    MELODY: "melody alone",
    CHORDS: "block chords, by rules",
    BASE: "base, no style",
    TAG: "tag only",
    ADAPTER: "adapter only",
    BOTH: "tag + adapter",
    WRONG: "wrong tag and adapter",
    REAL_SCORES: "real held-out scores (ceiling)",
    REAL_PERFORMANCES: "real held-out performances",
    SHUFFLED: "shuffled notes of the real scores (floor)",
}
SAMPLED, REAL = (BASE, TAG, ADAPTER, BOTH, WRONG), (REAL_SCORES, REAL_PERFORMANCES, SHUFFLED)


@dataclass(frozen=True)
class Song:
    """A melody to arrange.

    Attributes:
        slug: its name.
        number: its place among all songs, which decides its half of cross-fit adapters and judges.
        source: as it was read, with its melody marked.
        melody: as it is arranged.
        octaves: by how much ``melody`` is higher than in ``source``.
    """

    slug: str
    number: int
    source: Piece
    melody: Piece
    octaves: int

    @property
    def half(self) -> str:
        """The half whose adapter arranges it: A for even numbers, B for odd ones."""
        return HALVES[self.number % 2]

    @property
    def quarters(self) -> float:
        """The length of its bars."""
        bars = self.melody.bars
        return float(bars["length"].sum()) if len(bars) else float(self.melody.notes["onset"].max())


@dataclass(frozen=True)
class Target:
    """A style that is asked for.

    Attributes:
        style: the style.
        adapters: by half of the songs, the style whose adapter is used, for each training run;
            empty for none.
    """

    style: Style
    adapters: dict[str, tuple[Style, ...]]

    @property
    def name(self) -> str:
        """The style's name."""
        return self.style.name


Job = tuple[str, Song, Target | None, int]
"""An output that is asked for: system, melody, style (None for the base), and seed from 0."""


def songs_in(folder: Path) -> list[Song]:
    """Read the songs of a folder of ABC files, by name.

    Raises:
        InputError: if there is none.
    """
    from styletransfer.transfer.source import find_melody

    found = []
    for number, path in enumerate(sorted(folder.glob("*.abc"))):
        source = read_song(str(path))
        melody, octaves = find_melody(source)
        found.append(Song(path.stem, number, marked(source), melody, octaves))
    if not found:
        raise InputError(f"{folder}: there are no melodies (*.abc) in it.")
    return found


def targets_of(
    names: Sequence[str], base: str, crossfit: Sequence[Path] = ()
) -> tuple[list[Target], list[str]]:
    """Find styles with their adapters.

    Args:
        names: of the styles.
        base: the hash of the base that the adapters must fit.
        crossfit: for each training run, a folder with the adapters NAME-A and NAME-B; a style that
            has none there uses its own for both halves.

    Returns:
        The styles, and sentences on what is missing.
    """
    found, remarks = [], []
    for name in names:
        style = find_style(name)
        halves: dict[str, tuple[Style, ...]] = dict.fromkeys(HALVES, (style,))
        lacking = [
            run.name for run in crossfit for half in HALVES if not (run / f"{name}-{half}").is_dir()
        ]
        if lacking:
            places = ", ".join(dict.fromkeys(lacking))
            remarks.append(
                f"{name} has no adapters of two halves in {places}: "
                "its own is used for all melodies."
            )
        elif crossfit:
            halves = {
                half: tuple(style_at(run / f"{name}-{half}") for run in crossfit) for half in HALVES
            }

        fitting = {
            half: runs
            for half, runs in halves.items()
            if all(one.card and one.card.base == base for one in runs)
        }
        if len(fitting) < len(HALVES):
            why = "has no adapter" if style.card is None else "has an adapter of another base"
            remarks.append(f"{name} {why}: it is known by its tag alone.")
            fitting = {}

        found.append(Target(style, fitting))

    return found, remarks


def wrong_target(targets: Sequence[Target], target: Target) -> Target | None:
    """Choose the style asked for instead, half the list further on.

    So none keeps its own.

    Returns:
        None where there is one style only.
    """
    place = (list(targets).index(target) + max(len(targets) // 2, 1)) % len(targets)
    return targets[place] if targets[place] != target else None


def systems_for(targets: Sequence[Target]) -> tuple[list[str], list[str]]:
    """List the systems for all of these styles, and sentences on those left out."""
    bare = [target.name for target in targets if not target.adapters]
    out = []
    if bare:
        out = [ADAPTER, BOTH, WRONG]
    elif len(targets) < 2:
        out = [WRONG]
    why = (
        f"{', '.join(bare)} {'has' if len(bare) == 1 else 'have'} no adapter"
        if bare
        else "there is one style only"
    )
    return [name for name in LABELS if name not in out], [
        f"left out: {LABELS[name]} ({why})." for name in out
    ]
