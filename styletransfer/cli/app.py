"""The command line. Heavy imports stay inside the commands, so that --help is instant."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from styletransfer.errors import InputError
from styletransfer.files import check_suffix, refuse_overwriting_inputs
from styletransfer.model.settings import FREE_TEMPERATURE, FREE_TOP_P, SamplingConfig
from styletransfer.outputs.plan import Outputs

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Fetch and prepare training data.", no_args_is_help=True)
app.add_typer(data_app, name="data")
COLUMNS = 100
"""Of what `inspect` prints."""
styles_app = typer.Typer(help="List the styles, or show one.", invoke_without_command=True)
app.add_typer(styles_app, name="styles")

Style = Annotated[
    str,
    typer.Option(
        "--style",
        "-s",
        help="A style (see `styles`), its folder or Hub id, or a blend: bach:0.7,chopin:0.3.",
    ),
]
Styles = Annotated[
    list[str],
    typer.Option(
        "--style",
        "-s",
        help="A style (see `styles`), its folder or Hub id, a piece to follow (sonata.mid), or a blend: bach:0.7,chopin:0.3. "
        "Several: repeat it.",
    ),
]
Seed = Annotated[int, typer.Option(help="The same input, settings and seed give the same bytes.")]
Temperature = Annotated[
    float, typer.Option(help="How adventurous; 0 takes the likeliest note each time.")
]
TopP = Annotated[
    float, typer.Option("--top-p", help="Draw from the likeliest notes that make up this share.")
]
Strength = Annotated[float, typer.Option(help="0: no style, 1: the style, above: exaggerated.")]
Candidates = Annotated[
    int, typer.Option(help="Versions to make at once; the best by the ranker is written.")
]
FreeCandidates = Annotated[
    int,
    typer.Option(help="Versions to make at once; the one that has most of the style is written."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The MIDI file to write; by default in the current folder."),
]
Audio = Annotated[Path | None, typer.Option(help="Also write the sound, as a WAV file.")]
Plot = Annotated[Path | None, typer.Option(help="Also write a piano roll, as a PNG file.")]
MelodyTrack = Annotated[
    str | None,
    typer.Option(
        help="The track or part with the melody, by its name or its number; found, where it isn't given."
    ),
]
Score = Annotated[
    Path | None,
    typer.Option(help="Also write a score for piano, as a .musicxml, .svg or .pdf file."),
]
ChordSymbols = Annotated[
    bool,
    typer.Option(
        "--chord-symbols", help="With --score: the harmony as symbols above the upper staff."
    ),
]
SoundFont = Annotated[Path | None, typer.Option(help="A .sf2 file for --audio.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Write over existing files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")]
Model = Annotated[
    Path | None,
    typer.Option(help="A folder of weights made by pretrain.train, instead of the shipped ones."),
]


def main() -> None:
    """The console script: a user's mistake is one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # file names that can't be printed are escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except InputError as error:
        print(f"styletransfer: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("styletransfer: stopped.", file=sys.stderr)
        sys.exit(130)


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from styletransfer import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Arrange a melody for piano in the style of a composer or an era, by a model trained on
    MAESTRO and piano scores.
    """


@app.command()
def apply(
    style: Styles,
    songs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SONG…",
            help="MIDI, MusicXML, ABC or kern files, folders of them, examples (happy-birthday, greensleeves, …), text files "
            "of chords; none, where --chords are all there is.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The MIDI file to write, by default in the current folder; for several, the folder.",
        ),
    ] = None,
    seed: Seed = SamplingConfig.seed,
    temperature: Temperature = SamplingConfig.temperature,
    top_p: TopP = SamplingConfig.top_p,
    strength: Strength = SamplingConfig.strength,
    candidates: Candidates = SamplingConfig.candidates,
    every: Annotated[
        bool,
        typer.Option("--all", help="Write every candidate, song-1.mid the best, with its score."),
    ] = False,
    feel: Annotated[
        str,
        typer.Option(help="auto, score (on beats), performance (a pianist's timing and pedal)."),
    ] = "auto",
    keep_register: Annotated[
        bool, typer.Option("--keep-register", help="Never move the melody by octaves.")
    ] = False,
    melody_track: MelodyTrack = None,
    mode: Annotated[
        str,
        typer.Option(
            help="reharmonize (the melody stays), regenerate (it is only told to the model) or continue."
        ),
    ] = "reharmonize",
    keep: Annotated[
        str,
        typer.Option(
            help="exact (every melody note) or ornamented (ornaments between the main ones)."
        ),
    ] = "exact",
    chords: Annotated[
        str,
        typer.Option(
            help="new, keep (the song's own harmony), or chords bar by bar: 'F C7 | F', or a file of them."
        ),
    ] = "new",
    on_top: Annotated[
        bool | None,
        typer.Option(
            "--on-top/--not-on-top",
            help="Keep the accompaniment below the tune, or let it go above; by the style.",
        ),
    ] = None,
    choose: Annotated[
        str,
        typer.Option(
            help="phrases (the best of every eight bars goes on) or whole (the best arrangement; so with --all)."
        ),
    ] = "phrases",
    metre: Annotated[
        str | None, typer.Option(help="Of chords without a song: 4/4 by default.")
    ] = None,
    tempo: Annotated[
        float | None, typer.Option(help="Of chords without a song: beats a minute.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="With --mode continue: of music after the tune.")
    ] = None,
    bars: Annotated[
        str | None,
        typer.Option(
            help="Redo only these bars (5-8) of an earlier output, which then is the SONG."
        ),
    ] = None,
    audio: Audio = None,
    plot: Plot = None,
    score: Score = None,
    chord_symbols: ChordSymbols = False,
    soundfont: SoundFont = None,
    model: Model = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Arrange songs for piano in a style: each melody stays, note for note, everything else is new.

    Beside each MIDI file a sidecar (.json) is written, for `replay`. With several songs or styles,
    or a folder, -o, --audio, --plot and --score name folders.
    """
    from styletransfer.cli.apply import apply_all
    from styletransfer.transfer.request import Request

    sampling = SamplingConfig(candidates, temperature, top_p, strength, seed)
    settings = (
        sampling,
        feel,
        keep_register,
        model,
        bars,
        melody_track,
        mode,
        keep,
        seconds,
        chords,
        on_top,
    )
    choose, songs = "whole" if every else choose, songs or [""]
    request = Request(songs[0], style[0], *settings, choose, metre, tempo)  # type: ignore[arg-type]
    outputs = Outputs(
        Path(),
        audio,
        plot,
        soundfont,
        force,
        candidates if every else 0,
        True,
        score,
        chord_symbols,
    )
    code = apply_all(
        request, songs, style, out, outputs, partial(progress_bar, quiet=as_json), as_json
    )
    raise typer.Exit(code)


@app.command()
def replay(
    sidecar: Annotated[
        Path, typer.Argument(help="The JSON file that `apply` wrote beside a MIDI file.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The MIDI file to write; by default NAME-replay.mid."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare only, and write nothing.")
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also where a song, style, version or machine differs.")
    ] = False,
    force: Force = False,
) -> None:
    """Make an arrangement again, to the byte, or say which part of what it is made of differs."""
    from styletransfer.cli.replay import print_replay

    print_replay(sidecar, out, check, anyway, force, partial(progress_bar, quiet=False))


@app.command()
def generate(
    style: Style,
    seconds: Annotated[float, typer.Option(help="How long the music is to be.")] = 60.0,
    out: Out = None,
    seed: Seed = 0,
    temperature: Temperature = FREE_TEMPERATURE,
    top_p: TopP = FREE_TOP_P,
    strength: Strength = 1.5,
    candidates: FreeCandidates = 1,
    audio: Audio = None,
    plot: Plot = None,
    soundfont: SoundFont = None,
    model: Model = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Compose freely in a style, as a pianist would play it."""

    sampling = SamplingConfig(candidates, temperature, top_p, strength, seed)
    from styletransfer.cli.apply import print_copied, short_name

    target = out or Path(f"generated-{short_name(style)}.mid")
    outputs = Outputs(target, audio, plot, soundfont, force)
    outputs.check(None, ())
    from styletransfer.transfer.free import generate as run

    with progress_bar(f"{style}", as_json) as progress:
        result = run(style, seconds, sampling, model, progress)
    outputs.write(result)
    report = {"output": str(target)} | result.report
    if as_json:
        print(json.dumps(report))
        return
    print_copied(report)
    print(
        f"{report['notes']} notes, {report['seconds_of_music']:.0f} s of music in {report['seconds_taken']:.1f} s"
    )
    outputs.announce(result)


@app.command()
def inspect(
    song: Annotated[
        str, typer.Argument(help="A MIDI, MusicXML, ABC or kern file, or an example's name.")
    ],
    melody_track: MelodyTrack = None,
    plot: Plot = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Show what would be taken as melody, and the key, metre, tempo, length and chords."""
    from styletransfer.files import check_writable
    from styletransfer.formats.read import legible, read_song
    from styletransfer.transfer.inspection import describe

    if plot is not None:
        refuse_overwriting_inputs([plot], [song])
        check_suffix(plot, ".png")
        check_writable(plot, force)
    source = read_song(song)
    report, marked = describe(source, melody_track)
    if plot is not None:
        from styletransfer.outputs.piano_roll import plot_piano_roll

        plot_piano_roll(marked, plot, title=legible(Path(song).stem), force=force)
    if as_json:
        print(json.dumps({"input": song} | report))
        return
    for line in report["remarks"]:
        print(line)
    shown = "feel key metre tempo bars seconds parts notes chord_symbols melody_notes melody_tracks melody_share"
    for name in shown.split():
        value = report[name]
        if name == "parts":
            value = [f"{number} {part}" for number, part in enumerate(value, start=1)]
        print(
            f"{name.replace('_', ' '):<13} {', '.join(value) if isinstance(value, list) else value}"
        )
    from styletransfer.transfer.inspection import melody_text, wrap_chords

    if report["chords"]:
        for number, line in enumerate(wrap_chords(report["chords"], COLUMNS - 14)):
            print(f"{'' if number else 'chords':<13} {line}")
    print(f"{'melody':<13} {melody_text(report['melody'])}")


@app.command()
def evaluate(
    files: Annotated[
        list[str] | None, typer.Argument(help="MIDI, MusicXML, ABC or kern files.")
    ] = None,
    style: Annotated[
        str | None,
        typer.Option("--style", "-s", help="A composer or era to look for; with --melodies, any."),
    ] = None,
    original: Annotated[
        str | None, typer.Option(help="The song that the files arrange: was its melody kept?")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Prepared training data: is something copied from it?")
    ] = None,
    melodies: Annotated[
        Path | None, typer.Option(help="Instead of files: a folder of melodies to try --style on.")
    ] = None,
    strength: Strength = 1.5,
    seed: Seed = 0,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Say whose music a file sounds like, and why; or try a style on a folder of melodies."""
    from styletransfer.cli.evaluate import print_assessments, print_trial

    if melodies is None:
        if not files:
            raise InputError("give files to evaluate, or --style and --melodies.")
        print_assessments(files, style, original, data, as_json)
        return
    if files or style is None:
        raise InputError("--melodies takes a --style and no files.")
    from styletransfer.trial import trial

    with progress_bar(style, as_json) as progress:
        report = trial(
            style, melodies, SamplingConfig(strength=strength, seed=seed), model, progress
        )
    print_trial(report, as_json)


@app.command()
def finetune(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder or archive of MIDI, MusicXML, ABC or kern files, or corpus:NAME (music21's)."
        ),
    ],
    name: Annotated[
        str, typer.Option(help="What to call the style: small letters, digits, '.', '_' and '-'.")
    ],
    era: Annotated[
        str, typer.Option(help="baroque, classical, romantic, modern, or unknown.")
    ] = "unknown",
    minutes: Annotated[float, typer.Option(help="Of training, at the most.")] = 10.0,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file of settings, as configs/finetune/default.yaml.")
    ] = None,
    model: Model = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Write over a style of that name.")
    ] = False,
) -> None:
    """Learn a style from your own pieces. Stopped or killed, the same command goes on where it
    was.
    """
    if not 0 < minutes <= 100_000:
        raise InputError(f"--minutes {minutes:g}: give a positive number.")
    from styletransfer.styles.find import check_name

    check_name(name)
    from styletransfer.configuration import load_config
    from styletransfer.model.loading import shipped_model
    from styletransfer.training.finetune import FinetuneConfig
    from styletransfer.training.user_style import Reporter, finetune_source
    from styletransfer.transfer.pipeline import apply as run
    from styletransfer.transfer.request import Request

    settings = load_config(FinetuneConfig, config) if config else FinetuneConfig()
    base = model or shipped_model()
    bar = partial(progress_bar, quiet=False)
    style = finetune_source(
        source,
        name,
        settings,
        base,
        era=era,
        minutes=minutes,
        force=force,
        reporter=Reporter(bar=bar),
    )
    assert style.card is not None
    assert style.path is not None
    if style.card.gain is not None:
        print(
            f"held-out pieces: {style.card.base_bits:.2f} bits a note before, {style.card.style_bits:.2f} now "
            f"(a gain of {style.card.gain:.2f})"
        )
    with progress_bar("a first sample", False) as progress:
        sample = run(Request("happy-birthday", name, model=model), progress)
    Outputs(style.path / "sample.mid", force=True).write(sample)
    print(f"{style.path}\na first sample: {style.path / 'sample.mid'}")
    print(
        f"styletransfer apply happy-birthday --style {name}{f' --model {model}' if model else ''}"
    )


@styles_app.callback()
def styles(context: typer.Context, as_json: AsJson = False) -> None:
    """List the styles that there are, what each was learnt from, and what it gains."""
    context.obj = as_json
    if context.invoked_subcommand is None:
        from styletransfer.cli.styles import print_styles

        print_styles(as_json)


@styles_app.command()
def show(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="A style's name, an adapter's folder, a Hub id (owner/name), or a piece."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show a style's card."""
    from styletransfer.cli.styles import print_style

    print_style(name, as_json or context.obj)


@data_app.command()
def download(
    what: Annotated[str, typer.Argument(help="maestro")],
    folder: Annotated[Path, typer.Option("--to", help="Where to put the archive.")] = Path("data"),
) -> None:
    """Fetch MAESTRO v3.0.0's MIDI files (58 MB, CC BY-NC-SA 4.0) from their official address; goes
    on where it stopped.
    """
    from styletransfer.data.download import download_maestro

    if what != "maestro":
        raise InputError(f"{what}: only maestro can be downloaded.")
    print(download_maestro(folder))


@data_app.command()
def prepare(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Folders, .zip or .tar archives of MIDI, MusicXML, ABC or kern files."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Prepared data in it is replaced.")
    ] = Path("data/prepared"),
    composers: Annotated[
        Path | None, typer.Option(help="A CSV with columns file, composer[, title, split].")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--chord-labels", metavar="FOLDER", help="Experts' chords, a CSV a movement."),
    ] = None,
) -> None:
    """Read training data into note tables, grouped and split by content."""
    from styletransfer.data.prepare import prepare as run

    with progress_bar("reading", False) as progress:
        manifest = run(
            sources,
            out,
            composers_csv=composers,
            progress=lambda done, total: progress(done / max(total, 1)),
            labels=labels,
        )
    for file, reason in manifest.left_out:
        if not reason.startswith("duplicate:"):
            print(f"left out: {file}: {reason}")
    print(manifest.summary())
    print(f"{out}: {len(manifest.pieces)} pieces, hash {manifest.hash[:16]}")


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """A bar with the time left, on standard error where that is a terminal; yields a function that
    takes the share done.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), transient=True, speed_estimate_period=120
    ) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)
