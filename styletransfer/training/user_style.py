"""A user's style: from a folder, an archive or a corpus to a style among the user's own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from styletransfer import folders
from styletransfer.data.library import SPLITS, Library
from styletransfer.data.prepare import prepare
from styletransfer.errors import InputError
from styletransfer.folders import home
from styletransfer.formats.read import legible
from styletransfer.model.adapters import era_to_begin_with
from styletransfer.model.weights import load_weights, weights_hash, write_atomically
from styletransfer.styles.card import Style
from styletransfer.styles.find import check_name, style_at
from styletransfer.tokens.controls import ERAS, UNKNOWN
from styletransfer.training.finetune import (
    USER_SLOT,
    FinetuneConfig,
    Progress,
    finetune,
    replaceable,
)

LITTLE_MINUTES = 30.0  # below this, a user is told that there is little to learn from


def finetune_source(
    source: str,
    name: str,
    config: FinetuneConfig,
    base: Path,
    *,
    era: str = UNKNOWN,
    minutes: float | None = None,
    force: bool = False,
    say: Callable[[str], None] = print,
    progress: Callable[[str], AbstractContextManager[Progress]] | None = None,
) -> Style:
    """A user's style from a folder, an archive or music21's corpus; killed and called again, it
    goes on.

    Args:
        source: whatever :func:`styletransfer.data.prepare.prepare` reads. name: of the style, which
            is written to :func:`styletransfer.folders.home`. era: its era's control token, if it
            has one.
        force: write over a style of that name. say: gets sentences for the user. progress: makes a
        progress bar of a title.

    Raises:
        InputError: where the name is taken or impossible, or nothing in the source can be read.
    """
    check_name(name)
    if not source:
        raise InputError("give a folder or an archive to learn from.")
    if era not in (*ERAS, UNKNOWN):
        raise InputError(f"--era {era}: give one of {', '.join(ERAS)}, or {UNKNOWN}.")
    start = era_to_begin_with(
        folders.shipped(), era, weights_hash(load_weights(base)[2]), config.lora
    )
    out, work = home() / name, home() / f".{name}.work"
    replaceable(out)
    if out.exists() and not force:
        raise InputError(
            f"{out}: there is a style of that name; choose another, or write over it with --force."
        )
    bar = progress or (lambda _: nullcontext(lambda _: None))
    try:
        work.mkdir(parents=True, exist_ok=True)
        with FileLock(work / "lock", timeout=0):
            try:
                _learn(source, name, config, base, out, work, era, start, minutes, say, bar)
            except BaseException:
                if not (work / "run").exists():  # nothing was learnt
                    shutil.rmtree(work, ignore_errors=True)
                raise
            shutil.rmtree(work, ignore_errors=True)
    except Timeout as error:
        raise InputError(
            f"{work}: another process is learning a style of that name; wait for it, or name another."
        ) from error
    except OSError as error:
        raise InputError(f"{work}: can't be written ({error.strerror or error}).") from error
    return style_at(out)


def _learn(
    source: str,
    name: str,
    config: FinetuneConfig,
    base: Path,
    out: Path,
    work: Path,
    era: str,
    start: Style | None,
    minutes: float | None,
    say: Callable[[str], None],
    bar: Callable[[str], AbstractContextManager[Progress]],
) -> None:
    """The work of :func:`finetune_source`, in a folder that is this process's."""
    library = _prepared(source, work / "data", bar)
    for file, reason in library.manifest.left_out:
        say(f"left out: {file}: {reason}")
    if not library.select(split="train"):
        raise InputError(f"{source}: its table leaves no piece to learn from.")
    for sentence in pieces_of(library):
        say(sentence)
    style = library.view(range(len(library)), era=era, composer=USER_SLOT)
    with bar(f"learning {name}") as shown:
        finetune(
            style,
            base,
            name,
            "user",
            config,
            work / "run",
            out,
            start=start,
            minutes=minutes,
            data=legible(source),
            progress=shown,
        )


def _prepared(
    source: str, folder: Path, bar: Callable[[str], AbstractContextManager[Progress]]
) -> Library:
    """The source's pieces, prepared; what an earlier call prepared from the same files is taken as
    it is.
    """
    paths = sorted(Path(source).rglob("*")) if Path(source).is_dir() else [Path(source)]
    facts = [
        (str(path), *(path.stat()[6:9:2] if path.is_file() else ())) for path in paths
    ]  # size and time of change
    mark = hashlib.sha256(json.dumps([os.path.abspath(source), facts]).encode()).hexdigest()
    seen = folder.with_name("source")
    if seen.is_file() and seen.read_text() == mark:
        with suppress(InputError):  # of an older version, or damaged
            return Library.load(folder)
    with bar("reading") as shown:
        prepare([source], folder, progress=lambda done, total: shown(done / max(total, 1)))
    write_atomically(seen, mark.encode())
    return Library.load(folder)


def pieces_of(library: Library) -> Sequence[str]:
    """Sentences on what a user's folder holds, for the user to read before the training."""
    counts = {split: [one for one in library.pieces if one.split == split] for split in SPLITS}
    minutes = sum(one.seconds for one in counts["train"]) / 60
    lines = [
        f"{len(counts['train'])} pieces to learn from ({minutes:.0f} minutes), "
        f"{len(counts['validation']) + len(counts['test'])} held out"
    ]
    if minutes < LITTLE_MINUTES:
        lines.append(
            f"that is less than {LITTLE_MINUTES:.0f} minutes of music: the style will be a hint rather than a hand, and what "
            "it writes may repeat what it learnt"
        )
    lines_alone = sum(bool(library.notes(i)["melody"].all()) for i in library.select(split="train"))
    if lines_alone:
        lines.append(
            f"pieces that are a melody alone: {lines_alone}; what they teach is to leave a tune alone, so give pieces with an "
            "accompaniment"
        )
    if not counts["validation"]:
        lines.append(
            "too few pieces to hold one out: nothing tells when to stop, or what the style has learnt"
        )
    return lines
