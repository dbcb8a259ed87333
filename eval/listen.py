"""Measure six tunes in the style of every composer that ships, and real pieces.

    python -m eval.listen --data data/prepared --write eval/listen.md

The numbers are a guide for listening; :data:`ABOUT` explains them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library
from styletransfer.evaluation.markdown import table
from styletransfer.formats.tunes import EXAMPLES
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.key import estimate_key, out_of_key_share
from styletransfer.music.notes import NoteTable, make_notes
from styletransfer.styles.find import all_styles
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.ranking.rank import covered, dissonance
from styletransfer.transfer.request import Request

ABOUT = (
    "What ships, on six tunes in the style of each composer, compared with excerpts of the "
    "composer's real scores: a guide for listening. Measures of the accompaniment leave out the "
    "melody's notes, in real pieces too; there, the melody is the one that was extracted. "
    '"Melody louder by" is the difference of the median velocities; real scores have no loudness.'
)
"""The page's introduction."""

HEAD = (
    "style and tune",
    "accompaniment notes per quarter",
    "notes sounding at once",
    "lowest",
    "highest",
    "onsets on a beat or half-beat",
    "outside the key",
    "silence",
    "dissonant under the melody",
    "notes below C3",
    "melody louder by",
)


@dataclass(frozen=True)
class Numbers:
    """The values of a row; :data:`HEAD` names them in this order."""

    notes_a_quarter: float
    polyphony: float
    lowest: float
    highest: float
    on_half_beats: float
    out_of_key: float
    silence: float
    dissonance: float
    low_bass: float
    singing: float

    def row(self) -> tuple[str, ...]:
        """Write the values as the cells of a row."""
        return (
            f"{self.notes_a_quarter:.2f}",
            f"{self.polyphony:.1f}",
            f"{self.lowest:.0f}",
            f"{self.highest:.0f}",
            f"{self.on_half_beats:.0%}",
            f"{self.out_of_key:.1%}",
            f"{self.silence:.0%}",
            f"{self.dissonance:.0%}",
            f"{self.low_bass:.0%}",
            f"{self.singing:.0f}" if self.singing else "",
        )


def numbers(notes: NoteTable) -> Numbers:
    """Measure a piece in quarters."""
    melody, rest = notes[notes["melody"]], notes[~notes["melody"]]
    start, end = float(notes["onset"].min()), float((notes["onset"] + notes["duration"]).max())
    probes = np.linspace(start, end, max(int((end - start) * 16), 2), endpoint=False)
    halves = np.abs(rest["onset"] * 2 - np.round(rest["onset"] * 2)) < 0.02
    return Numbers(
        len(rest) / max(end - start, 1e-9),
        float(rest["duration"].sum() / max(end - start, 1e-9)),
        float(rest["pitch"].min()) if len(rest) else 0.0,
        float(rest["pitch"].max()) if len(rest) else 0.0,
        float(halves.mean()) if len(rest) else 0.0,
        out_of_key_share(rest, estimate_key(notes)) if len(rest) else 0.0,
        float(1 - covered(rest, probes).mean()) if len(rest) else 1.0,
        dissonance(melody, rest),
        float((rest["pitch"] < 48).mean()) if len(rest) else 0.0,
        float(np.median(melody["velocity"]) - np.median(rest["velocity"]))
        if len(melody) and len(rest)
        else 0.0,
    )


def mean(rows: list[Numbers]) -> Numbers:
    """Average each value over some pieces."""
    fields = Numbers.__dataclass_fields__
    return Numbers(*(float(np.mean([getattr(row, name) for row in rows])) for name in fields))


def excerpts(
    library: Library, composer: str, quarters: float = 32.0, most: int = 40
) -> list[Numbers]:
    """Measure an excerpt of each of a composer's scores, from a third of the way in."""
    rows = []
    for index in library.select(feel="score", composer=composer)[:most]:
        packed = library.notes(index)
        begin = float(packed["onset"].max()) / 3
        cut = packed[(packed["onset"] >= begin) & (packed["onset"] < begin + quarters)]
        if len(cut) > 30:
            table = make_notes(cut["onset"], cut["duration"], cut["pitch"], melody=cut["melody"])
            rows.append(numbers(table))
    return rows


def main(argv: list[str] | None = None) -> int:
    """Arrange and measure all tunes, and print or write the table."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument(
        "--model", type=Path, help="a folder of weights, instead of the shipped ones"
    )
    parser.add_argument(
        "--strength", type=float, default=SamplingConfig.strength, help="how much style"
    )
    parser.add_argument(
        "--candidates",
        type=int,
        default=SamplingConfig.candidates,
        help="candidates for each arrangement",
    )
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    library = Library.load(arguments.data)
    sampling = SamplingConfig(candidates=arguments.candidates, strength=arguments.strength)
    rows = []
    styles = [style.name for style in all_styles() if style.kind == "composer" and style.ships]
    for style in styles:
        made = []
        for tune in sorted(EXAMPLES):
            result = apply(Request(tune, style, sampling, model=arguments.model))
            made.append(numbers(result.piece.notes))
            print(style, tune, *made[-1].row(), flush=True)
            rows.append((f"{tune}, {style}", *made[-1].row()))
        real = excerpts(library, style)
        rows.append((f"**{style}: mean of the six**", *mean(made).row()))
        if real:
            rows.append((f"**{style}: {len(real)} real excerpts**", *mean(real).row()))

    text = f"{table(HEAD, rows)}\n"
    print(text)
    if arguments.write:
        command = "python -m eval.listen --data data/prepared --write eval/listen.md"
        arguments.write.write_text(
            "# Six tunes in the styles of composers, and real scores\n\n"
            f"{ABOUT}\n\n`{command}`\n\n{text}"
        )

    return 0


if __name__ == "__main__":
    sys.exit(main())
