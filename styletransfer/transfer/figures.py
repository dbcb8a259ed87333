"""Which figures the candidates of an arrangement begin with: bars of accompaniment from pieces of the style.

A composer's own figures in the tune's metre are preferred, then those of the era, then any; of these, the ones of about the
tune's tempo. They are moved to the tune's key, told to the model as ``FIGURE``, and followed as far as it likes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.score.harmony import Key, estimate_key
from styletransfer.score.notes import Piece
from styletransfer.styles import Style, parse_style
from styletransfer.tokens.codec import HIGHEST_PITCH, LOWEST_PITCH, Event
from styletransfer.tokens.controls import UNKNOWN
from styletransfer.tokens.plan import Plan

if TYPE_CHECKING:
    from styletransfer.transfer.request import Request

ENOUGH = 24
"""Figures from which is drawn, at the least, where there are as many."""
TEMPO_WEIGHT = 4.0
"""How much a figure of twice or half the tempo is rarer: to the power of minus this, by octaves of tempo."""


@dataclass(frozen=True)
class Library:
    """All figures: ``rows`` tell of their pieces, ``notes`` (notes, 4) are figure, step, duration, pitch."""

    rows: list[dict[str, Any]]
    notes: NDArray[np.int16]
    first: NDArray[np.int64]

    def events(self, index: int, semitones: int) -> tuple[Event, ...]:
        """The notes of a figure, moved by semitones."""
        rows = self.notes[self.first[index] : self.first[index + 1]].tolist()
        moved = [(step, duration, pitch + semitones) for _, step, duration, pitch in rows]
        return tuple(Event(*row, -1) for row in moved if LOWEST_PITCH <= row[2] <= HIGHEST_PITCH)


@lru_cache(maxsize=1)
def shipped_figures() -> Library:
    """The figures that come with the package."""
    from safetensors import safe_open

    path = Path(str(resources.files("styletransfer"))) / "assets" / "figures.safetensors"
    with safe_open(str(path), framework="numpy") as file:
        rows = json.loads(file.metadata()["figures"])["figures"]
        notes = file.get_tensor("notes")
    return Library(rows, notes, np.searchsorted(notes[:, 0], np.arange(len(rows) + 1)))


def writes_songs(composer: str, era: str, library: Library | None = None) -> bool:
    """Tell whether most of a composer's figures (else of the era's) accompany tunes that are parts of their own."""
    rows = (library or shipped_figures()).rows
    own = [row for row in rows if row["composer"] == composer != UNKNOWN]
    own = own or [row for row in rows if row["era"] == era != UNKNOWN]
    songs = [row for row in own if row["tune"] == "part"]
    return 2 * len(songs) > len(own)


def chosen_figures(
    composer: str,
    era: str,
    tune: str,
    metre: str,
    length: int,
    quarters_per_minute: float,
    key: Key,
    count: int,
    seed: int,
    library: Library | None = None,
) -> tuple[tuple[Event, ...], ...]:
    """Draw different figures; none where there are none in the metre.

    Args:
        composer, era: the style, of which either may be unknown.
        tune: ``part`` or ``texture``: what the tune of the pieces is that are preferred.
        metre, length: the bar's token, and its steps.
        quarters_per_minute: the tune's tempo.
        key: the tune's.
        count: how many.
        seed: the same gives the same.
        library: another one than the package's.
    """
    own = library or shipped_figures()
    fits = [index for index, row in enumerate(own.rows) if (row["metre"], row["length"]) == (metre, length)]

    def tier(index: int) -> int:
        row = own.rows[index]
        style = 0 if row["composer"] == composer != UNKNOWN else 2 if row["era"] == era != UNKNOWN else 4
        return style + int(row["tune"] != tune)

    tiers = np.array([tier(index) for index in fits])
    pool: list[int] = []
    for level in np.unique(tiers).tolist():
        pool += [index for index, one in zip(fits, tiers, strict=True) if one == level]
        if len(pool) >= ENOUGH:
            break
    if not pool:
        return ()

    tempos = np.array([own.rows[index]["quarters_per_minute"] for index in pool], float)
    weights = 2.0 ** (-TEMPO_WEIGHT * np.abs(np.log2(np.maximum(tempos, 1) / max(quarters_per_minute, 1))))
    rng = np.random.default_rng((seed, 0xF16))
    drawn = rng.choice(len(pool), min(count, len(pool)), replace=False, p=weights / weights.sum())
    found = []
    for place in drawn.tolist():
        up = (key.tonic - own.rows[pool[place]]["tonic"] + 6) % 12 - 6
        found.append(own.events(pool[place], up))
    return tuple(found[k % len(found)] for k in range(count))


def main_style(text: str) -> Style:
    """The style of a blend that weighs most."""
    return max(parse_style(text), key=lambda one: one[1])[0]


def on_top(request: Request) -> bool:
    """Tell whether the accompaniment stays below the tune: as asked for, else as most of the style's pieces have it."""
    if request.on_top is not None:
        return request.on_top
    style = main_style(request.style)
    return not writes_songs(style.composer, style.era)


def figures_for(request: Request, melody: Piece, plan: Plan) -> tuple[tuple[Event, ...], ...]:
    """Draw the figures of the candidates: every other one has one of the style's, the rest begin as the model likes."""
    place = max(range(plan.bars), key=lambda bar: plan.bar_metre.count(plan.bar_metre[bar]))  # of as many the first
    style = main_style(request.style)
    count = request.sampling.candidates
    drawn = chosen_figures(
        style.composer,
        style.era,
        "texture" if request.on_top else "part",
        plan.bar_metre[place],
        int(plan.bar_length[place]),
        melody.tempo.quarters_per_minute(),
        estimate_key(melody.notes),
        max(count // 2, 1),
        request.sampling.seed,
    )
    return tuple(drawn[k // 2] if k % 2 else () for k in range(count)) if drawn else ()
