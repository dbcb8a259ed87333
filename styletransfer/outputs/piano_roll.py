"""Draw a piece as a picture: a piano roll."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from styletransfer.files import check_writable, write_bytes
from styletransfer.music.ensemble import ensemble_of, stated_parts
from styletransfer.music.notes import Piece

if TYPE_CHECKING:
    from matplotlib.axes import Axes


INK, PAPER, BLACK_KEYS, BAR_LINE, BEAT_LINE = "#2b2b33", "#ffffff", "#f3f3f6", "#b9b9c4", "#e3e3ea"
MAX_ROWS = 8
_BLACK = {1, 3, 6, 8, 10}
_Spans = tuple[
    NDArray[np.float64], NDArray[np.float64]
]  # starts and ends of the notes on the x axis, each (notes,)


def plot_piano_roll(
    piece: Piece, png_path: str | Path, title: str = "", force: bool = False
) -> None:
    """Draw a piece as :func:`piano_roll` into a file.

    Raises:
        InputError: where the PNG file can't be written.
    """
    check_writable(png_path, force)
    write_bytes(png_path, piano_roll(piece, title), force)


def piano_roll(piece: Piece, title: str = "") -> bytes:
    """Draw a piece as a piano roll in rows, like systems of a score.

    Bars run across for a score, seconds for a performance. Each part of the ensemble has
    its own colour; louder notes are stronger in colour.

    Returns:
        The bytes of a PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    notes = piece.notes
    if piece.feel == "score":
        spans: _Spans = (notes["onset"], notes["onset"] + notes["duration"])
    else:
        spans = (piece.onset_seconds, piece.onset_seconds + piece.duration_seconds)
    edges = _row_edges(piece, float(spans[1].max()) if len(notes) else 1.0)
    low = int(notes["pitch"].min()) - 2 if len(notes) else 58
    high = int(notes["pitch"].max()) + 2 if len(notes) else 62
    low = min(low, high - 18)  # a narrow tune isn't blown up

    row_height = float(np.clip((high - low) * 0.042, 1.1, 2.6))
    rows = len(edges) - 1
    height = rows * (row_height + 0.38) + 0.75
    figure = Figure(figsize=(14, height), dpi=120, facecolor=PAPER)
    FigureCanvasAgg(figure)
    colours = _colours(piece)
    parts = [part for part in ensemble_of(piece).parts if part.colour in colours]
    for row in range(rows):
        bottom = height - 0.58 - (row + 1) * (row_height + 0.38) + 0.3
        axes = figure.add_axes((0.045, bottom / height, 0.935, row_height / height))
        _draw_keys(axes, low, high)
        _draw_time(axes, piece, edges[row], edges[row + 1], widest=float(np.diff(edges).max()))
        _draw_notes(axes, piece, spans, colours, edges[row], edges[row + 1])
    unit = "bars" if piece.feel == "score" else "seconds"
    top = 1 - 0.3 / height
    figure.text(
        0.045, top, title, fontsize=15, weight="bold", color=INK, va="center", parse_math=False
    )
    figure.text(0.98, 0.12 / height, unit, fontsize=8, color="#777783", ha="right", va="center")
    figure.legend(
        handles=[Patch(color=part.colour, label=part.label) for part in parts],
        loc="center right",
        bbox_to_anchor=(0.985, top),
        ncols=max(len(parts), 3),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=1.6,
        handleheight=0.7,
        columnspacing=1.8,
    )
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a title in a script that the font lacks is drawn as boxes
        figure.savefig(buffer, format="png", facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()


def _row_edges(piece: Piece, end: float) -> list[float]:
    """Find where rows begin and the last one ends: quarters on bar lines, or seconds."""
    if piece.feel == "performance":
        rows = int(np.clip(math.ceil(end / 24), 1, MAX_ROWS))
        width = max(math.ceil(end / rows), 1)
        return [float(width * row) for row in range(rows + 1)]
    starts = [
        *piece.bars["start"].tolist(),
        float(piece.bars["start"][-1] + piece.bars["length"][-1]),
    ]
    rows = int(np.clip(math.ceil((starts[-1] - starts[0]) / 34), 1, MAX_ROWS))
    step = math.ceil(len(piece.bars) / rows)
    return [*starts[:-1:step], starts[-1]]


def _colours(piece: Piece) -> list[str]:
    """Choose the colour of each note."""
    ensemble, part = ensemble_of(piece), stated_parts(piece)
    if part is None:
        tune = piece.notes["melody"]
        rest = piece.notes[~tune]
        ensemble.give_parts(rest, piece.feel, piece.notes[tune])
        part = np.zeros(len(piece.notes), np.int16)
        part[~tune] = rest["part"]
    return [ensemble.parts[number].colour for number in part.tolist()]


def _draw_keys(axes: Axes, low: int, high: int) -> None:
    from matplotlib.collections import PolyCollection

    axes.set_ylim(low - 0.5, high + 0.5)
    keys = [p for p in range(low, high + 1) if p % 12 in _BLACK]
    across = axes.get_yaxis_transform()  # x from 0 to 1 over the row
    shapes = [[(0, p - 0.5), (0, p + 0.5), (1, p + 0.5), (1, p - 0.5)] for p in keys]
    axes.add_collection(
        PolyCollection(shapes, facecolors=BLACK_KEYS, linewidths=0, zorder=0, transform=across),
        autolim=False,
    )
    octaves = [p for p in range(low, high + 1) if p % 12 == 0]
    axes.hlines(
        [p - 0.5 for p in octaves], 0, 1, colors=BAR_LINE, linewidth=0.6, zorder=1, transform=across
    )
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.tick_params(axis="both", length=0, labelsize=8, labelcolor=INK)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _draw_time(axes: Axes, piece: Piece, start: float, stop: float, widest: float) -> None:
    """Draw bar lines with their numbers, or seconds.

    Every row has the same scale, so the last one may end early.
    """
    axes.set_xlim(start, start + widest)
    if piece.feel == "performance":
        step = next(s for s in (1, 2, 5, 10, 20, 60, 120, 300, 1200) if widest / s <= 26)
        ticks = [float(t) for t in range(math.ceil(start / step) * step, int(stop) + 1, step)]
        _lines(axes, ticks, BEAT_LINE, 0.7)
        axes.set_xticks(ticks, [f"{int(t) // 60}:{int(t) % 60:02d}" for t in ticks])
        return

    inside = np.flatnonzero(
        (piece.bars["start"] >= start - 1e-6) & (piece.bars["start"] < stop - 1e-6)
    )
    step = next(s for s in (1, 2, 4, 5, 10, 20, 50, 100, 10_000) if len(inside) / s <= 26)
    first_number = 0 if piece.bars["start"][0] < 0 else 1  # a pick-up is bar 0

    ticks, labels, beats = [], [], []
    for index in inside:
        bar = piece.bars[index]
        if (index + first_number) % step == 0 or step == 1:
            ticks.append(float(bar["start"]))
            labels.append(str(index + first_number))
        if len(inside) <= 18:
            beat = (
                1.5
                if bar["denominator"] == 8 and bar["numerator"] % 3 == 0
                else 4 / bar["denominator"]
            )
            beats += np.arange(
                bar["start"] + beat, bar["start"] + bar["length"] - 1e-6, beat
            ).tolist()

    _lines(axes, beats, BEAT_LINE, 0.6)
    _lines(axes, [*piece.bars["start"][inside].tolist(), stop], BAR_LINE, 0.9 if step == 1 else 0.4)
    axes.set_xticks(ticks, labels, ha="left")


def _lines(axes: Axes, positions: list[float], colour: str, width: float) -> None:
    axes.vlines(
        positions,
        0,
        1,
        colors=colour,
        linewidth=width,
        zorder=1,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )


def _draw_notes(
    axes: Axes, piece: Piece, spans: _Spans, colours: list[str], start: float, stop: float
) -> None:
    """Draw the notes of a row, the melody on top.

    A note that crosses the row's edge continues in the next row.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    starts, ends = spans
    inside = np.flatnonzero((starts < stop - 1e-9) & (ends > start + 1e-9))
    inside = inside[np.argsort(piece.notes["melody"][inside], kind="stable")]
    gap = (stop - start) * 0.0006  # repeated notes stay apart
    bottom, top = axes.get_ylim()
    # Half a note's height; thicker than a key where keys are thin.
    thickness = max(0.43, (top - bottom) * 0.0085)
    shapes, faces = [], []
    for index in inside:
        pitch, velocity = int(piece.notes["pitch"][index]), int(piece.notes["velocity"][index])
        left = max(starts[index], start)
        right = max(min(ends[index], stop) - gap, left + 2 * gap)
        half = thickness * (1.15 if piece.notes["melody"][index] else 1.0)
        shapes.append(
            [
                (left, pitch - half),
                (left, pitch + half),
                (right, pitch + half),
                (right, pitch - half),
            ]
        )
        faces.append(to_rgba(colours[index], 0.5 + 0.5 * min(velocity, 100) / 100))
    axes.add_collection(
        PolyCollection(shapes, facecolors=faces, edgecolors=PAPER, linewidths=0.3, zorder=3)
    )
