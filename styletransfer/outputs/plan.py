"""Plan the files that a command writes.

They are checked before the work, written after it, and announced at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer.errors import InputError
from styletransfer.files import (
    MIDI_SUFFIXES,
    NO_SCORE,
    OTHER_SUFFIXES,
    check_suffix,
    check_writable,
    refuse_overwriting_inputs,
)
from styletransfer.terminal import print

if TYPE_CHECKING:
    from styletransfer.transfer.request import Request
    from styletransfer.transfer.result import Result


@dataclass(frozen=True)
class Outputs:
    """The paths that are written.

    ``audio``, ``plot`` and ``score`` are of the best candidate; ``soundfont`` is for the audio, and
    ``symbols`` puts the harmony above the score. ``force``: replace existing files. ``every``: with
    more than 0, so many candidates get a MIDI file each, by their rank. ``with_sidecar``: whether a
    sidecar is written beside the MIDI file.
    """

    midi: Path
    audio: Path | None = None
    plot: Path | None = None
    soundfont: Path | None = None
    force: bool = False
    every: int = 0
    with_sidecar: bool = False
    score: Path | None = None
    symbols: bool = False

    def __post_init__(self) -> None:
        if self.symbols and self.score is None:
            raise InputError(f"--chord-symbols without --score: {NO_SCORE}")

    @property
    def midis(self) -> list[Path]:
        """The MIDI files: song.mid, or song-1.mid and so on by rank."""
        suffix = self.midi.suffix if self.midi.suffix.lower() in MIDI_SUFFIXES else ""
        ranks = range(1, self.every + 1)
        return [self.midi.with_name(f"{self._stem}-{rank}{suffix}") for rank in ranks] or [
            self.midi
        ]

    @property
    def sidecar(self) -> Path | None:
        """The sidecar: song.json for song.mid."""
        return self.midi.with_name(f"{self._stem}.json") if self.with_sidecar else None

    @property
    def paths(self) -> list[Path]:
        """All files that are written."""
        return [
            path
            for path in (*self.midis, self.sidecar, self.audio, self.plot, self.score)
            if path is not None
        ]

    @property
    def _stem(self) -> str:
        return self.midi.stem if self.midi.suffix.lower() in MIDI_SUFFIXES else self.midi.name

    def named(self, name: str) -> Outputs:
        """Name the outputs of one of several songs; ``self`` has folders for files."""
        kinds = ((self.audio, ".wav"), (self.plot, ".png"), (self.score, ".musicxml"))
        audio, plot, score = (folder and folder / f"{name}{suffix}" for folder, suffix in kinds)
        return replace(self, midi=self.midi / f"{name}.mid", audio=audio, plot=plot, score=score)

    def check(self, request: Request | None, given: Iterable[str | Path]) -> None:
        """Refuse now what would fail later, or overwrite a file that was ``given``.

        Such are unwritable places, existing files, a missing soundfont, and a score without beats.

        Raises:
            InputError: naming the file.
        """
        if not self.midi.name:
            raise InputError(f"{self.midi}: it is no file name; name the file to write.")
        if self.midi.suffix.lower() in OTHER_SUFFIXES:
            raise InputError(
                f"{self.midi}: -o names the MIDI file;"
                " name other files with --audio, --plot and --score."
            )
        refuse_overwriting_inputs(self.paths, given)
        places = [os.path.realpath(path) for path in self.paths]
        for path, place in zip(self.paths, places, strict=True):
            check_writable(path, self.force)
            if places.count(place) > 1:
                raise InputError(
                    f"{path}: two outputs would be written to it; give them different names."
                )
        if self.plot is not None:
            check_suffix(self.plot, ".png")
        if self.audio is not None:
            from styletransfer.outputs.sound import FORMATS, find_soundfont

            check_suffix(self.audio, *FORMATS)
            find_soundfont(self.soundfont)
        if self.score is not None and request is not None and not request.song:
            from styletransfer.engraving.files import check_format

            check_format(self.score, self.force)
        elif self.score is not None and request is not None:
            from styletransfer.engraving.files import check_score
            from styletransfer.transfer.rework import feel_of

            # An earlier output's feel is in its sidecar; played notes don't lie on the beats.
            feel = request.feel if request.bars is None else feel_of(request.song, request.feel)
            if request.bars is not None and feel == "performance":
                raise InputError(
                    f"{request.song}: its notes lie on no beats, so it cannot become a score;"
                    " leave --score out."
                )
            check_score(self.score, request.song, "score" if feel == "played" else feel, self.force)

    def report_of_files(self, result: Result) -> dict[str, Any]:
        """Name the files, for a report."""
        report: dict[str, Any] = {"output": str(self.midis[0])}
        if self.every:
            report["outputs"] = [
                {"file": str(path), "candidate": k} for path, k in self._files(result)
            ]
        if self.sidecar:
            report["sidecar"] = str(self.sidecar)
        return report

    def write(self, result: Result, report: dict[str, Any] | None = None) -> None:
        """Write everything; the sidecar carries the report."""
        from styletransfer.files import write_bytes
        from styletransfer.formats.midi_out import write_midi

        files = self._files(result)
        for path, k in files:
            write_midi(
                result.candidates[k] if result.candidates else result.piece, path, force=self.force
            )
        if self.sidecar is not None:
            from styletransfer.transfer.sidecar import sidecar_of

            data = sidecar_of(
                result, [(path.name, k) for path, k in files], report or result.report
            )
            write_bytes(self.sidecar, data, self.force)
        if self.audio is not None or self.plot is not None:
            from styletransfer.outputs.piano_roll import plot_piano_roll
            from styletransfer.outputs.sound import render_audio

            if self.audio is not None:
                render_audio(self.midis[0], self.audio, self.soundfont, force=self.force)
            if self.plot is not None:
                plot_piano_roll(result.piece, self.plot, title=result.title, force=self.force)
        if self.score is not None:
            from styletransfer.outputs.save import save

            save(result, self.score, self.force, symbols=self.symbols)

    def announce(self, result: Result) -> None:
        """Print the names of all files; of several candidates their scores as well."""
        scores = (
            {path: result.report["candidates"][k]["total"] for path, k in self._files(result)}
            if self.every
            else {}
        )
        for path in self.paths:
            print(f"{path}  score {scores[path]:.3f}" if path in scores else path)

    def _files(self, result: Result) -> list[tuple[Path, int]]:
        """Return the MIDI files and the numbers of their candidates."""
        return list(zip(self.midis, result.ranking if result.candidates else [0], strict=False))
