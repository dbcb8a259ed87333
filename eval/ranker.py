r"""Weigh the ranker's measures by comparing candidates with composers' writing.

    python -m eval.ranker chords --data data/prepared
    for split in train validation test; do
        python -m eval.ranker make --data data/prepared --split $split \
            --arrangements runs/ranker/$split.jsonl
    done
    python -m eval.ranker fit --arrangements runs/ranker --write eval/results/ranker.json
    python -m eval.ranker make --data data/prepared --split validation --candidates 32 \
        --arrangements runs/pool/validation.jsonl
    python -m eval.ranker count --arrangements runs/pool --write eval/results/candidates.json

``chords`` counts which chord follows which in the training scores, quarter by quarter, in the key
of the melody of each stretch of 32 quarters, and writes ``styletransfer/assets/chords.json``.

``make`` takes an excerpt of 32 quarters from a score of each content group, at most twenty of a
composer (none of the transfer report's 40 melodies is among them), arranges its melody in its
composer's style, and keeps all candidates and the composer's own accompaniment. It continues where
it was interrupted.

``fit`` finds which measures tell the composer's accompaniment from the candidates under the same
melody, by a conditional logit (D. McFadden, "Conditional logit analysis of qualitative choice
behavior", 1974) fitted to the melodies of the training pieces. Its worth is measured on those of
the validation and test pieces: how many of the candidates rank behind the composer's own, and how
close the chosen candidate comes to the composer's (:func:`agreement`). What is set by hand was
chosen on the validation pieces (docs/decisions/0023); nothing was chosen on the test pieces.

``count`` measures the same for a choice among 1, 2, 4 and more of the validation pieces'
candidates, as a mean over all subsets of that size.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import comb, log_softmax

from styletransfer import folders
from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library
from styletransfer.evaluation.excerpts import excerpts
from styletransfer.evaluation.intervals import ratio_interval
from styletransfer.evaluation.measures.chroma import mean_cosine, sounding_time
from styletransfer.files import write_atomically
from styletransfer.model.base import as_llama
from styletransfer.model.loading import measured_model, melody_codec, voices_in
from styletransfer.model.sampling import Voice, sample, with_heads
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.idiom import shipped_idioms
from styletransfer.music.key import SCALES, estimate_key, out_of_key_share
from styletransfer.music.notes import NoteTable, Piece, make_notes
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.plan import plan_of
from styletransfer.transfer.assemble import assemble
from styletransfer.transfer.ranking import rank

QUARTERS = 32.0
"""The length of an excerpt."""

MOST = 20
"""Melodies of a composer at most."""

FEWEST = 8
"""Notes of a melody at least."""

CHORDS = Path("styletransfer/assets/chords.json")
FITTED = ("progression", "clarity", "fifths", "clash", "emptiness", "late", "repeated", "stretch")
"""Measures whose weights ``fit`` fits; those that ship are fitted by ``eval.readers``."""
UNSEEN = ("longest_match_notes", "same_bars", "open_end", "copied")
"""Measures that an excerpt can't show: it has no bars, no end, and isn't searched for copies."""
MEASURES = (
    *FITTED,
    *(one.name for one in rank.MEASURES if one.name not in (*FITTED, *UNSEEN)),
    "outside",
)
"""All measures of the ranker that an excerpt shows, and notes out of the key."""

HIGHER = tuple(one.name for one in rank.MEASURES if one.more_is_better)
"""Measures that are better the higher they are, where one chooses alone."""

COUNTS, USUAL = (1, 2, 4, 8, 12, 16, 24, 32), 8
"""How many candidates ``count`` chooses from, and the number the others are compared with."""

RIDGE = 2.0
"""Half the precision of a weight's prior, for a measure divided by its deviation in a melody."""


def melodies(library: Library, split: str = "validation") -> Iterator[tuple[str, str, Piece]]:
    """Cut excerpts from a split's scores by composers whose style ships.

    There is one of each content group, and at most :data:`MOST` of a composer.

    Yields:
        The name, the composer and the excerpt.
    """
    names = {path.name for path in folders.shipped().iterdir()}
    chosen: dict[str, dict[str, int]] = {name: {} for name in names}
    for index in library.select(split=split, feel="score"):
        if (composer := library.pieces[index].composer) in names:
            chosen[composer].setdefault(library.pieces[index].group, index)
    most = {index for groups in chosen.values() for index in list(groups.values())[:MOST]}
    for index in sorted(most):
        found = excerpts(library, [index], [QUARTERS])[0]
        if found is not None and found.piece.notes["melody"].sum() >= FEWEST:
            yield found.id, library.pieces[index].composer, found.piece


def chord_counts(library: Library) -> dict[str, NDArray[np.int64]]:
    """Count how often a chord follows another in the training scores.

    Returns:
        By mode, shape (36, 36): rows are the first chord, columns the second.
    """
    counts = {mode: np.zeros((len(rank.CHORDS), len(rank.CHORDS)), np.int64) for mode in SCALES}
    for index in library.select(split="train", feel="score"):
        notes = library.notes(index)
        for begin in np.arange(0, float(notes["onset"].max()) + 1e-6, QUARTERS):
            cut = notes[(notes["onset"] >= begin) & (notes["onset"] < begin + QUARTERS)]
            if cut["melody"].sum() >= FEWEST:
                table = make_notes(
                    cut["onset"] - begin, cut["duration"], cut["pitch"], melody=cut["melody"]
                )
                key = estimate_key(table[table["melody"]])
                chords = rank.path(rank.piano_roll(table), key)
                np.add.at(counts[key.mode], (chords[:-1], chords[1:]), 1)
    return counts


def likelihoods(voices: list[Voice], codec: Codec, piece: Piece) -> tuple[float, float]:
    """Measure the mean log-probability per token of a piece, in nats.

    Returns:
        Under the style and without it, as in :class:`styletransfer.model.sampling.Candidate`.
    """
    grid = codec.grid(piece)
    ids, scored = codec.encode(grid, (), with_melody=True)
    rows = with_heads([voices], codec.vocabulary, [codec.melody_key(grid, 0)], [ids])
    found = []
    for voice, row in zip(voices, rows, strict=True):
        model, context = as_llama(voice.model), voice.model.sizes.context
        cut = torch.tensor([row[:context]])
        with torch.inference_mode():
            logs = torch.log_softmax(model(input_ids=cut).logits[0].float(), -1)
        keep = np.flatnonzero([False] * (len(row) - len(ids)) + scored)
        keep = keep[keep < cut.shape[1]]
        found.append(float(logs[keep - 1, cut[0, keep]].mean()))
    return found[0], found[-1]


def arrangement(piece: Piece, style: float, plain: float) -> dict[str, Any]:
    """Give what is kept of an arrangement.

    Args:
        piece: with its melody marked.
        style: the mean log-probability per token under the style.
        plain: the same without it.
    """
    notes = piece.notes
    columns = {
        name: np.round(notes[name].astype(float), 4).tolist()
        for name in ("onset", "duration", "pitch")
    }
    return {
        "style": style,
        "plain": plain,
        **columns,
        "melody": notes["melody"].astype(int).tolist(),
    }


def table_of(kept: dict[str, Any]) -> NoteTable:
    """Read the notes of what :func:`arrangement` kept."""
    return make_notes(
        kept["onset"], kept["duration"], kept["pitch"], melody=np.array(kept["melody"], bool)
    )


def basses(notes: NoteTable, quarters: int) -> NDArray[np.int64]:
    """Find the lowest note's pitch class on each quarter, -1 for none: (quarters,)."""
    found = np.full(quarters, -1)
    for beat in range(quarters):
        sounding = (notes["onset"] < beat + 0.01) & (
            notes["onset"] + notes["duration"] > beat + 0.01
        )
        if sounding.any():
            found[beat] = int(notes["pitch"][sounding].min()) % 12
    return found


def agreement(made: NoteTable, real: NoteTable) -> dict[str, float]:
    """Measure how close an accompaniment comes to the composer's, from 0 to 1.

    Returns:
        ``harmony``, the cosine of the chroma of each two quarters; ``bass``, the share of quarters
        with the same pitch class in the bass; ``notes`` and ``sounding``, the smaller over the
        larger number of notes, and sum of durations; ``all``, the mean of the four.
    """
    quarters = int(np.ceil(float((real["onset"] + real["duration"]).max())))
    mine, theirs = (sounding_time(notes, np.arange(0, quarters + 2, 2.0)) for notes in (made, real))
    sounds = theirs.sum(1) > 1e-6
    bass = basses(real, quarters)
    counts, lengths = (
        (len(made), len(real)),
        (float(made["duration"].sum()), float(real["duration"].sum())),
    )
    found = {
        "harmony": mean_cosine(mine[sounds], theirs[sounds]),
        "bass": float((basses(made, quarters) == bass)[bass >= 0].mean()),
        "notes": min(counts) / max(counts),
        "sounding": min(lengths) / max(lengths),
    }
    return found | {"all": float(np.mean(list(found.values())))}


def fit(folder: Path) -> dict[str, Any]:
    """Fit weights to the training melodies, and measure them on others.

    Those that ship are measured as well.

    Returns:
        The report, as plain data.
    """
    learnt, _ = arrangements(folder / "train.jsonl")
    weights = weights_of(learnt[..., : len(FITTED)])
    others = {split: arrangements(folder / f"{split}.jsonl") for split in ("validation", "test")}
    means = {
        split: {
            name: {
                "composers": round(float(column[:, 0].mean()), 4),
                "candidates": round(float(column[:, 1:].mean()), 4),
            }
            for name, column in zip(MEASURES, np.moveaxis(every, -1, 0), strict=True)
        }
        for split, every in (
            ("train", learnt),
            *((split, values) for split, (values, _) in others.items()),
        )
    }
    del means["train"]["idiom"]  # the idioms were learnt from these pieces

    return {
        "made_by": "eval.ranker fit",
        "melodies": {
            "train": len(learnt),
            **{split: len(values) for split, (values, _) in others.items()},
        },
        "candidates": learnt.shape[1] - 1,
        "means": means,
        "weights": dict(zip(FITTED, np.round(weights, 4).tolist(), strict=True)),
        "choices": {
            split: worth(values, near, weights) for split, (values, near) in others.items()
        },
    }


def worth(
    values: NDArray[np.float64], near: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, dict[str, float]]:
    """Measure the worth of choices by fitted weights, shipped ones, single measures.

    Returns:
        By choice, ``agreement`` with the composer's own; ``gain``, its excess over a candidate at
        random; ``behind``, the share of candidates that rank behind the composer's own; for the
        weights that ship, ``by the idiom``, what they gain by the measure of the style.
    """
    totals, idiom = totals_of(values), rank.WEIGHTS["idiom"] * values[..., MEASURES.index("idiom")]
    systems = {
        "the fitted weights": values[..., : len(FITTED)] @ weights,
        "the weights that ship": totals,
        "these, without the idiom": totals - idiom,
    }
    systems |= {
        f"{name} alone": values[..., k] * (1 if name in HIGHER else -1)
        for k, name in enumerate(MEASURES)
    }
    chance = near.mean(1)
    table: dict[str, dict[str, float]] = {
        "one at random": {"agreement": chance.mean()},
        "the best there is": {"agreement": near.max(1).mean()},
    }
    chosen = {
        name: near[np.arange(len(near)), scores[:, 1:].argmax(1)]
        for name, scores in systems.items()
    }

    for name, scores in systems.items():
        behind = (scores[:, :1] > scores[:, 1:]).mean(1) + (scores[:, :1] == scores[:, 1:]).mean(
            1
        ) / 2
        table[name] = {
            "agreement": chosen[name].mean(),
            **interval("gain", chosen[name] - chance),
            **interval("behind", behind),
        }

    added = chosen["the weights that ship"] - chosen["these, without the idiom"]
    table["the weights that ship"] |= interval("by the idiom", added)

    return {
        name: {key: round(float(value), 4) for key, value in row.items()}
        for name, row in table.items()
    }


def count(path: Path) -> dict[str, Any]:
    """Measure the ranker's choice among some of a song's candidates, as plain data.

    Every number is a mean over all subsets of that size: the agreement with the composer's own, its
    excess over a choice among :data:`USUAL`, and :data:`FITTED`, with the composers' own values.
    """
    values, near = arrangements(path)
    totals = totals_of(values)
    order = np.argsort(-totals[:, 1:], 1, kind="stable")
    near, totals = (np.take_along_axis(every, order, 1) for every in (near, totals[:, 1:]))
    made = np.take_along_axis(values[:, 1:], order[..., None], 1)
    most = near.shape[1]
    below = most - 1 - np.arange(most)  # how many rank behind each: a draw it wins has only these
    shares = {size: comb(below, size - 1) / comb(most, size) for size in COUNTS if size <= most}
    usual = near @ shares[min(USUAL, most)]
    fitted = len(FITTED)

    return {
        "made_by": "eval.ranker count",
        "melodies": len(near),
        "candidates": most,
        "composers": dict(
            zip(FITTED, np.round(values[:, 0, :fitted].mean(0), 4).tolist(), strict=True)
        ),
        "counts": {
            str(size): {
                "agreement": round(float((near @ share).mean()), 4),
                **{
                    key: round(value, 4)
                    for key, value in interval("gain", near @ share - usual).items()
                },
                "total": round(float((totals @ share).mean()), 4),
                **dict(
                    zip(
                        FITTED,
                        np.round(
                            np.einsum("scm,c->m", made, share)[:fitted] / len(near), 4
                        ).tolist(),
                        strict=True,
                    )
                ),
            }
            for size, share in shares.items()
        },
    }


def arrangements(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure the arrangements of a file.

    Returns:
        :data:`MEASURES` of each song's arrangements, shape (songs, 1 + candidates, measures), the
        composer's own first; and the candidates' agreement with it, shape (songs, candidates).
    """
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    every = [
        [
            measures_of(kept, row["composer"], 60 / row["seconds_a_quarter"])
            for kept in (row["real"], *row["candidates"])
        ]
        for row in rows
    ]
    near = np.array([[nearness(kept, row["real"]) for kept in row["candidates"]] for row in rows])
    return np.array(every), near


def totals_of(measures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum arrangements' :data:`MEASURES` by the shipped weights.

    Counted are those that excerpts show.
    """
    return np.asarray(
        measures @ np.array([rank.WEIGHTS.get(name, 0.0) for name in MEASURES]), np.float64
    )


def measures_of(kept: dict[str, Any], composer: str, tempo: float) -> list[float]:
    """Take :data:`MEASURES` of an arrangement in a composer's style."""
    notes = table_of(kept)
    melody, rest = notes[notes["melody"]], notes[~notes["melody"]]
    idioms = shipped_idioms()
    own = idioms.known(composer)
    alike = 0.0 if own is None else idioms.likeness(melody, rest, own)
    likely = {"style_logprob": kept["style"], "base_logprob": kept["plain"]}
    found = rank.score(rank.Music(melody, rest, tempo, idiom=alike, **likely))
    found["outside"] = out_of_key_share(rest, estimate_key(melody))
    return [found[name] for name in MEASURES]


def nearness(kept: dict[str, Any], real: dict[str, Any]) -> float:
    """Measure the agreement of two arrangements' accompaniments."""
    made, own = table_of(kept), table_of(real)
    return agreement(made[~made["melody"]], own[~own["melody"]])["all"]


def interval(name: str, values: NDArray[np.float64]) -> dict[str, float]:
    """Average over melodies, with an interval."""
    found = ratio_interval(
        values, np.ones(len(values)), range(len(values)), np.random.default_rng(0)
    )
    return {name: found.value, f"{name} low": found.low, f"{name} high": found.high}


def notes_a_quarter(notes: NoteTable) -> float:
    """Count the accompaniment's notes per quarter of the melody."""
    melody = notes[notes["melody"]]
    return float(
        (~notes["melody"]).sum()
        / ((melody["onset"] + melody["duration"]).max() - melody["onset"][0])
    )


def weights_of(measures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the weights under which a softmax most likely chooses the first one.

    Args:
        measures: shape (songs, arrangements, measures).

    Returns:
        Shape (measures,).
    """
    centred = measures - measures.mean(1, keepdims=True)
    scale = centred.reshape(-1, measures.shape[-1]).std(0)
    x = centred / scale

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logs = log_softmax(x @ weights, 1)
        slope = (np.exp(logs)[..., None] * x).sum(1) - x[:, 0]
        return RIDGE * weights @ weights - logs[:, 0].sum(), 2 * RIDGE * weights + slope.sum(0)

    return np.asarray(minimize(loss, np.zeros(len(scale)), jac=True).x / scale, np.float64)


def candidates_for(
    tune: Piece, voices: list[Voice], codec: Codec, count: int
) -> list[dict[str, Any]]:
    """Make some arrangements of a melody, as :func:`arrangement` keeps them."""
    plan = plan_of(codec, codec.grid(tune))
    made = sample(voices, codec, plan, replace(SamplingConfig(), candidates=count))
    return [
        arrangement(assemble(tune, codec, plan, one), one.style_logprob, one.base_logprob)
        for one in made
    ]


def make(data: Path, path: Path, split: str, candidates: int) -> None:
    """Append the arrangements of a split's melodies that the file lacks."""
    done = (
        {json.loads(line)["id"] for line in path.read_text().splitlines()}
        if path.exists()
        else set()
    )
    path.parent.mkdir(parents=True, exist_ok=True)

    measured_model()
    codec = melody_codec()
    for name, composer, piece in melodies(Library.load(data), split):
        if name in done:
            continue

        tune = piece.with_notes(piece.notes[piece.notes["melody"]])
        tempo = piece.tempo.quarters_per_minute()
        voices = voices_in(composer, "score", tempo, SamplingConfig.strength, None)
        row = {
            "id": name,
            "composer": composer,
            "seconds_a_quarter": 60 / tempo,
            "real": arrangement(piece, *likelihoods(voices, codec, piece)),
            "candidates": candidates_for(tune, voices, codec, candidates),
        }
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(name, composer, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Count chords, make arrangements, fit weights, or count candidates."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("step", choices=("chords", "make", "fit", "count"))
    parser.add_argument(
        "--arrangements",
        type=Path,
        default=Path("runs/ranker"),
        help="a file for make, their folder for the rest",
    )
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        default="validation",
        help="the split of the melodies",
    )
    parser.add_argument("--candidates", type=int, default=8, help="of each melody")
    parser.add_argument("--write", type=Path, help="the JSON file to write")
    arguments = parser.parse_args(argv)

    if arguments.step == "chords":
        library = Library.load(arguments.data)
        found = {mode: counts.tolist() for mode, counts in chord_counts(library).items()}
        report = {"made_by": "eval.ranker chords", "data": library.hash, "counts": found}
        write_atomically(CHORDS, (json.dumps(report, separators=(",", ":")) + "\n").encode())
        return 0

    if arguments.step == "make":
        make(arguments.data, arguments.arrangements, arguments.split, arguments.candidates)
        return 0

    report = (
        fit(arguments.arrangements)
        if arguments.step == "fit"
        else count(arguments.arrangements / "validation.jsonl")
    )
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.write:
        arguments.write.write_text(text + "\n")

    return 0


if __name__ == "__main__":
    sys.exit(main())
