"""Which notes of a piece are its melody.

Order of belief, see :func:`extract_melody`: a piece that is one line is its own melody; a part that
is called melody, or carries the words, or is called voice or soprano is believed; beside a keyboard
it is the line of a part of its own; of a keyboard score's two hands it is the top of the right one;
of a score each part of which is a line (a choir, a quartet) it is the top part; anything else is
searched by :func:`extract_merged`, which ignores parts and names. Where what it finds is more of
one part than of any other, and that part is a line, the part is believed, as a whole: a song's
voice whose track has no name. A part that hardly sounds isn't believed, and a tune that is handed
on to another line goes on there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.music.melody_search import best_line, chords, covered_by_higher
from styletransfer.music.notes import NoteTable, Piece
from styletransfer.music.part_names import (
    KEYBOARD_NAMES,
    LEFT_HAND_NAMES,
    MELODY_NAMES,
    RIGHT_HAND_NAMES,
    plain,
    rank,
)

PERFORMED_CHORD = 0.035
"""Seconds within which notes of a performance count as struck together."""

NOTATED_CHORD = 0.003
"""Seconds within which notes of a score count as struck together."""

NEARLY_A_LINE = 0.85
"""Share of a part's notes that must end before the next one for it to be a line: singers divide,
and strings are stopped.
"""

MOST_STOPS, MOST_SUNG = 1.5, 2.2
"""Notes on an onset, on average, of a line that stops two strings, and of a named part: two may
sing in thirds.
"""

ORNAMENT = 1 / 8
"""Quarters up to which a note that another one outlasts may be a grace note."""

SLOT = 2.0
"""Seconds of a slot; a part that has notes in few of the slots in which there is music isn't the
melody.
"""

LEAST_NAMED, LEAST_SOLO = 0.15, 0.25
"""Shares of slots that a named part, and a line beside a keyboard, must have notes in."""

HANDED_ON = 0.15
"""A part goes on with a tune if at most this share of its notes begins while the tune sounds
elsewhere.
"""

LEAST_HANDED_ON = 0.4
"""Notes that a part must have, as a share of those of the part that it goes on for: fewer are an
interlude.
"""

RESTING = 8.0
"""Quarters of silence after which a part rests, and doesn't just breathe."""

LOWEST_SOLO = 45.0
"""A line beside a keyboard with a lower mean pitch is its bass."""

BREATH, LONG_SILENCE = 3.0, 20.0
"""Seconds up to which a melody breathes, and from which its rest is told."""

LONGEST_REST = 4.0
"""Seconds. In 22 MAESTRO performances it brought rests of over 3 s down from 16 % of the time to 10
%; its cost is in ``benchmarks/melody.md``."""


def extract_melody(piece: Piece, track: str | None = None) -> NDArray[np.bool_]:
    """The melody of a piece, as a mask over ``piece.notes`` with at most one note on each onset.

    ``track``: the part that it is in, by its number (from 1) or its name, in any case and in part
    if that is clear; without it the melody is found.

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
    parts = [_part(piece, part) for part in range(len(piece.parts))]
    if len(parts) == 1 and _is_tune(piece, everything, onset, end):
        return skyline(piece)
    found = _named(piece, parts, onset)
    if not found:
        found = _solo(piece, parts, onset, end)
    hands = [part for part, name in enumerate(piece.parts) if RIGHT_HAND_NAMES.search(plain(name))]
    if not found and hands and len(parts) > 1:
        right = np.isin(piece.notes["part"], hands)
        if right.sum() >= 4:
            return skyline(piece, right)
    if not found:
        top = _top_part(piece, onset, end)
        if top is None:
            merged = extract_merged(piece)
            top = int(np.bincount(piece.notes["part"][merged]).argmax()) if merged.any() else 0
            if not _is_tune(piece, parts[top], onset, end):
                return merged
        found = _handed_on(piece, parts, top, onset, end)
    return skyline(piece, np.any([parts[part] for part in found], axis=0))


def _named(piece: Piece, parts: list[NDArray[np.bool_]], onset: NDArray[np.float64]) -> list[int]:
    """The parts whose names say that they are the melody, or whose words: the highest, and those
    that take turns with it.
    """
    sung = {part for part in piece.sung if parts[part].any()}
    for level in range(len(MELODY_NAMES)):
        if level == 1 and len(sung) == 1:
            return list(sung)
        named = [part for part, name in enumerate(piece.parts) if rank(name) == level]
        named = [
            part
            for part in named
            if parts[part].any() and _share(onset, parts[part]) >= LEAST_NAMED
        ]
        named = [part for part in named if _stops(piece, parts[part]) <= MOST_SUNG]
        if named:
            return _taking_turns(piece, parts, named)
    return _taking_turns(piece, parts, sorted(sung)) if sung else []


def _taking_turns(piece: Piece, parts: list[NDArray[np.bool_]], chosen: list[int]) -> list[int]:
    """The highest of some parts, and those that hardly sound while it does."""
    first = max(chosen, key=lambda part: float(piece.notes["pitch"][parts[part]].mean()))
    return [
        first,
        *(
            part
            for part in chosen
            if part != first and _overlap(piece, parts[part], parts[first]) <= HANDED_ON
        ),
    ]


def _solo(
    piece: Piece,
    parts: list[NDArray[np.bool_]],
    onset: NDArray[np.float64],
    end: NDArray[np.float64],
) -> list[int]:
    """Beside a keyboard, the highest line of the parts that aren't of it, and those to which it
    hands the tune on.
    """
    names = [plain(name) for name in piece.parts]
    keys = [
        part
        for part, name in enumerate(names)
        if KEYBOARD_NAMES.search(name)
        or RIGHT_HAND_NAMES.search(name)
        or LEFT_HAND_NAMES.search(name)
    ]
    lines = [
        part
        for part, mask in enumerate(parts)
        if part not in keys
        and mask.sum() >= 4
        and float(piece.notes["pitch"][mask].mean()) >= LOWEST_SOLO
        and _share(onset, mask) >= LEAST_SOLO
        and _is_tune(piece, mask, onset, end)
    ]
    others = [
        part
        for part, mask in enumerate(parts)
        if mask.any() and part not in keys and part not in lines
    ]
    accompanied = len(keys) > 1 or any(
        not _is_tune(piece, parts[part], onset, end) for part in keys
    )
    if not accompanied or not lines or len(others) > 1:
        return []
    top = max(lines, key=lambda part: float(piece.notes["pitch"][parts[part]].mean()))
    return _handed_on(piece, parts, top, onset, end)


def _handed_on(
    piece: Piece,
    parts: list[NDArray[np.bool_]],
    first: int,
    onset: NDArray[np.float64],
    end: NDArray[np.float64],
) -> list[int]:
    """A part, and the lines that sound only while it rests: each goes on with the tune."""
    found = [first]
    tune = parts[first]
    for part in sorted(range(len(parts)), key=lambda part: -int(parts[part].sum())):
        mask = parts[part]
        if (
            part in found
            or mask.sum() < max(4, LEAST_HANDED_ON * parts[first].sum())
            or float(piece.notes["pitch"][mask].mean()) < LOWEST_SOLO
        ):
            continue
        if _is_tune(piece, mask, onset, end) and _overlap(piece, mask, tune) <= HANDED_ON:
            found.append(part)
            tune = tune | mask
    return found


def _overlap(piece: Piece, mask: NDArray[np.bool_], tune: NDArray[np.bool_]) -> float:
    """Share of masked notes that begin between two notes of a tune that are less than two bars'
    rest apart.
    """
    notes = piece.notes[tune]
    starts, ends = notes["onset"], np.maximum.accumulate(notes["onset"] + notes["duration"])
    at = piece.notes["onset"][mask]
    before = np.searchsorted(starts, at + 1e-6, side="right") - 1
    following = np.append(starts, np.inf)[before + 1]
    last = np.where(before >= 0, ends[np.maximum(before, 0)], -np.inf)
    return float(((at < last - 1e-6) | (following - last < RESTING)).mean())


def _share(onset: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Share of the slots in which notes begin, in which masked ones do."""
    slots = np.floor(onset / SLOT)
    return len(np.unique(slots[mask])) / len(np.unique(slots))


def _stops(piece: Piece, mask: NDArray[np.bool_]) -> float:
    """Masked notes on an onset, on average."""
    return float(mask.sum() / len(np.unique(piece.notes["onset"][mask])))


def _is_tune(
    piece: Piece, mask: NDArray[np.bool_], onset: NDArray[np.float64], end: NDArray[np.float64]
) -> bool:
    """Whether the masked notes are nearly a line: besides grace notes, few are on an onset with
    others, few are held over.
    """
    if not mask.any():
        return False
    main = mask & ~_ornaments(piece, mask)
    index = np.flatnonzero(main)
    tops = np.zeros(len(mask), dtype=bool)
    tops[index[np.append(np.diff(piece.notes["onset"][index]) > 0, True)]] = True
    return _stops(piece, main) <= MOST_STOPS and is_line(piece, tops, onset, end, NEARLY_A_LINE)


def _ornaments(piece: Piece, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The short ones of the masked notes before whose end an earlier note that lasts as long
    began.
    """
    found = np.zeros(len(mask), dtype=bool)
    notes = piece.notes[mask]
    end = notes["onset"] + notes["duration"]
    latest = np.append(-np.inf, np.maximum.accumulate(end)[:-1])
    found[mask] = (notes["duration"] <= ORNAMENT + 1e-6) & (latest >= end - 1e-6)
    return found


def tune_kind(piece: Piece, melody: NDArray[np.bool_]) -> Literal["part", "texture"]:
    """Whether a melody (a mask over the piece's notes) is a part of its own, by its name, that
    others accompany.
    """
    parts = np.unique(piece.notes["part"][melody])
    if piece.feel != "score" or len(parts) != 1:
        return "texture"
    called = rank(piece.parts[int(parts[0])]) is not None
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
    """The melody, as a mask over ``piece.notes``, from the notes alone: parts and their names are
    ignored.

    ``longest_rest`` is how many seconds, roughly, the melody may rest while other notes sound: in
    an interlude the leading line counts as melody. None lets it rest for as long as nothing sounds
    like the melody of the rest of the piece.
    """
    onset, end = note_seconds(piece)
    return best_line(piece.notes, onset, end, chord_tolerance(piece), longest_rest)


def note_seconds(piece: Piece) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Onsets and ends of the notes, in seconds, (notes,) each."""
    return piece.onset_seconds, piece.tempo.to_seconds(
        piece.notes["onset"] + piece.notes["duration"]
    )


def chord_tolerance(piece: Piece) -> float:
    """Seconds within which notes count as struck together."""
    return PERFORMED_CHORD if piece.feel == "performance" else NOTATED_CHORD


def skyline(piece: Piece, among: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """The highest note of each onset, as a mask over ``piece.notes``, without notes under a higher
    one that sounds on.

    ``among`` restricts it to some of the notes. A note is under another where the other began
    earlier, is higher, and sounds for longer than this note does.
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
    """Whether the masked notes are one line: (nearly) no two on an onset, (nearly) none held over
    the next.

    ``share`` is the least share of notes that must be alone on their onset. Legato overlaps of up
    to half a note are allowed, and one note in fifty may overlap more.
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


def coverage(piece: Piece, melody: NoteTable) -> tuple[float, list[str]]:
    """The share of a piece's seconds in which a melody of it sounds or just breathes, and a
    sentence on its longest rest.

    There is one where the melody rests for :data:`LONG_SILENCE` or more while other notes are
    played.
    """
    if not len(melody):
        return 0.0, []
    onset, end = note_seconds(piece)
    start = piece.tempo.to_seconds(melody["onset"])
    stop = np.maximum.accumulate(piece.tempo.to_seconds(melody["onset"] + melody["duration"]))
    first, last = float(onset.min()), float(end.max())
    froms, tos = np.append(first, stop), np.append(start, last)
    silence = np.maximum(tos - froms, 0)
    rests = np.where(silence > BREATH, silence, 0)
    share = 1 - float(rests.sum()) / max(last - first, 1e-9)
    longest = int(rests.argmax())
    played = int(((onset >= froms[longest] - 1e-6) & (onset < tos[longest] - 1e-6)).sum())
    if rests[longest] < LONG_SILENCE or not played:
        return share, []
    minutes, seconds = divmod(int(froms[longest]), 60)
    there = f"for {rests[longest]:.0f} s from {minutes}:{seconds:02d} on"
    return share, [
        f"the melody rests {there}, where other notes are played; --melody-track takes another part"
    ]


def monophonic(notes: NoteTable) -> NoteTable:
    """Notes cut where the next one begins; of several on one onset the highest stays. Positions
    stay to the bit.
    """
    if not len(notes):
        return notes.copy()
    last = np.append(np.diff(notes["onset"]) > 0, True)
    line: NoteTable = notes[last].copy()
    line["duration"][:-1] = np.minimum(line["duration"][:-1], np.diff(line["onset"]))
    return line


def distinct(notes: NoteTable) -> NDArray[np.bool_]:
    """A mask over a sorted note table that leaves out copies at the same onset and pitch; the
    longest copy stays.
    """
    if not len(notes):
        return np.zeros(0, dtype=bool)
    return np.append(
        (np.diff(notes["onset"]) > 0) | (np.diff(notes["pitch"].astype(int)) != 0), True
    )


def _part(piece: Piece, part: int) -> NDArray[np.bool_]:
    return np.asarray(piece.notes["part"] == part)


def _top_part(piece: Piece, onset: NDArray[np.float64], end: NDArray[np.float64]) -> int | None:
    """The highest part of a score for several voices; None where the parts aren't voices, each a
    line.

    A part that sounds for less than half as long as another one is no melody for the whole piece,
    however high it is.
    """
    if piece.feel != "score":
        return None
    parts = {
        part: mask for part in range(len(piece.parts)) if (mask := _part(piece, part)).sum() >= 4
    }
    if len(parts) < 2 or not all(_is_tune(piece, mask, onset, end) for mask in parts.values()):
        return None
    sounding = {part: float(piece.notes["duration"][mask].sum()) for part, mask in parts.items()}
    leading = [part for part, time in sounding.items() if 2 * time >= max(sounding.values())]
    return max(leading, key=lambda part: float(piece.notes["pitch"][parts[part]].mean()))


def _once(piece: Piece, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without copies of a note at the same onset and pitch; the longest copy stays."""
    result = mask.copy()
    result[mask] = distinct(piece.notes[mask])
    return result
