"""Compose freely with a plain tokenizer.

Music is kept well-formed by the tokenizer's rules on which token may follow which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from styletransfer.model.decoder import Decoder
from styletransfer.model.sampling import Voice, draw, guide, heads_of
from styletransfer.model.settings import SamplingConfig
from styletransfer.tokens.tokenizer import PlainTokenizer

TOKENS_PER_SECOND = 100
"""A sequence that has more tokens than this for the seconds asked for ends."""


@dataclass
class PlainCandidate:
    """A finished sequence without its controls.

    ``style``: the mean log-probability of its tokens under the style, in nats.
    """

    ids: list[int]
    style: float


@dataclass
class _Row:
    ids: list[int]
    rng: np.random.Generator
    seconds: float = 0.0
    style: list[float] = field(default_factory=list)


def sample_plain(
    voices: Sequence[Voice],
    codec: PlainTokenizer,
    seconds: float,
    config: SamplingConfig,
    progress: Callable[[float], None] | None = None,
) -> list[PlainCandidate]:
    """Decode ``config.candidates`` performances of some seconds, in one batch.

    They last for ``seconds`` at least. Seeds, guidance and the sliding window are as in
    :func:`styletransfer.model.sampling.sample`.
    """
    controls = voices[0].controls
    opening = codec.opening(controls.feel, controls.quarters_per_minute)
    rows = [
        _Row(list(opening), np.random.default_rng((config.seed, k)))
        for k in range(config.candidates)
    ]
    heads = heads_of(voices, codec.vocabulary)
    context = voices[0].model.sizes.context
    recent = (context - len(heads[0]) - len(opening)) // 2
    most = int(seconds * TOKENS_PER_SECOND)
    decoder = Decoder([voice.model for voice in voices], len(rows))

    with torch.inference_mode():
        logits = decoder.start([[*head, *row.ids] for head in heads for row in rows])
        while True:
            guided, style, _ = guide(logits, voices)
            column: list[int] = []
            for k, row in enumerate(rows):
                if row.seconds >= seconds or len(row.ids) >= most:
                    column.append(codec.pad)
                    continue
                before = row.ids[-1] if row.ids else codec.bos
                index = draw(guided[k], codec.follows[before], config, row.rng)
                row.ids.append(index)
                row.seconds += float(codec.seconds[index])
                row.style.append(float(style[k, index]))
                column.append(index)
            if progress:
                progress(min(1.0, min(row.seconds for row in rows) / seconds))
            if all(row.seconds >= seconds or len(row.ids) >= most for row in rows):
                break
            if decoder.length + 1 >= context:
                tails = [row.ids[len(opening) :][-recent:] for row in rows]
                logits = decoder.start(
                    [[*head, *opening, *tail] for head in heads for tail in tails]
                )
            else:
                logits = decoder.step([[index] for index in column] * len(heads))
    return [PlainCandidate(row.ids, float(np.mean(row.style or [0.0]))) for row in rows]
