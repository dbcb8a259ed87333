"""The options of the command line: each one's type, name and help text.

The words an option accepts aren't checked here but by
:class:`styletransfer.transfer.request.Request`, whose errors are one sentence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from styletransfer.formats.read import FORMATS


def _choice(*words: str, help: str) -> Any:
    """Make an option that lists its words in the help; its value isn't checked."""
    return typer.Option(parser=str, metavar="|".join(words), help=help)


STYLE_HELP = "A style (see `styles`), its folder or Hub id, or a blend (bach:0.7,chopin:0.3)"

Style = Annotated[str, typer.Option("--style", "-s", help=f"{STYLE_HELP}.")]
Styles = Annotated[
    list[str],
    typer.Option(
        "--style",
        "-s",
        help=f"{STYLE_HELP}, or a piece to follow (sonata.mid). Repeat it for several.",
    ),
]
Songs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SONG…",
        help=f"{FORMATS} files, folders of them, recordings of one voice, examples "
        "(happy-birthday, greensleeves, …), or text files of chords. Leave it out to play "
        "--chords by themselves.",
    ),
]
Song = Annotated[
    str, typer.Argument(help=f"A {FORMATS} file, a recording of one voice, or an example's name.")
]
MelodyTrack = Annotated[
    str | None,
    typer.Option(help="The name or number of the part with the melody. Default: automatic."),
]

# How to decode
Seed = Annotated[int, typer.Option(help="The same song, settings and seed give the same bytes.")]
Temperature = Annotated[
    float, typer.Option(help="How adventurous the music is; 0 always takes the likeliest note.")
]
TopP = Annotated[
    float,
    typer.Option(
        "--top-p",
        help="Sample from the likeliest notes that make up this share of the probability.",
    ),
]
Strength = Annotated[
    float,
    typer.Option(help="How much style: 0 is none, 1 is as learnt; more exaggerates it."),
]
Candidates = Annotated[
    int, typer.Option(help="Versions to make at once; the ranker chooses the best.")
]
FreeCandidates = Annotated[
    int, typer.Option(help="Versions to make at once; the one closest to the style is written.")
]
Choose = Annotated[
    Literal["phrases", "whole"],
    _choice(
        "phrases",
        "whole",
        help="Choose the best version every eight bars and continue from it, or the best whole "
        "arrangement (always with --all).",
    ),
]
Span = Annotated[
    Literal["small", "medium", "large"],
    _choice(
        "small",
        "medium",
        "large",
        help="What one hand can reach: an octave, a ninth or a tenth.",
    ),
]
Difficulty = Annotated[
    Literal["easy", "medium", "hard"] | None,
    _choice(
        "easy", "medium", "hard", help="How hard it may be to play. Default: as hard as the style."
    ),
]
Every = Annotated[
    bool, typer.Option("--all", help="Write every candidate with its score; song-1.mid is best.")
]

# What to keep of the song, and how to play it
Mode = Annotated[
    Literal["reharmonize", "regenerate", "continue"],
    _choice(
        "reharmonize",
        "regenerate",
        "continue",
        help="Keep the melody, only show it to the model, or keep it and continue after it.",
    ),
]
Seconds = Annotated[
    float | None, typer.Option(help="Seconds of music after the tune, with --mode continue.")
]
Keep = Annotated[
    Literal["exact", "ornamented"],
    _choice(
        "exact",
        "ornamented",
        help="Keep every melody note, or the main ones with ornaments between them.",
    ),
]
KeepRegister = Annotated[
    bool, typer.Option("--keep-register", help="Never move the melody by octaves.")
]
Chords = Annotated[
    str,
    typer.Option(
        metavar="new|keep|CHORDS",
        help="New harmony, the song's own, chords bar by bar ('F C7 | F'), or a file of chords.",
    ),
]
Metre = Annotated[str | None, typer.Option(help="Metre of chords without a song. Default: 4/4.")]
Tempo = Annotated[
    float | None, typer.Option(help="Tempo of chords without a song, in beats per minute.")
]
OnTop = Annotated[
    bool | None,
    typer.Option(
        "--on-top/--not-on-top",
        help="Keep the accompaniment below the tune, or let it rise above. Default: depends on the "
        "style.",
    ),
]
Bars = Annotated[
    str | None,
    typer.Option(help="Rewrite only these bars (5-8); SONG is then an earlier output."),
]
Feel = Annotated[
    Literal["auto", "score", "performance"],
    _choice(
        "auto",
        "score",
        "performance",
        help="Like the song, on the beats, or with a pianist's timing and pedal.",
    ),
]
Length = Annotated[float, typer.Option(help="Seconds of music.")]

# What to write
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The MIDI file to write. Default: in the current folder."),
]
OutOrFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="The MIDI file to write, or the folder for several. Default: the current folder.",
    ),
]
ReplayOut = Annotated[
    Path | None, typer.Option("--out", "-o", help="The MIDI file. Default: NAME-replay.mid.")
]
Audio = Annotated[
    Path | None, typer.Option(help="Also write the sound, as a .wav, .flac, .ogg or .mp3 file.")
]
Plot = Annotated[Path | None, typer.Option(help="Also write a piano roll, as a PNG file.")]
Score = Annotated[
    Path | None,
    typer.Option(help="Also write a piano score, as a .musicxml, .svg or .pdf file."),
]
RenderAudio = Annotated[
    Path | None, typer.Option(help="The sound, as a .wav, .flac, .ogg or .mp3 file.")
]
RenderPlot = Annotated[Path | None, typer.Option(help="The piano roll, as a PNG file.")]
RenderScore = Annotated[
    Path | None, typer.Option(help="The score, as a .musicxml, .svg or .pdf file.")
]
ChordSymbols = Annotated[
    bool, typer.Option("--chord-symbols", help="Add chord symbols to the --score.")
]
SoundFont = Annotated[Path | None, typer.Option(help="The .sf2 soundfont for --audio.")]
Jobs = Annotated[int, typer.Option(help="Processes that share the work.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="The scheduler of a Dask cluster that shares the work (tcp://HOST:8786).",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON report and nothing else.")]
Model = Annotated[
    Path | None,
    typer.Option(help="A folder of weights from pretrain.train. Default: the shipped weights."),
]
