"""Prepare a data set: read, mark melodies, find duplicates, split, write.

See :mod:`styletransfer.data.library` for what is written, and :mod:`styletransfer.data.splits` for
the splits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from styletransfer.data.chord_labels import FITS, fit, label_file, read_labels
from styletransfer.data.fingerprint import (
    SAME_SHAPE,
    SHORT,
    Fingerprint,
    containment,
    fingerprint,
    is_transcription,
    same_pieces,
    same_tunes,
    similar_pairs,
    tune_print,
)
from styletransfer.data.library import (
    PACKED_BAR_DTYPE,
    PACKED_NOTE_DTYPE,
    SPLITS,
    Manifest,
    PieceInfo,
    Tune,
    content_hash,
    is_prepared,
)
from styletransfer.data.sources import SourceFile, opened, source_files, source_name
from styletransfer.data.splits import Pair, assign_splits, check_splits
from styletransfer.engines import MOST_JOBS, Engine, Lost
from styletransfer.errors import InputError
from styletransfer.files import write_folder_atomically
from styletransfer.formats.read import read_score
from styletransfer.music.chords import CHORD_DTYPE, ChordTable, recognise
from styletransfer.music.composers import UNKNOWN, composer_id, era_of
from styletransfer.music.melody import extract_melody, tune_kind
from styletransfer.music.notes import BarTable, Feel, NoteTable

SAME_ENGRAVING = 0.2
"""The least Jaccard index of their n-grams at which two scores are of the same movement.

Measured on the keyboard scores and ASAP: 71 pairs of the same movement have 0.23 to 1.0; the next
two, sarabandes and their ornamented versions, 0.09 and 0.03. Two performances, in contrast, are
copies only if they agree in every onset and velocity.
"""

_HEARD = ["onset", "duration", "pitch", "velocity"]
"""What two copies of a performance have in common; their tracks may differ."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PreparedPiece:
    """One file, read, with what the manifest states of it.

    ``print``, ``shape`` and ``melody``: fingerprints of its pitches, of its intervals, and of a
    score's tune. ``fits``: how well the experts' labels fit, where there are any
    (:func:`styletransfer.data.chord_labels.fit`); where they do, ``chords`` are the experts'.
    """

    notes: NoteTable
    bars: BarTable
    feel: Feel
    quarters_per_minute: float
    seconds: float
    print: Fingerprint
    shape: Fingerprint
    melody: Fingerprint
    tune: Tune
    chords: ChordTable
    fits: float | None = None


Kept = tuple[SourceFile, PreparedPiece]


def prepare(
    sources: Sequence[Path | str],
    out: Path | str,
    *,
    composers_csv: Path | None = None,
    feel: Feel | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    labels: Path | None = None,
) -> Manifest:
    """Prepare sources as one folder, for :class:`.library.Library`.

    Args:
        sources: folders, archives, or folders of music21's corpus (``corpus:bach``). Where two
            scores are of the same movement, that of the earlier source is kept.
        out: the folder to write. An older prepared data set there is replaced, anything else
            refused.
        composers_csv: a table for a single source of the user's, with columns file, composer, and
            perhaps title and split.
        feel: overrules the feel that a source implies, or that a file's onsets suggest.
        progress: called with the number of files done, and of all files.
        workers: processes; by default one for each core.
        labels: a folder of experts' harmony (see :mod:`styletransfer.data.chord_labels`); the
            chords of all other scores are recognised.

    Raises:
        InputError: where a source can't be read, no file is usable, or ``out`` holds something
            else.
        ValueError: where a piece would be in two splits at once (it can't).
    """
    out = Path(out)
    try:
        taken = out.exists() and not is_prepared(out) and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise InputError(f"{out}: it can't be used ({error.strerror}); name another.") from error
    if taken:
        raise InputError(f"{out}: it exists and isn't a prepared data set; name another folder.")
    paths = [Path(source) for source in sources]
    if composers_csv is not None and len(paths) != 1:
        raise InputError(
            f"{composers_csv}: a table of composers needs a single source, not {len(paths)}."
        )
    if labels is not None and not labels.is_dir():
        raise InputError(f"{labels}: no such folder of chord labels.")

    with ExitStack() as stack:
        files: list[SourceFile] = []
        for path in paths:
            folder = stack.enter_context(opened(path))
            files += source_files(folder, source_name(path), composers_csv=composers_csv, feel=feel)
        files = _unique_ids(files)
        results = _read_all(files, progress, workers, labels)
    both = list(zip(files, results, strict=True))
    left_out = [(file.id, result) for file, result in both if isinstance(result, str)]
    read = [(file, result) for file, result in both if not isinstance(result, str)]
    if not read:
        reasons = f" ({left_out[0][0]}: {left_out[0][1]})" if left_out else ""
        raise InputError(f"{', '.join(map(str, paths))}: no piece could be read{reasons}.")

    kept, pairs, copies = _without_copies(read)
    left_out += copies
    remarks = [] if labels is None else _about_labels(labels, kept)
    return _finish(kept, pairs, out, [source_name(path) for path in paths], left_out, remarks)


def _without_copies(read: list[Kept]) -> tuple[list[Kept], list[Pair], list[tuple[str, str]]]:
    """Leave out copies, and find similar pieces among the rest.

    Returns:
        The pieces that stay, similar pairs of them, and the copies' ids with the reason.
    """
    pairs = similar_pairs([one.print for _, one in read])
    copies = _copies(read, pairs)
    left_out = [
        (read[copy][0].id, f"duplicate: of {read[first][0].id}")
        for copy, first in sorted(copies.items())
    ]

    stay = [index for index in range(len(read)) if index not in copies]
    left = [read[index][1] for index in stay]
    shapes = similar_pairs([one.shape for one in left], SAME_SHAPE)
    tunes = same_tunes([one.melody for one in left], [one.tune == "part" for one in left])
    arranged = _transcriptions([read[index] for index in stay])
    pairs = sorted({*_inherited(pairs, copies, stay), *shapes, *tunes, *arranged})

    # The copy that is kept gets the strictest official split of them all.
    files = [file for file, _ in read]
    for copy, first in copies.items():
        official = [split for index in (copy, first) if (split := files[index].split) is not None]
        if official:
            files[first] = replace(files[first], split=max(official, key=SPLITS.index))
    return [(files[index], read[index][1]) for index in stay], pairs, left_out


def _about_labels(labels: Path, kept: list[Kept]) -> list[str]:
    """Report in a sentence or two what became of the experts' labels."""
    given = [(file.id, one.fits) for file, one in kept if one.fits is not None]
    refused = [f"{name} ({share:.2f})" for name, share in given if share < FITS]
    remarks = [
        f"{labels}: chords of {len(given) - len(refused)} pieces are the experts'; all others are"
        " recognised."
    ]
    if refused:
        remarks.append(f"{labels}: not used, since they don't fit the notes: {', '.join(refused)}.")
    return remarks


def _finish(
    kept: list[Kept],
    pairs: list[Pair],
    out: Path,
    sources: list[str],
    left_out: list[tuple[str, str]],
    remarks: list[str],
) -> Manifest:
    """Split the pieces, check the splits, and write the folder."""
    ids = [file.id for file, _ in kept]
    plan = assign_splits(
        ids, [file.source for file, _ in kept], [file.split for file, _ in kept], pairs
    )
    read = [one for _, one in kept]
    same = same_pieces(
        [one.print for one in read],
        [one.shape for one in read],
        [one.melody for one in read],
        [one.tune == "part" for one in read],
    )
    check_splits(same, plan.splits, ids)

    note_stops = np.cumsum([len(one.notes) for _, one in kept]).tolist()
    bar_stops = np.cumsum([len(one.bars) for _, one in kept]).tolist()
    chord_stops = np.cumsum([len(one.chords) for _, one in kept]).tolist()
    pieces = tuple(
        PieceInfo(
            id=file.id,
            file=file.file,
            source=file.source,
            title=file.title,
            composer=composer_id(file.label),
            era=era if (era := era_of(file.label)) != UNKNOWN else file.era,
            feel=one.feel,
            split=plan.splits[index],
            group=ids[plan.groups[index]],
            notes=(note_stops[index] - len(one.notes), note_stops[index]),
            bars=(bar_stops[index] - len(one.bars), bar_stops[index]),
            quarters_per_minute=round(one.quarters_per_minute, 3),
            seconds=round(one.seconds, 3),
            tune=one.tune,
            chords=(chord_stops[index] - len(one.chords), chord_stops[index]),
        )
        for index, (file, one) in enumerate(kept)
    )
    manifest = Manifest(
        pieces=pieces,
        hash="",
        sources=tuple(sources),
        left_out=tuple(left_out),
        moved=tuple(ids[index] for index in plan.moved),
        remarks=tuple(remarks),
    )
    notes = np.concatenate([one.notes for _, one in kept])
    bars = np.concatenate([one.bars for _, one in kept])
    chords = np.concatenate([one.chords for _, one in kept])
    return _write(out, manifest, notes, bars, chords)


def _write(
    out: Path, manifest: Manifest, notes: NoteTable, bars: BarTable, chords: ChordTable
) -> Manifest:
    """Write the folder, and return its manifest with the hash.

    Raises:
        InputError: where the disk refuses; an older folder then stays as it was.
    """
    written = manifest

    def write(partial: Path) -> None:
        nonlocal written
        partial.mkdir()
        np.save(partial / "notes.npy", notes)
        np.save(partial / "bars.npy", bars)
        np.save(partial / "chords.npy", chords)
        written = replace(manifest, hash=content_hash(partial, manifest.pieces))
        # Names that aren't UTF-8 are written as JSON escapes.
        text = written.to_json().encode(errors="backslashreplace")
        (partial / "manifest.json").write_bytes(text)

    try:
        write_folder_atomically(out, write)
    except OSError as error:
        raise InputError(
            f"{out}: it can't be written ({error.strerror or error}); name another folder."
        ) from error
    return written


def read_piece(
    path: Path, feel: Feel | None = None, tune: int | None = None, labels: Path | None = None
) -> PreparedPiece:
    """Read a file, or a tune of a book, with melody, chords and fingerprints.

    Args:
        path: the file.
        feel: overrules the file's.
        tune: its place in the book.
        labels: a table of an expert's chords, used where it fits the notes.

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

    chords, fits = np.zeros(0, CHORD_DTYPE), None
    if not performed:
        if labels is not None:
            chords = read_labels(labels, bars)
            fits = fit(chords, notes)
        if fits is None or fits < FITS:
            chords = recognise(notes, bars)

    marks, shape = (
        fingerprint(notes["onset"], notes["pitch"], piece.feel, intervals=one)
        for one in (False, True)
    )
    melody = notes[notes["melody"]]
    return PreparedPiece(
        notes=notes,
        bars=bars,
        feel=piece.feel,
        quarters_per_minute=piece.tempo.quarters_per_minute(),
        seconds=piece.length_seconds,
        print=marks,
        shape=shape,
        melody=np.zeros(0, np.uint64)
        if performed
        else tune_print(melody["onset"], melody["pitch"]),
        tune=tune_kind(piece, notes["melody"]),
        chords=chords,
        fits=fits,
    )


Job = tuple[Path, Feel | None, int | None, Path | None]


def _read_one(job: Job) -> PreparedPiece | str:
    """Read a piece, or return why it can't be read.

    A broken file must not stop the other thousands.
    """
    path, feel, tune, labels = job
    if not path.is_file():
        return "missing: the source's table names it, but it isn't there"
    try:
        return read_piece(path, feel, tune, labels)
    except InputError as error:
        return f"unusable: {str(error).removeprefix(f'{path}: ')}"
    except Exception as error:  # parsers raise all kinds of errors on broken bytes
        return f"broken: {type(error).__name__}: {error}"


def _read_all(
    files: list[SourceFile], progress: Progress | None, workers: int | None, labels: Path | None
) -> list[PreparedPiece | str]:
    """Read files in several processes, in their order."""
    jobs: list[Job] = [
        (
            file.path,
            file.feel,
            file.tune,
            label_file(labels, file.source, file.file) if labels else None,
        )
        for file in files
    ]
    engine = Engine(min(workers or os.cpu_count() or 1, len(jobs) or 1, MOST_JOBS))
    done: dict[int, PreparedPiece | str] = {}
    with threadpool_limits(1):
        for (number, _), result in engine.run(_read_numbered, enumerate(jobs), (__name__,)):
            if isinstance(result, Lost):
                result = f"broken: reading it ends the process ({result.how})"
            done[number] = result
            if progress is not None:
                progress(len(done), len(jobs))
    return [done[number] for number in range(len(jobs))]


def _read_numbered(job: tuple[int, Job]) -> PreparedPiece | str:
    """Read a piece as :func:`_read_one`; its place is for the process that collects them."""
    return _read_one(job[1])


def _unique_ids(files: list[SourceFile]) -> list[SourceFile]:
    """Make ids distinct: a second source of the same name gets a number."""
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


def _copies(kept: list[Kept], pairs: list[Pair]) -> dict[int, int]:
    """Find pieces that repeat an earlier one of the same feel, as copy -> first."""
    copies: dict[int, int] = {}
    for i, j, value in pairs:  # ascending i: a copy's own copies are found through the first
        a, b = kept[i][1], kept[j][1]
        if i in copies or j in copies or a.feel != b.feel:
            continue
        shared = value * min(len(a.print), len(b.print))
        jaccard = shared / (len(a.print) + len(b.print) - shared)
        same_score = a.feel == "score" and jaccard >= SAME_ENGRAVING
        if same_score or np.array_equal(a.notes[_HEARD], b.notes[_HEARD]):
            copies[j] = i
    return copies


def _transcriptions(kept: list[Kept]) -> list[Pair]:
    """Find pairs of a song and an arrangement of it ("Franz Schubert / Franz Liszt")."""

    def short(index: int) -> Fingerprint:
        one = kept[index][1]
        return fingerprint(one.notes["onset"], one.notes["pitch"], one.feel, SHORT, 5)

    songs: dict[str, list[int]] = {}
    for index, (file, one) in enumerate(kept):
        if one.tune == "part" and (composer := composer_id(file.label)) != UNKNOWN:
            songs.setdefault(composer, []).append(index)

    prints: dict[int, Fingerprint] = {}
    pairs = []
    for index, (file, _) in enumerate(kept):
        arranged, slash, _ = file.label.partition("/")
        for song in songs.get(composer_id(arranged), []) if slash else []:
            for piece in (index, song):
                if piece not in prints:
                    prints[piece] = short(piece)
            if is_transcription(prints[index], prints[song]):
                first, second = sorted((index, song))
                pairs.append((first, second, containment(prints[index], prints[song])))
    return pairs


def _inherited(pairs: list[Pair], copies: dict[int, int], stay: list[int]) -> list[Pair]:
    """Renumber the pairs among the pieces that stay.

    The first of several copies takes over the twins of the others.
    """
    place = {old: new for new, old in enumerate(stay)}
    best: dict[tuple[int, int], float] = {}
    for i, j, value in pairs:
        a, b = sorted((place[copies.get(i, i)], place[copies.get(j, j)]))
        if a != b:
            best[a, b] = max(best.get((a, b), 0.0), value)
    return [(a, b, value) for (a, b), value in sorted(best.items())]
