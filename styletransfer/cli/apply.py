"""Run ``apply`` with one song in one style; :mod:`.several` has the others."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from styletransfer.formats.midi_out import midi_bytes
from styletransfer.music.composers import UNKNOWN, display_name
from styletransfer.outputs.plan import Outputs
from styletransfer.styles.blend import parse_style, pieces_in, shown
from styletransfer.terminal import print
from styletransfer.transfer.request import Request
from styletransfer.transfer.result import Result

STOPPED = 130
"""Exit code after Ctrl-C, as in shells."""
Bar = Callable[[str], AbstractContextManager[Callable[[float], None]]]


@dataclass(frozen=True)
class Job:
    """One arrangement to be made, and its files.

    ``protected``: pieces that other styles of the command follow, and that mustn't be overwritten.
    ``title``: what a progress bar says. ``begun``: an earlier try may have written some of the
    files; they are replaced if they are those of this very arrangement.
    """

    request: Request
    outputs: Outputs
    protected: tuple[Path, ...] = ()
    title: str = ""
    begun: bool = False


def run(job: Job, bar: Bar) -> tuple[dict[str, Any], Result]:
    """Make one arrangement and write its files, overwriting nothing that goes into it.

    Returns:
        The report, and the result.

    Raises:
        InputError: if the song can't be arranged or a file can't be written.
    """
    from styletransfer.transfer.planning import resolve_chords

    request = resolve_chords(job.request)
    own = [job.request.chords] if os.path.isfile(job.request.chords) else []
    outputs = job.outputs
    replace(outputs, force=outputs.force or job.begun).check(
        request,
        [
            job.request.song,
            *own,
            *sidecars_of(request),
            *pieces_in(request.style),
            *job.protected,
        ],
    )
    from styletransfer.transfer.pipeline import apply

    with bar(job.title or shown(request.style)) as progress:
        result = apply(request, progress, partial=True)
    report = {"input": request.song or None} | outputs.report_of_files(result) | result.report
    if job.begun and _is_written(outputs, result):
        outputs = replace(outputs, force=True)
    outputs.write(result, report)
    return report, result


def _is_written(outputs: Outputs, result: Result) -> bool:
    """Return whether the first file to write exists with the very bytes of a result."""
    best = result.piece if not result.candidates else result.candidates[result.ranking[0]]
    try:
        return outputs.midis[0].read_bytes() == midi_bytes(best)
    except OSError:
        return False


def sidecars_of(request: Request) -> list[Path]:
    """Find the sidecar of an earlier output that has some bars rewritten."""
    if request.bars is None:
        return []
    from styletransfer.transfer.sidecar import sidecar_beside

    found = sidecar_beside(Path(request.song))
    return [found] if found else []


def print_report(report: dict[str, Any]) -> None:
    """Print the report of one arrangement in words."""
    for remark in report["remarks"]:
        print(remark)
    for row in report["examples"]:
        print(_followed(row))
    if report["octaves_moved"]:
        octaves = (
            "an octave" if report["octaves_moved"] == 1 else f"{report['octaves_moved']} octaves"
        )
        print(
            f"The melody was moved up by {octaves} to make room below it;"
            " --keep-register prevents that."
        )
    print_copied(report)
    print(f"{in_short(report)} in {report['seconds_taken']:.1f} s")


def _followed(row: dict[str, Any]) -> str:
    """Describe what was taken from a piece used as the style."""
    fitted = f" (in {row['from']}, made to fit)" if "from" in row else ""
    bars = f"figures of bars {', '.join(map(str, row['bars']))}{fitted}"
    if not row["bars"]:
        bars = f"no figures ({row['why']}), only its texture and composer"
    who = display_name(row["composer"]) if row["composer"] != UNKNOWN else "no composer for certain"
    era = f", {row['era']}" if row["era"] != UNKNOWN else ""
    return f"{row['piece']}: {bars}; heard as {who}{era}"


def print_copied(report: dict[str, Any], what: str = "") -> None:
    """Print a warning where an output is a copy."""
    if report["copied"]:
        run = f"{report['longest_match_notes']} notes in a row also occur in a training piece"
        print(f"{what}{run}: parts of it are copied; try another --seed or more --candidates")


def in_short(report: dict[str, Any]) -> str:
    kept = (
        f"{report['melody_notes_kept']}/{report['melody_notes']} melody notes kept, "
        if report["melody_notes"]
        else ""
    )
    music = f"{report['notes']} notes, {report['key']}, {report['seconds_of_music']:.0f} s of music"
    return kept + music


def was_stopped(report: dict[str, Any]) -> bool:
    """Return whether Ctrl-C ended an arrangement, and print it if so."""
    bar = report["stopped_after_bar"]
    if bar is not None:
        print(
            f"styletransfer: stopped after bar {bar}; the bars up to there were written.",
            file=sys.stderr,
        )
    return bar is not None


def called(song: str) -> str:
    """Return the name from which a song's outputs are named."""
    return Path(song).stem or "chords"


def short_name(style: str) -> str:
    """Shorten a style or a blend for a file's name: bach, or bach-0.7-chopin-0.3."""
    blend = parse_style(style)
    return "-".join(
        one.name if len(blend) == 1 else f"{one.name}-{weight:.2g}" for one, weight in blend
    )
