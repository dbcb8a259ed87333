"""Measure how fast the base trains.

    python -m benchmarks.train_step --data data/prepared --write benchmarks/train_step.md

Two loops run one after the other on the same windows, batch and sizes: this package's (as in
``pretrain.train``: Trainer, its optimizer, loader and log), and a plain one in PyTorch (a GPT of as
many parameters with learnt positions, LayerNorm and a GELU, AdamW, windows made in advance). Both
are compiled where the settings say so. The first steps, which compile, aren't timed; the result is
the mean of the middle half of the other steps' times, as other work on the machine delays single
steps.

The model's floating point operations (6 per parameter and token, and 12 x layers x width x context
per token for attention) are compared with what this device reaches in a product of square matrices
of the type that the run multiplies in. The loader's share is the time to make a batch over the time
of a step: on a CPU both use the same cores. The optimizers are also timed alone, on gradients of
noise.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.apply import processor
from styletransfer.configuration import load_config, recipe_parser
from styletransfer.data.batches import IGNORE, Windows
from styletransfer.data.library import Library
from styletransfer.evaluation.markdown import table
from styletransfer.model.base import build_model
from styletransfer.model.weights import ModelConfig
from styletransfer.tokens.codec import Codec
from styletransfer.training.optimizer import MuonAdamW
from styletransfer.training.trainer import TrainConfig, keep_memory, train

FIRST = 10  # steps that aren't timed
MATRIX = 2048  # rows and columns of the matrices that are multiplied
COLUMNS = ("loop", "ms per step", "tokens/s", "of the plain loop", "of the matrix product")
COMMAND = "python -m benchmarks.train_step --data data/prepared --write benchmarks/train_step.md"


class Block(nn.Module):
    """Attention and a GELU, each after a LayerNorm."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = (
            nn.Linear(width, 3 * width, bias=False),
            nn.Linear(width, width, bias=False),
        )
        self.up, self.down = (
            nn.Linear(width, hidden, bias=False),
            nn.Linear(hidden, width, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        split = (
            self.qkv(self.norm1(x))
            .view(batch, count, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        seen = functional.scaled_dot_product_attention(split[0], split[1], split[2], is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, count, width))
        x = x + self.down(functional.gelu(self.up(self.norm2(x))))
        return x


class PlainGpt(nn.Module):
    """A GPT with as many parameters as the base of these sizes.

    Where the base has three matrices in its network, this has two that are 1.5 times as wide.
    """

    def __init__(self, sizes: ModelConfig, vocabulary: int) -> None:
        super().__init__()
        self.tokens, self.places = (
            nn.Embedding(vocabulary, sizes.width),
            nn.Embedding(sizes.context, sizes.width),
        )
        self.blocks = nn.ModuleList(
            Block(sizes.width, sizes.heads, sizes.hidden * 3 // 2) for _ in range(sizes.layers)
        )
        self.norm = nn.LayerNorm(sizes.width)
        for weight in (self.tokens.weight, self.places.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, ids: Tensor, labels: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places.weight
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.tokens.weight.T
        return functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORE
        )


def ours(library: Library, run: TrainConfig) -> tuple[float, str]:
    """Train by this package; give the seconds of a step, and the type used.

    The type is the one that it multiplies in.
    """
    with tempfile.TemporaryDirectory() as folder:
        train(library, Codec(), replace(run, log_every=1), Path(folder))
        rows = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
        precision = (Path(folder) / "precision").read_text()
    return middle(
        [row["time"] for row in rows if "loss" in row and row["step"] >= FIRST]
    ), precision


def plain(windows: Windows, run: TrainConfig, vocabulary: int, precision: str) -> tuple[float, int]:
    """Train by the plain loop; give the seconds of a step, and how many parameters."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    model = PlainGpt(run.model, vocabulary).to(device)
    count = sum(value.numel() for value in model.parameters())
    optimizer = adamw(model)
    batches = [batch_of(windows, run, k, device) for k in range(8)]
    step: Any = torch.compile(model) if run.compile else model
    narrow = (
        torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()
    )
    ends = []
    for k in range(run.steps):
        with narrow:
            loss = step(*batches[k % len(batches)])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        _wait()
        if k + 1 >= FIRST:
            ends.append(time.perf_counter())

    return middle(ends), count


def middle(ends: list[float]) -> float:
    """Average the middle half of the times between moments."""
    times = np.sort(np.diff(ends))
    return float(times[len(times) // 4 : len(times) - len(times) // 4].mean())


def stepping(model: nn.Module, optimizer: torch.optim.Optimizer, times: int = 10) -> float:
    """Time an optimizer's step in seconds, after three untimed ones."""
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    ends = []
    for k in range(times + 3):
        optimizer.step()
        _wait()
        if k + 1 >= 3:
            ends.append(time.perf_counter())
    return middle(ends)


def optimizers(run: TrainConfig, codec: Codec, precision: str) -> tuple[float, float, int]:
    """Time both optimizers' steps, and count the parameters of this package's model.

    Returns:
        Seconds of this package's, seconds of the plain loop's, and the number of parameters.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.device(device):
        model, gpt = build_model(run.model, codec.vocabulary), PlainGpt(run.model, codec.size)
    own = MuonAdamW(model, run.learning_rate, run.weight_decay, narrow=precision == "bfloat16")
    return stepping(model, own), stepping(gpt, adamw(gpt)), model.num_parameters()


def adamw(model: nn.Module) -> torch.optim.AdamW:
    """Make the plain loop's optimizer."""
    return torch.optim.AdamW(model.parameters(), 1e-3, (0.9, 0.95), weight_decay=0.1, fused=True)


def batch_of(
    windows: Windows, run: TrainConfig, number: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Make a batch of windows: ids and labels, each (batch, context)."""
    rows = [windows[number * run.batch + k] for k in range(run.batch)]
    return tuple(
        torch.from_numpy(np.stack([row[name] for row in rows])).to(device)
        for name in ("input_ids", "labels")
    )  # type: ignore[return-value]


def peak(precision: str) -> float:
    """Measure a matrix product's floating point operations per second, best of ten."""
    device, dtype = "cuda" if torch.cuda.is_available() else "cpu", getattr(torch, precision)
    left, right = (torch.ones(MATRIX, MATRIX, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(10):
        _wait()
        begin = time.perf_counter()
        left @ right
        _wait()
        times.append(time.perf_counter() - begin)
    return 2 * MATRIX**3 / min(times)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    made = recipe_parser(__doc__, data=True)
    made.add_argument("--config", type=Path, default=Path("configs/pretrain/small.yaml"))
    made.add_argument("--steps", type=int, default=60, help="steps of each loop")
    made.add_argument("--write", type=Path, help="the page to write")
    return made


def main(argv: list[str] | None = None) -> int:
    """Time both loops, and print or write the table."""
    arguments = parser().parse_args(argv)

    keep_memory()
    settings = load_config(TrainConfig, arguments.config)
    run = replace(
        settings,
        steps=arguments.steps,
        evaluate_every=10 * arguments.steps,
        save_every=10 * arguments.steps,
    )

    library, codec = Library.load(arguments.data), Codec()
    windows = Windows(library, codec, run.mixture, run.model.context, run.seed)
    begin = time.perf_counter()
    for k in range(8):
        batch_of(windows, run, 100 + k, torch.device("cpu"))
    loading = (time.perf_counter() - begin) / 8

    seconds, precision = ours(library, run)
    theirs, parameters = plain(windows, run, codec.size, precision)
    *stepped, own = optimizers(run, codec, precision)

    sizes, tokens = run.model, run.batch * run.model.context
    operations = tokens * (6 * parameters + 12 * sizes.layers * sizes.width * sizes.context)
    best = peak(precision)
    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"{processor()}, {os.cpu_count()} cores"
    )

    def row(name: str, took: float) -> list[str]:
        cells = [f"{1000 * took:,.0f}", f"{tokens / took:,.0f}", f"{theirs / took:.2f}"]
        return [name, *cells, f"{operations / took / best:.0%}"]

    share = (theirs - stepped[1]) / (seconds - stepped[0])
    lines = [
        f"{device}, torch {torch.__version__}, {torch.get_num_threads()} threads, {precision}; "
        f"`{arguments.config}`: {own / 1e6:.1f} M parameters (the plain loop's GPT "
        f"{parameters / 1e6:.1f} M), {tokens:,} tokens per step, {arguments.steps} steps, the "
        f"first {FIRST} untimed. Product of {MATRIX} x {MATRIX} matrices: "
        f"{best / 1e9:,.0f} GFLOP/s.",
        "",
        table(COLUMNS, [row("this package's run", seconds), row("plain loop", theirs)]),
        "",
        f"Making a batch takes {1000 * loading:.0f} ms, {loading / seconds:.1%} of a step. The "
        f"optimizers take {1000 * stepped[0]:.0f} ms (Muon) and {1000 * stepped[1]:.0f} ms "
        f"(AdamW); without them the run has {share:.2f} of the plain loop's speed.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.write:
        arguments.write.write_text(f"# Training\n\n`{COMMAND}`\n\n{text}")

    return 0


if __name__ == "__main__":
    sys.exit(main())
