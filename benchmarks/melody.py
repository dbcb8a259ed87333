"""Measure how well the melody is found when a piece's tracks are merged.

    python -m benchmarks.melody POP909_FOLDER SCORES_FOLDER [--write benchmarks/melody.md]

How often the melody is found when all tracks are merged. Measured on POP909 (MELODY, BRIDGE and
PIANO merged; the reference is MELODY) and keyboard scores (hands merged; the reference is the
`skyline` of the right hand). The metric is the precision, recall and F1 of notes as in
mir_eval.transcription: same pitch, onset within 50 ms, ends ignored (C. Raffel et al., ISMIR 2014);
the mean over pieces, with a 95 % bootstrap interval. A note struck by several tracks at once counts
once. Half of the pieces were used to fit and tune; the other half was used only to choose the
features and the networks' size. Both are shown. The plain skyline is the floor.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
import symusic
from numpy.typing import NDArray

from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import interval, table
from styletransfer.formats.read import read_score
from styletransfer.music.melody import distinct, extract_merged, note_seconds, skyline
from styletransfer.music.notes import Piece

Floats = NDArray[np.float64]
Method = Callable[[Piece], NDArray[np.bool_]]


@dataclass(frozen=True)
class Example:
    """A merged piece and its true melody, in seconds and MIDI numbers."""

    piece: Piece
    true_onset: Floats
    true_pitch: Floats
    trained_on: bool

    @property
    def onset(self) -> Floats:
        return note_seconds(self.piece)[0]

    @property
    def end(self) -> Floats:
        return note_seconds(self.piece)[1]

    def labels(self, tolerance: float = 0.05) -> NDArray[np.bool_]:
        """Mark the notes of the merged piece that are melody, shape (notes,).

        Those are the notes with a true note of the same pitch within ``tolerance`` seconds.
        """
        true = np.concatenate(
            [[-np.inf], np.sort(self.true_pitch * 1e6 + self.true_onset), [np.inf]]
        )
        place = self.piece.notes["pitch"] * 1e6 + self.onset
        index = np.searchsorted(true, place)
        return np.asarray(np.minimum(true[index] - place, place - true[index - 1]) <= tolerance)


def merge(path: Path) -> Piece:
    """Read a MIDI file as if all its tracks and pedals were one.

    Copies of a note count once.
    """
    score: Any = symusic.Score(str(path))
    merged: Any = symusic.Track(name="merged")
    for track in score.tracks:
        merged.notes.extend(track.notes)
        merged.pedals.extend(track.pedals)
    merged.notes.sort()
    merged.pedals.sort()
    score.tracks = [merged]
    with tempfile.TemporaryDirectory() as folder:
        score.dump_midi(str(Path(folder) / "merged.mid"))
        piece = read_score(Path(folder) / "merged.mid")
    return piece.with_notes(piece.notes[distinct(piece.notes)])


def load_pop909(folder: Path, songs: int | None = None) -> list[Example]:
    """Read the songs of a folder, or the first ``songs``.

    Every second one is for fitting.
    """
    examples = []
    for number, path in enumerate(sorted(folder.rglob("*.mid"))[:songs]):
        piece = read_score(path)
        melody = piece.notes["part"] == piece.parts.index("MELODY")
        examples.append(_example(path, piece, melody, number % 2 == 1))
    return examples


def load_keyboard(folder: Path, movements: int) -> list[Example]:
    """Read a random sample of movements, always the same.

    Every second one is for fitting.
    """
    paths = sorted(folder.rglob("*.mid"))
    chosen = np.random.default_rng(0).permutation(len(paths))[:movements]
    examples = []
    for number, path in enumerate(paths[index] for index in chosen):
        piece = read_score(path)
        if "right hand" not in piece.parts:
            continue  # everything is in the left hand
        right = piece.notes["part"] == piece.parts.index("right hand")
        examples.append(_example(path, piece, skyline(piece, right), number % 2 == 1))
    return examples


def _example(path: Path, piece: Piece, melody: NDArray[np.bool_], trained_on: bool) -> Example:
    return Example(
        merge(path),
        piece.onset_seconds[melody],
        piece.notes["pitch"][melody].astype(float),
        trained_on,
    )


def plain_skyline(piece: Piece) -> NDArray[np.bool_]:
    """Mark the highest note of each onset, and nothing else."""
    return np.append(np.diff(piece.notes["onset"]) > 1e-9, True)


def note_f1(example: Example, mask: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Measure precision, recall and F1 of the masked notes."""
    found = example.piece.notes["pitch"][mask].astype(float)
    if not len(found) or not len(example.true_onset):
        return 0.0, 0.0, 0.0
    precision, recall, f1, _ = mir_eval.transcription.precision_recall_f1_overlap(
        _intervals(example.true_onset),
        mir_eval.util.midi_to_hz(example.true_pitch),
        _intervals(example.onset[mask]),
        mir_eval.util.midi_to_hz(found),
        onset_tolerance=0.05,
        pitch_tolerance=10.0,
        offset_ratio=None,
    )
    return float(precision), float(recall), float(f1)


def _intervals(onset: Floats) -> Floats:
    return np.stack([onset, onset + 0.1], axis=1)


METHODS: dict[str, Method] = {
    "plain skyline": plain_skyline,
    "`skyline`": skyline,
    "`extract_merged`": extract_merged,
    "the same, free to rest": lambda piece: extract_merged(piece, longest_rest=None),
}


def row(name: str, examples: list[Example], method_name: str) -> tuple[str, ...]:
    """Measure a method on examples, as the cells of a row."""
    scores = np.array(
        [note_f1(example, METHODS[method_name](example.piece)) for example in examples]
    )
    draws = np.random.default_rng(0).integers(0, len(scores), (2000, len(scores)))
    low, high = np.percentile(scores[draws, 2].mean(axis=1), [2.5, 97.5])
    precision, recall, f1 = scores.mean(axis=0)
    cells = (f"{precision:.3f}", f"{recall:.3f}", interval(f1, low, high))
    return name, f"{len(scores)}", method_name, *cells


def main(argv: list[str] | None = None) -> None:
    """Measure all methods, and print or write the table."""
    parser = recipe_parser(__doc__)
    parser.add_argument("pop909", type=Path, help="the folder of POP909's MIDI files")
    parser.add_argument("scores", type=Path, help="a folder of keyboard scores as MIDI files")
    parser.add_argument(
        "--movements", type=int, default=220, help="keyboard movements, half of them fitted on"
    )
    parser.add_argument("--write", type=Path, help="write the table to this file too")
    arguments = parser.parse_args(argv)
    warnings.filterwarnings("ignore", module="mir_eval")
    songs, movements = (
        load_pop909(arguments.pop909),
        load_keyboard(arguments.scores, arguments.movements),
    )
    rows = []
    for name, examples in (("POP909", songs), ("keyboard scores", movements)):
        held_out, fitted = (
            [e for e in examples if e.trained_on == fitted_on] for fitted_on in (False, True)
        )
        for part, chosen in (
            ("all", examples),
            ("held-out half", held_out),
            ("half used for fitting", fitted),
        ):
            rows += [row(f"{name}, {part}", chosen, method) for method in METHODS]

    pieces = [example.piece for example in movements]
    began = time.perf_counter()
    for piece in pieces:
        extract_merged(piece)
    micros = 1e6 * (time.perf_counter() - began) / sum(len(piece.notes) for piece in pieces)
    shown = table(("data", "pieces", "method", "precision", "recall", "F1"), rows)
    lines = [shown, "", f"`extract_merged` took {micros:.1f} microseconds per note, on one core."]
    print("\n".join(lines))
    if arguments.write:
        command = (
            "python -m benchmarks.melody POP909_FOLDER SCORES_FOLDER --write benchmarks/melody.md"
        )
        text = "\n".join(
            [
                "# Finding the melody",
                "",
                (__doc__ or "").split("\n\n")[2].strip(),
                "",
                f"Made by `{command}`.",
                "",
                *lines,
            ]
        )
        arguments.write.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
