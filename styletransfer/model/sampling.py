"""Decoding: several candidates at once, each under its own grammar, with guidance on the style."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from styletransfer.model.base import MelodyLlama
from styletransfer.model.decoder import Decoder
from styletransfer.model.settings import SamplingConfig
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.controls import Controls
from styletransfer.tokens.grammar import Line, Plan


@dataclass
class Candidate:
    """A finished sequence: the tokens of each bar, and the mean log-probability of the chosen tokens in nats, under the style
    (``style``) and without it (``plain``), both at temperature 1 and without the grammar's mask. ``plain`` is 0 where the
    strength is 1: the model without the style isn't asked then."""

    bars: list[list[int]]
    style: float
    plain: float


@dataclass
class _Row:
    line: Line
    rng: np.random.Generator
    style: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)


def sample(
    model: MelodyLlama,
    codec: Codec,
    plan: Plan,
    controls: Controls,
    config: SamplingConfig,
    progress: Callable[[float], None] | None = None,
) -> list[Candidate]:
    """Decode ``config.candidates`` sequences under a plan, in one batch.

    Candidate ``k`` draws from a generator of its own, seeded by (seed, k). When the context is full, every sequence starts
    anew with its last bars, as many as fill half of it, as the windows in training do. ``progress`` gets the share done.
    """
    rows = [_Row(Line(codec, plan), np.random.default_rng((config.seed, k))) for k in range(config.candidates)]
    branches = branches_of(codec.vocabulary, controls, config.strength)
    context = int(model.config.max_position_embeddings)
    decoder = Decoder(model, len(rows) * len(branches), codec.pad)
    with torch.inference_mode():
        prompts = [_take_forced(row.line)[-((context - len(branches[0])) // 2) :] for row in rows]
        logits = decoder.start([[*head, *ids] for head in branches for ids in prompts])
        while not all(row.line.done for row in rows):
            guided, style, plain = guide(logits, len(branches), config.strength)
            column: list[int] = []
            for k, row in enumerate(rows):
                line = row.line
                if line.done:
                    column.append(codec.pad)
                    continue
                if line.forced:
                    index = line.forced[0]
                else:
                    index = draw(guided[k], line.allowed(), config, row.rng)
                    row.style.append(float(style[k, index]))
                    row.plain.append(float(plain[k, index]))
                line.push(index)
                column.append(index)
            if progress:
                progress(min(row.line.bar + row.line.done for row in rows) / plan.bars)
            if decoder.length + 1 >= context and not all(row.line.done for row in rows):
                recent = [_recent(row.line, (context - len(branches[0])) // 2) for row in rows]
                logits = decoder.start([[*head, *ids] for head in branches for ids in recent])
            else:
                logits = decoder.step(column * len(branches))
    return [Candidate(row.line.bars, float(np.mean(row.style or [0.0])), float(np.mean(row.plain or [0.0]))) for row in rows]


def branches_of(vocabulary: dict[str, int], controls: Controls, strength: float) -> list[list[int]]:
    """The control tokens under which every sequence is read: the style's, without a style, or both where they are mixed."""
    plain = controls.without_style()
    sides = [controls if strength else plain]
    if strength not in (0.0, 1.0) and controls != plain:
        sides.append(plain)
    return [[vocabulary[name] for name in side.tokens()] for side in sides]


def guide(
    logits: torch.Tensor, branches: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(candidates, vocabulary) logits to draw from, log-probabilities under the style, and those without it."""
    log = torch.log_softmax(logits.float(), -1).double().cpu().numpy()
    if branches == 1:
        return log, log, np.zeros_like(log)
    style, plain = np.split(log, 2)
    return plain + strength * (style - plain), style, plain


def draw(logits: NDArray[np.float64], mask: NDArray[np.bool_], config: SamplingConfig, rng: np.random.Generator) -> int:
    choices = np.flatnonzero(mask)
    if len(choices) == 1:
        return int(choices[0])
    if config.temperature <= 0:
        return int(choices[logits[choices].argmax()])
    values = logits[choices] / config.temperature
    weights = np.exp(values - values.max())
    weights /= weights.sum()
    order = np.argsort(-weights, kind="stable")
    total = np.cumsum(weights[order])
    kept = int(np.searchsorted(total, config.top_p * total[-1])) + 1
    position = int(np.searchsorted(total[:kept], rng.random() * total[min(kept, len(total)) - 1], side="right"))
    return int(choices[order[min(position, kept - 1)]])


def _take_forced(line: Line) -> list[int]:
    """Push and return whatever is forced now."""
    ids = list(line.forced)
    for index in ids:
        line.push(index)
    return ids


def _recent(line: Line, limit: int) -> list[int]:
    """The longest stretch of whole bars up to now that has at most ``limit`` tokens (of a longer bar its end)."""
    bars = 0
    best = line.context(0)
    while bars < len(line.bars):
        bars += 1
        ids = line.context(bars)
        if len(ids) > limit:
            break
        best = ids
    return best[-limit:]
