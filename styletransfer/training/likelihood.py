"""Measure bits per note, the only unit that compares tokenizers.

They are the negative log-likelihood of all tokens of a piece's arrangement, divided by ln 2 and by
the number of its notes. What a caller knows beforehand (the controls, the melody and its key, with
a melody the metre of each bar) costs nothing; the notes of the arrangement, the melody's own among
them, the ends of bars and the end of the piece all count. Whole pieces are read in windows that
overlap by about a quarter of the context: every token is counted once, in the window where it has
the longest past. A token that no window can hold costs what it costs under a uniform model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from styletransfer.data.batches import IGNORE, padded, piece_grid
from styletransfer.data.library import Library
from styletransfer.data.plain import piece_table
from styletransfer.tokens.codec import Codec, Grid
from styletransfer.tokens.controls import UNKNOWN, Controls
from styletransfer.tokens.figures import figures_of, references_of
from styletransfer.tokens.loading import AnyCodec
from styletransfer.tokens.tokenizer import PlainTokenizer


@dataclass(frozen=True)
class Bits:
    """The bits and the notes of each piece, both of shape (pieces,)."""

    bits: NDArray[np.float64]
    notes: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Bits per note, over the notes of all pieces."""
        return float(self.bits.sum() / max(self.notes.sum(), 1))


@dataclass(frozen=True)
class ScoredWindow:
    """A window of a piece: ids and labels, both of shape (context,).

    Labels stand only where this window is the one that counts. ``lost``: how many tokens count but
    didn't fit.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    lost: int


def windows_of(
    codec: Codec, grid: Grid, controls: Controls, context: int, *, with_melody: bool
) -> list[ScoredWindow]:
    """Cut a piece into windows that count every token of the loss exactly once."""
    head = [codec.vocabulary[name] for name in controls.tokens()]

    # For each bar: the next bar's melody, BAR and the bar's notes; and which of it is in the loss.
    segments: list[list[int]] = []
    counts: list[list[bool]] = []
    for bar in range(grid.bars):
        notes = codec.bar_segment(grid, bar)
        before, known = codec.before_bar(grid, bar, 0, with_melody=with_melody)
        segments.append([*before, *notes])
        counts.append([*known, not before and bar > 0, *[True] * (len(notes) - 1)])
    segments[-1].append(codec.eos)
    counts[-1].append(True)

    windows: list[ScoredWindow] = []
    counted = 0
    while counted < grid.bars:
        first = counted
        past = 0
        while first > 0:
            room = len(head) + len(codec.head(grid, first - 1, with_melody=with_melody))
            # Always one bar of the past, if what counts still fits after it; more bars up to a
            # quarter of the context.
            room = context - room - len(segments[counted]) if first == counted else context // 4
            if past + len(segments[first - 1]) > room:
                break
            first -= 1
            past += len(segments[first])

        if with_melody:
            in_key = replace(controls, key=codec.melody_key(grid, first))
            head = [codec.vocabulary[name] for name in in_key.tokens()]
        ids = [*head, *codec.head(grid, first, with_melody=with_melody)]
        keep = [False] * len(ids)

        bar = first
        while bar < grid.bars and (bar <= counted or len(ids) + len(segments[bar]) <= context):
            # A bar is given its reference only if that lies in the window.
            before, _ = codec.before_bar(grid, bar, first, with_melody=with_melody)
            ids += [*before, *segments[bar][len(before) :]]
            # The first token of a bar's segment ends the bar before it: it counts, if there is one.
            keep += [bar >= counted and one for one in counts[bar]]
            bar += 1

        row = padded(ids, keep, context, codec.pad)
        windows.append(ScoredWindow(row["input_ids"], row["labels"], sum(keep[context:])))
        counted = bar
    return windows


def plain_windows(
    codec: PlainTokenizer, head: list[int], music: list[int], context: int
) -> list[ScoredWindow]:
    """Cut a plain tokenizer's piece into windows, as :func:`windows_of` does.

    Each window begins with the controls, the metre and the tempo, which aren't counted.
    """
    opening = codec.leading(music)
    known, rest = [*head, *opening], [*music[len(opening) :], codec.eos]
    windows: list[ScoredWindow] = []
    counted = 0
    while counted < len(rest):
        first = max(counted - context // 4, 0)
        part = rest[first : first + context - len(known)]
        keep = [False] * len(known) + [first + i >= counted for i in range(len(part))]
        row = padded([*known, *part], keep, context, codec.pad)
        windows.append(ScoredWindow(row["input_ids"], row["labels"], 0))
        counted = first + len(part)
    return windows


def window_bits(
    model: nn.Module, codec: AnyCodec, windows: Iterable[ScoredWindow], batch: int = 8
) -> NDArray[np.float64]:
    """Return the bits of each window, shape (windows,)."""
    windows = list(windows)
    device = next(model.parameters()).device
    bits: list[float] = []
    training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(windows), batch):
            rows = windows[start : start + batch]
            longest = max(int((row.ids != codec.pad).sum()) for row in rows)
            ids = torch.from_numpy(np.stack([row.ids[:longest] for row in rows])).to(device)
            labels = torch.from_numpy(np.stack([row.labels[:longest] for row in rows])).to(device)
            logits = model(input_ids=ids).logits[:, :-1].float()
            loss = nn.functional.cross_entropy(
                logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORE, reduction="none"
            )
            bits += (loss.sum(1) / math.log(2)).tolist()
    model.train(training)
    return np.array(bits) + np.array([row.lost for row in windows]) * math.log2(codec.size)


def bits_per_note(
    model: nn.Module,
    codec: AnyCodec,
    library: Library,
    pieces: Iterable[int],
    context: int,
    *,
    with_melody: bool,
    with_chords: bool = True,
    with_references: bool = True,
) -> Bits:
    """Measure whole pieces of a library, not augmented, under their own controls.

    A model that plans is given the chords of scores with a melody, and which bar follows which,
    except where ``with_chords`` or ``with_references`` is false; both count in the bits.

    Raises:
        ValueError: where a melody is to be given to a model with a plain tokenizer.
    """
    if with_melody and not isinstance(codec, Codec):
        raise ValueError("a plain tokenizer has no melody to give")
    bits, notes = [], []
    for index in pieces:
        piece = library.pieces[index]
        known = f"COMPOSER_{piece.composer}" in codec.vocabulary  # older models know fewer names
        composer = piece.composer if known else UNKNOWN
        controls = Controls(piece.feel, piece.era, composer, piece.quarters_per_minute)
        if isinstance(codec, Codec):
            grid = piece_grid(library, codec, index)
            if codec.plans and piece.feel == "score":
                controls = replace(controls, tune=piece.tune)
                follows = with_references and with_melody
                references = references_of(figures_of(codec, grid)) if follows else ()
                chords = grid.chords if with_chords and with_melody else ()
                grid = replace(grid, chords=chords, references=references)
            windows = windows_of(codec, grid, controls, context, with_melody=with_melody)
        else:
            head = [codec.vocabulary[name] for name in controls.tokens()]
            windows = plain_windows(codec, head, codec.music(*piece_table(library, index)), context)
        bits.append(float(window_bits(model, codec, windows).sum()))
        notes.append(piece.count)

    return Bits(np.array(bits), np.array(notes))
