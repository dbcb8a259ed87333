"""Make sound, a piano roll and a page of any file of music, or of an earlier arrangement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from styletransfer.errors import InputError
from styletransfer.files import check_writable, refuse_overwriting_inputs, write_bytes
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.formats.read import read_song
from styletransfer.music.melody import marked
from styletransfer.music.notes import Piece
from styletransfer.music.pick_up import with_pick_up
from styletransfer.outputs.piano_roll import piano_roll
from styletransfer.outputs.sound import FORMATS, find_soundfont, play, playable
from styletransfer.transfer.performance.pianist import notate
from styletransfer.transfer.result import title_of
from styletransfer.transfer.rework import feel_of, read_earlier
from styletransfer.transfer.sidecar import midi_of, report_beside

ROLL = ".png"


@dataclass(frozen=True)
class Opened:
    """A file of music that was read.

    ``file``: its name; of a sidecar, that of its MIDI file. ``piece``: what is in it, with its
    melody marked. ``midi``: the bytes that are played. ``page``: the piece as a page has it, or
    None where its notes lie on no beats.
    """

    file: str
    piece: Piece
    title: str
    midi: bytes
    page: Piece | None

    def check(
        self, paths: Sequence[Path], force: bool = False, soundfont: str | Path | None = None
    ) -> None:
        """Refuse now what could not be written.

        Raises:
            InputError: as :func:`render`.
        """
        from styletransfer.engraving.files import NEEDS, XML_SUFFIXES, check_format

        refuse_overwriting_inputs(paths, [self.file])
        for path in paths:
            suffix = path.suffix.lower()
            if suffix in FORMATS:
                find_soundfont(soundfont)
            elif suffix in (*XML_SUFFIXES, *NEEDS):
                check_format(path, force)
                if self.page is None:
                    raise InputError(
                        f"{self.file}: its notes lie on no beats, so there is no score of it."
                    )
            elif suffix != ROLL:
                kinds = (*FORMATS, ROLL, *XML_SUFFIXES, *NEEDS)
                raise InputError(f"{path}: give a name that ends in one of {', '.join(kinds)}.")
            check_writable(path, force)

    def save(self, path: Path, *, force: bool = False, soundfont: str | Path | None = None) -> Path:
        """Write it as sound, piano roll or score, by the path's suffix, and return the path.

        Raises:
            InputError: as :func:`render`.
        """
        self.check([path], force, soundfont)
        suffix = path.suffix.lower()
        if suffix in FORMATS:
            data = play(self.midi, find_soundfont(soundfont), self.file, suffix)
        elif suffix == ROLL or self.page is None:
            data = piano_roll(self.piece, self.title)
        else:
            from styletransfer.engraving.files import score_bytes

            data = score_bytes(self.page, path, self.title)
        write_bytes(path, data, force)
        return path


def render(
    file: str | Path,
    *paths: str | Path,
    melody_track: str | None = None,
    soundfont: str | Path | None = None,
    force: bool = False,
) -> list[Path]:
    """Write a file of music as sound, piano roll or score, by the suffix of each path.

    Args:
        file: as :func:`open_file` takes it.
        paths: ``.wav``, ``.flac``, ``.ogg``, ``.mp3``; ``.png``; ``.musicxml``, ``.xml``, ``.svg``,
            ``.pdf``.
        melody_track: the name or number of the part with the melody, if it isn't to be found.
        soundfont: an .sf2 file.
        force: whether existing files may be replaced.

    Returns:
        The paths.

    Raises:
        InputError: where the file can't be read, or before anything is written, where a path has
            another suffix, exists (without ``force``), can't be written or is the file itself,
            where there is no soundfont, or where the notes lie on no beats and a score is wanted.
    """
    opened, targets = open_file(file, melody_track), [Path(path) for path in paths]
    opened.check(targets, force, soundfont)
    return [opened.save(path, force=force, soundfont=soundfont) for path in targets]


def open_file(file: str | Path, melody_track: str | None = None) -> Opened:
    """Open a song in any format, an example's name, an earlier arrangement, or its sidecar.

    A MIDI file is played as it is, with its own instruments, and anything else by a piano. An
    earlier arrangement has the title and the page that it had when it was made.

    Raises:
        InputError: where it can't be read, or a sidecar's MIDI file isn't beside it.
    """
    path = Path(file)
    if path.suffix.lower() == ".json":
        path = midi_of(path)
    name = str(file) if path == Path(file) else str(path)

    report = report_beside(path) if path.is_file() else None
    if report is not None:
        feel = feel_of(name)
        piece, _ = read_earlier(name, "performance" if feel == "performance" else "score")
        title = title_of(piece, name, str(report["style"]))
        page = notate(piece, None) if feel == "played" else piece
    else:
        piece = marked(with_pick_up(read_song(name)), melody_track)
        title, page = title_of(piece, name), piece

    midi = path.read_bytes() if path.is_file() else b""
    if not midi.startswith(b"MThd"):
        midi = midi_bytes(piece)
    elif not playable(midi):
        remark = "the file is damaged, so that what could be read of it is played by a piano"
        midi, piece = midi_bytes(piece), replace(piece, remarks=(*piece.remarks, remark))
    return Opened(name, piece, title, midi, page if page.feel == "score" else None)
