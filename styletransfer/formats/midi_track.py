"""A track of a MIDI file, event by event: its name, its words, and what symusic would trip over."""

from __future__ import annotations

from typing import NamedTuple

from styletransfer.music.part_names import decoded

_TEXT, _NAME, _LYRIC = 0x01, 0x03, 0x05
_SIZES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_SYSTEM_SIZES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_LATEST = 1 << 40


class Track(NamedTuple):
    """A track's events as bytes for symusic, its name, and the ticks at which syllables are sung.

    ``lyrics`` are those of lyric events, ``texts`` those of texts, in which files for karaoke have
    theirs. ``channels`` are those that play notes.
    """

    data: bytes
    name: str
    lyrics: tuple[int, ...]
    texts: tuple[int, ...]
    channels: frozenset[int]


def track_of(data: bytes) -> Track:
    """A track from its events.

    A change of program after the first note of its channel is left out, so that the track stays one
    part, and values beyond 127 become 127. A damaged track is handed on as it is: symusic refuses
    it.
    """
    kept = bytearray()
    names: list[bytes] = []
    syllables: dict[int, list[int]] = {_LYRIC: [], _TEXT: []}
    channels = set[int]()
    at = tick = copied = waited = status = 0
    changed = False
    size = len(data)
    try:
        while at < size:
            begin = at
            wait, at = _variable(data, at)
            tick += wait
            if tick > _LATEST:
                raise IndexError
            event = at
            if data[at] & 0x80:
                status, at = data[at], at + 1
            if status == 0xFF:
                kind, (length, at) = data[at], _variable(data, at + 1)
                text = data[at : at + length]
                at += length
                if kind == _NAME:
                    names.append(text)
                elif kind in syllables and text.strip() and text[:1] != b"@":
                    syllables[kind].append(tick)
            elif status in {0xF0, 0xF7}:
                length, at = _variable(data, at)
                at += length
            elif status >= 0xF0:
                at += _SYSTEM_SIZES.get(status, 0)
            else:
                values = data[at : at + _SIZES[status & 0xF0]]
                at += len(values)
                channel = status & 0x0F
                if status & 0xF0 == 0x90 and values[1]:
                    channels.add(channel)
                late_program = status & 0xF0 == 0xC0 and channel in channels
                if late_program or waited or max(values) > 127:
                    kept += data[copied:begin]
                    copied, changed = at, True
                    waited += wait
                    if not late_program:
                        kept += _as_variable(waited) + bytes(
                            (status, *(min(value, 127) for value in values))
                        )
                        waited = 0
                    continue
            if waited:  # a change was left out before: its time passes before this event
                kept += (
                    data[copied:begin]
                    + _as_variable(waited + wait)
                    + _whole(data[event:at], status)
                )
                copied, waited = at, 0
    except (IndexError, KeyError, ValueError):
        at = size + 1
    if changed and at == size:
        data = bytes(kept + data[copied:])
    lyrics, texts = (tuple(ticks) for ticks in syllables.values())
    return Track(data, decoded(names[0]) if names else "", lyrics, texts, frozenset(channels))


def _variable(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = 0
    for index in range(at, at + 5):
        value = value << 7 | data[index] & 0x7F
        if not data[index] & 0x80:
            return value, index + 1
    raise ValueError("no end")


def _as_variable(value: int) -> bytes:
    result = [value & 0x7F]
    while value := value >> 7:
        result.append(value & 0x7F | 0x80)
    return bytes(reversed(result))


def _whole(event: bytes, status: int) -> bytes:
    """An event with its status, which it may share with the one before it."""
    return event if event[0] & 0x80 else bytes((status,)) + event
