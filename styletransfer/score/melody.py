"""Which notes of a piece are its melody.

Order of belief, see :func:`extract_melody`: a piece that is one line is its own melody; a part that is called melody,
voice or soprano is believed; of a keyboard score's two hands it is the top of the right one; of a score each part of
which is a line (a choir, a quartet) it is the top part; anything else is searched by :func:`extract_merged`, which
ignores parts and names. Where what it finds is more of one part than of any other, and that part is a line, the part is
believed, as a whole: a song's voice whose track has no name.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.score.notes import NoteTable, Piece
from styletransfer.score.voice import best_line, chords, covered_by_higher

MELODY_NAMES = (
    re.compile(r"(?i)m[eé]lod|\bcantus\b|\btune\b"),
    re.compile(r"(?i)\bvocals?\b|\blead\b|\bvox\b|\bsing(er|ing)?\b|\bgesang\b|\bchant\b|\bcanto\b"),
    re.compile(r"(?i)\bsopran|\bdescant\b|\bdiscant"),
    re.compile(r"(?i)\bvoices?\b|\bvoix\b|\bvoz\b|\bvoce\b|\bstimme\b|\bsolo\b"),
)
NOT_MELODY_NAMES = re.compile(
    r"(?i)\bback|\bbgv?\b|\bbkg|harmon|\bchoir\b|\b[oa]+hs?\b|\bpads?\b|\bsynth|\bbass\b|\bvoice [2-9]"
)
RIGHT_HAND_NAMES = re.compile(r"(?i)\bright\b|\br\.?\s?h\b|\brechte|\bdroite|\bdestra|\btreble\b|\bupper\b|\bdx\b")

PERFORMED_CHORD = 0.035
"""Seconds within which notes of a performance count as struck together."""

NOTATED_CHORD = 0.003
"""Seconds within which notes of a score count as struck together."""

NEARLY_A_LINE = 0.85
"""Share of a part's notes that must be alone on their onset, and of its notes that must end before the next one, for
the part to be believed: singers divide at cadences, and string players stop two strings."""

LONGEST_REST = 4.0
"""Seconds. In 22 MAESTRO performances it brought rests of over 3 s down from 16 % of the time to 10 %; its cost is in
``benchmarks/melody.md``."""


def extract_melody(piece: Piece, track: str | None = None) -> NDArray[np.bool_]:
    """The melody of a piece, as a mask over ``piece.notes`` with at most one note on each onset.

    ``track``: the part that it is in, by its number (from 1) or its name, in any case and in part if that is clear; without
    it the melody is found.

    Raises:
        InputError: where there is no such part, or it has no notes.
    """
    if track is not None:
        return skyline(piece, _part(piece, part_called(piece, track)))
    if not len(piece.notes):
        return np.zeros(0, dtype=bool)
    onset, end = note_seconds(piece)
    everything = np.ones(len(piece.notes), dtype=bool)
    if is_line(piece, everything, onset, end):
        return _once(piece, everything)
    for pattern in MELODY_NAMES:
        named = [
            _part(piece, i) for i, name in enumerate(piece.parts) if pattern.search(name) and not NOT_MELODY_NAMES.search(name)
        ]
        named = [mask for mask in named if mask.sum() >= 4 and is_line(piece, mask, onset, end, NEARLY_A_LINE)]
        if named:
            best = max(named, key=lambda mask: float(piece.notes["pitch"][mask].mean()))
            return skyline(piece, best)
    hands = [i for i, name in enumerate(piece.parts) if RIGHT_HAND_NAMES.search(name)]
    if hands and len(piece.parts) > 1:
        right = np.isin(piece.notes["part"], hands)
        if right.sum() >= 4:
            return skyline(piece, right)
    top = _top_part(piece, onset, end)
    if top is None:
        merged = extract_merged(piece)
        leading = _part(piece, int(np.bincount(piece.notes["part"][merged]).argmax())) if merged.any() else merged
        if not is_line(piece, leading, onset, end, NEARLY_A_LINE):
            return merged
        top = leading
    return skyline(piece, top)


def tune_kind(piece: Piece, melody: NDArray[np.bool_]) -> Literal["part", "texture"]:
    """Whether a melody (a mask over the piece's notes) is a part of its own, by its name, that others accompany."""
    parts = np.unique(piece.notes["part"][melody])
    if piece.feel != "score" or len(parts) != 1:
        return "texture"
    name = piece.parts[int(parts[0])]
    called = any(pattern.search(name) for pattern in MELODY_NAMES) and not NOT_MELODY_NAMES.search(name)
    accompanied = bool((piece.notes["part"] != parts[0]).any())
    return "part" if called and accompanied else "texture"


def part_called(piece: Piece, track: str) -> int:
    """The index of the part of that number or name.

    Raises:
        InputError: where there is none or several, or it has no notes.
    """
    wanted = track.strip().casefold()
    names = [name.casefold() for name in piece.parts]
    found = [i for i, name in enumerate(names) if name == wanted]
    if len(found) != 1 and wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        found = [int(wanted) - 1]
    if not found and not wanted.isdecimal():
        found = [i for i, name in enumerate(names) if wanted and wanted in name]
    if len(found) != 1:
        listed = ", ".join(f"{i + 1} {name}" for i, name in enumerate(piece.parts))
        raise InputError(
            f"--melody-track {track}: {'several tracks are' if found else 'no track is'} called so; there are {listed}."
        )
    if not _part(piece, found[0]).any():
        raise InputError(f"--melody-track {track}: that track has no notes.")
    return found[0]


def marked(piece: Piece, track: str | None = None) -> Piece:
    """The piece with its melody marked, as :func:`extract_melody` finds it."""
    notes = piece.notes.copy()
    notes["melody"] = extract_melody(piece, track)
    return replace(piece, notes=notes)


def extract_merged(piece: Piece, longest_rest: float | None = LONGEST_REST) -> NDArray[np.bool_]:
    """The melody, as a mask over ``piece.notes``, from the notes alone: parts and their names are ignored.

    ``longest_rest`` is how many seconds, roughly, the melody may rest while other notes sound: in an interlude the
    leading line counts as melody. None lets it rest for as long as nothing sounds like the melody of the rest of the
    piece.
    """
    onset, end = note_seconds(piece)
    return best_line(piece.notes, onset, end, chord_tolerance(piece), longest_rest)


def note_seconds(piece: Piece) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Onsets and ends of the notes, in seconds, (notes,) each."""
    return piece.onset_seconds, piece.tempo.to_seconds(piece.notes["onset"] + piece.notes["duration"])


def chord_tolerance(piece: Piece) -> float:
    """Seconds within which notes count as struck together."""
    return PERFORMED_CHORD if piece.feel == "performance" else NOTATED_CHORD


def skyline(piece: Piece, among: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """The highest note of each onset, as a mask over ``piece.notes``, without notes under a higher one that sounds on.

    ``among`` restricts it to some of the notes. A note is under another where the other began earlier, is higher, and
    sounds for longer than this note does.
    """
    mask = np.zeros(len(piece.notes), dtype=bool)
    index = np.arange(len(piece.notes)) if among is None else np.flatnonzero(among)
    if not len(index):
        return mask
    onset, end = note_seconds(piece)
    pitch = piece.notes["pitch"][index].astype(int)
    group = chords(onset[index], chord_tolerance(piece))
    order = np.lexsort((end[index], pitch, group))
    top = order[np.append(np.diff(group[order]) > 0, True)]
    top = top[np.argsort(onset[index[top]], kind="stable")]
    covered = covered_by_higher(onset[index[top]], end[index[top]], pitch[top])
    mask[index[top[~covered]]] = True
    return mask


def is_line(
    piece: Piece,
    mask: NDArray[np.bool_],
    onset: NDArray[np.float64],
    end: NDArray[np.float64],
    share: float = 1.0,
) -> bool:
    """Whether the masked notes are one line: (nearly) no two on an onset, (nearly) none held over the next.

    ``share`` is the least share of notes that must be alone on their onset. Legato overlaps of up to half a note are
    allowed, and one note in fifty may overlap more.
    """
    keep = _once(piece, mask)
    start, stop = onset[keep], end[keep]
    if not len(start):
        return False
    if len(start) == 1:
        return True
    step = np.diff(start)
    if (step > 1e-9).mean() < share:
        return False
    overlap = stop[:-1] - start[1:]
    clean = overlap <= 0.5 * np.minimum(stop[:-1] - start[:-1], stop[1:] - start[1:]) + 1e-9
    return bool(clean[step > 1e-9].mean() >= min(share, 0.98))


def monophonic(notes: NoteTable) -> NoteTable:
    """Notes cut where the next one begins; of several on one onset the highest stays. Positions stay to the bit."""
    if not len(notes):
        return notes.copy()
    last = np.append(np.diff(notes["onset"]) > 0, True)
    line: NoteTable = notes[last].copy()
    line["duration"][:-1] = np.minimum(line["duration"][:-1], np.diff(line["onset"]))
    return line


def distinct(notes: NoteTable) -> NDArray[np.bool_]:
    """A mask over a sorted note table that leaves out copies at the same onset and pitch; the longest copy stays."""
    if not len(notes):
        return np.zeros(0, dtype=bool)
    return np.append((np.diff(notes["onset"]) > 0) | (np.diff(notes["pitch"].astype(int)) != 0), True)


def _part(piece: Piece, part: int) -> NDArray[np.bool_]:
    return np.asarray(piece.notes["part"] == part)


def _top_part(piece: Piece, onset: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """The highest part of a score for several voices, as a mask; None where the parts aren't voices, each a line.

    A part that sounds for less than half as long as another one is no melody for the whole piece, however high it is.
    """
    if piece.feel != "score":
        return None
    parts = [mask for part in range(len(piece.parts)) if (mask := _part(piece, part)).sum() >= 4]
    if len(parts) < 2 or not all(is_line(piece, mask, onset, end, NEARLY_A_LINE) for mask in parts):
        return None
    sounding = [float(piece.notes["duration"][mask].sum()) for mask in parts]
    leading = [mask for mask, time in zip(parts, sounding, strict=True) if 2 * time >= max(sounding)]
    return max(leading, key=lambda mask: float(piece.notes["pitch"][mask].mean()))


def _once(piece: Piece, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without copies of a note at the same onset and pitch; the longest copy stays."""
    result = mask.copy()
    result[mask] = distinct(piece.notes[mask])
    return result
