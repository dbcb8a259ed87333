"""Files to a prepared data set: read, mark the melody, find duplicates, split by content, write.

See :mod:`styletransfer.data.library` for what is written, :mod:`styletransfer.data.splits` for the splits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from styletransfer.data.catalogue import composer_id, era_of
from styletransfer.data.fingerprint import SAME_SHAPE, Fingerprint, fingerprint, same_pieces, similar_pairs
from styletransfer.data.library import (
    PACKED_BAR_DTYPE,
    PACKED_NOTE_DTYPE,
    SPLITS,
    Manifest,
    PieceInfo,
    content_hash,
    is_prepared,
    write_folder,
)
from styletransfer.data.sources import SourceFile, opened, source_files, source_name
from styletransfer.data.splits import Pair, assign_splits, check_splits
from styletransfer.errors import InputError
from styletransfer.score.melody import extract_melody
from styletransfer.score.notes import BarTable, Feel, NoteTable
from styletransfer.score.read import read_score

# Two scores are engravings of the same movement if they share this much of all their n-grams (Jaccard). Measured on the
# keyboard scores and ASAP: 71 pairs of the same movement have .23 to 1.0; the next two, sarabandes and their ornamented
# versions, .09 and .03. Two performances, in contrast, are copies only if they agree in every onset and velocity.
SAME_ENGRAVING = 0.2

_HEARD = ["onset", "duration", "pitch", "velocity"]
"""What two copies of a performance have in common; their tracks may differ."""

CHUNK = 8  # files a worker takes at a time

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PreparedPiece:
    """One file, read: packed arrays, fingerprints of pitches and of intervals, and what the manifest wants to know."""

    notes: NoteTable
    bars: BarTable
    feel: Feel
    quarters_per_minute: float
    seconds: float
    print: Fingerprint
    shape: Fingerprint


def prepare(
    sources: Sequence[Path | str],
    out: Path | str,
    *,
    composers_csv: Path | None = None,
    feel: Feel | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Manifest:
    """Prepare sources for training, as one folder that :class:`~styletransfer.data.library.Library` opens.

    Args:
        sources: folders, archives, or folders of music21's corpus (``corpus:bach``); where two scores are the same
            movement, the one of the earlier source is kept.
        out: the folder to write; an older prepared data set there is replaced, anything else is refused.
        composers_csv: a table for a single source of the user's: columns file, composer, and perhaps title and split.
        feel: overrules the feel that a source implies, or that a file's onsets suggest.
        progress: called with (files done, files in all).
        workers: processes; by default one for each core.

    Raises:
        InputError: where a source can't be read, no file is usable, or ``out`` is something else's folder.
        ValueError: if a piece would be in two splits at once (it can't).
    """
    out = Path(out)
    if out.exists() and not is_prepared(out) and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: it exists and isn't a prepared data set; name another folder.")
    paths = [Path(source) for source in sources]
    if composers_csv is not None and len(paths) != 1:
        raise InputError(f"{composers_csv}: a table of composers goes with a single source, not {len(paths)}.")
    with ExitStack() as stack:
        files: list[SourceFile] = []
        for path in paths:
            folder = stack.enter_context(opened(path))
            files += source_files(folder, source_name(path), composers_csv=composers_csv, feel=feel)
        files = _unique_ids(files)
        results = _read_all(files, progress, workers)
    left_out = [(file.id, result) for file, result in zip(files, results, strict=True) if isinstance(result, str)]
    kept = [(file, one) for file, one in zip(files, results, strict=True) if not isinstance(one, str)]
    if not kept:
        reasons = f" ({left_out[0][0]}: {left_out[0][1]})" if left_out else ""
        raise InputError(f"{', '.join(map(str, paths))}: no piece could be read{reasons}.")
    pairs = similar_pairs([one.print for _, one in kept])
    copies = _copies(kept, pairs)
    left_out += [(kept[copy][0].id, f"duplicate: of {kept[first][0].id}") for copy, first in sorted(copies.items())]
    stay = [index for index in range(len(kept)) if index not in copies]
    pairs = sorted({*_inherited(pairs, copies, stay), *similar_pairs([kept[index][1].shape for index in stay], SAME_SHAPE)})
    for copy, first in copies.items():
        if splits := [split for index in (copy, first) if (split := kept[index][0].split) is not None]:
            kept[first] = (replace(kept[first][0], split=max(splits, key=SPLITS.index)), kept[first][1])
    kept = [kept[index] for index in stay]
    return _finish(kept, pairs, out, [source_name(path) for path in paths], left_out)


def _finish(
    kept: list[tuple[SourceFile, PreparedPiece]],
    pairs: list[Pair],
    out: Path,
    sources: list[str],
    left_out: list[tuple[str, str]],
) -> Manifest:
    """Split, check, and write."""
    ids = [file.id for file, _ in kept]
    plan = assign_splits(ids, [file.source for file, _ in kept], [file.split for file, _ in kept], pairs)
    check_splits(same_pieces([one.print for _, one in kept], [one.shape for _, one in kept]), plan.splits, ids)
    note_stops = np.cumsum([len(one.notes) for _, one in kept]).tolist()
    bar_stops = np.cumsum([len(one.bars) for _, one in kept]).tolist()
    pieces = tuple(
        PieceInfo(
            id=file.id,
            file=file.file,
            source=file.source,
            title=file.title,
            composer=composer_id(file.label),
            era=era_of(file.label),
            feel=one.feel,
            split=plan.splits[index],
            group=ids[plan.groups[index]],
            notes=(note_stops[index] - len(one.notes), note_stops[index]),
            bars=(bar_stops[index] - len(one.bars), bar_stops[index]),
            quarters_per_minute=round(one.quarters_per_minute, 3),
            seconds=round(one.seconds, 3),
        )
        for index, (file, one) in enumerate(kept)
    )
    manifest = Manifest(
        pieces=pieces,
        hash="",
        sources=tuple(sources),
        left_out=tuple(left_out),
        moved=tuple(ids[index] for index in plan.moved),
    )
    notes = np.concatenate([one.notes for _, one in kept])
    bars = np.concatenate([one.bars for _, one in kept])
    return _write(out, manifest, notes, bars)


def _write(out: Path, manifest: Manifest, notes: NoteTable, bars: BarTable) -> Manifest:
    """Write the folder under a temporary name, then rename it into place."""
    written = manifest

    def write(partial: Path) -> None:
        nonlocal written
        partial.mkdir()
        np.save(partial / "notes.npy", notes)
        np.save(partial / "bars.npy", bars)
        written = replace(manifest, hash=content_hash(partial, manifest.pieces))
        # names that aren't UTF-8 as JSON escapes
        (partial / "manifest.json").write_text(written.to_json(), encoding="utf-8", errors="backslashreplace")

    write_folder(out, write)
    return written


def read_piece(path: Path, feel: Feel | None = None, tune: int | None = None) -> PreparedPiece:
    """Read one file, or one tune of a book: pedal, melody, fingerprint, packed.

    Raises:
        InputError: where it can't be read.
    """
    piece = read_score(path, feel, tune)
    notes = np.zeros(len(piece.notes), PACKED_NOTE_DTYPE)
    performed = piece.feel == "performance"
    notes["onset"] = piece.onset_seconds if performed else piece.notes["onset"]
    notes["duration"] = piece.duration_seconds if performed else piece.notes["duration"]
    notes["pitch"], notes["velocity"] = piece.notes["pitch"], piece.notes["velocity"]
    notes["part"] = np.clip(piece.notes["part"], 0, 255)
    notes["melody"] = extract_melody(piece)
    bars = np.zeros(0 if performed else len(piece.bars), PACKED_BAR_DTYPE)
    if len(bars):
        for name in ("start", "length", "numerator", "denominator"):
            bars[name] = piece.bars[name]
    marks, shape = (fingerprint(notes["onset"], notes["pitch"], piece.feel, intervals=one) for one in (False, True))
    return PreparedPiece(notes, bars, piece.feel, piece.tempo.quarters_per_minute(), piece.length_seconds, marks, shape)


def _read_one(job: tuple[Path, Feel | None, int | None]) -> PreparedPiece | str:
    """A piece, or the reason why there is none: a broken file must not stop the other two thousand."""
    path, feel, tune = job
    if not path.is_file():
        return "missing: the source's table names it, but it isn't there"
    try:
        return read_piece(path, feel, tune)
    except InputError as error:
        return f"unusable: {str(error).removeprefix(f'{path}: ')}"
    except Exception as error:  # parsers raise anything on broken bytes
        return f"broken: {type(error).__name__}: {error}"


def _read_all(files: list[SourceFile], progress: Progress | None, workers: int | None) -> list[PreparedPiece | str]:
    jobs = [(file.path, file.feel, file.tune) for file in files]
    workers = min(workers or os.cpu_count() or 1, -(-len(jobs) // CHUNK))
    if workers <= 1:
        return _collect(map(_read_one, jobs), len(jobs), progress)
    with ProcessPoolExecutor(workers) as pool:
        return _collect(pool.map(_read_one, jobs, chunksize=CHUNK), len(jobs), progress)


def _collect(results: Iterator[PreparedPiece | str], total: int, progress: Progress | None) -> list[PreparedPiece | str]:
    done: list[PreparedPiece | str] = []
    for result in results:
        done.append(result)
        if progress is not None:
            progress(len(done), total)
    return done


def _unique_ids(files: list[SourceFile]) -> list[SourceFile]:
    """Files with distinct ids: a second source of the same name gets a number."""
    seen: set[str] = set()
    result = []
    for file in files:
        number, name = 2, file.source
        while file.id in seen:
            file = replace(file, source=f"{name}-{number}")
            number += 1
        seen.add(file.id)
        result.append(file)
    return result


def _copies(kept: list[tuple[SourceFile, PreparedPiece]], pairs: list[Pair]) -> dict[int, int]:
    """Pieces that repeat an earlier one of the same feel, as copy -> first."""
    copies: dict[int, int] = {}
    for i, j, value in pairs:  # ascending i: a copy's own copies are found through the first
        a, b = kept[i][1], kept[j][1]
        if i in copies or j in copies or a.feel != b.feel:
            continue
        shared = value * min(len(a.print), len(b.print))
        jaccard = shared / (len(a.print) + len(b.print) - shared)
        if np.array_equal(a.notes[_HEARD], b.notes[_HEARD]) or (a.feel == "score" and jaccard >= SAME_ENGRAVING):
            copies[j] = i
    return copies


def _inherited(pairs: list[Pair], copies: dict[int, int], stay: list[int]) -> list[Pair]:
    """Pairs among the pieces that stay, renumbered; the first of several copies takes over the twins of the others."""
    place = {old: new for new, old in enumerate(stay)}
    best: dict[tuple[int, int], float] = {}
    for i, j, value in pairs:
        a, b = sorted((place[copies.get(i, i)], place[copies.get(j, j)]))
        if a != b:
            best[a, b] = max(best.get((a, b), 0.0), value)
    return [(a, b, value) for (a, b), value in sorted(best.items())]
