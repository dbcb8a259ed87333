"""Fit and measure the estimate of a tune's key.

    python -m benchmarks.keys --data data/prepared --fit
    python -m benchmarks.keys --data data/prepared --write benchmarks/keys.md

How often the key of a tune without accompaniment is estimated correctly. Tunes are the melodies of
scores, sixteen bars from their first note. The reference is the key that
`styletransfer.music.key.estimate_key` finds in all notes of these bars, tune and accompaniment, if
it finds the same key in the whole piece; the other excerpts modulate, or their key is doubtful.
`--fit` writes `styletransfer/assets/keys.json` from the training pieces. The profiles are the
floor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library
from styletransfer.evaluation.intervals import ratio_interval
from styletransfer.folders import ASSETS
from styletransfer.music import tune_key
from styletransfer.music.key import Key, estimate_key
from styletransfer.music.notes import BarTable, NoteTable

BARS, FEWEST = 16, 10
"""Bars of an excerpt, and the fewest notes of its tune."""
DECAY = 3e-4
"""The weight of the squared weights in the loss."""

Method = Callable[["Tune"], Key]


@dataclass(frozen=True)
class Tune:
    """The tune of an excerpt, its key, its piece's group, and whether it is a part."""

    notes: NoteTable
    bars: BarTable
    key: Key
    group: str
    part: bool


def tunes(library: Library, split: str) -> list[Tune]:
    """Cut the tunes of a split's scores."""
    found = []
    for index in library.select(split=split, feel="score"):
        notes, bars, info = library.notes(index), library.bars(index), library.pieces[index]
        if not notes["melody"].any():
            continue
        begin = float(notes["onset"][notes["melody"]].min())
        first = max(int(np.searchsorted(bars["start"], begin + 1e-3, side="right")) - 1, 0)
        end = float(bars["start"][min(first + BARS, len(bars) - 1)])
        onset = notes["onset"]
        excerpt = notes[(onset >= float(bars["start"][first]) - 1e-3) & (onset < end - 1e-3)]
        tune = excerpt[excerpt["melody"]]
        if len(tune) < FEWEST or len(excerpt) < 2 * len(tune):
            continue
        key = estimate_key(excerpt)
        if key == estimate_key(notes):
            found.append(Tune(tune, bars, key, info.group, info.tune == "part"))
    return found


def fit(examples: list[Tune]) -> dict[str, object]:
    """Fit the weights by maximum likelihood, with L-BFGS."""
    import torch

    inputs = np.stack(
        [tune_key.in_all_keys(tune_key.features(one.notes, one.bars)) for one in examples]
    )
    x = torch.from_numpy(inputs)
    goal = torch.tensor([(one.key.mode == "minor") * 12 + one.key.tonic for one in examples])
    weights = torch.zeros(2, x.shape[-1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(2, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        scores = (torch.einsum("ntf,mf->nmt", x, weights) + bias[:, None]).reshape(len(x), 24)
        loss = torch.nn.functional.cross_entropy(scores, goal) + DECAY * (weights**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    rows = weights.detach().reshape(2, len(tune_key.FEATURES), 12).numpy().round(4).tolist()
    about = f"the key of a tune; made by benchmarks/keys.py from {len(examples)} training tunes"
    return {
        "about": about,
        "features": list(tune_key.FEATURES),
        "bias": bias.detach().numpy().round(4).tolist(),
        "major": rows[0],
        "minor": rows[1],
    }


METHODS: dict[str, Method] = {
    "profiles (`estimate_key`)": lambda one: estimate_key(one.notes),
    "learnt (`estimate_tune_key`)": lambda one: tune_key.estimate_tune_key(one.notes, one.bars),
    "learnt, given the right key signature": lambda one: tune_key.likelier_key(
        one.notes, one.bars, one.key.fifths
    ),
    "learnt, given C major's key signature": lambda one: tune_key.likelier_key(
        one.notes, one.bars, 0
    ),
}


def row(name: str, split: str, examples: list[Tune], method: Method) -> str:
    """Return a line of the table."""
    right = np.array([method(one) == one.key for one in examples], float)
    cells = []
    for chosen in (np.ones(len(examples), bool), np.array([one.part for one in examples])):
        cells.append(
            _share(
                right[chosen], [one.group for one, yes in zip(examples, chosen, strict=True) if yes]
            )
        )
    return f"| {split} | {len(examples)} | {name} | {cells[0]} | {cells[1]} |"


def _share(right: NDArray[np.float64], groups: list[str]) -> str:
    found = ratio_interval(right, np.ones(len(right)), groups, np.random.default_rng(0))
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def page(library: Library) -> str:
    """Write the page."""
    lines = [
        "# The key of a tune",
        "",
        "`python -m benchmarks.keys --data data/prepared --write benchmarks/keys.md`",
        "",
        (__doc__ or "").split("\n\n", 2)[2].strip(),
        "",
        "The table has the share of tunes with the right tonic and mode, in brackets the 95 % "
        "bootstrap interval over content groups; chance is 1 in 24. MIDI files often have C "
        "major's key signature whatever their key is, hence the last row.",
        "",
        "| split | tunes | method | all | tunes in a part of their own |",
        "|---|---:|---|---|---|",
    ]
    for split in ("validation", "test"):
        examples = tunes(library, split)
        lines += [row(name, split, examples, method) for name, method in METHODS.items()]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Fit the weights, or write the page."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("--fit", action="store_true", help="write the weights")
    parser.add_argument("--write", type=Path, help="write the page")
    arguments = parser.parse_args(argv)
    library = Library.load(arguments.data, verify=False)
    if arguments.fit:
        found = fit(tunes(library, "train"))
        text = json.dumps(found, separators=(",", ":")) + "\n"
        (ASSETS / "keys.json").write_text(text, encoding="utf-8")
    if arguments.write:
        arguments.write.write_text(page(library), encoding="utf-8")


if __name__ == "__main__":
    main()
