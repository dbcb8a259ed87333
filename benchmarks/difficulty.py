"""Compare arrangements of every difficulty with pieces that a publisher graded.

    python -m benchmarks.difficulty GRADES --write benchmarks/difficulty.md

``GRADES`` is ``features/cipi-features-ISMIR24.json`` of github.com/PRamoneda/rubricnet: features of
660 piano pieces with Henle's grades from 1, easy, to 9 (P. Ramoneda et al., "Can I play it?", CIPI,
2023). Four of the features are measured here in the same way, for each hand: the mean time between
onsets in seconds; *displacement*, the mean over onsets of 0, 0.5 (from a fifth) or 1 (from an
octave) for the farthest distance from the outer notes at the hand's beginning; and the entropy of
its pitches in bits. The *estimated grade* is a ridge regression's on these six numbers; its error
is that of ten-fold cross-validation. Six tunes, one style each, eight candidates, seed 0; the tune
is the right hand's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import page, table
from styletransfer.music.notes import Piece
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import request_of

TUNES = {
    "happy-birthday": "bach",
    "greensleeves": "mozart",
    "twinkle": "schubert",
    "frere-jacques": "chopin",
    "ode-to-joy": "schumann",
    "auld-lang-syne": "romantic",
}
LEVELS = ("easy", "medium", None, "hard")
FEATURES = tuple(
    f"{hand}_{name}"
    for hand in ("lh", "rh")
    for name in ("average_ioi_seconds", "displacement_rate", "pitch_entropy")
)
COLUMNS = (
    "music",
    "estimated grade",
    "left hand: seconds between onsets",
    "displacement",
    "entropy, bits",
    "notes at once",
    "right hand: seconds between onsets",
    "displacement",
    "entropy, bits",
    "notes at once",
)


def hand_features(piece: Piece, parts: tuple[int, ...]) -> tuple[list[float], float]:
    """Measure a hand: time between onsets, displacement, entropy; notes at once."""
    notes = piece.notes[np.isin(piece.notes["part"], parts)]
    places = np.unique(np.round(notes["onset"], 4))
    sets = [notes["pitch"][np.isclose(notes["onset"], at, atol=1e-3)].astype(int) for at in places]
    if len(sets) < 2:
        return [8.0, 0.0, 0.0], float(len(notes))

    seconds = np.diff(piece.tempo.to_seconds(places))
    first = np.array([sets[0].min(), sets[1].max()])
    ways = [np.abs(np.subtract.outer(first, [one.min(), one.max()])).max() for one in sets[1:]]
    displaced = np.digitize(ways, [7, 12]).mean() / 2
    share = np.unique(notes["pitch"], return_counts=True)[1] / len(notes)
    entropy = float(-(share * np.log2(share)).sum())
    return [float(seconds.mean()), float(displaced), entropy], len(notes) / len(sets)


def inputs(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take times as logarithms; shape (pieces, 6)."""
    found = rows.copy()
    found[:, [0, 3]] = np.log(np.maximum(found[:, [0, 3]], 0.02))
    return found


def main(argv: list[str] | None = None) -> int:
    parser = recipe_parser(__doc__)
    parser.add_argument("grades", type=Path)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)

    graded = json.loads(arguments.grades.read_text())
    known = np.array([[one[name] for name in FEATURES] for one in graded], float)
    whole = np.isfinite(known).all(1)
    known, grades = known[whole], np.array([one["grade"] for one in graded])[whole]
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))
    guessed = cross_val_predict(model, inputs(known), grades, cv=10)
    model.fit(inputs(known), grades)
    error, chance = np.abs(guessed - grades).mean(), np.abs(grades - np.median(grades)).mean()
    likeness = float(np.corrcoef(guessed, grades)[0, 1])

    def cells(name: str, values: NDArray[np.float64], at_once: tuple[str, str]) -> list[str]:
        estimate = model.predict(inputs(values))
        spread = 1.96 * estimate.std(ddof=1) / len(estimate) ** 0.5
        mean = [f"{one:.2f}" for one in values.mean(0)]
        grade = f"{estimate.mean():.1f} ± {spread:.1f}"
        return [name, grade, *mean[:3], at_once[0], *mean[3:], at_once[1]]

    rows = []
    for level in LEVELS:
        measured, chords = [], []
        for tune, style in TUNES.items():
            piece = apply(request_of(tune, style, difficulty=level)).piece
            left, right = hand_features(piece, (2,)), hand_features(piece, (0, 1))
            measured.append([*left[0], *right[0]])
            chords.append((left[1], right[1]))
        left_right = tuple(f"{one:.2f}" for one in np.mean(chords, 0))
        name = f"`--difficulty {level}`" if level else "without the option"
        rows.append(cells(name, np.array(measured), (left_right[0], left_right[1])))
        print(*rows[-1], flush=True)
    for low, high in ((1, 3), (4, 6), (7, 9)):
        own = known[(grades >= low) & (grades <= high)]
        rows.append(cells(f"{len(own)} pieces of grades {low} to {high}", own, ("", "")))

    found = (
        f"{table(COLUMNS, rows)}\n\nThe estimate is off by {error:.2f} grades (always the median: "
        f"{chance:.2f}), and its correlation with the grades is {likeness:.2f}."
    )
    print(found)
    if arguments.write:
        arguments.write.write_text(page("Difficulty", __doc__, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
