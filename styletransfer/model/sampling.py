"""Decode several candidates at once, each under its own grammar.

Guidance exaggerates the style.
"""

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
from styletransfer.tokens.grammar import MelodyGrammar
from styletransfer.tokens.plan import Plan

Heard = Callable[[int, int, list[int]], None]
"""Called with the number of a sequence, and the index and the tokens of a whole bar of it."""
PITCH_TEMPERATURE = 0.85
"""What the temperature is multiplied by where a score's accompaniment chooses a pitch.

Whether and when it strikes one is drawn at the temperature itself (docs/decisions/0036).
"""


@dataclass(frozen=True)
class Voice:
    """One of the predictions that are mixed.

    ``model``: the base, or the base with an adapter. ``controls``: those under which it reads every
    sequence. ``weight``: of its log-probabilities. ``plain``: it is the base without a style.
    """

    model: Weights
    controls: Controls
    weight: float
    plain: bool = False


@dataclass
class Candidate:
    """A finished sequence.

    ``bars``: the tokens of each bar, given ones among them. ``style_logprob`` and
    ``base_logprob``: the mean log-probability, in nats, of the tokens that were chosen among
    several, under the style and without it, both at temperature 1 and without the grammar's mask;
    given bars don't count. ``base_logprob`` is 0 at strength 1, where the base without a style
    isn't asked. ``stopped``: by Ctrl-C, at the last of its bars. ``figure``: the one that it was
    given.
    """

    bars: list[list[int]]
    style_logprob: float
    base_logprob: float
    stopped: bool = False
    figure: tuple[Event, ...] = ()


@dataclass
class _Row:
    """A sequence that is being decoded. ``mask``: the tokens to choose from now."""

    voices: Sequence[Voice]
    line: MelodyGrammar
    rng: np.random.Generator
    mask: NDArray[np.bool_] | None = None
    style: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)

    def bars(self) -> list[list[int]]:
        """Return the tokens of all bars, given ones among them."""
        return [*map(list, self.line.plan.given[: self.line.first]), *self.line.bars]

    def candidate(self, whole: int | None) -> Candidate:
        """Return what was decoded, up to ``whole`` bars where it was stopped."""
        style, plain = (float(np.mean(each or [0.0])) for each in (self.style, self.plain))
        stopped = whole is not None
        return Candidate(self.bars()[:whole], style, plain, stopped, self.line.plan.figure)

    def without_choice(self) -> list[int]:
        """Append what is forced or alone allowed, up to the next choice or the end."""
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


@dataclass
class _Batch:
    """All sequences of all songs, decoded side by side.

    ``limit``: the most tokens of its past with which a sequence starts again.
    """

    rows: list[_Row]
    voices: Sequence[Voice]
    codec: Codec
    config: SamplingConfig
    context: int
    limit: int
    decoder: Decoder

    @classmethod
    def of(
        cls,
        songs: Sequence[tuple[Sequence[Voice], Plan]],
        codec: Codec,
        config: SamplingConfig,
    ) -> _Batch:
        """Make the batch of some songs' candidates.

        Raises:
            ValueError: where the songs have different models or weights.
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
                MelodyGrammar(codec, plan.of_candidate(k), _unread(plan, context)),
                np.random.default_rng((config.seed, k, len(plan.given))),
            )
            for own, plan in songs
            for k in range(config.candidates)
        ]
        limit = (context - len(voices[0].controls.tokens())) // 2
        decoder = Decoder([voice.model for voice in voices], len(rows))
        return cls(rows, voices, codec, config, context, limit, decoder)

    def start(self) -> tuple[torch.Tensor, NDArray[np.int64]]:
        """Read every sequence's last bars.

        Returns:
            Logits, and of each sequence the row with those of its next token.
        """
        backs = [_recent(row.line, self.limit) for row in self.rows]
        recent = [
            [*row.line.figure_ids(), *row.line.context(back)[-self.limit :]]
            for row, back in zip(self.rows, backs, strict=True)
        ]
        keys = [row.line.melody_key(back) for row, back in zip(self.rows, backs, strict=True)]
        voices = [row.voices for row in self.rows]
        logits = self.decoder.start(with_heads(voices, self.codec.vocabulary, keys, recent))
        return logits, np.arange(len(self.rows))

    def read(self, tokens: list[list[int]]) -> tuple[torch.Tensor, NDArray[np.int64]]:
        """Read the next tokens of each sequence; start again where the context is full.

        Returns:
            As :meth:`start`.
        """
        if self.decoder.length + max(map(len, tokens)) >= self.context:
            return self.start()
        logits = self.decoder.step(tokens * len(self.voices))
        return logits, np.cumsum([len(ids) for ids in tokens]) - 1

    def choose(self, logits: torch.Tensor, ends: NDArray[np.int64]) -> list[list[int]]:
        """Draw the next token of each sequence, and take what follows it without a choice.

        Returns:
            The tokens of each sequence; none of one that is done.
        """
        guided, style, plain = guide(logits, self.voices)
        tokens = []
        for row, end in zip(self.rows, ends, strict=True):
            ids = []
            if not row.line.done:
                assert row.mask is not None
                logits_now = row.line.closed(guided[end], row.mask) + row.line.bias()
                ids = [draw(logits_now, row.mask, self.config, row.rng, row.line.pitches())]
                row.style.append(float(style[end, ids[0]]))
                row.plain.append(float(plain[end, ids[0]]))
                row.line.push(ids[0])
                ids += row.without_choice()
            tokens.append(ids)
        return tokens


def voices_of(
    base: Weights, styles: Sequence[tuple[Weights, Controls, float]], strength: float
) -> list[Voice]:
    """Return the voices of a style or a blend, extrapolated from the plain base.

    Log-probabilities are mixed: plain + strength x (the styles' weighted mean - plain). A voice
    without weight is left out.

    Args:
        base: the base model.
        styles: models, controls and weights, which sum to 1.
        strength: of the style.
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
    heard: Heard | None = None,
) -> list[Candidate]:
    """Decode ``config.candidates`` sequences for one song, in one batch.

    With ``partial``, Ctrl-C leaves the bars that are whole in all sequences, if there is one; see
    :func:`sample_songs`.
    """
    songs = [(voices, plan)]
    return sample_songs(songs, codec, config, progress, partial=partial, heard=heard)[0]


def sample_songs(
    songs: Sequence[tuple[Sequence[Voice], Plan]],
    codec: Codec,
    config: SamplingConfig,
    progress: Callable[[float], None] | None = None,
    *,
    partial: bool = False,
    heard: Heard | None = None,
) -> list[list[Candidate]]:
    """Decode ``config.candidates`` sequences for each song, all in one batch.

    Candidate ``k`` of a song draws from a generator of its own, seeded by (seed, k, number of given
    bars). When the context is full, every sequence starts again with its last bars, as many as fill
    half of it, as the windows in training do.

    Args:
        songs: voices and a plan for each; the voices differ in controls alone.
        codec: the tokenizer.
        config: how to decode.
        progress: called with the share that is done of the sequence farthest behind.
        partial: whether Ctrl-C leaves the bars that are whole in all sequences.
        heard: called with each bar of each sequence as soon as it is whole.

    Returns:
        The candidates of each song.

    Raises:
        ValueError: where the songs have different models or weights.
    """
    batch = _Batch.of(songs, codec, config)
    rows = batch.rows
    counts = [len(row.line.plan.given) for row in rows]  # whole bars that are passed on
    whole: int | None = None  # bars that are whole in all sequences; None: all
    try:
        with torch.inference_mode():
            for row in rows:
                row.without_choice()
            predicted = batch.start()
            while True:
                tokens = batch.choose(*predicted)
                _pass_on(rows, counts, heard)
                if progress:
                    progress(min(_share(row.line) for row in rows))
                if all(row.line.done for row in rows):
                    break
                predicted = batch.read(tokens)
    except KeyboardInterrupt:
        whole = min(len(row.bars()) - (not row.line.done) for row in rows)
        if not partial or not whole:
            raise

    found = [row.candidate(whole) for row in rows]
    return [found[k : k + config.candidates] for k in range(0, len(found), config.candidates)]


def _pass_on(rows: Sequence[_Row], counts: list[int], heard: Heard | None) -> None:
    """Pass on the bars that have become whole.

    ``counts`` holds those of each sequence so far.
    """
    for number, row in enumerate(rows if heard else ()):
        assert heard is not None
        line = row.line
        while counts[number] < line.first + len(line.bars) - (not line.done):
            heard(number, counts[number], line.bars[counts[number] - line.first])
            counts[number] += 1


def heads_of(voices: Sequence[Voice], vocabulary: dict[str, int]) -> list[list[int]]:
    """Return the control tokens under which each voice reads."""
    return [[vocabulary[name] for name in voice.controls.tokens()] for voice in voices]


def with_heads(
    voices: Sequence[Sequence[Voice]],
    vocabulary: dict[str, int],
    keys: Sequence[str],
    rows: Sequence[list[int]],
) -> list[list[int]]:
    """Put each row under its voices' controls and its own key.

    Returns:
        The rows under the first voices, then those under the next.
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
    """Mix the voices' predictions.

    Returns:
        Logits to draw from, log-probabilities under the style, and those without it (0 where the
        base without a style isn't asked), each of shape (candidates, vocabulary).
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
    """Draw one of the tokens in ``mask``; a choice among ``pitches`` is sharper.

    See :data:`PITCH_TEMPERATURE`.
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


def _share(line: MelodyGrammar) -> float:
    """Return the share of its plan that a sequence has done."""
    first, plan = len(line.plan.given), line.plan
    return (line.bar + line.done - first) / (
        (plan.bars if plan.stop is None else plan.stop) - first
    )


def _unread(plan: Plan, context: int) -> int:
    """Count the given bars that lie farther back than a context reaches."""
    for bar in reversed(range(len(plan.given))):
        context -= len(plan.given[bar])
        if context < 0:
            return bar
    return 0


def _recent(line: MelodyGrammar, limit: int) -> int:
    """Count how many whole bars back the sequence can be read in ``limit`` tokens.

    0 stands for a longer bar, of which only the end can be read.
    """
    bars = 0
    while bars + 1 < len(line.bars) and len(line.context(bars + 1)) <= limit:
        bars += 1
    return bars
