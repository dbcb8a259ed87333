"""Measure long songs.

    python -m benchmarks.long_song --write benchmarks/long_song.md

The song alternates Twinkle and the Ode to Joy, each time in the key a fifth higher, for a number of
minutes; in the performance, every onset is up to 0.06 quarters early or late, so that there is no
grid to find. One candidate is made in Chopin's style, each run in a process of its own.

The model reads a window; when it is full, the model starts again with its last bars. A seam would
show as a jump: the difference between the two bars before such an edge and the two bars after it is
compared with the difference at all other bars. p is the share of 10,000 random sets of as many bars
whose mean difference is at least that at the edges. Memory is the process's largest resident size.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.apply import processor
from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import table
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.tunes import example
from styletransfer.model import sampling
from styletransfer.model.decoder import Decoder
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.notes import Piece, bars_of
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import Request

RUNS = ((1.0, "score"), (4.0, "score"), (10.0, "score"), (10.0, "performance"))
UNEVEN = 0.06
"""Quarters by which the onsets of a performance are early or late at most."""
BAR_QUARTERS, BAR_SECONDS = 4.0, 2.0
MEASURES = ("notes", "register", "loudness")


def song(minutes: float, feel: str = "score") -> Piece:
    """Write the song, in 4/4, at 120 quarters per minute.

    A performance's time is uneven.
    """
    parts, start, turn = [], 0.0, 0
    while start < minutes * 120:
        notes = example(("twinkle", "ode-to-joy")[turn % 2]).notes.copy()
        notes["onset"] += start
        notes["pitch"] += 7 * turn % 12
        parts.append(notes)
        start, turn = float(np.ceil((notes["onset"] + notes["duration"]).max() / 4) * 4), turn + 1
    notes = np.concatenate(parts)
    if feel == "performance":
        uneven = np.random.default_rng(0).uniform(0, 2 * UNEVEN, len(notes))
        notes["onset"] += uneven
        notes["duration"] = np.maximum(notes["duration"] - uneven, 0.05)
    return Piece(notes, "score", bars_of([(0.0, 4, 4)], start))


def one(minutes: float, feel: str) -> dict[str, Any]:
    """Arrange the song, and describe each bar and where windows began."""
    edges: list[int] = []
    share = 0.0

    class Recording(Decoder):
        def start(self, sequences: Any) -> Any:
            edges.append(round(share * 1e6))
            return super().start(sequences)

    def progress(done: float) -> None:
        nonlocal share
        share = done

    setattr(sampling, "Decoder", Recording)  # noqa: B010  # mypy would refuse an assignment
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mid"
        write_midi(song(minutes, feel), path)
        result = apply(Request(str(path), "chopin", SamplingConfig(1)), progress)
    piece = result.piece
    assert result.melody is not None
    assert piece.feel == feel
    onset = (
        piece.notes["onset"] / BAR_QUARTERS
        if feel == "score"
        else piece.onset_seconds / BAR_SECONDS
    )
    tune = onset[piece.notes["melody"]]
    bars = len(piece.bars) if feel == "score" else int(tune.max()) + 1
    bar = np.floor(onset + 1e-3).astype(int)
    around = [piece.notes[(bar == number) & ~piece.notes["melody"]] for number in range(bars)]
    return {
        "bars": bars,
        "edges": [round(edge / 1e6 * bars) for edge in edges[1:]],
        "notes": [len(notes) for notes in around],
        "register": [float(notes["pitch"].mean()) if len(notes) else None for notes in around],
        "loudness": [float(notes["velocity"].mean()) if len(notes) else None for notes in around],
        "kept": [result.report["melody_notes_kept"], result.report["melody_notes"]],
        "seconds": result.report["seconds_taken"],
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def jumps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure the change from each two bars to the next two.

    It is how much the mean of a bar and the next differs from that of the two bars before.

    Args:
        values: shape (bars,).

    Returns:
        Shape (bars,), NaN where there are no such bars.
    """
    found = np.full(len(values), np.nan)
    for bar in range(2, len(values) - 1):
        around = values[bar - 2 : bar + 2]
        found[bar] = abs(around[2:].mean() - around[:2].mean())
    return found


def seams(run: dict[str, Any], measure: str) -> tuple[float, float, float]:
    """Compare the jumps at the edges: their mean, that elsewhere, and p."""
    values = jumps(np.array([np.nan if value is None else value for value in run[measure]], float))
    known = ~np.isnan(values)
    edge = np.isin(np.arange(len(values)), run["edges"]) & known
    at, elsewhere = values[edge], values[~edge & known]
    rng = np.random.default_rng(0)
    drawn = [rng.choice(values[known], len(at), replace=False).mean() for _ in range(10_000)]
    return float(at.mean()), float(elsewhere.mean()), float(np.mean(np.array(drawn) >= at.mean()))


def main(argv: list[str] | None = None) -> int:
    """Make all runs, and print or write the tables."""
    parser = recipe_parser(__doc__)
    parser.add_argument(
        "--one", nargs=2, metavar=("MINUTES", "FEEL"), help="make one run, print JSON"
    )
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    if arguments.one:
        print(json.dumps(one(float(arguments.one[0]), arguments.one[1])))
        return 0

    rows, jumping = [], []
    for minutes, feel in RUNS:
        command = [sys.executable, "-m", "benchmarks.long_song", "--one", str(minutes), feel]
        run = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        cells = (
            f"{minutes:g}",
            feel,
            str(run["bars"]),
            str(len(run["edges"]) + 1),
            f"{run['kept'][0]}/{run['kept'][1]}",
            f"{run['seconds']:.0f}",
            f"{run['megabytes']:.0f}",
        )
        rows.append(cells)
        print(*cells, flush=True)
        if minutes >= 10:
            for measure in MEASURES:
                at, elsewhere, p = seams(run, measure)
                found = (f"{at:.2f}", f"{elsewhere:.2f}", f"{p:.2f}")
                jumping.append((f"{minutes:g}", feel, measure, *found))

    head = ("minutes", "feel", "bars", "windows", "melody kept", "seconds", "megabytes")
    of_jumps = ("minutes", "feel", "of a bar's accompaniment", "jump at edges", "elsewhere", "p")
    shown = f"{table(head, rows)}\n\n{table(of_jumps, jumping)}"
    text = f"On {processor()}, one thread.\n\n{shown}\n"
    print(text)
    if arguments.write:
        arguments.write.write_text(f"# Long songs\n\n{__doc__}\n{text}")

    return 0


if __name__ == "__main__":
    sys.exit(main())
