"""The command line.

Heavy imports stay inside the commands, so that --help is instant.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from styletransfer.cli import options as opt
from styletransfer.errors import InputError
from styletransfer.files import check_suffix, check_writable, refuse_overwriting_inputs
from styletransfer.formats.read import FORMATS
from styletransfer.model.settings import FREE_TEMPERATURE, FREE_TOP_P, SamplingConfig
from styletransfer.outputs.plan import Outputs
from styletransfer.terminal import print

if TYPE_CHECKING:
    from styletransfer.styles.card import Style

SURROUNDINGS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE)
)
"""Errors of the disk and of permissions, which the user can put right, wherever they occur."""
COLUMNS = 100
"""Width of what `inspect` prints."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
styles_app = typer.Typer(help="List the styles, or show one.", invoke_without_command=True)
data_app = typer.Typer(help="Fetch and prepare training data.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(styles_app, name="styles")


def main() -> None:
    """Run the console script: a user's mistake is one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # escape file names that can't be printed
            stream.reconfigure(errors="backslashreplace")
    try:
        check_current_folder()
        app()
    except InputError as error:
        print(f"styletransfer: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("styletransfer: stopped.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in SURROUNDINGS:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"styletransfer: {where}{error.strerror}.", file=sys.stderr)
        sys.exit(2)


def check_current_folder() -> None:
    """Refuse to work in a folder that has been deleted: no path can be found from it.

    Raises:
        InputError: where it is gone.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise InputError("the current folder is no longer there; change to another.") from error


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
    """Arrange a melody for piano in the style of a composer or an era.

    It uses a language model of music, trained on MAESTRO, on piano scores and on songs.
    """


@app.command()
def apply(
    style: opt.Styles,
    songs: opt.Songs = None,
    out: opt.OutOrFolder = None,
    seed: opt.Seed = SamplingConfig.seed,
    temperature: opt.Temperature = SamplingConfig.temperature,
    top_p: opt.TopP = SamplingConfig.top_p,
    strength: opt.Strength = SamplingConfig.strength,
    candidates: opt.Candidates = SamplingConfig.candidates,
    every: opt.Every = False,
    feel: opt.Feel = "auto",
    keep_register: opt.KeepRegister = False,
    melody_track: opt.MelodyTrack = None,
    mode: opt.Mode = "reharmonize",
    keep: opt.Keep = "exact",
    chords: opt.Chords = "new",
    on_top: opt.OnTop = None,
    choose: opt.Choose = "phrases",
    span: opt.Span = "medium",
    difficulty: opt.Difficulty = None,
    metre: opt.Metre = None,
    tempo: opt.Tempo = None,
    seconds: opt.Seconds = None,
    bars: opt.Bars = None,
    audio: opt.Audio = None,
    plot: opt.Plot = None,
    score: opt.Score = None,
    chord_symbols: opt.ChordSymbols = False,
    soundfont: opt.SoundFont = None,
    model: opt.Model = None,
    jobs: opt.Jobs = 1,
    cluster: opt.Cluster = None,
    force: opt.Force = False,
    as_json: opt.AsJson = False,
) -> None:
    """Arrange songs for piano in a style: the melody stays, everything else is new.

    The melody stays note for note. A sidecar (.json) for `replay` is written beside each MIDI
    file. With several songs or styles, or a folder, -o, --audio, --plot and --score name
    folders, and the same command continues after an interruption.
    """
    from styletransfer.cli.several import apply_all
    from styletransfer.engines import Engine
    from styletransfer.transfer.request import Request

    engine = Engine(jobs, cluster)
    songs = songs or [""]
    request = Request(
        songs[0],
        style[0],
        SamplingConfig(candidates, temperature, top_p, strength, seed),
        feel=feel,
        keep_register=keep_register,
        model=model,
        bars=bars,
        melody_track=melody_track,
        mode=mode,
        keep=keep,
        seconds=seconds,
        chords=chords,
        on_top=on_top,
        choose="whole" if every else choose,
        span=span,
        difficulty=difficulty,
        metre=metre,
        tempo=tempo,
    )
    outputs = Outputs(
        Path(),
        audio=audio,
        plot=plot,
        soundfont=soundfont,
        force=force,
        every=candidates if every else 0,
        with_sidecar=True,
        score=score,
        symbols=chord_symbols,
    )
    bar = partial(progress_bar, quiet=as_json)
    raise typer.Exit(apply_all(request, songs, style, out, outputs, bar, as_json, engine))


@app.command()
def replay(
    sidecar: Annotated[
        Path, typer.Argument(help="The JSON file that `apply` wrote beside a MIDI file.")
    ],
    out: opt.ReplayOut = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare; write nothing.")] = False,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Continue if a song, style, version or machine differs."),
    ] = False,
    force: opt.Force = False,
) -> None:
    """Reproduce an arrangement byte for byte, or report what differs."""
    from styletransfer.cli.replay import print_replay

    print_replay(sidecar, out, check, anyway, force, partial(progress_bar, quiet=False))


@app.command()
def render(
    file: Annotated[
        str,
        typer.Argument(
            help=f"A {FORMATS} file, an arrangement that `apply` wrote, its sidecar (.json), "
            "a recording of one voice, or an example's name."
        ),
    ],
    melody_track: opt.MelodyTrack = None,
    audio: opt.RenderAudio = None,
    plot: opt.RenderPlot = None,
    score: opt.RenderScore = None,
    soundfont: opt.SoundFont = None,
    force: opt.Force = False,
    as_json: opt.AsJson = False,
) -> None:
    """Make sound, a piano roll and a score of a file.

    Without --audio, --plot or --score, all three are written in the current folder.
    """
    from styletransfer.cli.render import print_rendering

    print_rendering(file, melody_track, (audio, plot, score), soundfont, force, as_json)


@app.command()
def generate(
    style: opt.Style,
    seconds: opt.Length = 60.0,
    out: opt.Out = None,
    seed: opt.Seed = 0,
    temperature: opt.Temperature = FREE_TEMPERATURE,
    top_p: opt.TopP = FREE_TOP_P,
    strength: opt.Strength = 1.5,
    candidates: opt.FreeCandidates = 1,
    audio: opt.Audio = None,
    plot: opt.Plot = None,
    soundfont: opt.SoundFont = None,
    model: opt.Model = None,
    force: opt.Force = False,
    as_json: opt.AsJson = False,
) -> None:
    """Compose freely in a style, as a pianist would play it."""
    sampling = SamplingConfig(candidates, temperature, top_p, strength, seed)
    from styletransfer.cli.apply import print_copied, short_name

    target = out or Path(f"generated-{short_name(style)}.mid")
    outputs = Outputs(target, audio=audio, plot=plot, soundfont=soundfont, force=force)
    outputs.check(None, ())
    from styletransfer.transfer.free import generate as run

    with progress_bar(style, as_json) as progress:
        result = run(style, seconds, sampling, model, progress)
    outputs.write(result)

    report = {"output": str(target)} | result.report
    if as_json:
        print(json.dumps(report))
        return
    print_copied(report)
    print(
        f"{report['notes']} notes, {report['seconds_of_music']:.0f} s of music "
        f"in {report['seconds_taken']:.1f} s"
    )
    outputs.announce(result)


@app.command()
def inspect(
    song: opt.Song,
    melody_track: opt.MelodyTrack = None,
    plot: opt.Plot = None,
    force: opt.Force = False,
    as_json: opt.AsJson = False,
) -> None:
    """Show the melody that would be used, and a song's key, metre, tempo and chords."""
    from styletransfer.formats.read import read_song
    from styletransfer.music.pick_up import with_pick_up
    from styletransfer.styles.names import song_title
    from styletransfer.transfer.inspection import describe

    if plot is not None:
        refuse_overwriting_inputs([plot], [song])
        check_suffix(plot, ".png")
        check_writable(plot, force)
    report, piece = describe(with_pick_up(read_song(song)), melody_track)
    if plot is not None:
        from styletransfer.outputs.piano_roll import plot_piano_roll

        plot_piano_roll(piece, plot, title=song_title(piece.title, song), force=force)

    if as_json:
        print(json.dumps({"input": song} | report))
    else:
        _print_inspection(report)


def _print_inspection(report: dict[str, Any]) -> None:
    """Print the findings of `inspect`, a line for each."""
    from styletransfer.transfer.inspection import melody_text, wrap_chords

    for line in report["remarks"]:
        print(line)
    names = (
        "feel key metre tempo bars seconds parts notes chord_symbols"
        " melody_notes melody_tracks melody_share"
    )
    for name in names.split():
        value = report[name]
        if name == "parts":
            value = [f"{number} {part}" for number, part in enumerate(value, start=1)]
        text = ", ".join(value) if isinstance(value, list) else value
        print(f"{name.replace('_', ' '):<13} {text}")
    if report["chords"]:
        for number, line in enumerate(wrap_chords(report["chords"], COLUMNS - 14)):
            print(f"{'' if number else 'chords':<13} {line}")
    print(f"{'melody':<13} {melody_text(report['melody'], report['key'])}")


@app.command()
def evaluate(
    files: Annotated[list[str] | None, typer.Argument(help=f"{FORMATS} files.")] = None,
    style: Annotated[
        str | None,
        typer.Option(
            "--style", "-s", help="A composer or era to look for; with --melodies, any style."
        ),
    ] = None,
    original: Annotated[
        str | None,
        typer.Option(help="The song that the files arrange, to check whether its melody was kept."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Prepared training data, to check whether anything is copied from it."),
    ] = None,
    melodies: Annotated[
        Path | None, typer.Option(help="A folder of melodies to try --style on, instead of files.")
    ] = None,
    strength: opt.Strength = 1.5,
    seed: opt.Seed = 0,
    model: opt.Model = None,
    as_json: opt.AsJson = False,
) -> None:
    """Report whose music a file sounds like, and why; or try a style on melodies."""
    from styletransfer.cli.evaluate import print_assessments, print_trial

    if melodies is None:
        if not files:
            raise InputError("give files to evaluate, or --style and --melodies.")
        print_assessments(files, style, original, data, as_json)
        return
    if files or style is None:
        raise InputError("--melodies needs a --style and takes no files.")
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
            help=f"A folder or archive of {FORMATS} files, or corpus:NAME, "
            "pieces that come with music21."
        ),
    ],
    name: Annotated[
        str, typer.Option(help="Name of the style: lower-case letters, digits, '.', '_' and '-'.")
    ],
    era: Annotated[
        str, typer.Option(help="baroque, classical, romantic, modern, or unknown.")
    ] = "unknown",
    minutes: Annotated[float, typer.Option(help="The most minutes to train.")] = 10.0,
    config: Annotated[
        Path | None,
        typer.Option(help="A YAML settings file, like configs/finetune/default.yaml."),
    ] = None,
    model: opt.Model = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace a style of that name.")
    ] = False,
) -> None:
    """Learn a style from your own pieces.

    After an interruption, the same command continues where it stopped.
    """
    if not 0 < minutes <= 100_000:
        raise InputError(f"--minutes {minutes:g}: give a positive number.")
    from styletransfer.styles.find import check_name

    check_name(name)
    from styletransfer.configuration import load_config
    from styletransfer.model.loading import shipped_model
    from styletransfer.training.finetune import FinetuneConfig
    from styletransfer.training.user_style import Reporter, finetune_source

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
        reporter=Reporter(bar=bar, finish=partial(_first_sample, model=model)),
    )
    path = style.path
    assert path is not None
    print(f"{path}\na first sample: {path / 'sample.mid'}")
    print(
        f"styletransfer apply happy-birthday --style {name}{f' --model {model}' if model else ''}"
    )


def _first_sample(style: Style, model: Path | None) -> None:
    """Print what a style has learnt, and write a sample into its folder."""
    from styletransfer.transfer.pipeline import apply as run
    from styletransfer.transfer.request import Request

    card, path = style.card, style.path
    assert card is not None
    assert path is not None
    if card.gain is not None:
        print(
            f"held-out pieces: {card.base_bits:.2f} bits per note before,"
            f" {card.style_bits:.2f} now (a gain of {card.gain:.2f})"
        )
    with progress_bar("a first sample", False) as progress:
        sample = run(Request("happy-birthday", style.name, model=model), progress)
    Outputs(path / "sample.mid", force=True).write(sample)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="The port to listen on; 0: any free one.")] = 8765,
    host: Annotated[
        str, typer.Option(help="The address to listen on. Default: this machine only.")
    ] = "127.0.0.1",
    browse: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    public: Annotated[
        list[str] | None,
        typer.Option(
            help="The server's address behind a proxy, such as https://music.example.org. "
            "Repeat it for several."
        ),
    ] = None,
    model: opt.Model = None,
) -> None:
    """Serve the page, and the API that it uses, until Ctrl-C."""
    from styletransfer.serve.app import serve as run
    from styletransfer.serve.settings import Settings, origins

    run(Settings(host, port, origins(public or []), model and model.absolute()), browse=browse)


@styles_app.callback()
def styles(context: typer.Context, as_json: opt.AsJson = False) -> None:
    """List the styles, what each was learnt from, and what it gains."""
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
    as_json: opt.AsJson = False,
) -> None:
    """Show a style's card."""
    from styletransfer.cli.styles import print_style

    print_style(name, as_json or context.obj)


@data_app.command()
def download(
    what: Annotated[str, typer.Argument(help="maestro")],
    folder: Annotated[Path, typer.Option("--to", help="Where to put the archive.")] = Path("data"),
) -> None:
    """Fetch MAESTRO v3.0.0's MIDI files from their official address.

    They are 58 MB, under CC BY-NC-SA 4.0. After an interruption, the same command continues where
    it stopped.
    """
    from styletransfer.data.download import download_maestro

    if what != "maestro":
        raise InputError(f"{what}: only maestro can be downloaded.")
    print(download_maestro(folder))


@data_app.command()
def prepare(
    sources: Annotated[
        list[Path],
        typer.Argument(help=f"Folders, .zip or .tar archives of {FORMATS} files."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The folder to fill; prepared data in it is replaced."),
    ] = Path("data/prepared"),
    composers: Annotated[
        Path | None, typer.Option(help="A CSV with columns file, composer[, title, split].")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--chord-labels",
            metavar="FOLDER",
            help="Chords by experts: a CSV file for each movement.",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Processes that read files. Default: one for each core.")
    ] = None,
) -> None:
    """Read training data into note tables, grouped and split by content."""
    from styletransfer.data.prepare import prepare as run
    from styletransfer.engines import Engine

    if jobs is not None:
        Engine(jobs)  # refuses a number that is none
    with progress_bar("reading", False) as progress:
        manifest = run(
            sources,
            out,
            composers_csv=composers,
            progress=lambda done, total: progress(done / max(total, 1)),
            workers=jobs,
            labels=labels,
        )
    for file, reason in manifest.left_out:
        if not reason.startswith("duplicate:"):
            print(f"left out: {file}: {reason}")
    print(manifest.summary())
    print(f"{out}: {len(manifest.pieces)} pieces, hash {manifest.hash[:16]}")


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show a bar with the time left, on standard error where that is a terminal.

    Yields:
        A function that takes the share done.
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
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # a file gets what is printed meanwhile
        speed_estimate_period=120,
    ) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)
