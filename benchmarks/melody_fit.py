"""Fit the two networks that score notes as melody.

They are written into ``styletransfer/assets/melody.json``.

    python -m benchmarks.melody_fit POP909_FOLDER SCORES_FOLDER

Training data: every second song of POP909 (MIT licence; the others are for testing), where MELODY
is the truth, and half of a sample of keyboard scores (derived from the DCML corpora, CC BY-NC-SA
4.0), where the top of the right hand is the truth. All tracks and pedals are merged into one first.
Each song counts as much as two movements.

To fit more than these two kinds of music, pieces are also varied: other keys and tempos, flatter
loudness (songs), and uneven onsets, loudness and pedal (scores: their melody becomes louder and
earlier, after W. Goebl, "Melody lead in piano performance: expressive device or artifact?", J.
Acoust. Soc. Am. 110, 2001).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from benchmarks.melody import Example, load_keyboard, load_pop909
from styletransfer.configuration import recipe_parser
from styletransfer.music import melody_search as voice
from styletransfer.music.melody import chord_tolerance
from styletransfer.music.notes import NoteTable

UNITS, DECAY, EPOCHS, ROWS = 16, 0.1, 25, 400_000


def main(argv: list[str] | None = None) -> None:
    """Fit both networks and write them."""
    parser = recipe_parser(__doc__)
    parser.add_argument("pop909", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--out", type=Path, default=Path("styletransfer/assets/melody.json"))
    parser.add_argument("--movements", type=int, default=220)
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    songs = [example for example in load_pop909(arguments.pop909) if example.trained_on]
    movements = [
        example
        for example in load_keyboard(arguments.scores, arguments.movements)
        if example.trained_on
    ]
    versions = [
        version for example in songs for version in (as_is(example), song_varied(example, rng))
    ]
    versions += [
        version for example in movements for version in (as_is(example), performed(example, rng))
    ]
    weight = np.repeat(
        [2.0] * (2 * len(songs)) + [1.0] * (2 * len(movements)), [len(v[0]) for v in versions]
    )
    weight /= np.repeat([len(v[0]) for v in versions], [len(v[0]) for v in versions])
    truth = np.concatenate([v[4] for v in versions])

    seen = [voice.features(*v[:4]) for v in versions]
    first = fit(np.concatenate(seen), truth, weight, rng)
    more = [
        np.hstack([x, voice.context(*v[:4], first(x))]) for x, v in zip(seen, versions, strict=True)
    ]
    second = fit(np.concatenate(more), truth, weight, rng)
    stored = {
        "about": "scores for notes as melody; made by benchmarks/melody_fit.py from POP909 (MIT) "
        "and keyboard scores derived from the DCML corpora (CC BY-NC-SA 4.0)",
        "features": voice.FEATURES,
        "context": voice.CONTEXT,
        "first": as_json(first),
        "second": as_json(second),
    }
    arguments.out.write_text(json.dumps(stored) + "\n", encoding="utf-8")


Version = tuple[
    NoteTable, NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]
]
"""Notes, onsets and ends in seconds, chords, and which notes are melody, each (notes,)."""


def as_is(example: Example) -> Version:
    """Take an example as it is."""
    return version(
        example.piece.notes,
        example.onset,
        example.end,
        example.labels(),
        chord_tolerance(example.piece),
    )


def version(
    notes: NoteTable,
    onset: NDArray[np.float64],
    end: NDArray[np.float64],
    truth: NDArray[np.bool_],
    tolerance: float,
) -> Version:
    """Sort notes by their onsets in seconds, and group them into chords."""
    order = np.lexsort((notes["pitch"], onset))
    return (
        notes[order],
        onset[order],
        end[order],
        voice.chords(onset[order], tolerance),
        truth[order],
    )


def song_varied(example: Example, rng: np.random.Generator) -> Version:
    """Move a song to another key and tempo, and flatten its loudness."""
    notes, tempo = example.piece.notes.copy(), rng.uniform(0.75, 1.3)
    notes["pitch"] = np.clip(notes["pitch"].astype(int) + rng.integers(-5, 8), 0, 127)
    flatten = rng.choice([0.0, 0.5])
    notes["velocity"] = np.round(80 + flatten * (notes["velocity"].astype(float) - 80))
    return version(
        notes,
        example.onset * tempo,
        example.end * tempo,
        example.labels(),
        chord_tolerance(example.piece),
    )


def performed(example: Example, rng: np.random.Generator) -> Version:
    """Play a movement: uneven onsets and loudness, pedal, another key and tempo."""
    notes, truth, tempo = example.piece.notes.copy(), example.labels(), rng.uniform(0.6, 1.4)
    notes["pitch"] = np.clip(notes["pitch"].astype(int) + rng.integers(-5, 6), 0, 127)
    loud = rng.normal(0, 8, len(notes)) + truth * rng.uniform(0, 16)
    notes["velocity"] = np.clip(np.round(64 + loud), 1, 127)
    onset = example.onset * tempo + rng.normal(0, 0.008, len(notes)) - truth * rng.uniform(0, 0.03)
    end = np.maximum(example.end * tempo, onset + 0.03)
    if rng.random() < 0.7:
        end = np.ceil(end / (pedal := rng.uniform(0.5, 2.0))) * pedal
    return version(notes, onset, end, truth, 0.035)


def fit(
    inputs: NDArray[np.float64],
    truth: NDArray[np.bool_],
    weight: NDArray[np.float64],
    rng: np.random.Generator,
) -> voice.Network:
    """Fit a network to examples drawn by their weights.

    Args:
        inputs: shape (notes, features).
        truth: shape (notes,), whether each is melody.
        weight: shape (notes,).
        rng: draws the examples.
    """
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
    chosen = rng.choice(len(truth), ROWS, p=weight / weight.sum())
    model = MLPClassifier(
        (UNITS,),
        alpha=DECAY,
        max_iter=EPOCHS,
        batch_size=500,
        learning_rate_init=2e-3,
        random_state=0,
    )
    model.fit(((inputs - mean) / scale)[chosen], truth[chosen])
    (hidden, out), (hidden_bias, out_bias) = model.coefs_, model.intercepts_
    return voice.Network(mean, scale, hidden, hidden_bias, out[:, 0], float(out_bias[0]))


def as_json(network: voice.Network) -> dict[str, object]:
    """Write a network as plain lists."""
    return {name: np.round(value, 5).tolist() for name, value in vars(network).items()}


if __name__ == "__main__":
    import warnings

    warnings.filterwarnings("ignore", message="Stochastic Optimizer")  # the epochs are fixed
    main()
