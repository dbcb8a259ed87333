"""Read a track of a MIDI file, event by event.

What is read are its name, its words, and what symusic would trip over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from styletransfer.music.part_names import decoded

_TEXT, _NAME, _LYRIC = 0x01, 0x03, 0x05
_SIZES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_SYSTEM_SIZES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_LATEST = 1 << 40


class Track(NamedTuple):
    """A track's events as bytes for symusic, its name, and the ticks of its syllables.

    ``lyrics`` are those of lyric events, ``texts`` those of texts, in which files for karaoke have
    theirs. ``channels`` are those that play notes.
    """

    data: bytes
    name: str
    lyrics: tuple[int, ...]
    texts: tuple[int, ...]
    channels: frozenset[int]


def track_of(data: bytes) -> Track:
    """Make a track of its events.

    A change of program after the first note of its channel is left out, so that the track stays one
    part, and values beyond 127 become 127. A damaged track is handed on as it is: symusic refuses
    it.
    """
    names: list[bytes] = []
    syllables: dict[int, list[int]] = {_LYRIC: [], _TEXT: []}
    channels = set[int]()
    tick = 0
    copy = _Copy(data)
    try:
        for begin, event, end, wait, status, content in _events(data):
            tick += wait
            if tick > _LATEST:
                raise ValueError("too late")
            if status == 0xFF:
                kind, text = content[0], content[1:]
                if kind == _NAME:
                    names.append(text)
                elif kind in syllables and text.strip() and text[:1] != b"@":
                    syllables[kind].append(tick)
            elif status < 0xF0:
                channel = status & 0x0F
                if status & 0xF0 == 0x90 and content[1]:
                    channels.add(channel)
                if status & 0xF0 == 0xC0 and channel in channels:
                    copy.leave_out(begin, end, wait)
                    continue
                if max(content) > 127:
                    clipped = bytes((status, *(min(value, 127) for value in content)))
                    copy.put(begin, end, wait, clipped)
                    continue
            if copy.waited:  # the time of what was left out
                copy.put(begin, end, wait, _whole(data[event:end], status))
        data = copy.whole()
    except (IndexError, KeyError, ValueError):
        pass

    lyrics, texts = (tuple(ticks) for ticks in syllables.values())
    return Track(data, decoded(names[0]) if names else "", lyrics, texts, frozenset(channels))


class _Copy:
    """A copy of a track's events, some left out or replaced, in the same time."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.kept = bytearray()
        self.copied = 0  # the data are copied up to here
        self.waited = 0  # ticks before the next event, of those left out before it

    def leave_out(self, begin: int, end: int, wait: int) -> None:
        self.kept += self.data[self.copied : begin]
        self.copied, self.waited = end, self.waited + wait

    def put(self, begin: int, end: int, wait: int, event: bytes) -> None:
        """Replace an event by another one."""
        self.leave_out(begin, end, wait)
        self.kept += _as_variable(self.waited) + event
        self.waited = 0

    def whole(self) -> bytes:
        return bytes(self.kept + self.data[self.copied :]) if self.copied else self.data


def _events(data: bytes) -> Iterator[tuple[int, int, int, int, int, bytes]]:
    """Yield a track's events.

    Each is a tuple: where it begins, where it begins without its wait, where it ends, the wait in
    ticks, its status, and the values of a channel's event, or the kind and text of a meta event.

    Raises:
        IndexError, KeyError, ValueError: where they are damaged.
    """
    at = status = 0
    size = len(data)
    while at < size:
        begin = at
        wait, at = _variable(data, at)
        event, content = at, b""
        if data[at] & 0x80:
            status, at = data[at], at + 1
        if status == 0xFF:
            kind = data[at : at + 1]
            length, at = _variable(data, at + 1)
            content = kind + data[at : at + length]
            at += length
        elif status in {0xF0, 0xF7}:
            length, at = _variable(data, at)
            at += length
        elif status >= 0xF0:
            at += _SYSTEM_SIZES.get(status, 0)
        else:
            content = data[at : at + _SIZES[status & 0xF0]]
            at += len(content)
        yield begin, event, at, wait, status, content

    if at > size:
        raise ValueError("cut short")


def _variable(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length, and where it ends."""
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
    """Return an event with its status, which it may share with the one before it."""
    return event if event[0] & 0x80 else bytes((status,)) + event
