"""The command ``render``: sound, piano roll and score of any file of music."""

from __future__ import annotations

import json
from pathlib import Path

from styletransfer.engraving.files import check_format
from styletransfer.files import check_suffix
from styletransfer.outputs.render import ROLL, Opened, open_file
from styletransfer.outputs.sound import FORMATS
from styletransfer.terminal import print


def print_rendering(
    file: str,
    melody_track: str | None,
    paths: tuple[Path | None, Path | None, Path | None],
    soundfont: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a file as sound, piano roll and score, and print what was written.

    Args:
        file: a song, an earlier arrangement, or its sidecar.
        melody_track: the part with the melody, if it isn't to be found.
        paths: the sound, the piano roll and the score; without any, all three get default names.
        soundfont: for the sound.
        force: whether existing files may be replaced.
        as_json: print a report as JSON, and nothing else.

    Raises:
        InputError: where the file can't be read, or one of the others can't be written.
    """
    audio, plot, score = paths
    if audio is not None:
        check_suffix(audio, *FORMATS)
    if plot is not None:
        check_suffix(plot, ROLL)
    if score is not None:
        check_format(score, force)

    opened = open_file(file, melody_track)
    remarks = list(opened.piece.remarks)
    chosen = [path for path in paths if path is not None]
    if not chosen:
        chosen = _default_paths(opened)
        if opened.page is None:
            remarks.append("There is no score, because the notes lie on no beats.")
    opened.check(chosen, force, soundfont)
    for path in chosen:
        opened.save(path, force=force, soundfont=soundfont)

    if as_json:
        report = {
            "input": file,
            "title": opened.title,
            "notes": len(opened.piece.notes),
            "seconds_of_music": round(opened.piece.length_seconds, 2),
            "outputs": [str(path) for path in chosen],
            "remarks": remarks,
        }
        print(json.dumps(report))
        return
    for line in [*remarks, *map(str, chosen)]:
        print(line)


def _default_paths(opened: Opened) -> list[Path]:
    """Name the files in the current folder: song.wav, song.png and song.musicxml.

    What the opened file is already is left out.
    """
    stem = Path(opened.file).stem
    suffixes = (".wav", ROLL) if opened.page is None else (".wav", ROLL, ".musicxml")
    own = Path(opened.file).suffix.lower()
    return [Path(f"{stem}{suffix}") for suffix in suffixes if suffix != own]
