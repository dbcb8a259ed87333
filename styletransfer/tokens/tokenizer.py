"""What a tokenizer offers to training, measuring and generating.

There are two families. A subclass of :class:`~styletransfer.tokens.codec.Codec` lays music out bar
by bar and lets single notes be forced or forbidden, so that it can arrange a melody. A subclass of
:class:`PlainTokenizer` turns music into a stream of tokens and back, and composes freely.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import BarTable, Feel, NoteTable, Piece

Table = tuple[Feel, NoteTable, BarTable, float]
"""A bare piece: its feel, its notes in seconds (performance) or quarters (score), its bars, and
quarters per minute."""


class Tokenizer(ABC):
    """What every tokenizer has.

    Attributes:
        settings: the dataclass of its settings, its alone; a YAML file fills it.
        vocabulary: ids by name, among them the names of ``styletransfer.tokens.controls``.
        size: the number of tokens.
        hash: changes whenever the meaning of an id changes; weights refuse another tokenizer by it.
        pad, bos, eos: the ids of ``PAD``, ``BOS`` and ``EOS``.
    """

    settings: ClassVar[type]
    vocabulary: dict[str, int]
    size: int
    hash: str
    pad: int
    bos: int
    eos: int

    @classmethod
    @abstractmethod
    def make(cls, settings: Any, tables: Callable[[int], Iterable[Table]]) -> Self:
        """Make the tokenizer of a training run.

        Args:
            settings: of the class :attr:`settings`.
            tables: returns training pieces with about so many notes together, for a tokenizer that
                is learnt.
        """


class PlainTokenizer(Tokenizer):
    """A tokenizer that composes freely, but can't follow a melody.

    Attributes:
        file: the name of the file, beside the weights, that it is saved in; its alone, as models
            are recognised by it.
    """

    file: ClassVar[str]

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Self:
        """Load a tokenizer from the file that :meth:`to_json` gives.

        Raises:
            InputError: where it is no such file.
        """

    @abstractmethod
    def to_json(self) -> bytes:
        """Return the contents of :attr:`file`."""

    @abstractmethod
    def has(self, settings: Any) -> bool:
        """Return whether this tokenizer was made with these settings."""

    @abstractmethod
    def music(
        self, feel: Feel, notes: NoteTable, bars: BarTable, quarters_per_minute: float
    ) -> list[int]:
        """Return the tokens of a :data:`Table`, without control tokens and ``EOS``."""

    @abstractmethod
    def leading(self, music: Sequence[int]) -> list[int]:
        """Return the tokens at the head of :meth:`music`'s that every window is given."""

    @abstractmethod
    def opening(self, feel: Feel, quarters_per_minute: float = 120.0) -> list[int]:
        """Return the tokens that a piece begins with, after its control tokens."""

    @abstractmethod
    def decode(self, ids: Sequence[int], feel: Feel = "performance") -> Piece:
        """Decode a sequence to a piece; any sequence that may be sampled decodes."""

    @property
    @abstractmethod
    def follows(self) -> NDArray[np.bool_]:
        """Whether a token may follow another, shape (size, size), the row the one before."""

    @property
    @abstractmethod
    def seconds(self) -> NDArray[np.float64]:
        """By how many seconds each token moves a performance's time on, shape (size,)."""
