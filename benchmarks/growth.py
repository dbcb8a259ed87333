"""Measure how time and memory grow.

    python -m benchmarks.growth MAESTRO --write benchmarks

Arrangements are timed for songs of several lengths (one candidate) and for several numbers of
candidates (a song of one minute), and the preparation of data for several numbers of files (from
MAESTRO, in one process). Each run is a process of its own; its memory is its largest resident size.
The exponent is the slope of a straight line through the logarithms of size and seconds: 1 means
linear growth. Writes ``growth.md`` and ``growth.png``.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.apply import processor
from benchmarks.long_song import song
from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import table
from styletransfer.files import write_bytes
from styletransfer.formats.midi_out import write_midi

KINDS = {
    "minutes of song": (1, 3, 10, 30),
    "candidates": (1, 4, 16, 64),
    "files to prepare": (25, 100, 400),
}


def one(kind: str, size: int, maestro: Path) -> dict[str, float]:
    """Make one run, and give its seconds and megabytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if kind == "files to prepare":
            from styletransfer.data.prepare import prepare

            (folder / "music").mkdir()
            files = sorted(maestro.rglob("*.mid*"))
            for number in np.linspace(0, len(files) - 1, size).astype(int):
                (folder / "music" / files[number].name).symlink_to(files[number].absolute())
            begin = time.perf_counter()
            prepare([folder / "music"], folder / "out", workers=1)
        else:
            from styletransfer.model.settings import SamplingConfig
            from styletransfer.transfer.pipeline import apply
            from styletransfer.transfer.request import Request

            minutes, candidates = (size, 1) if kind == "minutes of song" else (1, size)
            write_midi(song(minutes), folder / "song.mid")
            begin = time.perf_counter()
            apply(Request(str(folder / "song.mid"), "chopin", SamplingConfig(candidates)))
        seconds = time.perf_counter() - begin
    return {
        "seconds": seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Fit the slope of the logarithm of seconds over that of size."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def picture(found: dict[str, list[dict[str, float]]]) -> bytes:
    """Draw seconds (left axis) and megabytes (right axis) against size, by kind.

    Each kind has a panel.

    Returns:
        The bytes of a PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (kind, runs) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
        sizes = KINDS[kind]
        axes.loglog(sizes, [run["seconds"] for run in runs], "o-", color="#d1495b")
        axes.set_xlabel(kind)
        axes.set_ylabel("seconds", color="#d1495b")
        axes.set_xticks(sizes, [str(size) for size in sizes], minor=False)
        axes.minorticks_off()
        memory = axes.twinx()
        memory.plot(sizes, [run["megabytes"] for run in runs], "s--", color="#3d7ea6")
        memory.set_ylim(0, 1.3 * max(run["megabytes"] for run in runs))
        memory.set_ylabel("megabytes", color="#3d7ea6")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def main(argv: list[str] | None = None) -> int:
    """Make all runs, and write the table and the picture."""
    parser = recipe_parser(__doc__)
    parser.add_argument("maestro", type=Path, help="the folder of MAESTRO's MIDI files")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"), help="make one run, print JSON")
    parser.add_argument("--write", type=Path, help="the folder to write in")
    arguments = parser.parse_args(argv)
    if arguments.one:
        print(json.dumps(one(arguments.one[0], int(arguments.one[1]), arguments.maestro)))
        return 0
    found: dict[str, list[dict[str, float]]] = {}
    rows = []
    for kind, sizes in KINDS.items():
        for size in sizes:
            command = [
                sys.executable,
                "-m",
                "benchmarks.growth",
                str(arguments.maestro),
                "--one",
                kind,
                str(size),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            run = json.loads(done.stdout.splitlines()[-1])
            found.setdefault(kind, []).append(run)

            slope = ""
            if size == sizes[-1]:
                slope = f"{exponent(list(sizes), [one['seconds'] for one in found[kind]]):.2f}"
            row = (kind, f"{size}", f"{run['seconds']:.1f}", f"{run['megabytes']:.0f}", slope)
            rows.append(row)
            print(*row, flush=True)

    shown = table(("kind", "size", "seconds", "megabytes", "exponent"), rows)
    text = f"# Growth\n\n{__doc__}\nOn {processor()}.\n\n{shown}\n\n![growth](growth.png)\n"
    if arguments.write:
        write_bytes(arguments.write / "growth.md", text.encode(), force=True)
        write_bytes(arguments.write / "growth.png", picture(found), force=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
