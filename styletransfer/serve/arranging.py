"""The server's long jobs: arrangements, rewritten bars, and training."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer.errors import InputError
from styletransfer.files import write_bytes
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.music.notes import NoteTable, Piece
from styletransfer.outputs.plan import Outputs
from styletransfer.serve.keeping import keep
from styletransfer.serve.leftovers import mark_work, remove_work
from styletransfer.serve.reading import first_bar, note_rows
from styletransfer.serve.samples import TUNE
from styletransfer.serve.settings import ARRANGEMENT
from styletransfer.transfer.request import request_of

if TYPE_CHECKING:
    from styletransfer.serve.call import Call

MOST_FILES, MOST_UNPACKED = 5_000, 1 << 30
"""The most files of an archive to learn from, and bytes of all of them."""


def prepare(model: Path | None) -> None:
    """Load what every arrangement needs."""
    from styletransfer.model.loading import load_model
    from styletransfer.transfer import pipeline  # noqa: F401  # torch, before anyone waits for it

    with suppress(InputError):  # the first job reports it again
        load_model(model)


@dataclass(frozen=True)
class Telling:
    """Reports the notes of an arrangement to the server while it is made."""

    call: Call

    def tune(self, melody: Piece) -> None:
        """Report the melody."""
        self.call.say("melody", notes=note_rows(melody))

    def bar(self, phrase: int, candidate: int, bar: int, notes: NoteTable, time: Piece) -> None:
        """Report a bar of a candidate, numbered as on the page."""
        rows = note_rows(replace(time, notes=notes))
        number = bar + first_bar(time)
        self.call.say("notes", candidate=candidate, phrase=phrase, bar=number, notes=rows)

    def chosen(self, phrase: int, candidate: int) -> None:
        """Report which candidate continues."""
        self.call.say("chosen", phrase=phrase, candidate=candidate)


def arrange(
    call: Call,
    folder: str,
    about: dict[str, Any],
    song: dict[str, Any],
    style: str,
    options: dict[str, Any],
) -> dict[str, Any] | None:
    """Make an arrangement, or rewrite bars of an earlier one, in a new folder.

    Args:
        call: the task.
        folder: of the new version.
        about: what else the version object states: its id, its parent's and the song's, its name.
        song: what a request names: ``song`` (a file or an example) or ``chords``.
        style: its name, or a blend.
        options: others of :func:`styletransfer.transfer.request.options`.

    Returns:
        The version object of the API; None where it was stopped before there was
        anything.

    Raises:
        InputError: as :func:`styletransfer.transfer.pipeline.apply`.
    """
    from styletransfer.transfer.pipeline import apply

    chosen = {key: value for key, value in (song | options).items() if key != "song"}
    request = request_of(song.get("song"), style, call.model, **chosen)
    place = Path(folder)
    place.mkdir()
    try:
        try:
            result = apply(request, call.progress, partial=True, live=Telling(call))
        except KeyboardInterrupt:
            shutil.rmtree(place)
            return None
        Outputs(place / ARRANGEMENT, with_sidecar=True).write(result)
        return keep(result, place, about)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def sample(call: Call, target: str, style: str) -> dict[str, Any] | None:
    """Arrange four bars of a tune in a style, and keep them as a MIDI file.

    Returns:
        Its path; None where it was stopped.
    """
    from styletransfer.transfer.pipeline import apply

    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        song = Path(folder) / "sample.abc"
        song.write_text(TUNE, encoding="utf-8")
        request = request_of(str(song), style, call.model, candidates=1, feel="performance")
        try:
            result = apply(request, call.progress)
        except KeyboardInterrupt:
            return None
    write_bytes(path, midi_bytes(result.piece), force=True)
    return {"path": target}


def train(call: Call, source: str, name: str, era: str, minutes: float) -> dict[str, Any] | None:
    """Learn a style from the files in a folder, or an archive.

    Args:
        call: the task; its progress counts reading, then learning.
        source: a folder or archive of the server's own, which is removed.
        name: of the style.
        era: as a control token has it.
        minutes: of training, at the most.

    Returns:
        The style's name; None where it was stopped.

    Raises:
        InputError: as :func:`styletransfer.training.user_style.finetune_source`.
    """
    from styletransfer.model.loading import shipped_model
    from styletransfer.training.finetune import FinetuneConfig
    from styletransfer.training.user_style import Reporter, finetune_source

    @contextmanager
    def bar(title: str) -> Iterator[Any]:
        call.say("stage", title=title)
        yield call.progress

    place = Path(source)
    mark_work(name)
    try:
        _check_archive(place)
        finetune_source(
            source,
            name,
            FinetuneConfig(),
            call.model or shipped_model(),
            era=era,
            minutes=minutes,
            reporter=Reporter(
                say=lambda sentence: call.say("remark", text=sentence.replace(f"{source}/", "")),
                bar=bar,
            ),
        )
    except KeyboardInterrupt:
        return None
    except InputError as error:
        raise InputError(str(error).replace(source, "your pieces")) from None
    finally:
        shutil.rmtree(place.parent, ignore_errors=True)
        remove_work(name)
    return {"style": name}


def _check_archive(path: Path) -> None:
    if path.suffix != ".zip":
        return
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [item.file_size for item in archive.infolist()]
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError("the archive can't be read as .zip; pack it again.") from error
    if len(sizes) > MOST_FILES or sum(sizes) > MOST_UNPACKED:
        raise InputError(
            f"the archive holds more than {MOST_FILES:,} files or a gigabyte; give fewer pieces."
        )
