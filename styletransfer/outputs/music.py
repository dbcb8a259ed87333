"""Give Python and notebooks music: a result that can be saved and shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from styletransfer.outputs.notebook import html_of
from styletransfer.outputs.save import save
from styletransfer.transfer.result import Result


@dataclass(frozen=True)
class Music(Result):
    """An arrangement that can be saved as any kind of file, and shown in a notebook."""

    @classmethod
    def of(cls, result: Result) -> Music:
        """Make music of a result."""
        return cls(**vars(result))

    def save(
        self,
        path: str | Path,
        *,
        force: bool = False,
        soundfont: str | Path | None = None,
        symbols: bool = False,
    ) -> Path:
        """Write it in the format that the file's suffix names.

        MIDI, sound, picture, score or sidecar; see :mod:`styletransfer.outputs.save`.
        """
        return save(self, path, force, soundfont, symbols)

    def __str__(self) -> str:
        """Describe it in five lines."""
        report = self.report
        kept = "no melody"
        if report.get("melody_notes"):
            kept = f"{report['melody_notes_kept']}/{report['melody_notes']} melody notes kept"
        return "\n".join(
            [
                self.title,
                f"{kept}, {report['notes']} notes in all",
                f"{report['key'] or 'no key'}, {report['seconds_of_music']:.0f} s of music",
                f"--style {report['style']} --seed {report['seed']}",
                "save() writes it as .mid, .wav, .png, .musicxml, .json and others",
            ]
        )

    def _repr_html_(self) -> str:
        """Show the piano roll and a player in a notebook."""
        return html_of(self)
