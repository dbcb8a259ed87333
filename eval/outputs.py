"""List the outputs of all systems for all songs and styles.

First the jobs that have to be sampled; once they are, the pieces to measure.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.drawing import to_plain
from eval.sampler import Sampler
from eval.systems import (
    BASE,
    BOTH,
    CHORDS,
    MELODY,
    REAL,
    REAL_PERFORMANCES,
    REAL_SCORES,
    SAMPLED,
    SHUFFLED,
    WRONG,
    Job,
    Song,
    Target,
    wrong_target,
)
from styletransfer.data.library import Library
from styletransfer.evaluation.excerpts import excerpts, shuffled
from styletransfer.evaluation.harmoniser import harmonise
from styletransfer.evaluation.measures.overview import Reference
from styletransfer.music.key import estimate_key
from styletransfer.music.notes import Piece

EXAMPLE_MELODIES, EXAMPLE_STYLES = ("happy-birthday", "god-rest-ye"), 2
"""The melodies that the page shows and plays, and in how many styles."""

REFERENCES, MOST_A_PIECE = 60, 8
"""Real training excerpts that a style's measures are compared with, and how many from a piece."""


@dataclass(frozen=True)
class Output:
    """One output of a system.

    Attributes:
        id: the name of the piece; outputs that share a piece share it.
        group: what is drawn in the bootstrap.
    """

    system: str
    target: str
    song: Song
    seed: int
    id: str
    group: str
    piece: Piece

    @property
    def is_real(self) -> bool:
        """Whether it is an excerpt of real music, shuffled or not."""
        return self.system in REAL


def jobs_of(
    systems: Sequence[str], songs: Sequence[Song], targets: Sequence[Target], seeds: int
) -> list[Job]:
    """List all outputs to be sampled, melody by melody.

    Those of the base without a style are listed only once.
    """
    sampled = [system for system in systems if system in SAMPLED and system != WRONG]
    return [
        (system, song, None if system == BASE else target, seed)
        for seed in range(seeds)
        for song in songs
        for system in sampled
        for target in (targets[:1] if system == BASE else targets)
    ]


def outputs_of(
    systems: Sequence[str],
    songs: Sequence[Song],
    targets: Sequence[Target],
    sampler: Sampler,
    library: Library,
    seeds: int,
) -> list[Output]:
    """List the outputs of all systems for all songs and styles.

    Sampled ones exist already.
    """
    found = []
    for system in systems:
        if system in REAL:
            continue
        for target in targets:
            for song in songs:
                for seed in range(seeds if system in SAMPLED else 1):
                    name, piece = _output(system, song, target, targets, sampler, seed)
                    found.append(Output(system, target.name, song, seed, name, song.slug, piece))

    sampled = [one for one in found if one.system in SAMPLED]
    counts = [
        int(np.median([len(one.piece.notes) for one in sampled if one.song is song]))
        for song in songs
    ]
    for target in targets:
        found += _real(target, songs, counts, library)

    return found


def _output(
    system: str, song: Song, target: Target, targets: Sequence[Target], sampler: Sampler, seed: int
) -> tuple[str, Piece]:
    if system == MELODY:
        return f"{MELODY}/{song.slug}", song.melody
    if system == CHORDS:
        return f"{CHORDS}/{song.slug}", harmonise(song.melody)
    if system == WRONG:
        return sampler.read((BOTH, song, wrong_target(targets, target), seed))
    return sampler.read((system, song, None if system == BASE else target, seed))


def pieces_of(library: Library, target: Target, split: str, feel: str) -> list[int]:
    """Select a style's real pieces."""
    if target.style.kind == "era":
        return library.select(split=split, feel=feel, era=target.style.era)
    return library.select(split=split, feel=feel, composer=target.style.composer)


def _real(
    target: Target, songs: Sequence[Song], notes: Sequence[int], library: Library
) -> list[Output]:
    """Cut held-out excerpts for each song.

    Scores have as many quarters, performances as many notes as the arrangements.
    """
    found = []
    for system, feel in ((REAL_SCORES, "score"), (REAL_PERFORMANCES, "performance")):
        lengths = [song.quarters for song in songs] if feel == "score" else list(map(float, notes))
        real = excerpts(library, pieces_of(library, target, "test", feel), lengths, MOST_A_PIECE)
        for number, (song, one) in enumerate(zip(songs, real, strict=True)):
            if one is None:
                continue
            name = f"{one.id}#{number}"
            found.append(Output(system, target.name, song, 0, name, one.group, one.piece))
            if system == REAL_SCORES:
                noise = shuffled(
                    one.piece, np.random.default_rng(zlib.crc32(f"{name} {target.name}".encode()))
                )
                found.append(
                    Output(
                        SHUFFLED,
                        target.name,
                        song,
                        0,
                        f"shuffled {name} {target.name}",
                        one.group,
                        noise,
                    )
                )

    return found


def reference_of(target: Target, songs: Sequence[Song], library: Library) -> Reference:
    """Cut training scores of a style to the songs' lengths."""
    lengths = [songs[number % len(songs)].quarters for number in range(REFERENCES)]
    found = excerpts(library, pieces_of(library, target, "train", "score"), lengths, MOST_A_PIECE)
    return Reference.of([one.piece for one in found if one is not None])


def examples_of(
    outputs: Sequence[Output], targets: Sequence[str], songs: Sequence[Song]
) -> list[dict[str, Any]]:
    """Return all systems' first outputs for two melodies and styles, with their notes."""
    slugs = [slug for slug in EXAMPLE_MELODIES if slug in {song.slug for song in songs}] or [
        songs[0].slug
    ]
    chosen = targets[:: max(len(targets) // EXAMPLE_STYLES, 1)][:EXAMPLE_STYLES]
    return [
        {
            "system": one.system,
            "target": one.target,
            "melody": one.song.slug,
            "output": one.id,
            "piece": to_plain(one.piece),
        }
        for one in outputs
        if one.seed == 0 and one.song.slug in slugs and one.target in chosen
    ]


def about(song: Song) -> dict[str, Any]:
    """Describe a melody for the report."""
    bar = song.melody.bars[-1] if len(song.melody.bars) else None
    return {
        "slug": song.slug,
        "bars": len(song.melody.bars),
        "notes": len(song.melody.notes),
        "metre": f"{bar['numerator']}/{bar['denominator']}" if bar is not None else "none",
        "key": estimate_key(song.melody.notes).name,
        "octaves_moved": song.octaves,
    }
