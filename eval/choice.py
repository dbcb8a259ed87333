"""What the choice among candidates does to the style, and to the music.

    export STYLETRANSFER_WEIGHTS=eval/measured
    python -m eval.choice make runs/choice.jsonl
    python -m eval.choice compose runs/phrases.jsonl --data data/prepared
    python -m eval.choice tell runs/choice.jsonl runs/phrases.jsonl --data data/prepared --write eval/results/choice.json

``make`` keeps all candidates, as whole arrangements, of the melodies of ``eval/melodies`` in the
styles of the transfer report's composers; ``compose`` what is chosen phrase by phrase, as ``apply``
does it, of melodies with several. Both go on where they were interrupted. ``tell`` asks the judges
of all of them, and compares one at random with what the ranker chooses among whole ones, with and
without its measure of the style (``idiom``; copies aren't looked for), and with what it chooses
phrase by phrase. J1 and the ranker never know a composer by the same pieces: what a ranker with the
composers' pieces of one half chooses (half A for even melodies, B for odd ones) is heard by the
judge of the other half. J2 has no halves, and the adapters have learnt from both; all systems have
the same. The example tunes, by which the measure was tried, are left out. Writes the part
``choice`` of ``eval/RESULTS.md``, too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.ranker import arrangement, candidates_for, table_of
from eval.remedies import heard, music_of, plain
from eval.results import number
from eval.systems import Song, songs_in
from eval.transfer_report import COMPOSERS, JUDGES
from eval.weights import MELODIES, RESULTS, publish, rows_of
from finetune.idioms import idioms_in
from styletransfer.data.library import Library
from styletransfer.errors import InputError
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
PHRASED = "chosen by phrases, as it ships"
SYSTEMS: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]] = {
    WITHOUT: lambda total, idiom: total - rank.WEIGHTS["idiom"] * idiom,
    WITH: lambda total, idiom: total,
    ALONE: lambda total, idiom: idiom,
}
"""What is highest in the candidate that is chosen."""
STYLE = {
    "accuracy": "J1",
    "probability": "J1, p(target)",
    "rest": "J1, without the melody",
    "second": "J2",
}
MUSIC = {
    name: rank.LABELS.get(name, "notes a quarter")
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


def make(path: Path, melodies: int | None) -> None:
    codec = melody_codec()

    def made(song: Song, style: str) -> list[dict[str, Any]]:
        voices = voices_in(
            style, "score", song.melody.tempo.quarters_per_minute(), SamplingConfig.strength, None
        )
        return candidates_for(song.melody, voices, codec, SamplingConfig.candidates)

    keep(path, songs()[:melodies], made)


def compose(path: Path, library: Library, melodies: int | None) -> None:
    codec, known, asked = melody_codec(), idioms_of(library), songs()[:melodies]
    plans = {song.slug: plan_of(codec, codec.grid(song.melody)) for song in asked}

    def made(song: Song, style: str) -> list[dict[str, Any]]:
        return [phrased(song.melody, style, codec, plans[song.slug], known[song.half])]

    keep(path, [song for song in asked if len(ends_of(plans[song.slug])) > 1], made)


def keep(
    path: Path, melodies: list[Song], made: Callable[[Song, str], list[dict[str, Any]]]
) -> None:
    """Append what is made of the melodies in the styles of :data:`COMPOSERS`, but for what is
    there.
    """
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
    """What is chosen phrase by phrase, as ``apply`` does it, with composers as ``idioms`` has
    them.
    """
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
    """By half, composers by their pieces of it."""
    dealt = halves(library.pieces)
    return {
        half: idioms_in(library, {group for group, where in dealt.items() if where == half})
        for half in HALVES
    }


def measured(
    piece: Piece, kept: dict[str, Any], style: str, idioms: Idioms, judges: tuple[Judge, Judge]
) -> dict[str, float]:
    """A candidate's measures, by their names in :data:`STYLE` and :data:`MUSIC`, and the ranker's
    ``total``.
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
    """The melodies, without those that the measure was tried by."""
    return [song for song in songs_in(MELODIES) if song.slug not in EXAMPLES]


def tell(
    rows: list[dict[str, Any]], chosen: list[dict[str, Any]], melodies: list[Song], library: Library
) -> dict[str, Any]:
    """The report on the arrangements of some melodies, as plain data: whole ones, and of some of
    them those that were chosen by phrases."""
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
    total, idiom = (values[..., names.index(name)] for name in ("total", "idiom"))
    systems = {RANDOM: values.mean(1)}
    for name, of in SYSTEMS.items():
        systems[name] = values[np.arange(len(rows)), of(total, idiom).argmax(1)]
    several = {
        (row["melody"], row["style"]): values_of(row)[0] for row in chosen if row["melody"] in known
    }
    codec = melody_codec()
    long = {
        slug
        for slug, song in known.items()
        if len(ends_of(plan_of(codec, codec.grid(song.melody)))) > 1
    }
    systems[PHRASED] = systems[WITH].copy()  # where there is but one phrase
    for k, row in enumerate(rows):
        if row["melody"] in long and (row["melody"], row["style"]) not in several:
            raise InputError(
                f"{row['melody']} after {row['style']} was not composed by phrases: run `compose` to its end."
            )
        systems[PHRASED][k] = several.get((row["melody"], row["style"]), systems[PHRASED][k])
    classes, groups = [row["style"] for row in rows], [row["melody"] for row in rows]
    means = {
        name: {
            key: class_mean(one[:, names.index(key)], classes, groups) for key in (*STYLE, *MUSIC)
        }
        for name, one in systems.items()
    }
    return {
        "made_by": "eval.choice tell",
        "data": library.hash,
        "melodies": len(set(groups)),
        "styles": sorted(set(classes)),
        "candidates": values.shape[1],
        "systems": {
            name: {key: plain(mean) for key, mean in one.items()} for name, one in means.items()
        },
        "arrangements of several phrases": len(several),
        IDIOM: {key: plain(means[WITH][key] - means[WITHOUT][key]) for key in (*STYLE, *MUSIC)},
        PHRASES: {key: plain(means[PHRASED][key] - means[WITH][key]) for key in (*STYLE, *MUSIC)},
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
    """The report as Markdown."""
    styles = report["styles"]
    columns = [*STYLE.values(), *MUSIC.values()]
    several = (
        f"{report['arrangements of several phrases'] / len(styles):g} of them of several phrases"
    )
    lines = [
        f"{report['melodies']} melodies, {several}, {len(styles)} styles, {report['candidates']} candidates each.",
        "",
    ]
    lines += [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, one in report["systems"].items():
        cells = [
            number(one[key]) if key in STYLE else f"{one[key]['value']:.3f}"
            for key in (*STYLE, *MUSIC)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name in (IDIOM, PHRASES):
        lines.append(
            f"| {name} | {' | '.join(number(report[name][key]) for key in (*STYLE, *MUSIC))} |"
        )
    lines += [
        "",
        f"| J1's accuracy by style | {' | '.join(styles)} |",
        "|---" * (len(styles) + 1) + "|",
    ]
    for name, rows in report["by style"].items():
        shares = [f"{rows[style]['accuracy']:.2f}" for style in styles]
        lines.append(f"| {name} | {' | '.join(shares)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("make", "compose", "tell"))
    parser.add_argument(
        "rows",
        type=Path,
        nargs="+",
        help="where the candidates are kept; for tell, what both others kept",
    )
    parser.add_argument("--melodies", type=int, help="only so many, the first by name")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data/prepared"),
        help="made by `styletransfer data prepare`",
    )
    parser.add_argument("--write", type=Path, help="JSON; the page gets its table, too")
    parser.add_argument("--page", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    if len(arguments.rows) != (1 + (arguments.step == "tell")):
        parser.error(
            f"{arguments.step} takes {'two files' if arguments.step == 'tell' else 'one file'}"
        )
    try:
        if arguments.step == "make":
            make(arguments.rows[0], arguments.melodies)
            return 0
        library = Library.load(arguments.data)
        if arguments.step == "compose":
            compose(arguments.rows[0], library, arguments.melodies)
            return 0
        report = tell(rows_of(arguments.rows[0]), rows_of(arguments.rows[1]), songs(), library)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    publish(report, table(report), "choice", arguments.write, arguments.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
