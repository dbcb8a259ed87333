"""Measure how choosing among candidates affects the style and the music.

    export STYLETRANSFER_WEIGHTS=eval/measured
    python -m eval.choice make runs/choice.jsonl
    python -m eval.choice compose runs/phrases.jsonl --data data/prepared
    python -m eval.choice tell runs/choice.jsonl runs/phrases.jsonl --data data/prepared \\
        --write eval/results/choice.json
    python -m eval.choice table eval/results/choice.json

``make`` keeps all candidates, as whole arrangements, for the melodies of ``eval/melodies`` in the
styles of the transfer report's composers. ``compose`` keeps what is chosen phrase by phrase, as
``apply`` does it, for melodies of several phrases. Both continue after an interruption.
``tell`` has the judges rate all of them. It compares a candidate at random with the ranker's choice
among whole ones, with and without its measure of the style (``idiom``; no search for copies), and
with its choice phrase by phrase, and writes the part ``choice`` of ``eval/RESULTS.md``; ``table``
writes that part again from the report.

There are two judges of the style: J1, a logistic regression, is reported; J2, a network, is a
check. J1 and the ranker never know a composer from the same pieces: the choice of a ranker with one
half of the composers' pieces (half A for even melodies, B for odd ones) is rated by the judge
trained on the other half. J2 has no halves, and the adapters were trained on both; that is the same
for all systems. The example tunes are left out, because the measure was developed on them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.levels import levels_of_5
from eval.ranker import arrangement, candidates_for, table_of
from eval.remedies import heard, music_of, plain
from eval.results import number
from eval.systems import Song, songs_in
from eval.transfer_report import COMPOSERS, JUDGES
from eval.weights import MELODIES, RESULTS, fill_page, publish, rows_of
from finetune.idioms import idioms_in
from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library
from styletransfer.errors import InputError
from styletransfer.evaluation import markdown
from styletransfer.evaluation.crossfit import HALVES, halves
from styletransfer.evaluation.intervals import class_mean
from styletransfer.evaluation.judges.judge import Judge, load_judge
from styletransfer.formats.tunes import EXAMPLES
from styletransfer.model.loading import measured_model, melody_codec, voices_in
from styletransfer.model.sampling import Candidate, sample
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.idiom import Idioms
from styletransfer.music.notes import Piece
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.plan import Plan, plan_of
from styletransfer.transfer.assemble import assemble
from styletransfer.transfer.phrases import by_phrases, ends_of
from styletransfer.transfer.ranking import rank
from styletransfer.transfer.timing import cut

RANDOM, WITHOUT, WITH, ALONE = (
    "one at random",
    "chosen without the idiom",
    "chosen among whole ones",
    "the idiom alone",
)
IDIOM, PHRASES = "with the idiom, than without", "by phrases, than among whole ones"
LABELS = {
    IDIOM: "with the idiom, less without it",
    PHRASES: "by phrases, less among whole ones",
}
"""Labels of differences in the table; the keys are their names in the report."""
PHRASED = "chosen by phrases, as it ships"
SYSTEMS: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]] = {
    WITHOUT: lambda total, idiom: total - rank.WEIGHTS["idiom"] * idiom,
    WITH: lambda total, idiom: total,
    ALONE: lambda total, idiom: idiom,
}
"""By system, the score by which it chooses: it takes the candidate with the highest."""
STYLE = {
    "accuracy": "J1",
    "probability": "J1, p(target)",
    "rest": "J1, without the melody",
    "second": "J2",
}
MUSIC = {
    name: rank.LABELS.get(name, "notes per quarter")
    for name in (
        "progression",
        "clarity",
        "fifths",
        "clash",
        "repeated",
        "emptiness",
        "notes",
        "idiom",
    )
}

LEVELS = ("chance", "shuffled notes of real scores (floor)", "real scores (the judges' ceiling)")
NOTE = (
    "Floor and ceiling: for J1 and J2, excerpts of real held-out scores as long as the style "
    "transfer's 40 melodies, of the same five composers, with the order of the notes shuffled "
    "and unchanged; for the music, the composers' own accompaniments of the test pieces' melodies "
    "(`eval/results/ranker.json`). Nats are units of natural logarithms, 1.44 bits each."
)


def make(path: Path, melodies: int | None) -> None:
    """Keep all candidates for all or the first melodies, as whole arrangements."""
    codec = melody_codec()

    def made(song: Song, style: str) -> list[dict[str, Any]]:
        voices = voices_in(
            style, "score", song.melody.tempo.quarters_per_minute(), SamplingConfig.strength, None
        )
        return candidates_for(song.melody, voices, codec, SamplingConfig.candidates)

    keep(path, songs()[:melodies], made)


def compose(path: Path, library: Library, melodies: int | None) -> None:
    """Keep the choice phrase by phrase, for melodies with several phrases."""
    codec, known, asked = melody_codec(), idioms_of(library), songs()[:melodies]
    plans = {song.slug: plan_of(codec, codec.grid(song.melody)) for song in asked}

    def made(song: Song, style: str) -> list[dict[str, Any]]:
        return [phrased(song.melody, style, codec, plans[song.slug], known[song.half])]

    keep(path, [song for song in asked if len(ends_of(plans[song.slug])) > 1], made)


def keep(
    path: Path, melodies: list[Song], made: Callable[[Song, str], list[dict[str, Any]]]
) -> None:
    """Append missing arrangements of the melodies in the styles of :data:`COMPOSERS`."""
    measured_model()
    done = {(row["melody"], row["style"]) for row in rows_of(path)} if path.exists() else set()
    path.parent.mkdir(parents=True, exist_ok=True)
    for song in melodies:
        for style in COMPOSERS:
            if (song.slug, style) not in done:
                row = {"melody": song.slug, "style": style, "candidates": made(song, style)}
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(song.slug, style, flush=True)


def phrased(melody: Piece, style: str, codec: Codec, plan: Plan, idioms: Idioms) -> dict[str, Any]:
    """Choose phrase by phrase, as ``apply`` does, with the composers' ``idioms``."""
    tempo, own = melody.tempo.quarters_per_minute(), idioms.known(style)
    assert own is not None
    voices = voices_in(style, "score", tempo, SamplingConfig.strength, None)

    def score(one: Candidate, first: int, end: int) -> float:
        piece = cut(assemble(melody, codec, plan, one, first=first), plan, end, first)
        tune, rest = piece.notes[piece.notes["melody"]], piece.notes[~piece.notes["melody"]]
        alike = idioms.likeness(tune, rest, own)
        closes = end == plan.bars
        music = rank.Music(tune, rest, tempo, piece.bars, closes, idiom=alike)
        return rank.score(music)["total"]

    def choose(found: list[Candidate], first: int, end: int) -> tuple[int, float]:
        totals = [score(one, first, end) for one in found]
        return int(np.argmax(totals)), max(totals)

    made, chosen = by_phrases(
        plan, lambda part, _: sample(voices, codec, part, SamplingConfig()), choose
    )
    best = made[chosen[-1]["candidate"]]
    return arrangement(assemble(melody, codec, plan, best), best.style_logprob, best.base_logprob)


def idioms_of(library: Library) -> dict[str, Idioms]:
    """Read composers' idioms from their pieces in each half."""
    dealt = halves(library.pieces)
    return {
        half: idioms_in(library, {group for group, where in dealt.items() if where == half})
        for half in HALVES
    }


def measured(
    piece: Piece, kept: dict[str, Any], style: str, idioms: Idioms, judges: tuple[Judge, Judge]
) -> dict[str, float]:
    """Measure a candidate.

    Returns:
        Its measures, by their names in :data:`STYLE` and :data:`MUSIC`, and the ranker's ``total``.
    """
    tune = piece.notes["melody"]
    own = idioms.known(style)
    assert own is not None
    parts = piece.notes[tune], piece.notes[~tune]
    tempo, alike = piece.tempo.quarters_per_minute(), idioms.likeness(*parts, own)
    likely = {"style_logprob": kept["style"], "base_logprob": kept["plain"]}
    found = rank.score(rank.Music(*parts, tempo, piece.bars, idiom=alike, **likely))
    first, second = judges
    whole, rest = heard(first, piece, style, None), heard(first, piece, style, tune)
    found |= whole | {
        "rest": rest["accuracy"],
        "second": heard(second, piece, style, None)["accuracy"],
    }
    return found | music_of(piece)


def songs() -> list[Song]:
    """Read the melodies, without those that the measure was developed on."""
    return [song for song in songs_in(MELODIES) if song.slug not in EXAMPLES]


def tell(
    rows: list[dict[str, Any]], chosen: list[dict[str, Any]], melodies: list[Song], library: Library
) -> dict[str, Any]:
    """Compare the systems on the arrangements of some melodies.

    Args:
        rows: whole arrangements, as :func:`make` keeps them.
        chosen: the choices phrase by phrase, for some of the melodies.
        melodies: the ones to compare.
        library: where the composers' pieces are.

    Returns:
        The report, as plain data.

    Raises:
        InputError: if a melody of several phrases wasn't composed by phrases.
    """
    known = {song.slug: song for song in melodies}
    rows = [row for row in rows if row["melody"] in known]
    first, second = JUDGES["composers"]
    idioms = idioms_of(library)
    judges: dict[str, tuple[Judge, Judge]] = {
        half: (load_judge(f"{first}-{other.lower()}"), load_judge(second))
        for half, other in zip(HALVES, HALVES[::-1], strict=True)
    }
    names = (*STYLE, *MUSIC, "total")

    def values_of(row: dict[str, Any]) -> NDArray[np.float64]:
        song = known[row["melody"]]
        pieces = [(song.melody.with_notes(table_of(kept)), kept) for kept in row["candidates"]]
        found = [
            measured(piece, kept, row["style"], idioms[song.half], judges[song.half])
            for piece, kept in pieces
        ]
        return np.array([[one[name] for name in names] for one in found])

    values = np.array([values_of(row) for row in rows])
    several = {
        (row["melody"], row["style"]): values_of(row)[0] for row in chosen if row["melody"] in known
    }

    total, idiom = (values[..., names.index(name)] for name in ("total", "idiom"))
    systems = {RANDOM: values.mean(1)}
    for name, of in SYSTEMS.items():
        systems[name] = values[np.arange(len(rows)), of(total, idiom).argmax(1)]
    systems[PHRASED] = _phrased(rows, systems[WITH], several, known)

    about = {
        "made_by": "eval.choice tell",
        "data": library.hash,
        "melodies": len({row["melody"] for row in rows}),
        "styles": sorted({row["style"] for row in rows}),
        "candidates": values.shape[1],
    }
    return about | _compared(systems, rows, names, len(several))


def _phrased(
    rows: list[dict[str, Any]],
    whole: NDArray[np.float64],
    several: dict[tuple[str, str], NDArray[np.float64]],
    known: dict[str, Song],
) -> NDArray[np.float64]:
    """Return the values of choices by phrases.

    With a single phrase, they are those of the whole.
    """
    codec = melody_codec()
    long = {
        slug
        for slug, song in known.items()
        if len(ends_of(plan_of(codec, codec.grid(song.melody)))) > 1
    }
    found = whole.copy()
    for k, row in enumerate(rows):
        if row["melody"] in long and (row["melody"], row["style"]) not in several:
            raise InputError(
                f"{row['melody']} after {row['style']} was not composed by phrases: "
                "run `compose` to its end."
            )
        found[k] = several.get((row["melody"], row["style"]), found[k])
    return found


def _compared(
    systems: dict[str, NDArray[np.float64]],
    rows: list[dict[str, Any]],
    names: tuple[str, ...],
    several: int,
) -> dict[str, Any]:
    """Return the means of each system, their differences, and some means by style.

    Args:
        systems: by name, values of shape (rows, names).
        rows: the melody and style of each.
        names: of the measures.
        several: how many arrangements have several phrases.
    """
    classes, groups = [row["style"] for row in rows], [row["melody"] for row in rows]
    means = {
        name: {
            key: class_mean(one[:, names.index(key)], classes, groups) for key in (*STYLE, *MUSIC)
        }
        for name, one in systems.items()
    }

    def less(system: str, other: str) -> dict[str, Any]:
        return {key: plain(means[system][key] - means[other][key]) for key in (*STYLE, *MUSIC)}

    return {
        "systems": {
            name: {key: plain(mean) for key, mean in one.items()} for name, one in means.items()
        },
        "arrangements of several phrases": several,
        IDIOM: less(WITH, WITHOUT),
        PHRASES: less(PHRASED, WITH),
        "by style": {
            name: {
                style: {
                    key: round(float(one[np.array(classes) == style, names.index(key)].mean()), 3)
                    for key in ("accuracy", "probability", "second", "notes")
                }
                for style in sorted(set(classes))
            }
            for name, one in systems.items()
        },
    }


def table(report: dict[str, Any]) -> str:
    """Write the report as Markdown."""
    styles, measures = report["styles"], (*STYLE, *MUSIC)
    several = report["arrangements of several phrases"] / len(styles)
    about = (
        f"{report['melodies']} melodies, {several:g} of them of several phrases, {len(styles)} "
        f"styles, {report['candidates']} candidates each. {NOTE}"
    )

    rows = []
    for name, one in report["systems"].items():
        cells = [number(one[key]) for key in STYLE]
        rows.append([name, *cells, *(markdown.interval(one[key]["value"]) for key in MUSIC)])
    levels = levels_of_5()
    for place, name in enumerate(LEVELS):
        cells = [levels[key][place] if key in levels else "" for key in measures]
        rows.append([name, *cells])
    for name, label in LABELS.items():
        rows.append([label, *(number(report[name][key]) for key in measures)])

    by_style = [
        [name, *(f"{found[style]['accuracy']:.2f}" for style in styles)]
        for name, found in report["by style"].items()
    ]
    by_style.append(["chance", *[f"{1 / len(styles):.2f}"] * len(styles)])
    return "\n\n".join(
        [
            about,
            markdown.table(["system", *STYLE.values(), *MUSIC.values()], rows),
            markdown.table(["J1's accuracy by style", *styles], by_style),
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """Make, compose or compare arrangements, or write the table again."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("step", choices=("make", "compose", "tell", "table"))
    parser.add_argument(
        "rows",
        type=Path,
        nargs="+",
        help="where the candidates are kept; for tell, what both others kept; for table, what "
        "tell wrote",
    )
    parser.add_argument("--melodies", type=int, help="only this many, the first by name")
    parser.add_argument(
        "--write", type=Path, help="the JSON file to write; the page gets its table"
    )
    parser.add_argument("--page", type=Path, default=RESULTS, help="the page of the table")
    arguments = parser.parse_args(argv)

    first, *others = arguments.rows
    if len(others) != (arguments.step == "tell"):
        wanted = "two files" if arguments.step == "tell" else "one file"
        parser.error(f"{arguments.step} takes {wanted}")
    try:
        if arguments.step == "make":
            make(first, arguments.melodies)
        elif arguments.step == "compose":
            compose(first, Library.load(arguments.data), arguments.melodies)
        elif arguments.step == "table":
            report = json.loads(first.read_text(encoding="utf-8"))
            fill_page(table(report), "choice", arguments.page)
        else:
            library = Library.load(arguments.data)
            report = tell(rows_of(first), rows_of(others[0]), songs(), library)
            publish(report, table(report), "choice", arguments.write, arguments.page)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
