"""How time and memory grow: ``python -m benchmarks.growth MAESTRO --write benchmarks``.

An arrangement against the song's length (one candidate) and against candidates (a song of one
minute), and the preparation of data against the number of files (of MAESTRO, in one process); each
in a process of its own, whose largest resident size is its memory. The exponent is the slope of a
straight line through the logarithms of seconds: 1 is linear. Writes ``growth.md``, ``growth.png``.
"""

from __future__ import annotations

import argparse
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
from styletransfer.files import write_bytes
from styletransfer.formats.midi_out import write_midi

KINDS = {
    "minutes of song": (1, 3, 10, 30),
    "candidates": (1, 4, 16, 64),
    "files to prepare": (25, 100, 400),
}


def one(kind: str, size: int, maestro: Path) -> dict[str, float]:
    """Seconds and megabytes of one run."""
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
    """The slope of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def picture(found: dict[str, list[dict[str, float]]]) -> bytes:
    """Seconds (left axis) and megabytes (right axis) against size, a panel each."""
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("maestro", type=Path, help="the folder of MAESTRO's MIDI files")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"), help="One run, told as JSON.")
    parser.add_argument("--write", type=Path, help="the folder to write in")
    arguments = parser.parse_args(argv)
    if arguments.one:
        print(json.dumps(one(arguments.one[0], int(arguments.one[1]), arguments.maestro)))
        return 0
    found: dict[str, list[dict[str, float]]] = {}
    lines = ["| | size | seconds | megabytes | exponent |", "|---|---|---|---|---|"]
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
            run = json.loads(
                subprocess.run(
                    command, check=True, capture_output=True, text=True
                ).stdout.splitlines()[-1]
            )
            found.setdefault(kind, []).append(run)
            slope = (
                exponent(list(sizes), [one["seconds"] for one in found[kind]])
                if size == sizes[-1]
                else None
            )
            told = "" if slope is None else f"{slope:.2f}"
            lines.append(
                f"| {kind} | {size} | {run['seconds']:.1f} | {run['megabytes']:.0f} | {told} |"
            )
            print(lines[-1], flush=True)
    text = (
        f"# Growth\n\n{__doc__}\nOn {processor()}.\n\n"
        + "\n".join(lines)
        + "\n\n![growth](growth.png)\n"
    )
    if arguments.write:
        write_bytes(arguments.write / "growth.md", text.encode(), force=True)
        write_bytes(arguments.write / "growth.png", picture(found), force=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
