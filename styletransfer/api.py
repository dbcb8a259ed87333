"""Call the command ``apply`` from Python; see :class:`StyleTransfer`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer.transfer.request import options, request_of

if TYPE_CHECKING:
    from styletransfer.outputs.music import Music


@dataclass(frozen=True)
class StyleTransfer:
    """A model that arranges songs in styles; its folder, or None for the shipped one.

    >>> from styletransfer import StyleTransfer
    >>> music = StyleTransfer.from_pretrained().apply("song.mid", style="bach")
    >>> music.save("song-bach.mid")
    """

    model: Path | None = None

    def __post_init__(self) -> None:
        if self.model is not None:
            # A string is accepted, too; the dataclass is frozen.
            object.__setattr__(self, "model", Path(self.model))

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> StyleTransfer:
        """Load a model's folder, as ``--model`` takes it, or the shipped one.

        Raises:
            InputError: where it is no such folder, is damaged, or its model can't follow a melody.
        """
        from styletransfer.model.loading import melody_codec

        path = Path(folder) if folder is not None else None
        melody_codec(path)
        return cls(path)

    def apply(
        self,
        song: str | Path | None,
        style: str | Path,
        progress: Callable[[float], None] | None = None,
        **chosen: Any,
    ) -> Music:
        """Arrange a song for piano in a style: the melody stays, everything else is new.

        The melody stays note for note. The other keywords are the options of the
        command ``apply``, with their names and defaults.

        Args:
            song: a file or an example's name, or None for ``chords`` by themselves.
            style: a style's name, folder or Hub id, the file of a piece to follow, or a blend.
            progress: called with the share that is done.

        Raises:
            InputError: where the song can't be read or has no melody, there is no such style, or an
                option can't have a value.
            TypeError: where there is no such option.
        """
        from styletransfer.outputs.music import Music
        from styletransfer.transfer.pipeline import apply

        return Music.of(apply(request_of(song, style, self.model, **chosen), progress))


_own = signature(StyleTransfer.apply)
_named = [
    Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in options().items()
]
StyleTransfer.apply.__signature__ = _own.replace(  # type: ignore[attr-defined]  # what help() and notebooks show
    parameters=[
        *(item for item in _own.parameters.values() if item.kind is not Parameter.VAR_KEYWORD),
        *_named,
    ]
)
