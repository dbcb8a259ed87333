"""The systems of the transfer report, and the songs and styles that they are asked for."""

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
    """A melody to arrange: ``source`` as it was read, its melody marked; ``melody`` as it is
    arranged, ``octaves`` higher. ``number``: its place among all songs, which tells its half of
    cross-fit adapters and judges."""

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
    """A style that is asked for. ``adapters``: by half of the songs, the style whose adapter is
    used, of each training run; empty for none."""

    style: Style
    adapters: dict[str, tuple[Style, ...]]

    @property
    def name(self) -> str:
        return self.style.name


Job = tuple[str, Song, Target | None, int]
"""An output that is asked for: the system, the melody, the style (None for the base), and the
number of its seed, from 0.
"""


def songs_in(folder: Path) -> list[Song]:
    """The songs of a folder of ABC files, by name.

    Raises:
        InputError: where there is none.
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
    """The styles by name, with their adapters on the base of that hash, and sentences on what is
    missing.

    ``crossfit``: of each training run, a folder with the adapters NAME-A and NAME-B; a style that
    has none there has its own for both halves.
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
                f"{name} has no adapters of two halves in {places}: its own is used for all melodies."
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
    """The style that is asked for instead: half the list further on, so that nobody keeps his own.
    None for one style.
    """
    place = (list(targets).index(target) + max(len(targets) // 2, 1)) % len(targets)
    return targets[place] if targets[place] != target else None


def systems_for(targets: Sequence[Target]) -> tuple[list[str], list[str]]:
    """Systems that can be run for all of these styles, and sentences on those that are left out."""
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
