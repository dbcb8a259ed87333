"""How fast the base trains: ``python -m benchmarks.train_step --data data/prepared --write
benchmarks/train_step.md``.

The same windows, batch and sizes, one after the other: this package's run (``pretrain.train``:
Trainer, our optimizer, loader, log) and a plain loop in PyTorch, a GPT with learnt positions,
LayerNorm and a GELU of as many parameters, AdamW, windows made beforehand; both compiled where the
settings say so. Steps are timed after the first ones, which compile; what is told is the mean of
the middle half of their times, as other work on the machine makes single ones longer. The model's
floating point operations (6 a parameter and token, and attention's 12 x layers x width x context)
are held against what this device reaches in a product of square matrices in the type that the run
multiplies in. The loader's share is the time that making a batch takes, of a step: on a CPU it is
the same cores'. What the optimizers take is timed by itself, on gradients of noise.
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
from styletransfer.configuration import load_config
from styletransfer.data.batches import IGNORE, Windows
from styletransfer.data.library import Library
from styletransfer.model.base import build_model
from styletransfer.model.weights import ModelConfig
from styletransfer.tokens.codec import Codec
from styletransfer.training.optimizer import MuonAdamW
from styletransfer.training.trainer import TrainConfig, keep_memory, train

FIRST = 10  # steps that aren't timed
MATRIX = 2048


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
    """A GPT with as many parameters as the base of these sizes: two matrices of 1.5 x the width
    that its three have.
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
    """Seconds a step of a run, from the times in its log, and the type that it multiplies in."""
    with tempfile.TemporaryDirectory() as folder:
        train(library, Codec(), replace(run, log_every=1), Path(folder))
        rows = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
        precision = (Path(folder) / "precision").read_text()
    return middle(
        [row["time"] for row in rows if "loss" in row and row["step"] >= FIRST]
    ), precision


def plain(windows: Windows, run: TrainConfig, vocabulary: int, precision: str) -> tuple[float, int]:
    """Seconds a step of the plain loop, and its parameters."""
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
    """The mean of the middle half of the times between moments."""
    times = np.sort(np.diff(ends))
    return float(times[len(times) // 4 : len(times) - len(times) // 4].mean())


def stepping(model: nn.Module, optimizer: torch.optim.Optimizer, times: int = 10) -> float:
    """Seconds of an optimizer's step, after three untimed ones."""
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
    """Seconds a step of this package's optimizer and of the plain loop's, and the parameters of
    this package's model.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.device(device):
        model, gpt = build_model(run.model, codec.vocabulary), PlainGpt(run.model, codec.size)
    own = MuonAdamW(model, run.learning_rate, run.weight_decay, narrow=precision == "bfloat16")
    return stepping(model, own), stepping(gpt, adamw(gpt)), model.num_parameters()


def adamw(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), 1e-3, (0.9, 0.95), weight_decay=0.1, fused=True)


def batch_of(
    windows: Windows, run: TrainConfig, number: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    rows = [windows[number * run.batch + k] for k in range(run.batch)]
    return tuple(
        torch.from_numpy(np.stack([row[name] for row in rows])).to(device)
        for name in ("input_ids", "labels")
    )  # type: ignore[return-value]


def peak(precision: str) -> float:
    """Floating point operations a second of a product of square matrices, the best of ten."""
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


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("configs/pretrain/small.yaml"))
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data/prepared"),
        help="made by `styletransfer data prepare`",
    )
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)
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
    rows = (("this package's run", seconds), ("plain loop", theirs))
    lines = [
        f"{device}, torch {torch.__version__}, {torch.get_num_threads()} threads, {precision}; `{arguments.config}`: "
        f"{own / 1e6:.1f} M parameters (the plain loop's GPT {parameters / 1e6:.1f} M), "
        f"{tokens:,} tokens a step, {arguments.steps} steps, the first {FIRST} untimed. "
        f"Product of {MATRIX} x {MATRIX} matrices: {best / 1e9:,.0f} GFLOP/s.",
        "",
        "| | ms a step | tokens/s | of the plain loop | of the matrix product |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {1000 * took:,.0f} | {tokens / took:,.0f} | {theirs / took:.2f} | {operations / took / best:.0%} |"
            for name, took in rows
        ),
        "",
        f"Making a batch takes {1000 * loading:.0f} ms, {loading / seconds:.1%} of a step. The optimizers take "
        f"{1000 * stepped[0]:.0f} ms (Muon) and {1000 * stepped[1]:.0f} ms (AdamW); without them the run has "
        f"{(theirs - stepped[1]) / (seconds - stepped[0]):.2f} of the plain loop's speed.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.write:
        command = (
            "python -m benchmarks.train_step --data data/prepared --write benchmarks/train_step.md"
        )
        arguments.write.write_text(f"# Training\n\n`{command}`\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
