"""What is made of a version or a song on request.

These are pages, files, sound, and an assessment.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer.engraving.files import NEEDS, pages_with_times
from styletransfer.errors import InputError
from styletransfer.files import write_bytes
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.formats.read import read_song
from styletransfer.music.copies import shipped_copies
from styletransfer.music.notes import Piece
from styletransfer.outputs.save import save
from styletransfer.outputs.sound import find_soundfont, play
from styletransfer.serve.keeping import SIDECAR, kept
from styletransfer.serve.reading import first_bar, marked_song
from styletransfer.serve.settings import ARRANGEMENT, TIMES
from styletransfer.styles.blend import parse_style
from styletransfer.styles.names import song_title

if TYPE_CHECKING:
    from styletransfer.serve.call import Call

TYPES = ("mid", "musicxml", "svg", "pdf", "wav", "ogg", "mp3", "json", "png")


def available() -> list[str]:
    """List the kinds of files that can be made here."""
    missing = {
        suffix[1:]
        for suffix, names in NEEDS.items()
        if any(importlib.util.find_spec(name) is None for name in names)
    }
    return [kind for kind in TYPES if kind not in missing]


def export(call: Call, folder: str, kind: str) -> str:
    """Make a file of a version, once, and return its name in the folder.

    Raises:
        InputError: where it has no such file, or a package is missing.
    """
    place = Path(folder)
    if kind == "mid":
        return ARRANGEMENT
    if kind == "json":
        return SIDECAR
    target = place / f"export.{kind}"
    if target.exists():
        return target.name
    try:
        if kind in ("wav", "ogg", "mp3"):
            midi, suffix = (place / ARRANGEMENT).read_bytes(), f".{kind}"
            write_bytes(target, play(midi, find_soundfont(), "the arrangement", suffix), True)
        else:
            symbols = kind in ("musicxml", "svg", "pdf")
            save(kept(place), target, force=True, symbols=symbols)
    except InputError as error:
        raise InputError(str(error).replace(str(target), f"a .{kind} file")) from None
    return target.name


def sound(call: Call, path: str, target: str, song: str | None = None) -> str:
    """Play a MIDI file, or a song, into a WAV file, once."""
    if not Path(target).exists():
        data = Path(path).read_bytes() if song is None else midi_bytes(read_song(song, silent=True))
        write_bytes(target, play(data, find_soundfont(), "the song"), True)
    return target


def version_pages(call: Call, folder: str, layout: str) -> int:
    """Engrave a version as SVG pages with its notes' times; return how many."""
    place = Path(folder) / f"pages-{layout}"
    if not (place / TIMES).exists():
        data = (Path(folder) / export(call, folder, "musicxml")).read_bytes()
        result = kept(Path(folder))
        _write_pages(data, result.piece, place, layout)
    return _count(place)


def song_pages(
    call: Call, folder: str, song: str, track: str | None, title: str, layout: str, mark: str
) -> int:
    """Engrave a song, likewise; ``mark`` distinguishes readings of it."""
    from styletransfer.engraving.files import score_bytes

    place = Path(folder) / f"pages-{layout}-{mark}"
    if not (place / TIMES).exists():
        piece = marked_song(song, track)
        if piece.feel != "score":
            raise InputError("its notes lie on no beats, so there are no pages of it.")
        named = song_title(piece.title, title)
        _write_pages(score_bytes(piece, Path("song.musicxml"), named), piece, place, layout)
    return _count(place)


def _write_pages(musicxml: bytes, piece: Piece, place: Path, layout: str) -> None:
    pages, times = pages_with_times(musicxml, layout)
    place.mkdir(exist_ok=True)
    for number, page in enumerate(pages, 1):
        write_bytes(place / f"{number}.svg", page, True)
    start = max(float(piece.bars["start"][0]), 0.0) if len(piece.bars) else 0.0
    rows = [
        {
            "seconds": round(float(piece.seconds_at(start + row["quarter"])), 4),
            "on": row["on"],
            "off": row["off"],
            "bar": row["bar"] + first_bar(piece),
        }
        for row in times
    ]
    write_bytes(place / TIMES, json.dumps(rows).encode(), True)


def _count(place: Path) -> int:
    return len(list(place.glob("*.svg")))


def assess_version(call: Call, folder: str, song: str | None, style: str) -> dict[str, Any]:
    """Return the judges' verdict on a version, and what it kept of the song.

    It comes with its evidence. The keys are those of ``evaluate --json``; those about the song are
    missing where the song isn't kept any longer.

    Raises:
        InputError: where it has too few notes to be judged.
    """
    from styletransfer.evaluation.assessment import assess, label_of

    path = str(Path(folder) / ARRANGEMENT)
    labels = [label_of(one.composer, one.era) for one, _ in parse_style(style)]
    label = next(filter(None, labels), None)
    there = song is not None and (Path(song).exists() or not Path(song).is_absolute())
    piece, original = read_song(path), read_song(str(song)) if there else None
    played = original is not None and original.feel == "score" and piece.feel == "performance"
    try:
        found = assess(
            piece,
            original=original,
            on_beats=read_song(path, "score") if played else None,
            index=shipped_copies(),
            label=label,
        )
    except InputError as error:
        raise InputError(str(error).replace(path, "the arrangement")) from None
    return found.report(label)
