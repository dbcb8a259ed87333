"""Plain MidiTok: a TSD vocabulary with byte pair encoding, for language modelling.

This is the tokenizer of the starting project. A sequence is ``BOS feel [tempo] era composer``,
MidiTok's tokens of the piece (a TimeSig and a Tempo token first, where they are on), and ``EOS``.
Byte pair encoding merges tokens across notes (N. Fradet et al., "Byte pair encoding for symbolic
music", EMNLP 2023): no single note can be forced or forbidden while decoding, so that a model with
this tokenizer composes freely, but can't arrange a given melody.

Time is quarters, as in a MIDI file: a performance is laid out at 120 quarters per minute, as
MAESTRO's files are, so that a quarter is half a second.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.music.notes import (
    BarTable,
    Feel,
    NoteTable,
    Piece,
    TempoMap,
    bars_of,
    make_notes,
)
from styletransfer.tokens.codec import HIGHEST_PITCH, LOWEST_PITCH, CodecConfig, miditok_config
from styletransfer.tokens.controls import PLAIN_TOKENS
from styletransfer.tokens.tokenizer import PlainTokenizer, Table

TICKS_PER_QUARTER = 480
QUARTERS_PER_SECOND = 2
BAR_LINE = "BARLINE"
SPLIT_CHARACTER = "\u2581"
"""A token that MidiTok puts before each bar, as it merges within a bar only."""


@dataclass(frozen=True)
class MidiTokConfig:
    """MidiTok's settings for TSD.

    They are named as in ``miditok.TokenizerConfig`` without ``use_``. ``beat_res``: steps per beat
    as ((from, to), steps) pairs. ``velocities``: bins. ``bpe_vocabulary``: tokens after byte pair
    encoding, 0 for none. ``bpe_notes``: about how many notes of the training pieces it learns from.
    ``bpe_across_notes``: whether merged tokens may reach beyond one note's pitch, velocity and
    duration.
    """

    beat_res: tuple[tuple[tuple[int, int], int], ...] = (((0, 4), 8), ((4, 12), 4))
    velocities: int = 32
    chords: bool = True
    tempos: bool = True
    time_signatures: bool = True
    rests: bool = False
    bpe_vocabulary: int = 0
    bpe_notes: int = 1_000_000
    bpe_across_notes: bool = True


class MidiTokCodec(PlainTokenizer):
    """A MidiTok tokenizer with what training needs.

    ``parts`` holds the base tokens of each id: one, or several where they were merged (with merges,
    ``BARLINE`` stands before each bar). ``vocabulary`` maps names to ids: bare those of control
    tokens, all others in brackets.
    """

    settings: ClassVar[type] = MidiTokConfig
    file: ClassVar[str] = "tokenizer.json"

    def __init__(self, tokenizer: Any) -> None:
        from miditok.constants import CHR_ID_START

        self.tokenizer = tokenizer
        base = {index: str(name).removesuffix("_None") for name, index in tokenizer.vocab.items()}
        names = {chr(index + CHR_ID_START): name for index, name in base.items()} | {
            SPLIT_CHARACTER: BAR_LINE
        }
        learnt = tokenizer.vocab_model or {chr(index + CHR_ID_START): index for index in base}
        self.size = len(learnt)
        words = {index: word for word, index in learnt.items()}
        self.parts = [
            tuple(names[character] for character in words[index]) for index in range(self.size)
        ]
        self.vocabulary = {_name(parts): index for index, parts in enumerate(self.parts)}
        if len(self.vocabulary) != self.size:
            raise ValueError("two tokens of the vocabulary stand for the same")
        self.pad, self.bos, self.eos = (self.vocabulary[name] for name in ("PAD", "BOS", "EOS"))
        self.hash = hashlib.sha256(self.to_json()).hexdigest()[:16]

    @classmethod
    def make(cls, settings: MidiTokConfig, tables: Callable[[int], Iterable[Table]]) -> Self:
        """Make the tokenizer of a training run, from ``bpe_notes`` of its training pieces."""
        return cls.train(settings, tables(settings.bpe_notes))

    @classmethod
    def train(cls, config: MidiTokConfig, tables: Iterable[Table] = ()) -> Self:
        """Make a tokenizer whose merges are learnt from rows of :meth:`music`'s arguments."""
        from miditok import TSD

        tokenizer = TSD(_tokenizer_config(config))
        if not config.bpe_vocabulary:
            return cls(tokenizer)
        if config.bpe_vocabulary <= len(tokenizer):
            raise InputError(
                f"bpe_vocabulary {config.bpe_vocabulary}: "
                f"there are {len(tokenizer)} tokens without merges."
            )
        base = cls(tokenizer)
        words = [base._words(base.score(*table)) for table in tables]
        if not words:
            raise InputError("byte pair encoding needs pieces to learn from.")
        tokenizer.train(vocab_size=config.bpe_vocabulary, model="BPE", iterator=words)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a tokenizer from the file that :meth:`to_json` gives."""
        from miditok import TSD

        try:
            # MidiTok would take whatever is there
            if json.loads(path.read_bytes())["tokenization"] != "TSD":
                raise ValueError("not TSD")
            return cls(TSD(params=path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a tokenizer of MidiTok ({error})") from error

    def to_json(self) -> bytes:
        """Return MidiTok's own ``tokenizer.json`` without the versions of its libraries."""
        with tempfile.TemporaryDirectory() as folder:
            self.tokenizer.save(Path(folder) / self.file)
            data = json.loads((Path(folder) / self.file).read_text())
        return (
            json.dumps({key: data[key] for key in data if not key.endswith("_version")}) + "\n"
        ).encode()

    def has(self, config: MidiTokConfig) -> bool:
        """Return whether this tokenizer was made with these settings."""
        from miditok import TSD

        base = dict(TSD(_tokenizer_config(config)).vocab)
        same = self.tokenizer.config.encode_ids_split == _tokenizer_config(config).encode_ids_split
        return (
            same
            and base == dict(self.tokenizer.vocab)
            and self.size == max(config.bpe_vocabulary, len(base))
        )

    # --- music to tokens --------------------------------------------------------------------------

    def encode(self, piece: Piece, controls: Sequence[str] = ()) -> list[int]:
        """Encode a whole piece: control tokens, music, ``EOS``.

        Every note has its token; the time of a score begins at its first bar.
        """
        notes = piece.notes
        if piece.feel == "performance":
            notes = notes.copy()
            notes["onset"], notes["duration"] = piece.onset_seconds, piece.duration_seconds
        music = self.music(piece.feel, notes, piece.bars, piece.tempo.quarters_per_minute())
        return [*(self.vocabulary[name] for name in controls), *music, self.eos]

    def music(
        self, feel: Feel, notes: NoteTable, bars: BarTable, quarters_per_minute: float
    ) -> list[int]:
        """Return the tokens of a bare table, without control tokens.

        Its times are seconds (performance) or quarters (score).
        """
        if not len(notes):
            return []
        sequences = self.tokenizer.encode(self.score(feel, notes, bars, quarters_per_minute))
        return [int(index) for index in sequences[0].ids]

    def score(
        self, feel: Feel, notes: NoteTable, bars: BarTable, quarters_per_minute: float
    ) -> Any:
        """Return the table as a ``symusic.Score`` of one track."""
        import symusic

        scale = float(TICKS_PER_QUARTER * (QUARTERS_PER_SECOND if feel == "performance" else 1))
        begin = float(bars["start"][0]) if feel == "score" and len(bars) else 0.0
        onset = np.maximum(np.round((notes["onset"].astype(float) - begin) * scale), 0)
        duration = np.maximum(np.round(notes["duration"].astype(float) * scale), 1)
        pitch = notes["pitch"].astype(int)
        pitch = np.where(pitch < LOWEST_PITCH, pitch + 12 * -((pitch - LOWEST_PITCH) // 12), pitch)
        pitch = np.where(
            pitch > HIGHEST_PITCH, pitch - 12 * -((HIGHEST_PITCH - pitch) // 12), pitch
        )
        order = np.lexsort((pitch, duration, onset))  # as symusic sorts what it reads
        score: Any = symusic.Score(TICKS_PER_QUARTER)
        score.tempos.append(
            symusic.Tempo(0, 120.0 if feel == "performance" else quarters_per_minute)
        )
        for tick, numerator, denominator in self._metres(feel, bars, begin):
            score.time_signatures.append(symusic.TimeSignature(tick, numerator, denominator))
        track: Any = symusic.Track(name="piano")
        columns = {
            "time": onset,
            "duration": duration,
            "pitch": pitch,
            "velocity": notes["velocity"],
        }
        track.notes = symusic.Note.from_numpy(
            **{
                name: column[order].astype(np.int8 if name in ("pitch", "velocity") else np.int32)
                for name, column in columns.items()
            }
        )
        score.tracks.append(track)
        return score

    def _metres(self, feel: Feel, bars: BarTable, begin: float) -> Iterator[tuple[int, int, int]]:
        """Yield (tick, numerator, denominator) of each change of metre in the vocabulary.

        There is 4/4 at the start in any case.
        """
        known = (
            {tuple(pair) for pair in self.tokenizer.time_signatures}
            if self.tokenizer.config.use_time_signatures
            else set()
        )
        last = (4, 4)
        if feel == "performance" or not len(bars) or _metre(bars[0]) not in known:
            yield (0, 4, 4)
        else:
            last = (0, 0)
        if feel == "performance":
            return
        for bar in bars:
            if (metre := _metre(bar)) in known and metre != last:
                yield (round((float(bar["start"]) - begin) * TICKS_PER_QUARTER), *metre)
                last = metre

    def _words(self, score: Any) -> list[str]:
        """Return what byte pair encoding learns from, as strings of characters.

        Each string holds the tokens of a bar, or of a note.
        """
        from miditok.constants import CHR_ID_START

        sequence = self.tokenizer.encode(score, encode_ids=False)[0]
        if self.tokenizer.config.encode_ids_split == "bar":
            return [
                "".join(chr(i + CHR_ID_START) for i in part.ids)
                for part in sequence.split_per_bars()
                if len(part.ids)
            ]
        rest = {
            index
            for name, index in self.tokenizer.vocab.items()
            if name.split("_")[0] in ("Velocity", "Duration")
        }
        words: list[str] = []
        for index in sequence.ids:
            if index in rest:
                words[-1] += chr(index + CHR_ID_START)
            else:
                words.append(chr(index + CHR_ID_START))
        return words

    # --- tokens to music --------------------------------------------------------------------------

    def decode(self, ids: Sequence[int], feel: Feel = "performance") -> Piece:
        """Decode a sequence to a piece.

        Control tokens, and tokens that make no whole note, are passed over.
        """
        from miditok import TokSequence

        music = [int(index) for index in ids if not self.is_special[index]]
        sequence = TokSequence(ids=music, are_ids_encoded=bool(self.tokenizer.is_trained))
        score = self.tokenizer.decode([sequence])  # a list of our own: TSD.decode writes into it
        found: dict[str, Any] = {"time": [], "duration": [], "pitch": [], "velocity": []}
        if len(score.tracks):
            found = score.tracks[0].notes.numpy()
        ticks = score.ticks_per_quarter
        onset, duration = (np.asarray(found[name], float) / ticks for name in ("time", "duration"))
        notes = make_notes(
            onset, duration, np.asarray(found["pitch"], int), np.asarray(found["velocity"], int)
        )
        if feel == "performance":
            return Piece(notes, "performance", ticks_per_quarter=TICKS_PER_QUARTER)
        metres = [
            (row.time / ticks, row.numerator, row.denominator) for row in score.time_signatures
        ]
        end = float((onset + duration).max()) if len(notes) else 1.0
        tempo = TempoMap.steady(60.0 / score.tempos[0].tempo)
        return Piece(notes, "score", bars_of(metres, end), tempo, TICKS_PER_QUARTER)

    # --- what a sampler needs ---------------------------------------------------------------------

    @cached_property
    def is_special(self) -> NDArray[np.bool_]:
        """Which tokens are control tokens, shape (size,)."""
        return np.array([names[0] in PLAIN_TOKENS for names in self.parts])

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        """By how many seconds each token moves a performance's time on, shape (size,)."""
        return np.array([sum(map(_beats, names)) for names in self.parts]) / QUARTERS_PER_SECOND

    @cached_property
    def follows(self) -> NDArray[np.bool_]:
        """Whether a token may follow another, shape (size, size), the row the one before.

        MidiTok's graph of token types decides. Metre and tempo follow nothing, since they stand at
        the start of a piece only.
        """
        graph = {kind: set(after) for kind, after in self.tokenizer.tokens_types_graph.items()}
        begin = {"Pitch", "TimeShift"}
        graph |= {"TimeSig": begin, "Tempo": begin, BAR_LINE: {*graph["TimeShift"], BAR_LINE}}
        graph["TimeShift"].add(BAR_LINE)
        kinds = [[name.split("_")[0] for name in names] for names in self.parts]
        usable = np.array([not {"TimeSig", "Tempo"} & set(row) for row in kinds]) & ~self.is_special
        first = np.array([row[0] for row in kinds])
        starts = {
            kind: np.isin(first, sorted(graph.get(kind, begin))) & usable
            for kind in {row[-1] for row in kinds}
        }
        return np.stack([starts[row[-1]] for row in kinds])

    def opening(
        self, feel: Feel, quarters_per_minute: float = 120.0, bars: BarTable | None = None
    ) -> list[int]:
        """Return the tokens of metre and tempo that a piece begins with."""
        note = make_notes([0.0], [1.0], [60])
        empty = bars_of([(0.0, 4, 4)], 1.0) if bars is None else bars
        return self.leading(self.music(feel, note, empty, quarters_per_minute))

    def leading(self, music: Sequence[int]) -> list[int]:
        """Return the tokens of metre and tempo at the head of :meth:`music`'s tokens."""
        heads = ("TimeSig", "Tempo", BAR_LINE)
        count = 0
        while count < len(music) and all(
            name.split("_")[0] in heads for name in self.parts[music[count]]
        ):
            count += 1
        return list(music[:count])


def _tokenizer_config(config: MidiTokConfig) -> Any:
    return miditok_config(
        CodecConfig(config.beat_res, config.velocities),
        PLAIN_TOKENS,
        use_chords=config.chords,
        use_tempos=config.tempos,
        use_time_signatures=config.time_signatures,
        use_rests=config.rests,
        encode_ids_split="bar" if config.bpe_across_notes else "no",
    )


def _name(parts: tuple[str, ...]) -> str:
    return parts[0] if parts[0] in PLAIN_TOKENS else f"[{' '.join(parts)}]"


def _metre(bar: Any) -> tuple[int, int]:
    return int(bar["numerator"]), int(bar["denominator"])


def _beats(name: str) -> float:
    kind, _, value = name.partition("_")
    if kind not in ("TimeShift", "Rest"):
        return 0.0
    beats, position, resolution = (int(part) for part in value.split("."))
    return beats + position / resolution
