"""Decoding: several candidates at once, each under its own grammar, with guidance on the style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from styletransfer.model.decoder import Decoder
from styletransfer.model.settings import SamplingConfig
from styletransfer.model.weights import Weights
from styletransfer.tokens.codec import Codec, Event
from styletransfer.tokens.controls import Controls
from styletransfer.tokens.grammar import Line
from styletransfer.tokens.plan import Plan

PITCH_TEMPERATURE = 0.85
"""Of which pitch an accompaniment strikes in a score, times the temperature; whether and when it
strikes one is drawn at the temperature itself (docs/decisions.md)."""


@dataclass(frozen=True)
class Voice:
    """One prediction of those that are mixed: a model (the base, or the base with an adapter), the
    controls under which it reads every sequence, and the weight of its log-probabilities.
    ``plain``: the base without a style."""

    model: Weights
    controls: Controls
    weight: float
    plain: bool = False


@dataclass
class Candidate:
    """A finished sequence: the tokens of each bar, and the mean log-probability, in nats, of the
    tokens that were chosen among several, under the style (``style``) and without it (``plain``),
    both at temperature 1 and without the grammar's mask. ``plain`` is 0 where the base without the
    style isn't asked: at strength 1. Bars that were given are among ``bars``, and not in the means.
    ``stopped``: by Ctrl-C, at the last of its bars. ``figure``: the one that it was told."""

    bars: list[list[int]]
    style: float
    plain: float
    stopped: bool = False
    figure: tuple[Event, ...] = ()


@dataclass
class _Row:
    voices: Sequence[Voice]
    line: Line
    rng: np.random.Generator
    mask: NDArray[np.bool_] | None = None  # of the tokens to choose from now
    style: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)

    def bars(self) -> list[list[int]]:
        """The tokens of all bars."""
        return [*map(list, self.line.plan.given[: self.line.first]), *self.line.bars]

    def without_choice(self) -> list[int]:
        """Take what is forced, and what is the only token to be allowed, up to the next choice or
        the end.
        """
        taken: list[int] = []
        while not self.line.done:
            if self.line.forced:
                taken.append(self.line.forced[0])
            else:
                self.mask = self.line.allowed()
                if self.mask.sum() > 1:
                    break
                taken.append(int(self.mask.argmax()))
            self.line.push(taken[-1])
        return taken


def voices_of(
    base: Weights, styles: Sequence[tuple[Weights, Controls, float]], strength: float
) -> list[Voice]:
    """The voices of a style or a blend (models, controls, weights that sum to 1), extrapolated from
    the base without a style.

    Log-probabilities are mixed: plain + strength x (the styles' weighted mean - plain). What would
    weigh nothing is left out.
    """
    voices = [Voice(model, controls, strength * weight) for model, controls, weight in styles]
    voices.append(Voice(base, styles[0][1].without_style(), 1 - strength, plain=True))
    return [voice for voice in voices if voice.weight]


def sample(
    voices: Sequence[Voice],
    codec: Codec,
    plan: Plan,
    config: SamplingConfig,
    progress: Callable[[float], None] | None = None,
    *,
    partial: bool = False,
) -> list[Candidate]:
    """Decode ``config.candidates`` sequences under a plan, in one batch: :func:`sample_songs` for
    one song.

    With ``partial``, Ctrl-C leaves the bars that are whole in all sequences, if there is one.
    """
    return sample_songs([(voices, plan)], codec, config, progress, partial=partial)[0]


def sample_songs(
    songs: Sequence[tuple[Sequence[Voice], Plan]],
    codec: Codec,
    config: SamplingConfig,
    progress: Callable[[float], None] | None = None,
    *,
    partial: bool = False,
) -> list[list[Candidate]]:
    """Decode ``config.candidates`` sequences for each song, all in one batch; the songs' voices
    differ in controls alone.

    Candidate ``k`` of a song draws from a generator of its own, seeded by (seed, k, bars that are
    given). When the context is full, every sequence starts anew with its last bars, as many as fill
    half of it, as the windows in training do. ``progress`` gets the share done of the sequence that
    is the farthest behind. With ``partial``, Ctrl-C leaves the bars that are whole in all
    sequences.

    Raises:
        ValueError: where the songs are voiced by different models or weights.
    """
    voices = songs[0][0]
    if any(
        [(one.model, one.weight) for one in rest] != [(one.model, one.weight) for one in voices]
        for rest, _ in songs
    ):
        raise ValueError("songs of one batch have the same models and weights")
    context = voices[0].model.sizes.context
    rows = [
        _Row(
            own,
            Line(codec, plan.of_candidate(k), _unread(plan, context)),
            np.random.default_rng((config.seed, k, len(plan.given))),
        )
        for own, plan in songs
        for k in range(config.candidates)
    ]
    limit = (context - len(voices[0].controls.tokens())) // 2
    decoder = Decoder([voice.model for voice in voices], len(rows))

    def start() -> torch.Tensor:
        backs = [_recent(row.line, limit) for row in rows]
        recent = [
            [*row.line.figure_ids(), *row.line.context(back)[-limit:]]
            for row, back in zip(rows, backs, strict=True)
        ]
        keys = [row.line.melody_key(back) for row, back in zip(rows, backs, strict=True)]
        return decoder.start(
            with_heads([row.voices for row in rows], codec.vocabulary, keys, recent)
        )

    whole: int | None = None  # all
    try:
        with torch.inference_mode():
            for row in rows:
                row.without_choice()
            logits, ends = start(), np.arange(len(rows))
            while True:
                guided, style, plain = guide(logits, voices)
                tokens = []
                for row, end in zip(rows, ends, strict=True):
                    ids = []
                    if not row.line.done:
                        assert row.mask is not None
                        logits_now = row.line.closed(guided[end], row.mask) + row.line.bias()
                        ids = [draw(logits_now, row.mask, config, row.rng, row.line.pitches())]
                        row.style.append(float(style[end, ids[0]]))
                        row.plain.append(float(plain[end, ids[0]]))
                        row.line.push(ids[0])
                        ids += row.without_choice()
                    tokens.append(ids)
                if progress:
                    progress(min(_share(row.line) for row in rows))
                if all(row.line.done for row in rows):
                    break
                if decoder.length + max(map(len, tokens)) >= context:
                    logits, ends = start(), np.arange(len(rows))
                else:
                    logits, ends = (
                        decoder.step(tokens * len(voices)),
                        np.cumsum([len(ids) for ids in tokens]) - 1,
                    )
    except KeyboardInterrupt:
        whole = min(len(row.bars()) - (not row.line.done) for row in rows)
        if not partial or not whole:
            raise
    means = [
        (float(np.mean(row.style or [0.0])), float(np.mean(row.plain or [0.0]))) for row in rows
    ]
    found = [
        Candidate(row.bars()[:whole], *mean, whole is not None, row.line.plan.figure)
        for row, mean in zip(rows, means, strict=True)
    ]
    return [found[k : k + config.candidates] for k in range(0, len(found), config.candidates)]


def heads_of(voices: Sequence[Voice], vocabulary: dict[str, int]) -> list[list[int]]:
    """The control tokens under which each voice reads."""
    return [[vocabulary[name] for name in voice.controls.tokens()] for voice in voices]


def with_heads(
    voices: Sequence[Sequence[Voice]],
    vocabulary: dict[str, int],
    keys: Sequence[str],
    rows: Sequence[list[int]],
) -> list[list[int]]:
    """Every row under its voices' controls, each with its own key, those under the first voices
    first.
    """
    heads = [
        [replace(voice.controls, key=key).tokens() for voice, key in zip(side, keys, strict=True)]
        for side in zip(*voices, strict=True)
    ]
    return [
        [*(vocabulary[name] for name in head), *ids]
        for side in heads
        for head, ids in zip(side, rows, strict=True)
    ]


def guide(
    logits: torch.Tensor, voices: Sequence[Voice]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(candidates, vocabulary) logits to draw from, log-probabilities under the style, and those
    without it (0: not asked).
    """
    logs = np.split(torch.log_softmax(logits.float(), -1).double().cpu().numpy(), len(voices))
    mixed = np.sum([voice.weight * log for voice, log in zip(voices, logs, strict=True)], 0)
    styled = [
        (voice.weight, log) for voice, log in zip(voices, logs, strict=True) if not voice.plain
    ]
    if not styled:  # strength 0
        return mixed, mixed, np.zeros_like(mixed)
    style = np.sum([weight * log for weight, log in styled], 0) / sum(
        weight for weight, _ in styled
    )
    return mixed, style, logs[-1] if voices[-1].plain else np.zeros_like(mixed)


def draw(
    logits: NDArray[np.float64],
    mask: NDArray[np.bool_],
    config: SamplingConfig,
    rng: np.random.Generator,
    pitches: NDArray[np.bool_] | None = None,
) -> int:
    """A token of those in ``mask``; among ``pitches``, if it is to be one of them, at
    :data:`PITCH_TEMPERATURE`.
    """
    choices = np.flatnonzero(mask)
    if len(choices) == 1:
        return int(choices[0])
    if config.temperature <= 0:
        return int(choices[logits[choices].argmax()])
    values = logits[choices] / config.temperature
    weights = np.exp(values - values.max())
    weights /= weights.sum()
    if pitches is not None and (cool := pitches[choices]).any():
        sharper = weights[cool] ** (1 / PITCH_TEMPERATURE)
        weights[cool] = sharper * (weights[cool].sum() / sharper.sum())
    order = np.argsort(-weights, kind="stable")
    total = np.cumsum(weights[order])
    kept = int(np.searchsorted(total, config.top_p * total[-1])) + 1
    position = int(
        np.searchsorted(total[:kept], rng.random() * total[min(kept, len(total)) - 1], side="right")
    )
    return int(choices[order[min(position, kept - 1)]])


def _share(line: Line) -> float:
    """How much of its plan a sequence has done."""
    first, plan = len(line.plan.given), line.plan
    return (line.bar + line.done - first) / (
        (plan.bars if plan.stop is None else plan.stop) - first
    )


def _unread(plan: Plan, context: int) -> int:
    """How many of the bars that are given lie farther back than a context reaches."""
    for bar in reversed(range(len(plan.given))):
        context -= len(plan.given[bar])
        if context < 0:
            return bar
    return 0


def _recent(line: Line, limit: int) -> int:
    """How many bars back the longest stretch of whole bars up to now begins that has at most
    ``limit`` tokens (0: a longer bar, of which only the end can be read)."""
    bars = 0
    while bars + 1 < len(line.bars) and len(line.context(bars + 1)) <= limit:
        bars += 1
    return bars
