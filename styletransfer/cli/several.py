"""The command ``apply``, and what it does with several songs or styles.

They are one list of jobs, whatever engine does them, and a manifest beside the outputs states what
is done.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from styletransfer.cli.apply import (
    STOPPED,
    Bar,
    Job,
    called,
    in_short,
    print_copied,
    print_report,
    run,
    short_name,
    sidecars_of,
    was_stopped,
)
from styletransfer.engines import Engine, Lost
from styletransfer.engraving.files import NEEDS, XML_SUFFIXES
from styletransfer.errors import InputError
from styletransfer.files import MIDI_SUFFIXES, check_writable, places_of, refuse_places
from styletransfer.formats.read import ENDINGS, SCORE_SUFFIXES
from styletransfer.outputs.manifest import Manifest, Row, opened
from styletransfer.outputs.plan import Outputs
from styletransfer.outputs.sound import FORMATS
from styletransfer.styles.blend import pieces_in, shown
from styletransfer.terminal import print
from styletransfer.transfer.provenance import digest, request_hash, style_hash
from styletransfer.transfer.request import Request

WARM = ("styletransfer.transfer.warm",)
"""The module that processes have in memory once."""


@dataclass
class Failures:
    """The arrangements that failed.

    ``rows``: a report of each. ``bug``: whether one of them failed by a bug in the program.
    """

    rows: list[dict[str, str]]
    bug: bool = False

    def add(self, song: str, style: str, reason: str) -> None:
        self.rows.append({"input": song, "style": style, "error": reason})


@dataclass(frozen=True)
class Outcome:
    """What came of a job: a report, or why there is none.

    ``fault``: the traceback of a bug in the program. ``sha256``: the hash of the MIDI file.
    """

    report: dict[str, Any] | None = None
    error: str = ""
    fault: str = ""
    seconds: float = 0.0
    sha256: str = ""


def apply_all(
    request: Request,
    songs: list[str],
    styles: list[str],
    out: Path | None,
    outputs: Outputs,
    bar: Bar,
    as_json: bool,
    engine: Engine,
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
        engine: what does the work with several songs or styles.

    Returns:
        The exit code: 0, 2 after a user's mistake, 1 after a bug in the program, 130 if Ctrl-C
        stopped it and the complete bars of a song were written.

    Raises:
        InputError: with one song, if it can't be arranged; with several, if none of them can be
            tried.
    """
    if len(songs) > 1 or len(styles) > 1 or os.path.isdir(songs[0]):
        outputs = replace(outputs, midi=out or Path())
        return _several(request, songs, styles, outputs, bar, as_json, engine)
    if engine.cluster is not None:
        raise InputError("--cluster is for several songs or styles; leave it out for one.")

    outputs = replace(outputs, midi=out or Path(f"{called(songs[0])}-{short_name(styles[0])}.mid"))
    report, result = run(Job(request, outputs), bar)
    if as_json:
        print(json.dumps(report))
    else:
        print_report(report)
        outputs.announce(result)
    return STOPPED if was_stopped(report) else 0


def _several(
    request: Request,
    songs: list[str],
    styles: list[str],
    outputs: Outputs,
    bar: Bar,
    as_json: bool,
    engine: Engine,
) -> int:
    """Make several arrangements; a song that can't be arranged is reported at the end."""
    # A style that doesn't exist is refused here.
    short = {style: short_name(style) for style in dict.fromkeys(styles)}
    found, failures = find_songs(songs)
    if not found:
        raise InputError(failures.rows[0]["error"] if failures.rows else "give a song to arrange.")

    jobs = _jobs(request, found, short, outputs)
    _prepare_folders(outputs)
    with opened(outputs.midi) as manifest:
        ledger = Ledger(manifest, jobs, places_of(found), failures, as_json)
        try:
            _do(ledger, engine, bar)
        finally:  # also after Ctrl-C
            ledger.close()
            ledger.sum_up()

    if ledger.stopped:
        return STOPPED
    return 1 if failures.bug else 2 if failures.rows else 0


def _do(ledger: Ledger, engine: Engine, bar: Bar) -> None:
    """Do all jobs that are not done, and enter what comes of them."""
    overall: Bar = _no_bar if engine.alone else bar
    work: Callable[[Job], Outcome] = partial(attempt, bar=bar) if engine.alone else attempt
    pairs = engine.run(work, ledger.to_do(), WARM)
    with closing(pairs), overall(f"{len(ledger.jobs)} arrangements") as progress:
        for job, outcome in pairs:
            ledger.enter(job, outcome)
            progress(ledger.share)
            if ledger.stopped:
                return


@contextmanager
def _no_bar(title: str) -> Iterator[Callable[[float], None]]:
    yield lambda share: None


def attempt(job: Job, bar: Bar = _no_bar) -> Outcome:
    """Make one arrangement, whatever may be wrong with the song."""
    begin = time.monotonic()
    try:
        report, _ = run(job, bar)
        sha256 = digest(job.outputs.midis[0].read_bytes())
    except (InputError, OSError) as error:
        return Outcome(error=str(error), seconds=time.monotonic() - begin)
    except Exception as error:  # one song must not stop the others; the exit code shows it
        reason = f"a bug in this program ({type(error).__name__}); please report it."
        return Outcome(
            error=f"{job.request.song}: {reason}",
            fault=traceback.format_exc(),
            seconds=time.monotonic() - begin,
        )
    return Outcome(report, seconds=time.monotonic() - begin, sha256=sha256)


@dataclass(frozen=True)
class Jobs:
    """All jobs of a command, each made when it is first needed: there may be many.

    ``request`` and ``outputs``: templates. ``protected``: as of each job. ``plan``: song, style,
    and the name of the outputs.
    """

    request: Request
    outputs: Outputs
    protected: tuple[Path, ...]
    plan: list[tuple[str, str, str]]

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[Job]:
        for number, (song, style, name) in enumerate(self.plan, 1):
            title = f"{number}/{len(self)} {Path(song).name}, in the style of {shown(style)}"
            request = replace(self.request, song=song, style=style)
            yield Job(request, self.outputs.named(name), self.protected, title)


@dataclass
class Ledger:
    """The jobs of a command: which are still to do, and what came of each.

    ``inputs``: the places of all songs, which no output may overwrite. ``done``: how many were
    done, ``before``: how many had been done by an earlier command. ``stopped``: whether Ctrl-C
    ended one of them.
    """

    manifest: Manifest
    jobs: Jobs
    inputs: set[tuple[int, int]]
    failures: Failures
    as_json: bool
    reports: list[dict[str, Any]] = field(default_factory=list)
    done: int = 0
    before: int = 0
    failed: int = 0
    stopped: bool = False
    _styles: dict[str, str] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)  # of the jobs that run

    @property
    def share(self) -> float:
        """The share of the jobs that are over."""
        return (self.done + self.before + self.failed) / len(self.jobs)

    def to_do(self) -> Iterator[Job]:
        """Yield the jobs that are not done, each entered as running."""
        for job in self.jobs:
            key = self._key(job)
            earlier = self.manifest.row(self._name(job))
            if earlier is None or not key or earlier.key != key:
                earlier = None
            elif earlier.state == "done" and _is_there(job.outputs, earlier):
                self.before += 1
                if self.as_json:
                    self.reports.append(_report_of(job))
                continue

            try:
                outputs = self._claimed(job, earlier)
            except (InputError, OSError) as error:
                self._refuse(job, str(error))
                continue
            self._write(job, "running", key)
            self._keys[self._name(job)] = key
            yield replace(job, outputs=outputs, begun=True)

    def enter(self, job: Job, outcome: Outcome | Lost) -> None:
        """Enter what came of a job, and print it."""
        key = self._keys.pop(self._name(job))
        if isinstance(outcome, Lost):
            reason = f"{job.request.song}: every process that worked on it died ({outcome.how})."
            self.failures.bug = True
            outcome = Outcome(error=reason)
        if outcome.fault:
            print(outcome.fault, file=sys.stderr, end="")
            self.failures.bug = True
        report = outcome.report
        if report is None:
            self._fail(job, key, outcome)
            return

        self.done += 1
        if self.as_json:
            self.reports.append(report)
        else:
            print(f"{report['output']}  {in_short(report)}")
            print_copied(report, f"{report['output']}  ")
        self.stopped = was_stopped(report)
        self._write(job, "stopped" if self.stopped else "done", key, outcome)

    def close(self) -> None:
        """Write the manifest in the order of the jobs; what Ctrl-C left undone is stopped."""
        for name in self._keys:
            row = self.manifest.row(name)
            assert row is not None
            self.manifest.add(replace(row, state="stopped"))
        jobs = self.jobs
        self.manifest.tidy(self._output(jobs.outputs.named(name)) for *_, name in jobs.plan)

    def sum_up(self) -> None:
        """Print how many jobs are done, and why others failed."""
        rows = self.failures.rows
        if self.as_json:
            print(json.dumps([*self.reports, *rows]))
            return
        before = f"{self.before} done before, " if self.before else ""
        print(f"{self.done} done, {before}{len(rows)} failed")
        for reason in dict.fromkeys(row["error"] for row in rows):
            print(f"styletransfer: {reason}", file=sys.stderr)

    def _name(self, job: Job) -> str:
        """Name a job's output as the manifest does."""
        return self._output(job.outputs)

    def _output(self, outputs: Outputs) -> str:
        return outputs.midis[0].relative_to(self.manifest.path.parent).as_posix()

    def _key(self, job: Job) -> str:
        """Hash all that goes into a job's files, "" where it can't be read.

        The job itself will report that.
        """
        style, outputs = job.request.style, job.outputs
        sound = outputs.soundfont and os.path.abspath(outputs.soundfont)
        try:
            if style not in self._styles:
                self._styles[style] = style_hash(job.request)
            key = request_hash(job.request, self._styles[style])
            beside = [path.read_bytes() for path in sidecars_of(job.request)]
        except (InputError, OSError):
            return ""
        return digest(key.encode(), repr((outputs.every, outputs.symbols, sound)).encode(), *beside)

    def _claimed(self, job: Job, earlier: Row | None) -> Outputs:
        """Check that a job's files may be written.

        Args:
            job: what is to be done.
            earlier: what the manifest states of the same job, if there is anything.

        Raises:
            InputError: where a file exists that no earlier try can have written, or is an input.
        """
        outputs = job.outputs
        for folder in {path.parent for path in outputs.paths}:
            folder.mkdir(parents=True, exist_ok=True)
        refuse_places(outputs.paths, self.inputs)
        if earlier is not None and earlier.sha256 and _hash_of(outputs) == earlier.sha256:
            return replace(outputs, force=True)
        for path in outputs.paths:
            check_writable(path, outputs.force or earlier is not None)
        return outputs

    def _refuse(self, job: Job, reason: str) -> None:
        """Enter a job that wasn't begun.

        What an earlier one wrote in its place stays entered.
        """
        row = self.manifest.row(self._name(job))
        if row is None or row.state != "done":
            self._write(job, "failed", "", Outcome(error=reason))
        self._count(job, reason)

    def _fail(self, job: Job, key: str, outcome: Outcome) -> None:
        self._write(job, "failed", key, outcome)
        self._count(job, outcome.error)

    def _count(self, job: Job, reason: str) -> None:
        self.failed += 1
        self.failures.add(job.request.song, job.request.style, reason)

    def _write(
        self,
        job: Job,
        state: Literal["running", "done", "failed", "stopped"],
        key: str,
        outcome: Outcome | None = None,
    ) -> None:
        """Write a job's row in the manifest."""
        outcome = outcome or Outcome()
        report = outcome.report
        row = Row(
            song=job.request.song,
            style=job.request.style,
            seed=job.request.sampling.seed,
            output=self._name(job),
            state=state,
            seconds=round(outcome.seconds, 2),
            scores=report["candidates"][report["candidate"]] if report else {},
            error=outcome.error,
            key=key,
            sha256=outcome.sha256,
        )
        self.manifest.add(row)


def _is_there(outputs: Outputs, row: Row) -> bool:
    """Return whether all files are there, and the MIDI file is as a row states it."""
    return all(path.is_file() for path in outputs.paths) and _hash_of(outputs) == row.sha256


def _hash_of(outputs: Outputs) -> str:
    """Hash the MIDI file of the best candidate; "" where there is none."""
    try:
        return digest(outputs.midis[0].read_bytes())
    except OSError:
        return ""


def _report_of(job: Job) -> dict[str, Any]:
    """Read the report of a job that was done before from its sidecar."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        assert job.outputs.sidecar is not None
        report: dict[str, Any] = json.loads(job.outputs.sidecar.read_bytes())["report"]
        return report
    return {
        "input": job.request.song,
        "output": str(job.outputs.midis[0]),
        "style": job.request.style,
    }


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
            add(given, called(given))
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


def _jobs(request: Request, songs: dict[str, str], short: dict[str, str], outputs: Outputs) -> Jobs:
    """Plan every song in every style.

    If two would share an output's name, the later ones get a number after the song's name.
    """
    plan: list[tuple[str, str, str]] = []
    taken: set[str] = set()
    for song, name in songs.items():
        for style, suffix in short.items():
            number, own = 1, f"{name}-{suffix}"
            while taken & {_key(path) for path in outputs.named(own).paths}:
                number += 1
                own = f"{name}-{number}-{suffix}"
            taken |= {_key(path) for path in outputs.named(own).paths}
            plan.append((song, style, own))
    followed = tuple(piece for style in short for piece in pieces_in(style))
    return Jobs(request, outputs, followed, plan)


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
