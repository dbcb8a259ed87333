"""Fit the ranker's weights to the marks that readers gave its candidates blind.

    python -m eval.readers make songs/tunes --styles songs/styles.json --out runs/readers
    python -m eval.jury pages runs/readers-jury songs/tunes --bars 8 \\
        0=runs/readers/0 1=runs/readers/1 ... 7=runs/readers/7
    python -m eval.readers take runs/readers runs/readers-jury
    python -m eval.readers fit

``make`` arranges tunes of about eight bars, each as a whole, in the styles that a JSON file names
for the songs, and keeps every candidate and its measures. Readers mark blind pages of them
(``eval/jury.md``), and ``take`` adds measures and marks to ``eval/results/readers.json``. ``fit``
finds which measures go with the marks among candidates under the same tune: a ridge regression of
the mean mark on the measures, both less their tune's mean. Its worth is the mark of what it chooses
under tunes that it hasn't seen; that is compared with the mark of a candidate by chance, of what
the ranker chose when they were made, and of the best candidate.

The weights are in marks, from 1 to 5. For some measures readers can't give one, as they know
neither the style nor the training pieces nor the hands: those weights are set by hand in
:data:`styletransfer.transfer.ranking.rank.WEIGHTS`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.jury import read_json, write_json
from styletransfer.configuration import recipe_parser
from styletransfer.errors import InputError
from styletransfer.evaluation.comparison import plain
from styletransfer.evaluation.intervals import class_mean
from styletransfer.transfer.ranking import rank

READ = Path("eval/results/readers.json")
RIDGE = 30.0
"""The ridge penalty, for a measure divided by its deviation under one tune.

It is as if that many candidates showed that the measure makes no difference.
"""

CHOICES = ("by chance", "the ranker of the time", "weights of the other tunes", "the best")
DECIMALS = 2
"""Decimals of a weight."""


def make(tunes: Path, styles: dict[str, str], out: Path, seed: int) -> None:
    """Arrange tunes, and keep all candidates and their measures."""
    from styletransfer.api import StyleTransfer

    transfer = StyleTransfer.from_pretrained()
    for song, style in styles.items():
        made = transfer.apply(
            tunes / f"{song}.mid", style=style, keep_register=True, choose="whole", seed=seed
        )
        for number, piece in enumerate(made.candidates):
            write(piece, out / str(number) / f"{song}.mid")
        measured = {"style": style, "candidates": made.report["candidates"]}
        write_json(out / f"{song}.json", measured)
        print(song, style, flush=True)


def write(piece: Any, path: Path) -> None:
    """Write a MIDI file, and make its folder."""
    from styletransfer.formats.midi_out import write_midi

    path.parent.mkdir(parents=True, exist_ok=True)
    write_midi(piece, path, force=True)


def take(candidates: Path, jury: Path, read: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add a jury's songs, with measures and mean marks, to those read before.

    Args:
        candidates: the folder that ``make`` wrote.
        jury: the folder of the key and the answers.
        read: the songs read before.

    Raises:
        InputError: if a reader has left out a candidate, or no reader has answered.
    """
    key = read_json(jury / "key.json")["pages"]
    answers = [read_json(path) for path in sorted(jury.glob("jury-*.json"))]
    found = {song["song"]: song for song in read}
    for page, letters in key.items():
        song = letters["song"]
        measured = read_json(candidates / f"{song}.json")
        by_number = {number: letter for letter, number in letters.items() if letter != "song"}
        marks = []
        for answer in answers:
            if page in answer:
                given = [
                    answer[page].get(by_number[str(k)]) for k in range(len(measured["candidates"]))
                ]
                if None in given:
                    raise InputError(f"{jury}: a reader has left out a version of piece {page}.")
                marks.append([float(np.mean(list(one.values()))) for one in given])
        if not marks:
            raise InputError(f"{jury}: no reader has answered on piece {page}.")
        found[song] = {"song": song, "marks": marks} | measured

    return list(found.values())


def table(read: list[dict[str, Any]]) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Collect the measures, less their song's means, and the marks.

    Returns:
        The measures of all songs, shape (candidates, fitted measures), and for each song the mean
        of the readers' marks, shape (candidates,).
    """
    marks = [np.mean(song["marks"], axis=0) for song in read]
    rows = [
        np.array([[one[name] for name in rank.FITTED] for one in song["candidates"]])
        for song in read
    ]
    return np.concatenate([one - one.mean(0) for one in rows]), marks


def fitted(values: NDArray[np.float64], marks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the weights that predict the marks best, both less their songs' means.

    Returns:
        Shape (measures,).
    """
    deviation = values.std(0) + 1e-9
    scaled = values / deviation
    weights = np.linalg.solve(scaled.T @ scaled + RIDGE * np.eye(len(deviation)), scaled.T @ marks)
    result: NDArray[np.float64] = weights / deviation
    return result


def report_of(read: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the weights, and the worth of choices by them under unseen tunes."""
    values, marks = table(read)
    edges = np.cumsum([0, *map(len, marks)])
    centred = np.concatenate([one - one.mean() for one in marks])
    chosen: dict[str, list[float]] = {name: [] for name in CHOICES}
    for song, own, begin, end in zip(read, marks, edges, edges[1:], strict=False):
        others = np.r_[0:begin, end : len(values)]
        guess = values[begin:end] @ fitted(values[others], centred[others])
        before = np.argmax([one["total"] for one in song["candidates"]])
        for name, mark in zip(
            CHOICES, (own.mean(), own[before], own[guess.argmax()], own.max()), strict=True
        ):
            chosen[name].append(float(mark))

    means = {
        name: class_mean(np.array(one), ["all"] * len(read), range(len(read)))
        for name, one in chosen.items()
    }
    gain = means["weights of the other tunes"] - means["the ranker of the time"]

    return {
        "made_by": "eval.readers fit",
        "tunes": len(read),
        "weights": {
            name: round(float(one), DECIMALS)
            for name, one in zip(rank.FITTED, fitted(values, centred), strict=True)
        },
        "marks": {name: plain(one.interval()) for name, one in means.items()},
        "gain_of_other_tunes_weights": plain(gain.interval()),
    }


def main(argv: list[str] | None = None) -> int:
    parser = recipe_parser(__doc__)
    parser.prog = "python -m eval.readers"
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="arrange tunes, and keep all candidates")
    making.add_argument(
        "tunes", type=Path, help="a folder of MIDI files, each a tune of about eight bars"
    )
    making.add_argument("--styles", type=Path, required=True, help="JSON: the style of each song")
    making.add_argument("--out", type=Path, required=True)
    making.add_argument("--seed", type=int, default=0)
    taking = commands.add_parser("take", help="add readers' marks to what was read before")
    taking.add_argument("candidates", type=Path, help="what make has written")
    taking.add_argument("jury", type=Path, help="the folder of the pages, the key and the answers")
    taking.add_argument("--read", type=Path, default=READ)
    fitting = commands.add_parser("fit", help="print the weights, and what they are worth")
    fitting.add_argument("--read", type=Path, default=READ)
    arguments = parser.parse_args(argv)

    try:
        if arguments.command == "make":
            make(arguments.tunes, read_json(arguments.styles), arguments.out, arguments.seed)
        elif arguments.command == "take":
            before = read_json(arguments.read) if arguments.read.exists() else []
            read = take(arguments.candidates, arguments.jury, before)
            write_json(arguments.read, read)
            print(f"{arguments.read}: {len(read)} tunes")
        else:
            print(json.dumps(report_of(read_json(arguments.read)), indent=1))
    except (InputError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2

    return 0


if __name__ == "__main__":
    sys.exit(main())
