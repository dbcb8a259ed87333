"""Draw the figures with which candidates begin.

A figure is a bar of accompaniment from a piece of the style. A composer's own figures in the tune's
metre are preferred, then those of the era, then any; of these, the ones of about the tune's tempo.
They are moved to the tune's key, given to the model as ``FIGURE``, and followed as far as it likes.
A piece that is a style by itself has its own figures; where none is in the tune's metre, its
commonest bars are cut, or filled, to the tune's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.library import doublings
from styletransfer.folders import ASSETS
from styletransfer.music.key import Key, estimate_key
from styletransfer.music.notes import Piece, beat_of
from styletransfer.styles.blend import parse_style
from styletransfer.styles.card import Style
from styletransfer.styles.example import Example, load_example
from styletransfer.tokens.codec import HIGHEST_PITCH, LOWEST_PITCH, STEPS_PER_QUARTER, Codec, Event
from styletransfer.tokens.controls import UNKNOWN, metre_of_token
from styletransfer.tokens.figures import accompaniment, carried_on, figures_of
from styletransfer.tokens.plan import Plan
from styletransfer.transfer.difficulty import AS_IT_IS, DIFFICULTIES, Difficulty

if TYPE_CHECKING:
    from styletransfer.transfer.request import Request

ENOUGH = 24
"""The fewest figures to draw from, where there are that many."""
MOST_BARS, MOST_FIGURES = 160, 4
"""The most bars of a piece that are looked at, and figures taken from it in one metre."""
FAITH = 4.0
"""Nats added where a bar follows a figure of a piece that is the style (docs/decisions/0052)."""
FAITH_BY_NAME = 2.0
"""The same for a figure of the style's own pieces."""
RARE = 0.5
"""The fewest bars with a figure, for each bar with the piece's commonest one."""
TEMPO_WEIGHT = 4.0
"""How much less often figures of another tempo are drawn: by a factor of 2 to the power of this,
for each doubling or halving."""


@dataclass(frozen=True)
class Library:
    """Figures, and the notes of each.

    ``rows``: the piece of each figure. ``notes``, shape (notes, 4): figure, step, duration, pitch.
    ``first``, shape (figures + 1,): where the notes of each figure begin.
    """

    rows: list[dict[str, Any]]
    notes: NDArray[np.int16]
    first: NDArray[np.int64]

    def onsets(self, index: int) -> list[int]:
        """Give the step at which each note of a figure begins."""
        steps: list[int] = self.notes[self.first[index] : self.first[index + 1], 1].tolist()
        return steps

    def events(self, index: int, semitones: int) -> tuple[Event, ...]:
        """Give the notes of a figure, moved by semitones."""
        rows = self.notes[self.first[index] : self.first[index + 1]].tolist()
        moved = [(step, duration, pitch + semitones) for _, step, duration, pitch in rows]
        return tuple(Event(*row, -1) for row in moved if LOWEST_PITCH <= row[2] <= HIGHEST_PITCH)


@lru_cache(maxsize=1)
def shipped_figures() -> Library:
    """Load the figures that come with the package."""
    from safetensors import safe_open

    path = ASSETS / "figures.safetensors"
    with safe_open(str(path), framework="numpy") as file:
        rows = json.loads(file.metadata()["figures"])["figures"]
        notes = file.get_tensor("notes")
    return library_of(rows, notes)


def writes_songs(composer: str, era: str, library: Library | None = None) -> bool:
    """Report whether most of a composer's figures accompany a tune in another part.

    Of a composer without figures, those of the era decide.
    """
    rows = (library or shipped_figures()).rows
    own = [row for row in rows if row["composer"] == composer != UNKNOWN]
    own = own or [row for row in rows if row["era"] == era != UNKNOWN]
    songs = [row for row in own if row["tune"] == "part"]
    return 2 * len(songs) > len(own)


@dataclass(frozen=True)
class Tune:
    """What figures have to suit.

    ``kind``: ``part`` or ``texture``: what the tune is in the pieces that are preferred. ``metre``,
    ``length``: the bar's token, and its steps. ``difficulty``, and the ``gap`` between onsets in
    steps: what figures may ask of the player.
    """

    kind: str
    metre: str
    length: int
    quarters_per_minute: float
    key: Key
    difficulty: Difficulty = AS_IT_IS
    gap: int = 0


def draw_figures(
    composer: str, era: str, tune: Tune, count: int, seed: int, library: Library | None = None
) -> tuple[tuple[Event, ...], ...]:
    """Draw different figures; none where there are none in the metre.

    Args:
        composer: of the style; may be unknown.
        era: of the style; may be unknown.
        tune: what they have to suit.
        count: how many.
        seed: the same gives the same.
        library: another one than the package's.
    """
    own = library or shipped_figures()
    fits = [
        index
        for index, row in enumerate(own.rows)
        if (row["metre"], row["length"]) == (tune.metre, tune.length)
        and tune.difficulty.suits(own.onsets(index), tune.gap)
    ]

    def tier(index: int) -> int:
        row = own.rows[index]
        other_tune = int(row["tune"] != tune.kind)
        if row["composer"] == composer != UNKNOWN:
            return other_tune
        return other_tune + (2 if row["era"] == era != UNKNOWN else 4)

    tiers = np.array([tier(index) for index in fits])
    pool: list[int] = []
    for level in np.unique(tiers).tolist():
        pool += [index for index, one in zip(fits, tiers, strict=True) if one == level]
        if len(pool) >= ENOUGH:
            break
    if not pool:
        return ()
    if tune.difficulty.busiest < 1:
        pool.sort(key=lambda index: -len(set(own.onsets(index))))
        del pool[max(round(tune.difficulty.busiest * len(pool)), count) :]

    tempos = np.array([own.rows[index]["quarters_per_minute"] for index in pool], float)
    octaves = np.log2(np.maximum(tempos, 1) / max(tune.quarters_per_minute, 1))
    weights = 2.0 ** (-TEMPO_WEIGHT * np.abs(octaves))
    rng = np.random.default_rng((seed, 0xF16))
    drawn = rng.choice(len(pool), min(count, len(pool)), replace=False, p=weights / weights.sum())
    found = []
    for place in drawn.tolist():
        up = (tune.key.tonic - own.rows[pool[place]]["tonic"] + 6) % 12 - 6
        found.append(own.events(pool[place], up))
    return tuple(found[k % len(found)] for k in range(count))


@lru_cache(maxsize=8)
def example_library(example: Example, codec: Codec) -> Library:
    """Collect the figures of a piece: for each metre those that most of its bars have.

    Each row has the ``bar`` that it is from (from 1; a pick-up is 0), and how many are ``like`` it.
    """
    piece = example.piece
    notes = piece.notes[~doublings(piece.notes)] if example.tune == "part" else piece.notes
    grid = codec.grid_of("score", notes, piece.bars)
    of_bars = figures_of(codec, grid)
    kinds = list(zip(grid.bar_metre, grid.bar_length.tolist(), strict=True))
    number = 1 - (grid.bar_start[0] < 0)

    rows: list[dict[str, Any]] = []
    played: list[tuple[int, int, int, int]] = []
    for metre, length in dict.fromkeys(kinds):
        own = [
            figure if kind == (metre, length) else {}
            for figure, kind in zip(of_bars, kinds, strict=True)
        ]
        found = carried_on(own, MOST_BARS)
        for bar, like in found[:MOST_FIGURES]:
            if like < RARE * found[0][1]:
                break
            events = accompaniment(codec.bar_events(grid, bar), codec.melody_events(grid, bar))
            played += [(len(rows), event.step, event.duration, event.pitch) for event in events]
            rows.append(
                {
                    "composer": example.composer,
                    "era": example.era,
                    "tune": example.tune,
                    "metre": metre,
                    "length": length,
                    "quarters_per_minute": piece.tempo.quarters_per_minute(),
                    "tonic": estimate_key(piece.notes).tonic,
                    "bar": int(bar + number),
                    "like": like,
                }
            )
    return library_of(rows, np.array(played, np.int16).reshape(-1, 4))


def figures_in_metre(example: Example, metre: str, length: int, codec: Codec) -> Library:
    """Find the figures of a piece in a metre; maybe none.

    They are its own, else those of its commonest metre with the same beat, cut or filled.
    """
    library = example_library(example, codec)
    kinds: Counter[tuple[str, int]] = Counter()
    for row in library.rows:
        kinds[row["metre"], row["length"]] += row["like"]
    beat = beat_of_figures(metre)
    alike = [kind for kind, _ in kinds.most_common() if beat and beat_of_figures(kind[0]) == beat]
    kind = (metre, length) if (metre, length) in kinds else next(iter(alike), None)
    rows: list[dict[str, Any]] = []
    played: list[tuple[int, int, int, int]] = []
    for index, row in enumerate(library.rows):
        if (row["metre"], row["length"]) == kind:
            events = refill_bar(library.events(index, 0), row["length"], length, beat, codec)
            played += [(len(rows), event.step, event.duration, event.pitch) for event in events]
            rows.append(
                row | {"metre": metre, "length": length, "from": row["metre"].removeprefix("BAR_")}
            )
    return library_of(rows, np.array(played, np.int16).reshape(-1, 4))


def beat_of_figures(metre: str) -> int:
    """Count the steps of what figures in a metre move in, by its token.

    It is the beat, but in 2/2 a quarter, and in 3/8, whose figures are those of 6/8, a dotted
    quarter; 0 for a metre without a token.
    """
    known = metre_of_token(metre)
    if known is None:
        return 0
    top, bottom = known
    quarters = 1.5 if known == (3, 8) else beat_of(top, max(bottom, 4))
    return round(quarters * STEPS_PER_QUARTER)


def refill_bar(
    events: Sequence[Event], length: int, wanted: int, beat: int, codec: Codec
) -> list[Event]:
    """Fit the notes of a bar to a bar of another length, in steps.

    What exceeds a shorter bar is cut; a longer one is filled with the whole bar again where it
    fits, else with its last beat.
    """
    start, found = 0, []
    while start < wanted:
        first = 0 if start == 0 or wanted - start >= length else max(length - beat, 0)
        for event in events:
            step = event.step - first + start
            if event.step >= first and step < wanted:
                fits = int(np.searchsorted(codec.durations, wanted - step, side="right")) - 1
                duration = min(event.duration, int(codec.durations[max(fits, 0)]))
                found.append(event._replace(step=step, duration=duration))
        start += length - first
    return found


def library_of(rows: list[dict[str, Any]], notes: NDArray[np.int16]) -> Library:
    """Make a library of rows, and of notes that are sorted by figure."""
    return Library(rows, notes, np.searchsorted(notes[:, 0], np.arange(len(rows) + 1)))


def main_style(text: str) -> Style:
    """Find the style of a blend that weighs most."""
    return max(parse_style(text), key=lambda one: one[1])[0]


def on_top(request: Request) -> bool:
    """Decide whether the accompaniment stays below the tune.

    As is asked for, else as most of the style's pieces have it.
    """
    if request.on_top is not None:
        return request.on_top
    if request.difficulty == "easy":  # the right hand has the tune alone
        return True
    style = main_style(request.style)
    if style.piece is not None:
        return load_example(style.piece).tune == "texture"
    return not writes_songs(style.composer, style.era)


def commonest_bar(plan: Plan) -> tuple[str, int]:
    """Find the metre of most bars of a tune, and its steps; in a tie the first one's."""
    place = max(range(plan.bars), key=lambda bar: plan.bar_metre.count(plan.bar_metre[bar]))
    return plan.bar_metre[place], int(plan.bar_length[place])


def add_figures(plan: Plan, request: Request, melody: Piece, codec: Codec, key: Key) -> Plan:
    """Draw the figures of the candidates, in a key, and add them to the plan.

    A piece in a blend gives as many candidates a figure as it weighs; the others have one of the
    heaviest style by name, if there is any in the tune's metre.
    """
    count, seed = request.sampling.candidates, request.sampling.seed
    metre, length = commonest_bar(plan)
    kind = "texture" if request.on_top else "part"
    level = DIFFICULTIES.get(request.difficulty or "", AS_IT_IS)
    tune = Tune(kind, metre, length, melody.tempo.quarters_per_minute(), key, level, plan.gap)

    found: list[tuple[Event, ...]] = []
    for style, weight in parse_style(request.style):
        own = (
            figures_in_metre(load_example(style.piece), metre, length, codec)
            if style.piece is not None
            else None
        )
        if own is not None and own.rows:
            share = min(max(round(weight * count), 1), count - len(found))
            found += draw_figures(style.composer, style.era, tune, share, seed, own)

    rest = count - len(found)
    named = [one for one in parse_style(request.style) if one[0].piece is None]
    style = max(named, key=lambda one: one[1])[0] if named else main_style(request.style)
    others = draw_figures(style.composer, style.era, tune, rest, seed) if rest else ()
    if not found and not others:
        return plan
    others = others or ((),) * rest
    return replace(
        plan, figures=(*others, *found), faith=(FAITH_BY_NAME,) * rest + (FAITH,) * len(found)
    )


def report_examples(request: Request, plan: Plan, codec: Codec) -> list[dict[str, Any]]:
    """Report what is taken from the pieces in a style.

    Returns:
        For each its file ``piece``, the ``composer`` and the ``era`` that it is heard as, the
        ``bars`` whose figures candidates begin with, and ``from``, their metre, where that isn't
        the tune's; where there are none, ``why``.
    """
    rows = []
    for style, _ in parse_style(request.style):
        if style.piece is None:
            continue
        metre, length = commonest_bar(plan)
        own = (
            figures_in_metre(load_example(style.piece), metre, length, codec).rows
            if plan.references and not request.bars
            else []
        )

        row = {
            "piece": str(style.piece),
            "composer": style.composer,
            "era": style.era,
            "bars": [one["bar"] for one in own],
        }

        metre = metre.removeprefix("BAR_")
        if not own:
            why = f"it has none in {metre}" if plan.references else "the song has no beats"
            row["why"] = "the bars around them are followed" if request.bars else why
        elif own[0]["from"] != metre:
            row["from"] = own[0]["from"]
        rows.append(row)
    return rows
