"""Try what could bring arrangements closer to the style asked for.

    python -m eval.remedies --data data/prepared
    python -m eval.remedies --data data/prepared --adapters melody-pairs=runs/melody-pairs

The melodies are none of the transfer report's. ``--tunes folk``: folk songs of music21's Essen
collection that share no phrase with the report's melodies; ``scores``: the melodies of
``eval.ranker``, excerpts of validation scores. They are arranged in the styles of the report's
composers, once with each remedy: other settings of the sampler, a choice among candidates by the
ranker, other adapters.

The style is rated by the report's judges. Beside it stands what the music could lose: notes outside
the melody's key, dissonance under its notes, clashes, silence, notes per quarter, notes that were
struck just before, and onsets apart from the melody's. The ranker and the judge know composers by
the same pieces; what the ranker's choice is worth is measured by ``eval.choice``.

Outputs are kept in ``--work``, so that the same command continues after a stop. It writes a JSON
file and prints its table, which goes into the lab log.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.ranker import melodies, notes_a_quarter
from eval.results import number
from eval.sampler import Sampler
from eval.systems import BOTH, TAG, Job, Song, Target, songs_in, targets_of
from eval.transfer_report import COMPOSERS, JUDGES, tracked
from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library
from styletransfer.data.sources import corpus_folder
from styletransfer.errors import InputError
from styletransfer.evaluation import markdown
from styletransfer.evaluation.crossfit import HALVES
from styletransfer.evaluation.intervals import Resampled, class_mean
from styletransfer.evaluation.judges.judge import Judge, load_judge
from styletransfer.formats.read import read_score, read_tunes
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.key import estimate_key, out_of_key_share
from styletransfer.music.melody import marked
from styletransfer.music.notes import NoteTable, Piece
from styletransfer.styles.find import style_at
from styletransfer.transfer.ranking import rank
from styletransfer.transfer.ranking.likeness import likeness, parts_of
from styletransfer.transfer.source import find_melody

ONE = SamplingConfig(candidates=1)
PHRASE = 10
SHIPPED = "tag + adapter, as shipped, one candidate"


@dataclass(frozen=True)
class Remedy:
    """What is changed.

    Attributes:
        system: how the style is asked for.
        sampling: settings of the sampler.
        seeds: how many candidates the ranker chooses from.
        adapters: a folder of styles, instead of those that ship.
    """

    system: str = BOTH
    sampling: SamplingConfig = ONE
    seeds: int = 1
    adapters: Path | None = None


REMEDIES = {
    SHIPPED: Remedy(),
    "tag only": Remedy(TAG),
    "strength 1": Remedy(sampling=replace(ONE, strength=1.0)),
    "strength 2": Remedy(sampling=replace(ONE, strength=2.0)),
    "strength 3": Remedy(sampling=replace(ONE, strength=3.0)),
    "temperature 0.8": Remedy(sampling=replace(ONE, temperature=0.8)),
    "temperature 0.95, top-p 0.95": Remedy(sampling=replace(ONE, temperature=0.95, top_p=0.95)),
    "temperature 1, top-p 1": Remedy(sampling=replace(ONE, temperature=1.0, top_p=1.0)),
    "the ranker's choice of 4": Remedy(seeds=4),
}


def main(argv: list[str] | None = None) -> int:
    """Try the remedies, and write the report."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("--tunes", choices=("folk", "scores"), default="folk")
    parser.add_argument(
        "--melodies", type=int, default=20, help="how many, spread over all there are"
    )
    parser.add_argument("--only", nargs="+", help="try these remedies only, and what ships")
    parser.add_argument(
        "--adapters",
        nargs="*",
        default=[],
        help="NAME=FOLDER: further remedies, styles by composers' names",
    )
    parser.add_argument(
        "--model", type=Path, help="a folder of weights, instead of the shipped ones"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("runs/remedies"), help="the folder where outputs are kept"
    )
    parser.add_argument("--out", type=Path, default=Path("eval/results/remedies.json"))
    arguments = parser.parse_args(argv)

    remedies = {
        name: one
        for name, one in REMEDIES.items()
        if name in {SHIPPED, *(arguments.only or REMEDIES)}
    }
    for pair in arguments.adapters:
        name, _, folder = pair.partition("=")
        remedies[name] = Remedy(adapters=Path(folder))

    try:
        folk = arguments.tunes == "folk"
        songs = (
            folk_songs(arguments.melodies)
            if folk
            else songs_of(Library.load(arguments.data), arguments.melodies)
        )
        report = tried(remedies, songs, COMPOSERS, arguments.work, arguments.model)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2

    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(report))
    return 0


def songs_of(library: Library, count: int) -> list[Song]:
    """Take validation melodies, spread evenly over all there are."""
    found = []
    every = list(melodies(library))
    for number_, place in enumerate(
        np.unique(np.linspace(0, len(every) - 1, count).astype(int)).tolist()
    ):
        name, _, piece = every[place]
        found.append(
            Song(name, number_, piece, piece.with_notes(piece.notes[piece.notes["melody"]]), 0)
        )
    return found


def folk_songs(count: int, reported: Path = Path("eval/melodies")) -> list[Song]:
    """Take songs of 16 to 36 quarters, evenly from the whole Essen collection.

    Songs that share a run of :data:`PHRASE` notes, in any key, with a melody of the report are left
    out.
    """
    taken = {phrase for song in songs_in(reported) for phrase in phrases(song.melody)}
    places = [
        (path, k)
        for path in sorted(corpus_folder("essenFolksong").glob("*.abc"))
        for k in range(len(read_tunes(path)))
    ]
    found: list[Song] = []
    for wanted in np.linspace(0, len(places), count, endpoint=False).astype(int).tolist():
        for path, k in places[wanted:]:
            try:
                source = read_score(path, "score", k)
            except InputError:
                continue
            quarters = float((source.notes["onset"] + source.notes["duration"]).max())
            if 16 <= quarters <= 36 and len(source.notes) >= 20 and not taken & phrases(source):
                melody, octaves = find_melody(source)
                found.append(
                    Song(f"{path.stem}-{k + 1}", len(found), marked(source), melody, octaves)
                )
                break

    return found


def phrases(tune: Piece) -> set[tuple[int, ...]]:
    """Collect the runs of :data:`PHRASE` notes of a melody, as intervals in semitones."""
    steps = np.diff(tune.notes["pitch"].astype(int)).tolist()
    return {tuple(steps[k : k + PHRASE - 1]) for k in range(len(steps) - PHRASE + 2)}


def tried(
    remedies: dict[str, Remedy],
    songs: Sequence[Song],
    styles: Sequence[str],
    work: Path,
    model: Path | None = None,
) -> dict[str, Any]:
    """Try all remedies on all songs and styles, and give the report as plain data."""
    judges = {name: load_judge(name) for name in JUDGES["composers"]}
    values: dict[str, dict[str, NDArray[np.float64]]] = {}
    targets: list[Target] = []
    for name, remedy in remedies.items():
        sampler = Sampler(work / "outputs", remedy.sampling, model)
        targets, _ = targets_of(styles, sampler.base.weights_hash)
        if folder := remedy.adapters:
            targets = [
                Target(one.style, dict.fromkeys(HALVES, (style_at(folder / one.name),)))
                for one in targets
            ]

        asked = [
            [(remedy.system, song, target, seed) for seed in range(remedy.seeds)]
            for target in targets
            for song in songs
        ]
        for batch in tracked(sampler.batches([job for jobs in asked for job in jobs]), name):
            sampler.make(batch)
        rows = []
        for jobs in asked:
            rows.append(measured(best(sampler, jobs), jobs[0][2].name, judges))

        values[name] = {key: np.array([row[key] for row in rows]) for key in rows[0]}

    classes, groups = (
        [target.name for target in targets for _ in songs],
        [song.slug for _ in targets for song in songs],
    )
    means = {
        name: {key: class_mean(v, classes, groups) for key, v in one.items()}
        for name, one in values.items()
    }

    return {
        "made_by": "eval.remedies",
        "melodies": len(songs),
        "styles": [target.name for target in targets],
        "systems": {
            name: {key: plain(mean) for key, mean in one.items()} for name, one in means.items()
        },
        "differences": {
            name: {key: plain(mean - means[SHIPPED][key]) for key, mean in one.items()}
            for name, one in means.items()
        },
    }


def measured(piece: Piece, target: str, judges: dict[str, Judge]) -> dict[str, float]:
    """Measure an arrangement's notes, and what judges hear in it.

    The judges hear all of it, and its accompaniment.
    """
    row = music_of(piece)
    for name, judge in judges.items():
        for part, removed in (("whole", None), ("rest", piece.notes["melody"])):
            found = heard(judge, piece, target, removed)
            row |= {f"{name} {part} {key}": value for key, value in found.items()}
    return row


def best(sampler: Sampler, jobs: Sequence[Job]) -> Piece:
    """Choose among the arrangements of all seeds, by the ranker."""
    made = []
    for job in jobs:
        piece = sampler.read(job)[1]
        melody = piece.notes["melody"]
        tune = piece.notes[melody]
        tempo = piece.tempo.quarters_per_minute()
        alike = likeness(parts_of(job[2].name), tune, piece.notes[~melody]) if job[2] else 0.0
        music = rank.Music(tune, piece.notes[~melody], tempo, piece.bars, idiom=alike)
        scores = rank.score(music)
        made.append((scores["total"], -job[3], piece))
    return max(made, key=lambda one: one[:2])[2]


def heard(
    judge: Judge, piece: Piece, target: str, removed: NDArray[np.bool_] | None
) -> dict[str, float]:
    """Rate a piece: whether it is taken for the style, and the style's probability.

    Args:
        judge: who rates it.
        piece: the piece.
        target: the style asked for.
        removed: shape (notes,), the notes that the judge doesn't see.

    Returns:
        ``accuracy`` and ``probability``, NaN where too few notes are left.
    """
    try:
        found = judge.probabilities(piece, removed)
    except InputError:
        return {"accuracy": float("nan"), "probability": float("nan")}
    place = judge.labels.index(target)
    return {"accuracy": float(found.argmax() == place), "probability": float(found[place])}


def music_of(piece: Piece) -> dict[str, float]:
    """Measure what an accompaniment could lose while its style becomes clearer."""
    melody, rest = piece.notes[piece.notes["melody"]], piece.notes[~piece.notes["melody"]]
    return {
        "outside": out_of_key_share(rest, estimate_key(melody)),
        "dissonance": rank.dissonance(melody, rest),
        "clash": rank.clash(rank.piano_roll(piece.notes)),
        "emptiness": rank.emptiness(melody, rest),
        "notes": notes_a_quarter(piece.notes),
        "repeated": rank.repeated(rest),
        "apart": apart(melody, rest),
    }


def apart(melody: NoteTable, accompaniment: NoteTable) -> float:
    """Measure the share of the accompaniment's onsets at which no melody note begins.

    Returns:
        NaN without any onsets.
    """
    onsets, tune = (
        np.unique(np.round(one["onset"] / rank.TOGETHER)) for one in (accompaniment, melody)
    )
    return float(1 - np.isin(onsets, tune).mean()) if len(onsets) else float("nan")


def plain(found: Resampled) -> dict[str, float | None]:
    """Return a mean with its interval, for JSON; None for NaN."""
    interval = found.interval()
    numbers = {name: getattr(interval, name) for name in ("value", "low", "high")}
    return {name: None if np.isnan(value) else round(value, 4) for name, value in numbers.items()}


def table(report: dict[str, Any]) -> str:
    """Tabulate the style and music of each remedy, and its gain on what ships."""
    judge, other = JUDGES["composers"]
    columns = {
        "accuracy": f"{judge} whole accuracy",
        "without the melody": f"{judge} rest accuracy",
        "p(target)": f"{judge} whole probability",
        "accuracy by the second judge": f"{other} whole accuracy",
    }
    music = {
        "outside the key": "outside",
        "dissonant": "dissonance",
        "clashing": "clash",
        "silent": "emptiness",
        "notes per quarter": "notes",
    }
    music |= {"repeated": "repeated", "apart": "apart"}
    head = ["remedy", *columns, "accuracy added", "p(target) added", *music]
    rows = []
    for name, means in report["systems"].items():
        added = [report["differences"][name][columns[key]] for key in ("accuracy", "p(target)")]
        cells = [f"{means[key]['value']:.3f}" for key in columns.values()]
        cells += ["", ""] if name == SHIPPED else [number(one) for one in added]
        cells += [f"{means[key]['value']:.2f}" for key in music.values()]
        rows.append([name, *cells])

    chance = 1 / len(report["styles"])
    rows.append(["chance", *[f"{chance:.3f}"] * 4, *[""] * (2 + len(music))])
    return markdown.table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
