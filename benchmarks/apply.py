"""Measure how long a user waits.

    python -m benchmarks.apply --write benchmarks/apply.md

Medians of five runs, each in a fresh process, on the machine that the page names; they include the
time to import modules and load weights. The first token is the first one that is sampled, for any
candidate.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import table

FIRST_TOKEN = """
import os, sys
from styletransfer.cli import app as cli
from styletransfer.tokens.grammar import MelodyGrammar

push = MelodyGrammar.push
MelodyGrammar.push = lambda line, index: push(line, index) if line.forced else os._exit(0)
cli.main()
"""
"""A program that ends where its first token is sampled."""

TARGETS = {
    "styletransfer --help": 0.3,
    "styletransfer inspect happy-birthday": None,
    "styletransfer apply happy-birthday --style bach --candidates 1": None,
    "styletransfer apply happy-birthday --style bach --candidates 8": 20.0,
    "styletransfer apply happy-birthday --style bach, to the first token": 3.0,
    "styletransfer generate --style chopin --seconds 60": None,
}
"""Command lines, and the seconds they should take at most; None for no target."""


def seconds(command: str, folder: Path) -> float:
    """Time one run of a command line of :data:`TARGETS`, in wall-clock seconds."""
    line, _, first = command.partition(", ")
    program = ["-c", FIRST_TOKEN] if first else ["-m", "styletransfer"]
    arguments = [sys.executable, *program, *line.split()[1:]]
    if "apply" in command or "generate" in command:
        arguments += ["--out", str(folder / "out.mid"), "--force"]
    begin = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def processor() -> str:
    """Name the processor, as well as the system does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main(argv: list[str] | None = None) -> int:
    """Time all commands, and print or write the table."""
    parser = recipe_parser(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each command")
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    lines = [
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"median of {arguments.runs} runs",
        "",
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for command, target in TARGETS.items():
            times = [seconds(command, Path(folder)) for _ in range(arguments.runs)]
            limit = f"under {target:g}" if target else ""
            row = (
                f"`{command}`",
                f"{statistics.median(times):.2f}",
                f"{max(times):.2f}",
                limit,
            )
            rows.append(row)
            print(*row, flush=True)

    text = "\n".join([*lines, table(("command", "seconds", "slowest", "target"), rows)]) + "\n"
    print(text)
    if arguments.write:
        arguments.write.write_text(
            f"# Waiting times\n\n`python -m benchmarks.apply --write benchmarks/apply.md`\n\n{text}"
        )

    return 0


if __name__ == "__main__":
    sys.exit(main())
