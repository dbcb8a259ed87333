"""The command ``apply``: one song in one style, or several in several styles."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from styletransfer.engraving.files import NEEDS, XML_SUFFIXES
from styletransfer.errors import InputError
from styletransfer.files import MIDI_SUFFIXES
from styletransfer.formats.read import ENDINGS, SCORE_SUFFIXES
from styletransfer.music.composers import UNKNOWN, display_name
from styletransfer.outputs.plan import Outputs
from styletransfer.outputs.sound import FORMATS
from styletransfer.styles.blend import parse_style, pieces_in, shown
from styletransfer.transfer.request import Request
from styletransfer.transfer.result import Result

STOPPED = 130
"""Exit code after Ctrl-C, as in shells."""
Bar = Callable[[str], AbstractContextManager[Callable[[float], None]]]


@dataclass(frozen=True)
class Job:
    """One arrangement to be made, and its files.

    ``protected``: pieces that other styles of the command follow, and that mustn't be overwritten.
    """

    request: Request
    outputs: Outputs
    protected: tuple[Path, ...] = ()


@dataclass
class Failures:
    """The arrangements that failed.

    ``rows``: a report of each. ``bug``: whether one of them failed by a bug in the program.
    """

    rows: list[dict[str, str]]
    bug: bool = False

    def add(self, song: str, style: str, reason: str) -> None:
        self.rows.append({"input": song, "style": style, "error": reason})


def apply_all(
    request: Request,
    songs: list[str],
    styles: list[str],
    out: Path | None,
    outputs: Outputs,
    bar: Bar,
    as_json: bool,
) -> int:
    """Arrange every song in every style, and print what was done.

    Args:
        request: a template for all; song and style are filled in.
        songs: files, folders or names of examples.
        styles: by name, folder or Hub id, pieces, or blends.
        out: the MIDI file, or the folder of several.
        outputs: a template for all; names are filled in. With one song (not a folder) and one style
            its paths are files, otherwise folders.
        bar: shows a progress bar.
        as_json: print the report as JSON, and nothing else.

    Returns:
        The exit code: 0, 2 after a user's mistake, 1 after a bug in the program, 130 if Ctrl-C
        stopped it and the complete bars of a song were written.

    Raises:
        InputError: with one song, if it can't be arranged; with several, if none of them can be
            tried.
    """
    if len(songs) == len(styles) == 1 and not os.path.isdir(songs[0]):
        outputs = replace(
            outputs, midi=out or Path(f"{_called(songs[0])}-{short_name(styles[0])}.mid")
        )
        report, result = run(Job(request, outputs), bar, songs)
        if as_json:
            print(json.dumps(report))
        else:
            print_report(report)
            outputs.announce(result)
        return STOPPED if _stopped(report) else 0
    return _several(request, songs, styles, replace(outputs, midi=out or Path()), bar, as_json)


def run(job: Job, bar: Bar, songs: Iterable[str], title: str = "") -> tuple[dict[str, Any], Result]:
    """Make one arrangement and write its files, overwriting none of the songs.

    Returns:
        The report, and the result.

    Raises:
        InputError: if the song can't be arranged or a file can't be written.
    """
    from styletransfer.transfer.planning import resolve_chords

    request = resolve_chords(job.request)
    own = [job.request.chords] if os.path.isfile(job.request.chords) else []
    job.outputs.check(
        request, [*songs, *own, *_sidecar(request), *pieces_in(request.style), *job.protected]
    )
    from styletransfer.transfer.pipeline import apply

    with bar(title or shown(request.style)) as progress:
        result = apply(request, progress, partial=True)
    report = {"input": request.song or None} | job.outputs.report_of_files(result) | result.report
    job.outputs.write(result, report)
    return report, result


def _sidecar(request: Request) -> list[Path]:
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
    print(f"{_in_short(report)} in {report['seconds_taken']:.1f} s")


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


def _in_short(report: dict[str, Any]) -> str:
    kept = (
        f"{report['melody_notes_kept']}/{report['melody_notes']} melody notes kept, "
        if report["melody_notes"]
        else ""
    )
    music = f"{report['notes']} notes, {report['key']}, {report['seconds_of_music']:.0f} s of music"
    return kept + music


def _several(
    request: Request, songs: list[str], styles: list[str], outputs: Outputs, bar: Bar, as_json: bool
) -> int:
    """Make several arrangements; a song that can't be arranged is reported at the end."""
    # A style that doesn't exist is refused here.
    short = {style: short_name(style) for style in dict.fromkeys(styles)}
    found, failures = find_songs(songs)
    if not found:
        raise InputError(failures.rows[0]["error"] if failures.rows else "give a song to arrange.")

    jobs = _jobs(request, found, short, outputs)
    _prepare_folders(outputs)

    reports: list[dict[str, Any]] = []
    stopped = False
    try:
        for number, job in enumerate(jobs, 1):
            song, style = job.request.song, job.request.style
            try:
                for folder in {path.parent for path in job.outputs.paths}:
                    folder.mkdir(parents=True, exist_ok=True)
                report, _ = run(
                    job,
                    bar,
                    found,
                    f"{number}/{len(jobs)} {Path(song).name}, in the style of {shown(style)}",
                )
            except (InputError, OSError) as error:
                failures.add(song, style, str(error))
            except Exception as error:  # one song must not stop the others; the exit code shows it
                traceback.print_exc()
                failures.bug = True
                failures.add(
                    song,
                    style,
                    f"{song}: a bug in this program ({type(error).__name__}); please report it.",
                )
            else:
                reports.append(report)
                if not as_json:
                    print(f"{report['output']}  {_in_short(report)}")
                    print_copied(report, f"{report['output']}  ")
                if stopped := _stopped(report):
                    break
    finally:  # also after Ctrl-C
        _sum_up(reports, failures, as_json)

    if stopped:
        return STOPPED
    return 1 if failures.bug else 2 if failures.rows else 0


def _stopped(report: dict[str, Any]) -> bool:
    """Return whether Ctrl-C ended an arrangement, and print it if so."""
    bar = report["stopped_after_bar"]
    if bar is not None:
        print(
            f"styletransfer: stopped after bar {bar}; the bars up to there were written.",
            file=sys.stderr,
        )
    return bar is not None


def _sum_up(reports: list[dict[str, Any]], failures: Failures, as_json: bool) -> None:
    if as_json:
        print(json.dumps([*reports, *failures.rows]))
        return
    print(f"{len(reports)} done, {len(failures.rows)} failed")
    for reason in dict.fromkeys(row["error"] for row in failures.rows):
        print(f"styletransfer: {reason}", file=sys.stderr)


def find_songs(names: list[str]) -> tuple[dict[str, str], Failures]:
    """Find the songs in files and folders, and what can't be read.

    A folder stands for the files of music in it and its sub-folders, which are kept. Hidden files,
    and arrangements that were made there earlier (their sidecars list them), are left out.

    Returns:
        Each song with the name for its output, and the failures.
    """
    from styletransfer.transfer.sidecar import outputs_beside

    songs: dict[str, str] = {}
    failures = Failures([])
    seen: set[str] = set()

    def add(song: str, name: str) -> None:
        if os.path.realpath(song) not in seen:
            seen.add(os.path.realpath(song))
            songs[song] = name

    for given in names:
        if not os.path.isdir(given):
            add(given, _called(given))
            continue
        before = len(seen)
        for folder, below, files in os.walk(
            given, onerror=lambda error: failures.add(str(error.filename), "", str(error))
        ):
            below[:] = sorted(name for name in below if not name.startswith("."))
            made = outputs_beside(Path(folder))
            for file in sorted(files):
                path = Path(folder, file)
                if (
                    path.suffix.lower() in SCORE_SUFFIXES
                    and not file.startswith(".")
                    and file not in made
                ):
                    add(str(path), str(path.relative_to(given).with_suffix("")))
        if len(seen) == before:
            failures.add(
                given,
                "",
                f"{given}: the folder has no songs to arrange; songs end in one of {ENDINGS}.",
            )
    return songs, failures


def _jobs(
    request: Request, songs: dict[str, str], short: dict[str, str], outputs: Outputs
) -> list[Job]:
    """Plan every song in every style.

    If two would share an output's name, the later ones get a number after the song's name.
    """
    jobs: list[Job] = []
    taken: set[str] = set()
    followed = tuple(piece for style in short for piece in pieces_in(style))
    for song, name in songs.items():
        for style, suffix in short.items():
            number, own = 1, outputs.named(f"{name}-{suffix}")
            while taken & {_key(path) for path in own.paths}:
                number += 1
                own = outputs.named(f"{name}-{number}-{suffix}")
            taken |= {_key(path) for path in own.paths}
            jobs.append(Job(replace(request, song=song, style=style), own, followed))
    return jobs


def _key(path: Path) -> str:
    return os.path.abspath(path).casefold()  # many file systems treat A and a alike


def _prepare_folders(outputs: Outputs) -> None:
    """Make the folders for the outputs if they don't exist."""
    options = {
        "-o": outputs.midi,
        "--audio": outputs.audio,
        "--plot": outputs.plot,
        "--score": outputs.score,
    }
    for option, folder in options.items():
        if folder is None:
            continue

        suffixes = (*MIDI_SUFFIXES, *FORMATS, ".png", *XML_SUFFIXES, *NEEDS)
        like_a_file = folder.suffix.lower() in suffixes
        if not folder.is_dir() and (folder.exists() or like_a_file):
            raise InputError(f"{option} {folder}: with several songs or styles, name a folder.")

        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{option} {folder}: the folder can't be made ({error.strerror}); name another."
            ) from None


def _called(song: str) -> str:
    """Return the name from which a song's outputs are named."""
    return Path(song).stem or "chords"


def short_name(style: str) -> str:
    """Shorten a style or a blend for a file's name: bach, or bach-0.7-chopin-0.3."""
    blend = parse_style(style)
    return "-".join(
        one.name if len(blend) == 1 else f"{one.name}-{weight:.2g}" for one, weight in blend
    )
