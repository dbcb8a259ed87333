"""Measure style transfer: every system on all melodies and styles.

    python -m eval.transfer_report --data data/prepared

Ten systems arrange the melodies of ``eval/melodies`` in the styles of five composers and of four
eras; each output is a single candidate, so that nothing is selected. ``--quick`` takes the eight
shortest melodies and three composers. After a stop the same command continues.

It writes the JSON with everything (``--out``), a page that stands alone (``--page``), and the
report's part of ``eval/RESULTS.md`` (``--results``).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from styletransfer.configuration import recipe_parser

if TYPE_CHECKING:
    from eval.sampler import Sampler
    from eval.scoring import Bench
    from eval.systems import Song, Target
    from styletransfer.data.library import Library

COMPOSERS = ("bach", "beethoven", "chopin", "schubert", "liszt")
ERAS = ("baroque", "classical", "romantic", "modern")
JUDGES = {"composers": ("j1-composers-5", "j2-composers-5"), "eras": ("j1-eras", "j2-eras")}
QUICK_MELODIES, QUICK_STYLES = 8, ("bach", "beethoven", "chopin")
T = TypeVar("T")


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    made = recipe_parser(__doc__, data=True)
    made.add_argument(
        "--melodies", type=Path, default=Path("eval/melodies"), help="a folder of ABC files"
    )
    made.add_argument(
        "--composers",
        nargs="*",
        default=list(COMPOSERS),
        help="styles of composers, or none",
    )
    made.add_argument("--eras", nargs="*", default=list(ERAS), help="styles of eras, or none")
    made.add_argument(
        "--seeds",
        type=int,
        help="outputs of each system, melody and style; by default one for each training run",
    )
    made.add_argument("--strength", type=float, default=1.5, help="how much style")
    made.add_argument("--model", type=Path, help="a folder of weights, instead of the shipped ones")
    made.add_argument(
        "--crossfit",
        type=Path,
        nargs="+",
        default=[],
        help="for each training run, a folder with the adapters NAME-A and NAME-B of two halves of "
        "the data",
    )

    for kind, judges in JUDGES.items():
        made.add_argument(
            f"--{kind}-judges",
            nargs="+",
            default=list(judges),
            help="the first is reported, the second checks it",
        )

    made.add_argument(
        "--quick", action="store_true", help="eight melodies, three composers, no eras"
    )
    made.add_argument(
        "--work",
        type=Path,
        default=Path("runs/transfer"),
        help="the folder where outputs and measures are kept",
    )
    made.add_argument(
        "--out", type=Path, help="by default eval/results/transfer.json; with --quick, in --work"
    )
    made.add_argument("--page", type=Path, help="by default transfer.html in --work")
    made.add_argument(
        "--results", type=Path, help="by default eval/RESULTS.md; with --quick, in --work"
    )
    return made


def main(argv: list[str] | None = None) -> int:
    """Make the report, and write it with its pages."""
    arguments = parser().parse_args(argv)
    if arguments.quick:
        arguments.composers, arguments.eras = list(QUICK_STYLES), []
    place = arguments.work / "quick" if arguments.quick else None
    out = arguments.out or (place or Path("eval/results")) / "transfer.json"
    page = arguments.page or (place or arguments.work) / "transfer.html"
    results = arguments.results or (place or Path("eval")) / "RESULTS.md"

    from eval.page import write_page
    from eval.results import write_results
    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.files import write_atomically

    try:
        report = run(Library.load(arguments.data), arguments)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, (json.dumps(report, ensure_ascii=False) + "\n").encode())
        write_page(report, page)
        write_results(report, results)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command continues from here.", file=sys.stderr)
        return 130
    print(f"{out}\n{page}\n{results}")
    return 0


def run(library: Library, arguments: argparse.Namespace) -> dict[str, Any]:
    """Sample, judge and measure everything, and give the report as plain data."""
    from eval.outputs import about, examples_of, jobs_of, outputs_of, reference_of
    from eval.sampler import Sampler
    from eval.scoring import Measurer, compared
    from eval.systems import songs_in
    from styletransfer.evaluation.measures.originality import training_indexes
    from styletransfer.model.settings import SamplingConfig

    songs = songs_in(arguments.melodies)
    if arguments.quick:
        shortest = sorted(songs, key=lambda song: (song.quarters, song.slug))[:QUICK_MELODIES]
        songs = sorted(shortest, key=lambda song: song.number)

    sampling = SamplingConfig(candidates=1, strength=arguments.strength)
    sampler = Sampler(arguments.work / "outputs", sampling, arguments.model)
    plans = list(_plans(arguments, sampler))
    jobs = [
        job
        for _, targets, systems, seeds, _, _ in plans
        for job in jobs_of(systems, songs, targets, seeds)
    ]
    for batch in tracked(sampler.batches(jobs), "arranging"):
        sampler.make(batch)

    measurer = Measurer(
        arguments.work / "measures", training_indexes(library, arguments.work, print)
    )
    groups: dict[str, Any] = {}
    examples: list[dict[str, Any]] = []
    for kind, targets, systems, seeds, benches, remarks in plans:
        references = {
            target.name: reference_of(target, songs, library)
            for target in tracked(targets, "real pieces")
        }
        outputs = outputs_of(systems, songs, targets, sampler, library, seeds)
        asked = {
            target.name: {half: runs[0].name for half, runs in target.adapters.items()}
            for target in targets
        }
        said = {"targets": list(asked), "adapters": asked, "seeds": seeds, "remarks": remarks}
        groups[kind] = said | compared(
            outputs,
            systems,
            references,
            measurer,
            benches,
            lambda every: tracked(every, "measuring"),
        )
        if kind == "composers":
            examples = examples_of(outputs, list(asked), songs)

    return {
        "made_by": "eval.transfer_report",
        "settings": settings_of(arguments, sampler, songs),
        "data": library.hash,
        "melodies": [about(song) for song in songs],
        "groups": groups,
        "examples": examples,
    }


def _plans(
    arguments: argparse.Namespace, sampler: Sampler
) -> Iterator[tuple[str, list[Target], list[str], int, dict[str, Bench], list[str]]]:
    """Plan each group of styles.

    Yields:
        The group, its styles, systems and number of seeds, the judges by name, and remarks.
    """
    from eval.systems import systems_for, targets_of

    for kind, names in (("composers", arguments.composers), ("eras", arguments.eras)):
        if not names:
            continue
        targets, remarks = targets_of(names, sampler.base.weights_hash, arguments.crossfit)
        systems, left_out = systems_for(targets)
        seeds = arguments.seeds or max(
            (len(runs) for target in targets for runs in target.adapters.values()), default=1
        )
        benches, deaf = benches_of(judges_for(arguments, kind), bool(arguments.crossfit))
        yield kind, targets, systems, seeds, benches, [*remarks, *left_out, *deaf]


def judges_for(arguments: argparse.Namespace, kind: str) -> list[str]:
    """Name the judges of a group of styles, the reported one first."""
    return list(getattr(arguments, f"{kind}_judges"))


def benches_of(names: Sequence[str], halved: bool) -> tuple[dict[str, Bench], list[str]]:
    """Load the judges by name.

    Args:
        names: of the judges.
        halved: whether adapters are cross-fitted: half A is then rated by the judge NAME-b, which
            was trained on half B.

    Returns:
        The judges, and remarks on those that have no halves.
    """
    from eval.scoring import Bench
    from styletransfer.evaluation.judges.judge import judges, load_judge

    benches, remarks = {}, []
    for name in names:
        heard_by = {"A": f"{name}-b", "B": f"{name}-a"}
        if halved and not set(heard_by.values()) <= set(judges()):
            remarks.append(f"{name} has no halves: it was trained on the pieces of both adapters.")
            heard_by = dict.fromkeys(heard_by, name)
        elif not halved:
            heard_by = dict.fromkeys(heard_by, name)
        benches[name] = Bench({half: load_judge(one) for half, one in heard_by.items()})
    return benches, remarks


def settings_of(
    arguments: argparse.Namespace, sampler: Sampler, songs: Sequence[Song]
) -> dict[str, Any]:
    """Collect the settings that decided the numbers."""
    from dataclasses import asdict

    return {
        "sampling": asdict(sampler.sampling),
        "melodies": len(songs),
        "quick": arguments.quick,
        "crossfit": [run.name for run in arguments.crossfit],
        "judges": {kind: judges_for(arguments, kind) for kind in JUDGES},
        "base": sampler.base.weights_hash,
    }


def tracked(items: Iterable[T], what: str) -> Iterator[T]:
    """Pass the items on, with a progress bar and the time left on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    every = list(items)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(every, description=what)


if __name__ == "__main__":
    sys.exit(main())
