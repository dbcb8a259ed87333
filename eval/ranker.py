"""Where the ranker's weights come from: its candidates for real melodies beside what the composers wrote under them.

    python -m eval.ranker make --data data/prepared --arrangements runs/ranker.jsonl
    python -m eval.ranker fit --arrangements runs/ranker.jsonl --write eval/results/ranker.json

``make`` takes an excerpt of eight bars of a score of every content group of the validation pieces (none of the 40 melodies of
the transfer report is among them), arranges its melody in its composer's style, and keeps all the candidates and the composer's
own accompaniment. It goes on where it was interrupted. ``fit`` asks which measures tell, among the candidates of one melody,
those that come nearest to the composer's accompaniment (:func:`agreement`): a ridge regression on their differences from the
melody's mean. What its choice is worth is measured on melodies that it wasn't fitted on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from styletransfer.data.library import Library
from styletransfer.evaluation.chroma import mean_cosine, sounding_time
from styletransfer.evaluation.excerpts import excerpts
from styletransfer.model.sampling import Voice, sample, with_heads
from styletransfer.model.settings import SamplingConfig
from styletransfer.score.harmony import estimate_key, out_of_key_share
from styletransfer.score.notes import NoteTable, Piece, make_notes
from styletransfer.styles import shipped
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.plan import plan_of
from styletransfer.transfer import rank
from styletransfer.transfer.pipeline import assemble, melody_codec, voices_in

QUARTERS = 32.0
FITTED = ("contrast", "dissonance", "emptiness", "thinness")
OTHERS = ("likelihood", "outside")
BEFORE = {"likelihood": 1.0, "contrast": 1.0, "dissonance": -1.0, "emptiness": -1.0, "outside": -1.0, "open_end": -0.3}
RIDGE = 0.1


def melodies(library: Library) -> Iterator[tuple[str, str, Piece]]:
    """Name, composer and excerpt of validation scores by composers with a style that ships, one of each content group."""
    names = {path.name for path in shipped().iterdir()}
    chosen: dict[str, int] = {}
    for index in library.select(split="validation", feel="score"):
        if library.pieces[index].composer in names:
            chosen.setdefault(library.pieces[index].group, index)
    for index in chosen.values():
        found = excerpts(library, [index], [QUARTERS])[0]
        if found is not None and found.piece.notes["melody"].sum() >= 8:
            yield found.id, library.pieces[index].composer, found.piece


def likelihoods(voices: list[Voice], codec: Codec, piece: Piece) -> tuple[float, float]:
    """Mean log-probability a token (nats) of a piece that exists, under the style and without it, as
    :class:`styletransfer.model.sampling.Candidate` has them of one that was sampled."""
    grid = codec.grid(piece)
    ids, scored = codec.encode(grid, (), with_melody=True)
    rows = with_heads([voices], codec.vocabulary, [codec.melody_key(grid, 0)], [ids])
    found = []
    for voice, row in zip(voices, rows, strict=True):
        context = int(voice.model.config.max_position_embeddings)
        cut = torch.tensor([row[:context]])
        with torch.inference_mode():
            logs = torch.log_softmax(voice.model(input_ids=cut).logits[0].float(), -1)
        keep = np.flatnonzero([False] * (len(row) - len(ids)) + scored)
        keep = keep[keep < cut.shape[1]]
        found.append(float(logs[keep - 1, cut[0, keep]].mean()))
    return found[0], found[-1]


def arrangement(piece: Piece, style: float, plain: float) -> dict[str, Any]:
    """What is kept of an arrangement."""
    notes = piece.notes
    columns = {name: np.round(notes[name].astype(float), 4).tolist() for name in ("onset", "duration", "pitch")}
    return {"style": style, "plain": plain, **columns, "melody": notes["melody"].astype(int).tolist()}


def table_of(kept: dict[str, Any]) -> NoteTable:
    """The notes of what :func:`arrangement` kept."""
    return make_notes(kept["onset"], kept["duration"], kept["pitch"], melody=np.array(kept["melody"], bool))


def basses(notes: NoteTable, quarters: int) -> NDArray[np.int64]:
    """(quarters,) the pitch class of the lowest note that sounds on each, -1 for none."""
    found = np.full(quarters, -1)
    for beat in range(quarters):
        sounding = (notes["onset"] < beat + 0.01) & (notes["onset"] + notes["duration"] > beat + 0.01)
        if sounding.any():
            found[beat] = int(notes["pitch"][sounding].min()) % 12
    return found


def agreement(made: NoteTable, real: NoteTable) -> dict[str, float]:
    """How near an accompaniment comes to the composer's, each from 0 to 1: ``harmony``, the cosine of the chroma of each two
    quarters; ``bass``, the share of quarters with its pitch class in the bass; ``notes`` and ``sounding``, the smaller over the
    larger number of notes, and of their durations' sum; and the mean of the four, ``all``."""
    quarters = int(np.ceil(float((real["onset"] + real["duration"]).max())))
    mine, theirs = (sounding_time(notes, np.arange(0, quarters + 2, 2.0)) for notes in (made, real))
    sounds = theirs.sum(1) > 1e-6
    bass = basses(real, quarters)
    counts, lengths = (len(made), len(real)), (float(made["duration"].sum()), float(real["duration"].sum()))
    found = {
        "harmony": mean_cosine(mine[sounds], theirs[sounds]),
        "bass": float((basses(made, quarters) == bass)[bass >= 0].mean()),
        "notes": min(counts) / max(counts),
        "sounding": min(lengths) / max(lengths),
    }
    return found | {"all": float(np.mean(list(found.values())))}


def fit(path: Path) -> dict[str, Any]:
    """Weights, and what they are worth, as plain data."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    measures, near = [], []
    for row in rows:
        real = table_of(row["real"])
        for kept in row["candidates"]:
            notes = table_of(kept)
            melody, rest = notes[notes["melody"]], notes[~notes["melody"]]
            tempo = 60 / row["seconds_a_quarter"]
            found = rank.measure(kept["style"] - kept["plain"], melody, rest, quarters_per_minute=tempo)
            found["likelihood"] = kept["style"]
            found["outside"] = out_of_key_share(rest, estimate_key(melody))
            measures.append(found)
            near.append(agreement(rest, real[~real["melody"]]))
    songs = len(rows)
    asked = np.array([[found[name] for name in FITTED] for found in measures]).reshape(songs, -1, len(FITTED))
    truth = np.array([one["all"] for one in near]).reshape(songs, -1)
    everywhere = weights_of(asked, truth)
    systems = {"fitted, each melody left out": np.stack([
        asked[k] @ weights_of(np.delete(asked, k, 0), np.delete(truth, k, 0)) for k in range(songs)
    ])}  # fmt: skip
    systems["shipped weights"] = np.array([sum(w * one[n] for n, w in rank.WEIGHTS.items()) for one in measures])
    systems["before: likelihood and the rest at 1"] = np.array([sum(w * one[n] for n, w in BEFORE.items()) for one in measures])
    for name in (*FITTED, *OTHERS):
        sign = 1.0 if name in ("contrast", "likelihood") else -1.0
        systems[f"{name} alone"] = np.array([sign * one[name] for one in measures])
    rng = np.random.default_rng(0)
    draws = rng.integers(songs, size=(10_000, songs))
    chance = truth.mean(1)
    table = {"one at random": {"agreement": chance.mean()}, "the best there is": {"agreement": truth.max(1).mean()}}
    for name, values in systems.items():
        chosen = values.reshape(songs, -1).argmax(1)
        gain = truth[np.arange(songs), chosen] - chance
        low, high = np.quantile(gain[draws].mean(1), (0.025, 0.975))
        table[name] = {"agreement": (gain + chance).mean(), "gain": gain.mean(), "low": low, "high": high}
    return {
        "made_by": "eval.ranker fit",
        "melodies": songs,
        "candidates": truth.shape[1],
        "real notes a quarter": float(np.median([notes_a_quarter(table_of(row["real"])) for row in rows])),
        "real repetition": float(
            np.mean([rank.repeated(real[~real["melody"]]) for real in (table_of(row["real"]) for row in rows)])
        ),
        "weights": dict(zip(FITTED, np.round(everywhere, 4).tolist(), strict=True)),
        "choices": {name: {k: round(float(v), 4) for k, v in row.items()} for name, row in table.items()},
    }


def notes_a_quarter(notes: NoteTable) -> float:
    melody = notes[notes["melody"]]
    return float((~notes["melody"]).sum() / ((melody["onset"] + melody["duration"]).max() - melody["onset"][0]))


def weights_of(measures: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """(measures,) ridge regression of the truth (songs, candidates) on the measures (songs, candidates, measures), of their
    differences from a song's mean; a measure's penalty is that of its own scale."""
    x = (measures - measures.mean(1, keepdims=True)).reshape(-1, measures.shape[-1])
    y = (truth - truth.mean(1, keepdims=True)).ravel()
    scale = x.std(0)
    z = x / scale
    found: NDArray[np.float64] = np.linalg.solve(z.T @ z + RIDGE * len(z) * np.eye(z.shape[1]), z.T @ y) / scale
    return found


def make(data: Path, path: Path, candidates: int) -> None:
    done = {json.loads(line)["id"] for line in path.read_text().splitlines()} if path.exists() else set()
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = melody_codec()
    for name, composer, piece in melodies(Library.load(data)):
        if name in done:
            continue
        tune = piece.with_notes(piece.notes[piece.notes["melody"]])
        tempo = piece.tempo.quarters_per_minute()
        voices = voices_in(composer, "score", tempo, SamplingConfig.strength, None)
        plan = plan_of(codec, codec.grid(tune))
        made = sample(voices, codec, plan, replace(SamplingConfig(), candidates=candidates))
        row = {
            "id": name,
            "composer": composer,
            "seconds_a_quarter": 60 / tempo,
            "real": arrangement(piece, *likelihoods(voices, codec, piece)),
            "candidates": [arrangement(assemble(tune, codec, plan, one), one.style, one.plain) for one in made],
        }
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(name, composer, flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("make", "fit"))
    parser.add_argument("--data", type=Path, default=Path("data/prepared"))
    parser.add_argument("--arrangements", type=Path, default=Path("runs/ranker.jsonl"))
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)
    if arguments.step == "make":
        make(arguments.data, arguments.arrangements, arguments.candidates)
        return 0
    report = fit(arguments.arrangements)
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.write:
        arguments.write.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
