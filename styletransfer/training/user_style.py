"""Learn a user's style from a folder, an archive or a corpus."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from styletransfer import folders
from styletransfer.data.library import SPLITS, Library
from styletransfer.data.prepare import prepare
from styletransfer.errors import InputError
from styletransfer.files import write_atomically
from styletransfer.folders import home
from styletransfer.formats.read import legible
from styletransfer.model.adapters import era_to_begin_with
from styletransfer.model.weights import load_weights, weights_hash
from styletransfer.styles.card import WEIGHTS, Style
from styletransfer.styles.find import check_name, style_at
from styletransfer.terminal import print
from styletransfer.tokens.controls import ERAS, UNKNOWN
from styletransfer.training.finetune import (
    USER_SLOT,
    FinetuneConfig,
    Progress,
    StyleRun,
    check_replaceable,
    finetune,
)

REQUEST = "request.json"
"""File of a work folder: a hash of what is asked for, and of the adapter that is replaced."""
LITTLE_MINUTES = 30.0
"""With less music than this, the user is warned that there is little to learn from."""


def no_bar(title: str) -> AbstractContextManager[Progress]:
    """Show no progress bar."""
    return nullcontext(lambda share: None)


@dataclass(frozen=True)
class Reporter:
    """How a run reports to the user.

    ``say``: shows a sentence. ``bar``: opens a progress bar with a title. ``finish``: shows the
    style, such as by a sample; a run that is killed meanwhile can still be finished.
    """

    say: Callable[[str], None] = print
    bar: Callable[[str], AbstractContextManager[Progress]] = no_bar
    finish: Callable[[Style], None] = lambda style: None


def finetune_source(
    source: str,
    name: str,
    config: FinetuneConfig,
    base: Path,
    *,
    era: str = UNKNOWN,
    minutes: float | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Style:
    """Learn a user's style, or continue a run that was killed.

    A run that was killed when its style was whole already is only finished.

    Args:
        source: whatever :func:`styletransfer.data.prepare.prepare` reads.
        name: of the style, which is written to :func:`styletransfer.folders.home`.
        config: how to train.
        base: the folder of the base model.
        era: the control token of its era, if it has one.
        minutes: of training at most.
        force: replace a style of that name.
        reporter: how to report; by default, sentences are printed and there is no bar.

    Raises:
        InputError: where the name is taken or impossible, or nothing in the source can be read.
    """
    reporter = reporter or Reporter()
    check_name(name)
    if not source:
        raise InputError("give a folder or an archive to learn from.")
    if era not in (*ERAS, UNKNOWN):
        raise InputError(f"--era {era}: give one of {', '.join(ERAS)}, or {UNKNOWN}.")
    base_hash = weights_hash(load_weights(base)[2])
    start = era_to_begin_with(folders.shipped(), era, base_hash, config.lora)

    out, work = home() / name, home() / f".{name}.work"
    check_replaceable(out)
    request = _request(source, [asdict(config), base_hash, era])
    whole = out.exists() and not force
    if whole and not _learnt_by(request, work, out):
        raise InputError(
            f"{out}: a style of that name exists; choose another name, or replace it with --force."
        )

    with _locked(work, out):
        if whole:
            reporter.say(f"{out}: this style is whole already; what is left of its run follows.")
        else:
            library = _read_pieces(source, work / "data", reporter)
            replaced = _hash_of_weights(out)
            write_atomically(work / REQUEST, json.dumps([request, replaced]).encode())
            run = StyleRun(
                library.view(range(len(library)), era=era, composer=USER_SLOT),
                base,
                name,
                "user",
                config,
                work / "run",
                out,
                start=start,
                minutes=minutes,
                data=legible(source),
            )
            with reporter.bar(f"learning {name}") as progress:
                finetune(run, progress)
        style = style_at(out)
        reporter.finish(style)
    return style


def _request(source: str, settings: list[Any]) -> str:
    """Hash what a command asks for, but for the style's name and the minutes."""
    return hashlib.sha256(json.dumps([_mark(source), settings]).encode()).hexdigest()


def _learnt_by(request: str, work: Path, out: Path) -> bool:
    """Check whether a style is the work of this request's run, which was killed afterwards."""
    try:
        asked, replaced = json.loads((work / REQUEST).read_bytes())
    except (OSError, ValueError, TypeError):
        return False
    return bool(asked == request and replaced != _hash_of_weights(out))


def _hash_of_weights(folder: Path) -> str:
    """Hash a style's adapter; "" where there is none."""
    path = folder / WEIGHTS
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@contextmanager
def _locked(work: Path, out: Path) -> Iterator[None]:
    """Hold a work folder; remove it at the end, or when nothing was learnt.

    Args:
        work: the folder.
        out: the style's folder: once it is there, a run that stops can still be finished.

    Raises:
        InputError: where another process holds it, or it can't be written.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        with FileLock(work / "lock", timeout=0):
            try:
                yield
            except BaseException:
                learnt = out.exists() and (work / REQUEST).exists()
                if not learnt and not (work / "run").exists():
                    shutil.rmtree(work, ignore_errors=True)
                raise
            shutil.rmtree(work, ignore_errors=True)
    except Timeout as error:
        raise InputError(
            f"{work}: another process is training a style of that name; wait for it, or choose"
            " another."
        ) from error
    except OSError as error:
        raise InputError(f"{work}: can't be written ({error.strerror or error}).") from error


def _read_pieces(source: str, folder: Path, reporter: Reporter) -> Library:
    """Prepare a source's pieces, and report what there is to learn from.

    Raises:
        InputError: where no piece is left to learn from.
    """
    library = _prepared(source, folder, reporter)
    for file, reason in library.manifest.left_out:
        reporter.say(f"left out: {file}: {reason}")
    if not library.select(split="train"):
        raise InputError(f"{source}: its table leaves no piece to learn from.")
    for sentence in pieces_of(library):
        reporter.say(sentence)
    return library


def _prepared(source: str, folder: Path, reporter: Reporter) -> Library:
    """Prepare a source's pieces, or load those that an earlier call prepared."""
    mark = _mark(source)
    seen = folder.with_name("source")
    if seen.is_file() and seen.read_text() == mark:
        with suppress(InputError):  # of an older version, or damaged
            return Library.load(folder)

    with reporter.bar("reading") as progress:
        prepare([source], folder, progress=lambda done, total: progress(done / max(total, 1)))
    write_atomically(seen, mark.encode())
    return Library.load(folder)


def _mark(source: str) -> str:
    """Hash a source's files: their names, sizes and times of change."""
    paths = sorted(Path(source).rglob("*")) if Path(source).is_dir() else [Path(source)]
    facts = [(str(path), *(path.stat()[6:9:2] if path.is_file() else ())) for path in paths]
    return hashlib.sha256(json.dumps([os.path.abspath(source), facts]).encode()).hexdigest()


def pieces_of(library: Library) -> list[str]:
    """Return sentences on what a folder holds, to read before the training."""
    counts = {split: [one for one in library.pieces if one.split == split] for split in SPLITS}
    minutes = sum(one.seconds for one in counts["train"]) / 60
    lines = [
        f"{len(counts['train'])} pieces to learn from ({minutes:.0f} minutes), "
        f"{len(counts['validation']) + len(counts['test'])} held out"
    ]
    if minutes < LITTLE_MINUTES:
        lines.append(
            f"that is less than {LITTLE_MINUTES:.0f} minutes of music: expect only a hint of the"
            " style; what it writes may repeat what it learnt"
        )

    melodies = sum(bool(library.notes(i)["melody"].all()) for i in library.select(split="train"))
    if melodies:
        lines.append(
            f"pieces that are only a melody: {melodies}; they teach the style to leave a tune"
            " unaccompanied, so give pieces with an accompaniment"
        )
    if not counts["validation"]:
        lines.append(
            "too few pieces to hold one out: nothing shows when to stop, or what the style has"
            " learnt"
        )
    return lines
