"""Measure whether two hands can play what is written.

    python -m benchmarks.hands SONGS… --composers SCORES… --arrangements 1000 \\
        --write benchmarks/hands.md

``SONGS``: folders of songs; each song is arranged after the next of some styles, in eight
candidates, all of which count, until every folder has its share of the arrangements. ``SCORES``:
folders of piano scores by composers, the first 2,000 notes of each.

Hands *hold* the notes that begin at an onset and those that still last, the tune's among them:
each hand five notes at most, within a ninth; hands don't cross. *As divided* asks the same of the
hands that the MIDI tracks name, where the tune may be in either. A hand *travels* the semitones by
which it has to be moved from one onset to the next, from where it is within reach of the notes it
struck to where it reaches the next ones.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np

from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import page, table
from styletransfer.formats.read import read_score
from styletransfer.music.ensemble import stated_parts
from styletransfer.music.grip import FINGERS, SPAN
from styletransfer.music.hands import LEFT, RIGHT, split_under
from styletransfer.music.notes import Piece, TempoMap
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import request_of

STYLES = ("bach", "mozart", "schubert", "chopin", "schumann", "debussy", "romantic", "joplin")
CANDIDATES = 8
MOST_NOTES = 2000
STEPS = 96
"""Places of a quarter that onsets and ends are rounded to."""
COLUMNS = (
    "music",
    "pieces",
    "onsets",
    "hands can't hold",
    "as divided",
    "travel: 99 %, semitones/s",
    "99.9 %",
    "most",
)
HAND_OF_PART = np.array([-1, RIGHT, LEFT])
"""The hand of each of a pianist's parts; the tune may be in either."""
Notes = list[tuple[int, int, int, int]]
"""Onset, end, pitch and hand of each note; the hand of the tune's is -1."""


def notes_of(piece: Piece) -> Notes:
    """List the first notes of a piece, with hands named by its tracks or found."""
    notes = piece.notes[np.argsort(piece.notes["onset"], kind="stable")][:MOST_NOTES]
    stated = stated_parts(piece.with_notes(notes))
    hands = split_under(notes, notes[:0]) if stated is None else HAND_OF_PART[stated]
    begin = np.round(notes["onset"] * STEPS).astype(int)
    end = np.round((notes["onset"] + notes["duration"]) * STEPS).astype(int)
    return list(
        zip(begin.tolist(), end.tolist(), notes["pitch"].tolist(), hands.tolist(), strict=True)
    )


def fits(pitches: set[int]) -> bool:
    """Return whether one hand holds these notes."""
    return len(pitches) <= FINGERS and max(pitches, default=0) - min(pitches, default=0) <= SPAN


def held(notes: Notes) -> Iterator[tuple[bool, bool]]:
    """Yield for each onset whether two hands, and whether these, can hold its notes."""
    sounding: Notes = []
    for now in sorted({begin for begin, *_ in notes}):
        struck = [note for note in notes if note[0] == now]
        sounding = [note for note in sounding if note[1] > now] + struck
        pitches = sorted({pitch for _, _, pitch, _ in sounding})
        possible = any(
            fits(set(pitches[:part])) and fits(set(pitches[part:]))
            for part in range(len(pitches) + 1)
        )
        left, right, tune = (
            {pitch for _, _, pitch, hand in sounding if hand == one} for one in (LEFT, RIGHT, -1)
        )
        divided = any(
            fits(left | {one for one in tune if one < line})
            and fits(right | {one for one in tune if one >= line})
            for line in (*tune, 128)
        )
        yield possible, divided


def travel(notes: Notes, tempo: TempoMap) -> list[float]:
    """List the semitones per second that each hand travels from onset to onset."""
    found = []
    for hand in (LEFT, RIGHT):
        struck: dict[int, list[int]] = {}
        for begin, _, pitch, own in notes:
            if own == hand or (own == -1 and hand == RIGHT):
                struck.setdefault(begin, []).append(pitch)
        places = sorted(struck)
        seconds = tempo.to_seconds(np.array(places) / STEPS)
        for (before, now), time in zip(pairwise(places), np.diff(seconds), strict=True):
            old, new = struck[before], struck[now]
            way = max(0, max(new) - min(old) - SPAN, max(old) - SPAN - min(new))
            found.append(way / float(time))
    return found


def row(name: str, pieces: Iterable[Piece]) -> tuple[str, ...]:
    """Measure some pieces: a row of the table."""
    count = onsets = not_held = not_divided = 0
    ways: list[float] = []
    for piece in pieces:
        notes = notes_of(piece)
        for possible, divided in held(notes):
            onsets, not_held = onsets + 1, not_held + (not possible)
            not_divided += not divided
        ways += travel(notes, piece.tempo)
        count += 1
    high = np.quantile(ways, [0.99, 0.999, 1.0])
    return (
        name,
        f"{count:,}",
        f"{onsets:,}",
        f"{not_held:,} ({not_held / onsets:.4f})",
        f"{not_divided:,} ({not_divided / onsets:.4f})",
        *(f"{one:.0f}" for one in high),
    )


def arranged(folder: Path, count: int) -> Iterator[Piece]:
    """Yield so many arrangements of the songs of a folder."""
    songs = sorted(folder.glob("*.mid"))
    made = 0
    for turn, (song, style) in enumerate(zip(cycle(songs), cycle(STYLES), strict=False)):
        options = {"candidates": CANDIDATES, "choose": "whole", "seed": turn // len(songs)}
        result = apply(request_of(song, style, **options))
        if result.piece.feel != "score":
            continue
        yield from result.candidates[: count - made]
        made += len(result.candidates)
        print(f"{made} arrangements", file=sys.stderr, flush=True)
        if made >= count:
            return


def main(argv: list[str] | None = None) -> int:
    parser = recipe_parser(__doc__)
    parser.add_argument("songs", nargs="+", type=Path)
    parser.add_argument("--composers", nargs="*", type=Path, default=[])
    parser.add_argument("--arrangements", type=int, default=1000)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)

    count = arguments.arrangements // len(arguments.songs)
    rows = [
        row(f"arrangements, {folder.parent.name}/{folder.name}", arranged(folder, count))
        for folder in arguments.songs
    ]
    for folder in arguments.composers:
        scores = sorted(path for path in folder.rglob("*.mid"))[:40]
        rows.append(row(folder.name, (read_score(path) for path in scores)))
    found = table(COLUMNS, rows)
    print(found)
    if arguments.write:
        arguments.write.write_text(page("Two hands", __doc__, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
