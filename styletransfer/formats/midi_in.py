"""MIDI bytes to pieces, through symusic.

symusic reads metrical files of types 0 and 1. What it doesn't do is done here: damaged files are
refused before they reach it, a track stays one part whatever its programs, a time division in
frames (SMPTE) is rewritten as beats of one second, of a type 2 file, whose tracks are independent
pieces, the first one with notes is taken, and where the last notes of a song's track never end,
they do so with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.formats.midi_track import Track, track_of
from styletransfer.formats.titles import title_of_midi
from styletransfer.music.notes import (
    NOTE_DTYPE,
    BarTable,
    Feel,
    NoteTable,
    Piece,
    TempoMap,
    bars_of,
    sort_notes,
)

MAX_HOURS = 3
"""Music that lasts this long or longer is refused."""
MAX_QUARTERS = MAX_HOURS * 60 * 400
"""Music of more quarters than this (three hours at 400 a minute) is refused: its bars would fill
the memory.
"""

MOST_TRACKS = 1000
FEWEST_SYLLABLES = 4
"""A track with fewer lyrics isn't sung; they may be a title."""
SUNG_TOGETHER = 0.6
"""How well a part's onsets and the syllables of a track without notes must agree (F1) for it to be
the one that is sung.
"""

SUSTAIN = 64
PEDALS = (SUSTAIN, 66, 67)
"""The controllers of a piano: sustain, sostenuto, soft."""

GRIDS = ((8, 6), (16, 12, 9, 7, 5))
"""Subdivisions of a quarter that notation uses; the second covers a fifth of all ticks."""
GRID_LIFT = 0.6
"""How far above chance onsets must lie on a grid. It was tried on 522 of the keyboard scores, which
lie at 0.77 or above, and on 107 performances (MAESTRO), which lie at 0.04 or below; the decision is
right on all 824 scores and all 1,276 performances."""


def parse_midi(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """Read the bytes of a MIDI file as a piece.

    ``name`` is what error messages call the file.

    Raises:
        InputError: where the bytes are damaged, hold no notes, or hold hours of music.
    """
    kind, stated, division, tracks = _chunks(data, name)
    clock: float | None = None  # seconds a quarter, where the file counts time and not beats
    if division & 0x8000:
        division, clock = _frames(division, name)
    if not division:
        raise InputError(
            f"{name}: its header has no time division, so it cannot be timed; export it again."
        )
    score, chosen, remarks = _open(kind, division, [track_of(track) for track in tracks], name)
    if len(tracks) != stated:
        remarks.append(f"its header counts {stated} tracks, {len(tracks)} were found and read")

    ended = feel != "performance"  # what is recorded stays as it was
    players, unended = _players(division, chosen, name, ended)
    sounding = [player for player, _ in players if not player.is_drum]
    sources = [source for player, source in players if not player.is_drum]
    if not sounding:
        reason = "it holds only drums" if players else "it holds no notes"
        raise InputError(f"{name}: {reason}; give a file with a melody in it.")
    remarks += _left_out(sounding, len(players) - len(sounding), unended)

    tables = [_notes(track, part, division) for part, track in enumerate(sounding)]
    notes = np.concatenate(tables)
    end = float((notes["onset"] + notes["duration"]).max())
    if notes["onset"].min() < 0 or end > MAX_QUARTERS:
        raise InputError(
            f"{name}: its notes lie at impossible times; "
            "export it again from the program that made it."
        )
    changes = [] if clock else [(t.time, t.mspq) for t in score.tempos]
    tempo = _tempo_map(changes, division, clock or 0.5)
    if float(tempo.to_seconds(end)) >= MAX_HOURS * 3600:
        raise InputError(f"{name}: it lasts {MAX_HOURS} hours or more; cut it into shorter pieces.")

    bars = bars_of(_time_signatures(score, division), end)
    found: Feel = feel or (
        "score" if not clock and on_beats(notes, bars, division) else "performance"
    )
    written = found == "score"
    if written:
        notes = without_doubles(notes)
    else:
        _hold_by_pedal(tables, sounding, division)
        notes = np.concatenate(tables)
    return Piece(
        notes=sort_notes(notes),
        feel=found,
        bars=bars if written else bars[:0],
        tempo=tempo,
        ticks_per_quarter=division,
        parts=_part_names([track.name for track in sources]),
        key_signatures=_key_signatures(score, division) if written else (),
        pedals=_pedals_of_all(sounding, division) if written else (),
        remarks=tuple(remarks),
        sung=_sung(chosen, tables, sources, division),
        title=title_of_midi(kind, chosen),
    )


def on_beats(notes: NoteTable, bars: BarTable, ticks_per_quarter: int) -> bool:
    """Return whether music is notated or quantised.

    Its onsets then fall on subdivisions of a quarter.

    The share of distinct onsets within a tick of a grid is compared with the share of all ticks
    that lie there, so that 0 is chance and 1 is perfect; one of ``GRIDS`` must reach ``GRID_LIFT``.
    Positions count from the bar line, because a cadenza's bar may have any length.
    """
    tpq = ticks_per_quarter
    onset = np.unique(np.round(notes["onset"] * tpq).astype(int))
    lines = np.round(bars["start"] * tpq).astype(int)
    phase = (onset - lines[np.clip(np.searchsorted(lines, onset, side="right") - 1, 0, None)]) % tpq
    counts = np.bincount(phase, minlength=tpq)
    tolerance = 1 if tpq >= 240 else 0
    chance = 1.0
    for grid in GRIDS:
        on_grid = np.zeros(tpq, bool)
        for division in grid:
            marks = np.round(np.arange(division) * tpq / division).astype(int)
            for shift in range(-tolerance, tolerance + 1):
                on_grid[(marks + shift) % tpq] = True
        chance = float(on_grid.mean())
        share = float(counts[on_grid].sum() / len(onset))
        if chance < 1 and (share - chance) / (1 - chance) >= GRID_LIFT:
            return True

    return chance == 1  # too coarse a file to hold anything but a grid


def without_doubles(notes: NoteTable) -> NoteTable:
    """Leave out notes that another of the same part, onset and pitch outlasts.

    Two voices in unison are one key.
    """
    order = np.lexsort((-notes["duration"], notes["pitch"], notes["onset"], notes["part"]))
    keys = notes[["part", "onset", "pitch"]][order]
    rows: NoteTable = notes[
        order[np.concatenate([np.ones(min(len(keys), 1), bool), keys[1:] != keys[:-1]])]
    ]
    return rows


def extend_by_pedal(notes: NoteTable, down: NDArray[np.float64], up: NDArray[np.float64]) -> None:
    """Hold notes, in place, until the sustain pedal is released.

    The next onset of the same pitch ends them, too.

    ``down`` and ``up`` (pedals,) are the quarters at which the pedal goes down and comes up,
    ascending.
    """
    end = notes["onset"] + notes["duration"]
    index = np.searchsorted(down, end, side="right") - 1
    release = up[np.clip(index, 0, None)]
    end = np.where((index >= 0) & (end < release), release, end)
    order = np.lexsort((notes["onset"], notes["pitch"]))
    onset, pitch, sorted_end = notes["onset"][order], notes["pitch"][order], end[order]
    following = np.where((pitch[1:] == pitch[:-1]) & (onset[1:] > onset[:-1]), onset[1:], np.inf)
    sorted_end[:-1] = np.minimum(sorted_end[:-1], following)
    end[order] = sorted_end
    notes["duration"] = end - notes["onset"]


def _left_out(tracks: list[Any], drums: int, unended: int) -> list[str]:
    """Return remarks on what was left out of these tracks.

    They also mention tracks of drums, and notes without an end.
    """
    remarks: list[str] = []
    if unended:
        notes = (
            "final notes that never end were" if unended > 1 else "final note that never ends was"
        )
        remarks.append(f"{unended} {notes} ended with the track")
    if drums:
        remarks.append(f"{drums} drum track{'s were' if drums > 1 else ' was'} left out")
    if any(len(track.pitch_bends) for track in tracks):
        remarks.append("pitch bends were left out")
    if any(np.setdiff1d(track.controls.numpy()["number"], PEDALS).size for track in tracks):
        remarks.append("controllers other than pedals were left out")
    return remarks


def _hold_by_pedal(tables: list[NoteTable], tracks: list[Any], tpq: int) -> None:
    """Extend each track's notes, in place, by its own pedal."""
    for table, track in zip(tables, tracks, strict=True):
        if len(pedals := _pedals(track, tpq)):
            extend_by_pedal(table, *pedals.T)


def _chunks(data: bytes, name: str) -> tuple[int, int, int, list[bytes]]:
    """Return a file's type, its header's number of tracks, division and track chunks.

    The division is of time; the chunks are the contents of those that there are. A file that is cut
    short is refused.
    """
    cut = InputError(f"{name}: the MIDI file is cut short or damaged; download or export it again.")
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[20:]
    if data[:4] != b"MThd":
        raise InputError(
            f"{name}: it is not a MIDI file, whatever its name says; export it as MIDI or MusicXML."
        )

    header = int.from_bytes(data[4:8], "big")
    if header < 6 or len(data) < 8 + header:
        raise cut

    kind, stated, division = (int.from_bytes(data[at : at + 2], "big") for at in (8, 10, 12))
    tracks: list[bytes] = []
    at = 8 + header
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if len(data) < at + 8 + size or len(data) < at + 8:
            if len(tracks) < stated:
                raise cut
            break  # what follows the last track isn't one
        if data[at : at + 4] == b"MTrk":
            tracks.append(data[at + 8 : at + 8 + size])
        at += 8 + size

    if len(tracks) < min(stated, 1) or len(tracks) > MOST_TRACKS or kind > 2:
        raise cut
    return kind, stated, division, tracks


def _frames(division: int, name: str) -> tuple[int, float]:
    """Return ticks per quarter and seconds per quarter of an SMPTE division.

    Its "quarters" are 24, 25 or 30 frames.

    The high byte is minus the frames a second, of which 29 stands for 29.97 (30 frames in 1.001 s);
    the low byte is the ticks a frame (Standard MIDI Files 1.0).
    """
    frames = 256 - (division >> 8)
    if frames not in {24, 25, 29, 30}:
        raise InputError(f"{name}: its header has an impossible time division; export it again.")
    return (30 if frames == 29 else frames) * (division & 0xFF), 1.001 if frames == 29 else 1.0


def _open(
    kind: int, division: int, tracks: list[Track], name: str
) -> tuple[Any, list[Track], list[str]]:
    """Return symusic's score, in ticks, its tracks, and remarks.

    Of the separate pieces of a type 2 file, the first with notes is taken.
    """
    if kind != 2 or len(tracks) < 2:
        return _symusic(division, [track.data for track in tracks], name), tracks, []
    pieces = [(_symusic(division, [track.data], name), [track]) for track in tracks]
    pitched = [
        piece for piece in pieces if any(len(t.notes) and not t.is_drum for t in piece[0].tracks)
    ]
    remark = f"a type 2 file holds {len(tracks)} separate pieces; the first with notes was taken"
    return *(pitched or pieces)[0], [remark]


def _players(
    tpq: int, tracks: list[Track], name: str, ended: bool
) -> tuple[list[tuple[Any, Track]], int]:
    """Return symusic's tracks with notes, and how many notes were ended.

    There is one for each channel of a track, with the track that it is from. With ``ended``, the
    last notes that never end do so with their track; their number is returned.
    """
    players: list[tuple[Any, Track]] = []
    count = 0
    for track in tracks:
        found = _symusic(tpq, [track.data], name).tracks
        if ended and track.channels:
            count += _end_last_notes(found, tpq, track.data, name)
        players += [(player, track) for player in found if len(player.notes)]
    return players, count


def _end_last_notes(players: Any, tpq: int, track: bytes, name: str) -> int:
    """Add a pitched track's last notes that never end, and return their number.

    They last one to four quarters. symusic leaves notes without an end out. Those further in are
    mistakes, and stay out.
    """
    count = 0
    whole = _symusic(tpq, [_with_all_off(track)], name).tracks
    if len(whole) != len(players):
        return 0  # a channel that has nothing else
    for player, ended in zip(players, whole, strict=True):
        if player.is_drum or len(ended.notes) == len(player.notes) or not len(player.notes):
            continue
        last = max(note.time for note in player.notes)
        known = {(note.time, note.pitch) for note in player.notes}
        for note in ended.notes:
            if note.time >= last and (note.time, note.pitch) not in known:
                note.duration = min(max(note.duration, tpq), 4 * tpq)
                player.notes.append(note)
                count += 1
    return count


def _sung(
    tracks: list[Track], tables: list[NoteTable], sources: Sequence[Track], tpq: int
) -> tuple[int, ...]:
    """Return the parts that carry words.

    They are those of tracks with lyrics, or else the one that begins with most syllables of the
    others.
    """
    own = [
        part
        for part, (track, table) in enumerate(zip(sources, tables, strict=True))
        if len(track.channels) == 1
        and len(track.lyrics) >= max(FEWEST_SYLLABLES, len(np.unique(table["onset"])) / 4)
    ]
    if own:
        return tuple(own)

    places = max(
        (track.lyrics or track.texts for track in tracks if not track.channels or track.lyrics),
        key=len,
        default=(),
    )
    syllables = np.unique(np.round(np.array(places) / tpq * 8))
    if len(syllables) < 2 * FEWEST_SYLLABLES:
        return ()

    agreement = []
    for table in tables:
        onsets = np.unique(np.round(table["onset"] * 8))
        agreement.append(2 * np.isin(syllables, onsets).sum() / (len(syllables) + len(onsets)))

    best = int(np.argmax(agreement))
    others = [value for part, value in enumerate(agreement) if part != best]
    return (
        (best,)
        if agreement[best] >= SUNG_TOGETHER and agreement[best] > max(others, default=0) + 0.1
        else ()
    )


def _with_all_off(track: bytes) -> bytes:
    """End every key of every channel with the track, and return its events.

    What doesn't sound isn't changed by it.
    """
    end = b"\xff\x2f\x00"
    off = b"\x00".join(
        bytes((0x80 | channel, pitch, 0)) for channel in range(16) for pitch in range(128)
    )
    return track[: -len(end)] + off + b"\x00" + end if track.endswith(end) else track


def _symusic(division: int, tracks: list[bytes], name: str) -> Any:
    """Return symusic's score of a plain type 1 file with these tracks, in ticks."""
    import symusic

    header = (
        b"MThd"
        + (6).to_bytes(4, "big")
        + b"".join(n.to_bytes(2, "big") for n in (1, len(tracks), division))
    )
    body = b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks)
    try:
        return symusic.Score.from_midi(header + body)
    except Exception as error:  # symusic raises whatever its parser does
        raise InputError(
            f"{name}: the MIDI file is damaged ({_first_line(error)}); export it again."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:120]


def _pedals(track: Any, tpq: int) -> NDArray[np.float64]:
    """Return the quarters at which a track's sustain pedal goes down and comes up.

    They have shape (pedals, 2); a pedal that never comes up is left out. They are taken from the
    controllers: symusic's own list has a first pedal at 0 in every track but the first.
    """
    controls = track.controls.numpy()
    sustain = controls["number"] == SUSTAIN
    down = np.concatenate([[False], controls["value"][sustain] >= 64])
    changes = controls["time"][sustain][down[1:] != down[:-1]]
    return np.asarray(changes[: len(changes) // 2 * 2].reshape(-1, 2) / tpq)


def _pedals_of_all(tracks: Sequence[Any], tpq: int) -> tuple[tuple[float, float], ...]:
    """Return the pedals of all tracks.

    What tracks agree in, as those of one piano do, counts once.
    """
    return tuple(
        sorted({(float(down), float(up)) for track in tracks for down, up in _pedals(track, tpq)})
    )


def _part_names(names: list[str]) -> tuple[str, ...]:
    clean = ["".join(c for c in name if c.isprintable()).strip()[:80] for name in names]
    if len(clean) == 1:
        return (clean[0] or "piano",)
    return tuple(name or f"track {number}" for number, name in enumerate(clean, 1))


def _notes(track: Any, part: int, tpq: int) -> NoteTable:
    columns = track.notes.numpy()
    notes = np.zeros(len(track.notes), NOTE_DTYPE)
    notes["onset"] = columns["time"] / tpq
    notes["duration"] = np.maximum(columns["duration"], 1) / tpq
    notes["pitch"] = columns["pitch"]
    notes["velocity"] = np.clip(columns["velocity"], 1, 127)
    notes["part"] = part
    return notes


def _tempo_map(changes: list[tuple[int, int]], tpq: int, first: float) -> TempoMap:
    """Make a tempo map of pairs (tick, microseconds per quarter).

    ``first`` (seconds per quarter) holds where none is stated.
    """
    tempos = {0: first} | {tick: micro / 1e6 for tick, micro in changes if tick >= 0 and micro > 0}
    ticks = [
        t
        for i, t in enumerate(sorted(tempos))
        if i == 0 or tempos[t] != tempos[sorted(tempos)[i - 1]]
    ]
    return TempoMap(np.array(ticks) / tpq, np.array([tempos[t] for t in ticks]))


def _time_signatures(score: Any, tpq: int) -> list[tuple[float, int, int]]:
    rows = [(t.time / tpq, t.numerator, t.denominator) for t in score.time_signatures]
    return [
        row
        for row in rows
        if 0 <= row[0] <= MAX_QUARTERS and 1 <= row[1] <= 255 and 1 <= row[2] <= 128
    ]


def _key_signatures(score: Any, tpq: int) -> tuple[tuple[float, int, bool], ...]:
    rows = {
        k.time / tpq: (int(k.key), bool(k.tonality == 1))
        for k in score.key_signatures
        if -7 <= k.key <= 7
    }
    found: list[tuple[float, int, bool]] = []
    for position, (fifths, minor) in sorted(rows.items()):
        if not found or found[-1][1:] != (fifths, minor):
            found.append((position, fifths, minor))
    return tuple(found)
