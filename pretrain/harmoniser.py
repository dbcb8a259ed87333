"""Train the harmoniser.

    python -m pretrain.harmoniser --data data/prepared --minutes 25

Writes ``styletransfer/assets/harmoniser``, in the minutes that are given, from the training scores
of a prepared data set: songs above all, then keyboard pieces, then hymns and chorales. A melody is
shown as it stands, as a tune alone (from its first to its last bar, as users bring it), or made
plainer; style, harmonic rhythm and a few chords are given at times, so that the network can do with
and without them. What it reaches on the validation songs is in the manifest.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.harmoniser_data import (
    BATCH,
    SHARES,
    Example,
    Window,
    examples,
    tensors,
    whole,
    window,
)
from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library
from styletransfer.tokens.codec import Codec

if TYPE_CHECKING:
    from styletransfer.model.harmoniser import Harmoniser

RATE, WEIGHT_DECAY, WARMUP = 2.5e-3, 0.05, 100
"""The learning rate's peak, its weight decay, and the steps in which it rises."""


def losses(model: Harmoniser, windows: Sequence[Window]) -> dict[str, Any]:
    """Add up losses over a batch.

    Returns:
        The nats of ``change``, ``chord`` and ``bass``, the numbers of ``frames`` and ``chords``,
        and how many ``roots`` were predicted right.
    """
    import torch
    import torch.nn.functional as F

    from styletransfer.model.harmoniser import History

    melody, before, goal = tensors(windows)
    encoded = model.encode(melody)
    states = model.decode(encoded, before)

    asked = goal["inside"].clone()
    asked[:, 0] = False
    change = F.binary_cross_entropy_with_logits(
        model.change_logits(states)[asked], goal["change"][asked].float(), reduction="sum"
    )

    at = goal["change"] & goal["inside"]
    here, around = states[at], encoded.windows[at]
    old = History(before.root[at], before.quality[at], before.bass[at], before.since[at])
    logits = model.chord_logits(here, around, old)
    chord = F.cross_entropy(logits, goal["chord"][at], reduction="sum")
    low = model.bass_logits(here, around, old, goal["chord"][at])
    bass = F.cross_entropy(low, goal["bass"][at], reduction="sum", ignore_index=-100)

    roots = torch.div(logits.argmax(-1), 9, rounding_mode="floor")
    return {
        "change": change,
        "chord": chord,
        "bass": bass,
        "frames": int(goal["inside"].sum()),
        "chords": int(at.sum()),
        "roots": int((roots == goal["chord"][at] // 9).sum()),
    }


def validate(model: Harmoniser, pool: Sequence[Example], telling: int = 0) -> dict[str, float]:
    """Measure nats per frame over whole pieces, in all and by part.

    ``root`` is the share of roots that are predicted right where chords begin.
    """
    import torch

    model.train(False)
    total: dict[str, float] = {}
    with torch.inference_mode():
        for example in pool:
            for name, value in losses(model, [whole(example, model.config, telling)]).items():
                total[name] = total.get(name, 0.0) + float(value)
    model.train(True)
    nats = {name: total[name] / total["frames"] for name in ("change", "chord", "bass")}
    return {"nats": sum(nats.values()), **nats, "root": total["roots"] / total["chords"]}


def train(
    model: Harmoniser,
    data: dict[str, list[Example]],
    held: list[Example],
    minutes: float,
    seed: int,
) -> None:
    """Train for so many minutes; at the end the learning rate falls to zero."""
    import torch

    rng = np.random.default_rng(seed)
    weights = {
        genre: np.cumsum([len(e.chords) ** 0.8 for e in pool]) for genre, pool in data.items()
    }
    names = [genre for genre in SHARES if data.get(genre)]
    chance = np.array([SHARES[genre] for genre in names])
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98)
    )

    begin = time.monotonic()
    step, said, mean = 0, begin, 0.0
    while (done := (time.monotonic() - begin) / 60 / minutes) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARMUP) * min(1.0, (1 - done) / 0.7)
        drawn = rng.choice(len(names), BATCH, p=chance / chance.sum())
        batch = [window(data[names[k]], weights[names[k]], model.config, rng) for k in drawn]
        loss = losses(model, batch)
        objective = (loss["change"] + loss["chord"] + loss["bass"]) / loss["frames"]

        optimizer.zero_grad(set_to_none=True)
        objective.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean += (objective.item() - mean) * max(0.02, 1 / (step + 1))
        step += 1

        if time.monotonic() - said > 60:
            said = time.monotonic()
            found = validate(model, held)
            print(
                f"{(said - begin) / 60:.1f} min, step {step}, training {mean:.4f}, validation",
                shown(found),
                flush=True,
            )


def shown(numbers: dict[str, float]) -> str:
    """Format numbers on one line."""
    return ", ".join(f"{name} {value:.4f}" for name, value in numbers.items())


def main(argv: list[str] | None = None) -> int:
    """Train, validate, and write the folder; return the exit code."""
    parser = recipe_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("styletransfer/assets/harmoniser"))
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)

    import torch

    from styletransfer.model.harmoniser import Harmoniser, HarmoniserConfig
    from styletransfer.music.composers import COMPOSERS, ERAS, UNKNOWN

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    library, codec = Library.load(options.data), Codec()
    data: dict[str, list[Example]] = {genre: [] for genre in SHARES}
    for example in examples(library, "train", codec):
        data[example.genre].append(example)
    held = list(examples(library, "validation", codec))
    held = [example for example in held if example.genre == "song"] or held
    print({genre: len(pool) for genre, pool in data.items()}, len(held), flush=True)

    config = HarmoniserConfig(COMPOSERS, tuple(era for era in ERAS if era != UNKNOWN))
    model = Harmoniser(config)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    train(model, data, held[::4], options.minutes, options.seed)
    found = validate(model, held)
    print("validation", shown(found), flush=True)
    save(model, options.out, library, data, found, options)
    return 0


def save(
    model: Harmoniser,
    out: Path,
    library: Library,
    data: dict[str, list[Example]],
    found: dict[str, float],
    options: argparse.Namespace,
) -> None:
    """Write the weights in half precision and the manifest."""
    import json

    import torch
    from safetensors.torch import save as to_bytes

    from styletransfer.files import write_atomically
    from styletransfer.model.harmoniser import manifest_of

    out.mkdir(parents=True, exist_ok=True)
    weights = to_bytes(
        {name: tensor.detach().to(torch.float16) for name, tensor in model.state_dict().items()}
    )

    counts: dict[str, dict[str, int]] = {}
    for pool in data.values():
        for example in pool:
            for name in {example.composer, example.era}:
                row = counts.setdefault(name, {})
                row[example.genre] = row.get(example.genre, 0) + 1
    manifest = manifest_of(
        model.config,
        weights,
        data=library.hash,
        pieces=counts,
        validation={name: round(value, 4) for name, value in found.items()},
        minutes=options.minutes,
        seed=options.seed,
    )
    write_atomically(out / "model.safetensors", weights)
    write_atomically(
        out / "manifest.json", (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    )


if __name__ == "__main__":
    sys.exit(main())
