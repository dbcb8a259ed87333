"""MIDI files made byte by byte for tests, without any of the code under test."""

from __future__ import annotations

END = b"\x00\xff\x2f\x00"


def variable(number: int) -> bytes:
    """Write a number in MIDI's variable-length form."""
    out = [number & 127]
    while number := number >> 7:
        out.append(128 | (number & 127))
    return bytes(reversed(out))


def midi(*tracks: bytes, kind: int = 1, division: int = 480) -> bytes:
    """Write a MIDI file of these track contents, each with an end-of-track event."""
    header = (
        b"MThd"
        + (6).to_bytes(4, "big")
        + b"".join(n.to_bytes(2, "big") for n in (kind, len(tracks), division))
    )
    return header + b"".join(b"MTrk" + len(t + END).to_bytes(4, "big") + t + END for t in tracks)


def note(pitch: int, ticks: int, wait: int = 0, channel: int = 0, velocity: int = 64) -> bytes:
    """Write a note of ``ticks`` that begins ``wait`` ticks after the last event."""
    on, off = bytes((0x90 | channel, pitch, velocity)), bytes((0x80 | channel, pitch, 0))
    return variable(wait) + on + variable(ticks) + off


def meta(kind: int, payload: bytes, wait: int = 0) -> bytes:
    """Write a meta event."""
    return variable(wait) + bytes((0xFF, kind)) + variable(len(payload)) + payload


def metre(numerator: int, log2_denominator: int, wait: int = 0) -> bytes:
    """Write a time signature."""
    return meta(0x58, bytes((numerator, log2_denominator, 24, 8)), wait)


def tempo(microseconds: int, wait: int = 0) -> bytes:
    """Write a tempo in microseconds per quarter."""
    return meta(0x51, microseconds.to_bytes(3, "big"), wait)


def scale(count: int = 8, ticks: int = 480, channel: int = 0) -> bytes:
    """Write ``count`` notes from middle C upwards, without gaps."""
    return b"".join(note(60 + i, ticks, channel=channel) for i in range(count))
