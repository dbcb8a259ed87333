"""Numbers to listen by: six tunes in the style of every composer with an adapter, beside real
pieces of theirs.

    python -m eval.listen --data data/prepared --write eval/listen.md

Accompaniment measures leave the melody's notes out, in real pieces too (where the melody is what
the extraction found). How much louder the melody is: velocity steps between the medians; real
scores have no loudness.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from styletransfer.data.library import Library
from styletransfer.formats.tunes import EXAMPLES
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.key import estimate_key, out_of_key_share
from styletransfer.music.notes import NoteTable, make_notes
from styletransfer.styles.find import all_styles
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.ranking.rank import covered, dissonance
from styletransfer.transfer.request import Request


@dataclass(frozen=True)
class Numbers:
    """What a row of the table says; see the table's head."""

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

    HEAD = (
        "accompaniment notes a quarter | notes sounding at once | lowest | highest | onsets on a beat or half | "
        "outside the key | silence | dissonant under the melody | notes below C3 | melody louder by"
    )

    def row(self) -> str:
        return (
            f"{self.notes_a_quarter:.2f} | {self.polyphony:.1f} | {self.lowest:.0f} | {self.highest:.0f} | "
            f"{self.on_half_beats:.0%} | "
            f"{self.out_of_key:.1%} | {self.silence:.0%} | {self.dissonance:.0%} | {self.low_bass:.0%} | "
            + (f"{self.singing:.0f}" if self.singing else "")
        )


def numbers(notes: NoteTable) -> Numbers:
    """The measures of one piece in quarters."""
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
    fields = Numbers.__dataclass_fields__
    return Numbers(*(float(np.mean([getattr(row, name) for row in rows])) for name in fields))


def excerpts(
    library: Library, composer: str, quarters: float = 32.0, most: int = 40
) -> list[Numbers]:
    """Excerpts of real scores of a composer, one a piece, from a third of the way in."""
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data/prepared"))
    parser.add_argument(
        "--model", type=Path, help="a folder of weights, instead of the shipped ones"
    )
    parser.add_argument("--strength", type=float, default=SamplingConfig.strength)
    parser.add_argument("--candidates", type=int, default=SamplingConfig.candidates)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)
    library = Library.load(arguments.data)
    sampling = SamplingConfig(candidates=arguments.candidates, strength=arguments.strength)
    lines = ["| | " + Numbers.HEAD + " |", "|" + "---|" * (Numbers.HEAD.count("|") + 2)]
    styles = [style.name for style in all_styles() if style.kind == "composer" and style.ships]
    for style in styles:
        made = []
        for tune in sorted(EXAMPLES):
            result = apply(Request(tune, style, sampling, model=arguments.model))
            made.append(numbers(result.piece.notes))
            print(style, tune, made[-1].row(), flush=True)
            lines.append(f"| {tune}, {style} | {made[-1].row()} |")
        real = excerpts(library, style)
        lines.append(f"| **{style}: mean of the six** | {mean(made).row()} |")
        if real:
            lines.append(f"| **{style}: {len(real)} real excerpts** | {mean(real).row()} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.write:
        command = "python -m eval.listen --data data/prepared --write eval/listen.md"
        arguments.write.write_text(
            f"# Six tunes in the styles of composers, beside real scores\n\n`{command}`\n\n{text}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
