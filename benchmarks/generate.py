"""Measure decoding speed.

    python -m benchmarks.generate --write benchmarks/generate.md

One tune under the locked grammar in one style at strength 1 (one model, one prediction per token)
is decoded by ``transformers``' own ``generate``, with the grammar as its logits processor, and by
this package's decode loop, with the same weights, in the same process. Each is run once to warm up,
then as often as ``--runs`` says; the best run counts.

They are compared with the limit that memory sets where every token is decoded by itself: all
weights are read once per token, at the bandwidth at which this machine sums a tensor that no cache
holds. This package's loop isn't bound by that limit, as tokens that the grammar forces are read
together with the token before.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaForCausalLM, LogitsProcessor, LogitsProcessorList

from benchmarks.apply import processor
from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import table
from styletransfer.formats.tunes import example
from styletransfer.model.base import MelodyLlama, as_llama
from styletransfer.model.loading import melody_codec, voices_in
from styletransfer.model.sampling import Voice, sample
from styletransfer.model.settings import SamplingConfig
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.follower import Follower
from styletransfer.tokens.grammar import MelodyGrammar
from styletransfer.tokens.plan import Plan, plan_of
from styletransfer.transfer.source import find_melody

CANDIDATES = (1, 4, 16)
COLUMNS = (
    "candidates",
    "`generate`: tokens/s",
    "music/s",
    "ours: tokens/s",
    "music/s",
    "times as fast",
    "of the limit",
)
STREAMED = 256 << 20  # bytes of the tensor that measures the bandwidth


class Generating(MelodyLlama):  # type: ignore[no-untyped-call]  # transformers' hook for subclasses
    """The model with what ``generate`` asks for.

    A step with a cache gets the newest tokens only; followers keep track of those before.
    """

    followers: Sequence[Follower] = ()

    def prepare_inputs_for_generation(
        self, input_ids: torch.Tensor, **kwargs: Any
    ) -> dict[str, Any]:
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(input_ids, **kwargs)
        return inputs | {"history": input_ids}

    def forward(  # type: ignore[override]
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        history: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        kwargs.pop("inputs_embeds", None)
        if history is None or history.shape == input_ids.shape:
            self.followers = [Follower(self.features.lists) for _ in input_ids]
        rows = [
            [follower.push(index) for index in row]
            for row, follower in zip(input_ids.tolist(), self.followers, strict=True)
        ]
        embedded = self.embed(input_ids, torch.tensor(rows))
        return LlamaForCausalLM.forward(
            self, inputs_embeds=embedded, attention_mask=attention_mask, **kwargs
        )

    @classmethod
    def of(cls, model: MelodyLlama) -> Generating:
        """Make such a model of the same weights."""
        found = cls(model.config, model.names)
        found.load_state_dict(model.state_dict())
        found.requires_grad_(False).train(False)
        return found


class Grammar(LogitsProcessor):
    """The locked grammar as a logits processor.

    Each sequence has a line of its own, which takes whatever token came last.
    """

    def __init__(self, lines: Sequence[MelodyGrammar], pad: int) -> None:
        self.lines, self.pad, self.begun = lines, pad, False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        mask = torch.full_like(scores, float("-inf"))
        for row, line in enumerate(self.lines):
            if self.begun and not line.done:
                line.push(int(input_ids[row, -1]))
            if line.done:
                mask[row, self.pad] = 0
            elif line.forced:
                mask[row, line.forced[0]] = 0
            else:
                mask[row] = torch.from_numpy(np.where(line.allowed(), line.bias(), -np.inf))
        self.begun = True
        return scores + mask


@dataclass(frozen=True)
class Job:
    """What both loops decode: a plan under one voice."""

    codec: Codec
    plan: Plan
    voice: Voice


def job(tune: str, style: str, model: Path | None = None) -> Job:
    """Plan an example tune in a style at strength 1."""
    melody, _ = find_melody(example(tune))
    codec = melody_codec(model)
    plan = plan_of(codec, codec.grid(melody))
    (voice,) = voices_in(style, "score", melody.tempo.quarters_per_minute(), 1.0, model)
    return Job(codec, plan, voice)


def by_transformers(
    job: Job, model: Generating, candidates: int, *, greedy: bool = False
) -> list[list[list[int]]]:
    """Decode candidates by ``generate``; for each one, the tokens of each bar."""
    lines = [MelodyGrammar(job.codec, job.plan) for _ in range(candidates)]
    opening = list(lines[0].forced)
    for line in lines:
        for index in opening:
            line.push(index)

    controls = [
        job.codec.vocabulary[name]
        for name in replace(job.voice.controls, key=lines[0].melody_key(0)).tokens()
    ]
    ids = torch.tensor([controls + opening] * candidates)
    choose = (
        {"do_sample": False}
        if greedy
        else {"do_sample": True, "temperature": 1.0, "top_p": 0.98, "top_k": 0}
    )

    with torch.inference_mode():
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            logits_processor=LogitsProcessorList([Grammar(lines, job.codec.pad)]),
            max_length=int(model.config.max_position_embeddings),
            use_cache=True,
            pad_token_id=job.codec.pad,
            eos_token_id=job.codec.eos,
            **choose,
        )

    return [line.bars for line in lines]


def by_us(job: Job, candidates: int, *, greedy: bool = False) -> list[list[list[int]]]:
    """Decode candidates by :func:`styletransfer.model.sampling.sample`, likewise."""
    config = SamplingConfig(candidates, 0.0 if greedy else 1.0, 0.98, 1.0)
    return [one.bars for one in sample([job.voice], job.codec, job.plan, config)]


def bandwidth() -> float:
    """Measure the bytes per second read from an uncached tensor, the best of five."""
    tensor = torch.ones(STREAMED // 4)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        tensor.sum()
        times.append(time.perf_counter() - begin)
    return STREAMED / min(times)


def tokens(bars: list[list[list[int]]], job: Job) -> int:
    """Count all tokens of all candidates, the forced ones among them."""
    melody = sum(
        len(MelodyGrammar(job.codec, job.plan).melody_segment(bar)) + 1
        for bar in range(job.plan.bars)
    )
    return sum(len(ids) for one in bars for ids in one) + melody * len(bars)


def fastest(
    decode: Callable[[], list[list[list[int]]]], job: Job, runs: int
) -> tuple[float, float]:
    """Return tokens per second, and seconds, of the fastest run."""
    decode()
    found = []
    for _ in range(runs):
        begin = time.perf_counter()
        bars = decode()
        seconds = time.perf_counter() - begin
        found.append((tokens(bars, job) / seconds, seconds))
    return max(found)


def main(argv: list[str] | None = None) -> int:
    """Time both loops, and print or write the table."""
    parser = recipe_parser(__doc__)
    parser.add_argument("--tune", default="happy-birthday")
    parser.add_argument("--style", default="bach")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)

    task = job(arguments.tune, arguments.style)
    melody = example(arguments.tune)
    model = Generating.of(as_llama(task.voice.model))
    weights = sum(value.numel() * value.element_size() for value in task.voice.model.parameters())
    limit = bandwidth() / weights
    lines = [
        f"{processor()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads; {arguments.tune} in the style of {arguments.style}, "
        f"best of {arguments.runs}.",
        "",
        f"Weights of {weights / 1e6:.1f} MB read at {bandwidth() / 1e9:.1f} GB/s: at most "
        f"{limit:,.0f} tokens per second.",
        "",
    ]
    rows = []
    for candidates in CANDIDATES:
        theirs, ours = (
            fastest(decode, task, arguments.runs)
            for decode in (
                partial(by_transformers, task, model, candidates),
                partial(by_us, task, candidates),
            )
        )
        music = [candidates * melody.length_seconds / seconds for _, seconds in (theirs, ours)]
        row = (
            f"{candidates}",
            f"{theirs[0]:,.0f}",
            f"{music[0]:.1f}",
            f"{ours[0]:,.0f}",
            f"{music[1]:.1f}",
            f"{ours[0] / theirs[0]:.1f}",
            f"{ours[0] / candidates / limit:.0%}",
        )
        rows.append(row)
        print(*row, flush=True)

    text = "\n".join([*lines, table(COLUMNS, rows)]) + "\n"
    print(text)
    if arguments.write:
        arguments.write.write_text(
            "# Decoding\n\n`python -m benchmarks.generate --write benchmarks/generate.md`\n\n"
            + text
        )

    return 0


if __name__ == "__main__":
    sys.exit(main())
