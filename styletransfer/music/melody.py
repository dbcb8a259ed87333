"""Which notes of a piece are its melody.

The order of belief, see :func:`extract_melody`:

- A piece that is one line is its own melody.
- A part is believed that is called melody, carries the words, or is called voice or soprano.
- Beside a keyboard, the melody is the line of a part of its own.
- Of a keyboard score's two hands, it is the top of the right one.
- Of a score each part of which is a line (a choir, a quartet), it is the top part.
- Where one part alone is a line, and not the lowest, it is that: a song whose tracks have no names.
- Anything else is searched by :func:`extract_merged`, which ignores parts and names. Where most of
  what it finds is of one part, and that part is a line, the part is believed as a whole: a song's
  voice whose track has no name.

A part that hardly sounds isn't believed, and a tune that is handed on to another line continues
there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.music.melody_search import best_line, chords, covered_by_higher
from styletransfer.music.notes import NoteTable, Piece, note_ends
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
and strings are double-stopped."""

MOST_STOPS, MOST_SUNG = 1.5, 2.2
"""The most notes per onset, on average: of a line with double stops, and of a named part, as two
may sing in thirds."""

ORNAMENT = 1 / 8
"""Quarters up to which a note under a longer one may be a grace note."""

SLOT = 2.0
"""Seconds of a slot; a part that has notes in only a few of the slots with music isn't the
melody."""

LEAST_NAMED, LEAST_SOLO = 0.15, 0.25
"""Shares of slots in which a named part, and a line beside a keyboard, must have notes."""

HANDED_ON = 0.15
"""A part continues a tune if at most this share of its notes begins while the tune sounds
elsewhere."""

LEAST_HANDED_ON = 0.4
"""Notes that a part must have, as a share of those of the part that it continues; fewer are an
interlude."""

RESTING = 8.0
"""Quarters of silence after which a part rests, and doesn't just breathe."""

LOWEST_SOLO = 45.0
"""A line beside a keyboard with a lower mean pitch is its bass."""

BREATH, LONG_SILENCE = 3.0, 20.0
"""Seconds up to which a melody breathes, and from which its rest is reported."""

LONGEST_REST = 4.0
"""Seconds. In 22 MAESTRO performances it reduced rests of over 3 s from 16 % of the time to 10 %;
its cost is in ``benchmarks/melody.md``."""


def extract_melody(piece: Piece, track: str | None = None) -> NDArray[np.bool_]:
    """Find the melody of a piece, as a mask over ``piece.notes``.

    It has at most one note on each onset.

    Args:
        piece: the piece.
        track: the part of the melody, by its number (from 1) or its name, in any case and in part
            where that is clear; without it the melody is found.

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
            top = _only_line(piece, parts, onset, end)
        if top is None:
            merged = extract_merged(piece)
            top = int(np.bincount(piece.notes["part"][merged]).argmax()) if merged.any() else 0
            if not _is_tune(piece, parts[top], onset, end):
                return merged
        found = _handed_on(piece, parts, top, onset, end)
    return skyline(piece, np.any([parts[part] for part in found], axis=0))


def _named(piece: Piece, parts: list[NDArray[np.bool_]], onset: NDArray[np.float64]) -> list[int]:
    """Return the parts that are the melody by their names or words.

    These are the highest of them, and those that take turns with it.
    """
    sung = {part for part in piece.sung if parts[part].any()}
    for level in range(len(MELODY_NAMES)):
        if level == 1 and len(sung) == 1:
            return list(sung)
        named = [
            part
            for part, name in enumerate(piece.parts)
            if rank(name) == level
            and parts[part].any()
            and _share(onset, parts[part]) >= LEAST_NAMED
            and _stops(piece, parts[part]) <= MOST_SUNG
        ]
        if named:
            return _taking_turns(piece, parts, named)
    return _taking_turns(piece, parts, sorted(sung)) if sung else []


def _taking_turns(piece: Piece, parts: list[NDArray[np.bool_]], chosen: list[int]) -> list[int]:
    """Return the highest of some parts, and those that hardly sound while it does."""
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
    """Return the highest line beside a keyboard, and those that continue its tune."""
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
        if part not in keys and _may_sing(piece, mask, onset, end)
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


def _only_line(
    piece: Piece,
    parts: list[NDArray[np.bool_]],
    onset: NDArray[np.float64],
    end: NDArray[np.float64],
) -> int | None:
    """Return the part that alone is a line, between or above others that play chords.

    The lowest part doesn't count, as it may be the bass; None where there isn't just one.
    """
    sounding = [part for part, mask in enumerate(parts) if mask.any()]
    height = {part: float(piece.notes["pitch"][parts[part]].mean()) for part in sounding}
    found = [
        part
        for part in sounding
        if height[part] > max(min(height.values()), LOWEST_SOLO)
        and _may_sing(piece, parts[part], onset, end)
    ]
    if len(found) != 1:
        return None
    others = (parts[part] for part in sounding if part != found[0])
    chordal = any(not _is_tune(piece, mask, onset, end) for mask in others)
    return found[0] if chordal else None


def _may_sing(
    piece: Piece, mask: NDArray[np.bool_], onset: NDArray[np.float64], end: NDArray[np.float64]
) -> bool:
    """Return whether the masked notes are a line, sound often, and lie above a bass."""
    return (
        int(mask.sum()) >= 4
        and float(piece.notes["pitch"][mask].mean()) >= LOWEST_SOLO
        and _share(onset, mask) >= LEAST_SOLO
        and _is_tune(piece, mask, onset, end)
    )


def _handed_on(
    piece: Piece,
    parts: list[NDArray[np.bool_]],
    first: int,
    onset: NDArray[np.float64],
    end: NDArray[np.float64],
) -> list[int]:
    """Return a part, and the lines that continue the tune while it rests."""
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
    """Return the share of masked notes that begin while a tune sounds.

    Rests of the tune shorter than :data:`RESTING` count as sounding.
    """
    notes = piece.notes[tune]
    starts, ends = notes["onset"], np.maximum.accumulate(note_ends(notes))
    at = piece.notes["onset"][mask]
    before = np.searchsorted(starts, at + 1e-6, side="right") - 1
    following = np.append(starts, np.inf)[before + 1]
    last = np.where(before >= 0, ends[np.maximum(before, 0)], -np.inf)
    return float(((at < last - 1e-6) | (following - last < RESTING)).mean())


def _share(onset: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return in what share of the slots with onsets masked notes begin."""
    slots = np.floor(onset / SLOT)
    return len(np.unique(slots[mask])) / len(np.unique(slots))


def _stops(piece: Piece, mask: NDArray[np.bool_]) -> float:
    """Return the mean number of masked notes on an onset."""
    return float(mask.sum() / len(np.unique(piece.notes["onset"][mask])))


def _is_tune(
    piece: Piece, mask: NDArray[np.bool_], onset: NDArray[np.float64], end: NDArray[np.float64]
) -> bool:
    """Return whether the masked notes are nearly a line, grace notes apart.

    Few are on an onset with others, and few are held over.
    """
    if not mask.any():
        return False
    main = mask & ~_ornaments(piece, mask)
    index = np.flatnonzero(main)
    tops = np.zeros(len(mask), dtype=bool)
    tops[index[np.append(np.diff(piece.notes["onset"][index]) > 0, True)]] = True
    return _stops(piece, main) <= MOST_STOPS and is_line(piece, tops, onset, end, NEARLY_A_LINE)


def _ornaments(piece: Piece, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the short ones of the masked notes under a longer, earlier note."""
    found = np.zeros(len(mask), dtype=bool)
    notes = piece.notes[mask]
    end = note_ends(notes)
    latest = np.append(-np.inf, np.maximum.accumulate(end)[:-1])
    found[mask] = (notes["duration"] <= ORNAMENT + 1e-6) & (latest >= end - 1e-6)
    return found


def tune_kind(piece: Piece, melody: NDArray[np.bool_]) -> Literal["part", "texture"]:
    """Return whether a melody is a part of its own or the top of the texture.

    It is a part where its name says so and others accompany it. The melody is a mask over the
    piece's notes.
    """
    parts = np.unique(piece.notes["part"][melody])
    if piece.feel != "score" or len(parts) != 1:
        return "texture"
    called = rank(piece.parts[int(parts[0])]) is not None
    accompanied = bool((piece.notes["part"] != parts[0]).any())
    return "part" if called and accompanied else "texture"


def part_called(piece: Piece, track: str) -> int:
    """Return the index of the part of that number or name.

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
        called = "several tracks have" if found else "no track has"
        raise InputError(f"--melody-track {track}: {called} this name; there are {listed}.")
    if not _part(piece, found[0]).any():
        raise InputError(f"--melody-track {track}: that track has no notes.")
    return found[0]


def marked(piece: Piece, track: str | None = None) -> Piece:
    """Mark the melody of a piece as :func:`extract_melody` finds it."""
    notes = piece.notes.copy()
    notes["melody"] = extract_melody(piece, track)
    return replace(piece, notes=notes)


def extract_merged(piece: Piece, longest_rest: float | None = LONGEST_REST) -> NDArray[np.bool_]:
    """Find the melody from the notes alone, as a mask over ``piece.notes``.

    Parts and their names are ignored.

    Args:
        piece: the piece.
        longest_rest: how many seconds, roughly, the melody may rest while other notes sound: in an
            interlude the leading line counts as melody. None lets it rest for as long as nothing
            sounds like the melody of the rest of the piece.
    """
    onset, end = note_seconds(piece)
    return best_line(piece.notes, onset, end, chord_tolerance(piece), longest_rest)


def note_seconds(piece: Piece) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the onsets and the ends of the notes in seconds, each of shape (notes,)."""
    return piece.onset_seconds, piece.seconds_at(note_ends(piece.notes))


def chord_tolerance(piece: Piece) -> float:
    """Return the seconds within which notes count as struck together."""
    return PERFORMED_CHORD if piece.feel == "performance" else NOTATED_CHORD


def skyline(piece: Piece, among: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Mark the highest note of each onset, shape (notes,).

    Notes under a higher one that sounds on are left out. A note is under another where the other
    began earlier, is higher, and sounds longer than this note does. ``among`` restricts the skyline
    to some of the notes.
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
    """Return whether the masked notes are one line.

    That is: no two on an onset, none held over the next. Legato overlaps of up to half a note are
    allowed, and one note in fifty may overlap more.

    Args:
        piece: the piece.
        mask: the notes in question, shape (notes,).
        onset: in seconds, shape (notes,).
        end: in seconds, shape (notes,).
        share: the least share of notes that must be alone on their onset, and not be held over.
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
    """Measure how much of a piece its melody covers.

    Returns:
        The share of the seconds in which the melody sounds or just breathes, and a sentence on its
        longest rest where that lasts :data:`LONG_SILENCE` or more while other notes are played.
    """
    if not len(melody):
        return 0.0, []
    onset, end = note_seconds(piece)
    start = piece.seconds_at(melody["onset"])
    stop = np.maximum.accumulate(piece.seconds_at(note_ends(melody)))
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
    """Cut notes where the next one begins; of several on one onset keep the highest.

    Positions stay exact to the bit.
    """
    if not len(notes):
        return notes.copy()
    last = np.append(np.diff(notes["onset"]) > 0, True)
    line: NoteTable = notes[last].copy()
    line["duration"][:-1] = np.minimum(line["duration"][:-1], np.diff(line["onset"]))
    return line


def distinct(notes: NoteTable) -> NDArray[np.bool_]:
    """Mark a sorted table's notes without copies at the same onset and pitch.

    The longest copy stays.
    """
    if not len(notes):
        return np.zeros(0, dtype=bool)
    return np.append(
        (np.diff(notes["onset"]) > 0) | (np.diff(notes["pitch"].astype(int)) != 0), True
    )


def _part(piece: Piece, part: int) -> NDArray[np.bool_]:
    """Mark the notes of a part."""
    return np.asarray(piece.notes["part"] == part)


def _top_part(piece: Piece, onset: NDArray[np.float64], end: NDArray[np.float64]) -> int | None:
    """Return the highest part of a score for several voices.

    A part that sounds for less than half as long as another one is no melody for the whole piece,
    however high it is.

    Returns:
        None where the parts aren't voices, each a line.
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
    """Take copies at the same onset and pitch out of a mask; the longest copy stays."""
    result = mask.copy()
    result[mask] = distinct(piece.notes[mask])
    return result
