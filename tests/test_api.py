"""Use ``StyleTransfer`` from Python, save its results, and show them in notebooks."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
import wave
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

import styletransfer
from styletransfer import StyleTransfer
from styletransfer.cli import app as cli
from styletransfer.errors import InputError
from styletransfer.formats.read import read_score, read_song
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.notes import NOTE_DTYPE
from styletransfer.outputs.music import Music
from styletransfer.outputs.notebook import html_of, small_wave
from styletransfer.transfer.free import generate
from styletransfer.transfer.request import options
from styletransfer.transfer.result import Result
from tests.command import Run
from tests.tiny import short_song


@pytest.fixture(scope="module")
def music(tiny_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    song = short_song(tmp_path_factory.mktemp("song") / "a <b> song.mid")
    return StyleTransfer.from_pretrained(tiny_package).apply(
        song, style="bach", candidates=2, strength=1.0
    )


def test_the_api_is_the_command(
    music: Result, run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    assert music.request is not None
    assert music.save(tmp_path / "api.mid") == tmp_path / "api.mid"
    command = ("--candidates", "2", "--strength", "1", "--model", tiny_package, "-o", "command.mid")
    assert run("apply", music.request.song, "-s", "bach", *command).code == 0
    assert (tmp_path / "api.mid").read_bytes() == (tmp_path / "command.mid").read_bytes()
    assert music.notes.dtype == NOTE_DTYPE
    written = read_score(tmp_path / "api.mid").notes
    columns = ("onset", "pitch", "duration", "velocity")
    for name in columns:
        np.testing.assert_allclose(
            *(np.sort(notes, order=list(columns))[name] for notes in (music.notes, written)),
            atol=1e-6,
        )
    assert len(music.notes) == music.report["notes"]
    assert music.report["melody_notes_kept"] == music.report["melody_notes"] == 4


def test_the_options_are_those_of_the_command() -> None:
    """Every keyword is an option with the same name and default, and help() shows them."""
    command = {
        name: parameter.default for name, parameter in signature(cli.apply).parameters.items()
    }
    shown = {
        name: parameter.default
        for name, parameter in signature(StyleTransfer.apply).parameters.items()
    }
    assert {
        "seed",
        "temperature",
        "top_p",
        "strength",
        "candidates",
        "feel",
        "keep_register",
    } <= set(options())
    for name, default in options().items():
        assert command[name] == shown[name] == default
    assert vars(SamplingConfig()).items() <= options().items()


def test_mistakes(tiny_package: Path, tmp_path: Path) -> None:
    transfer = StyleTransfer.from_pretrained(str(tiny_package))
    with pytest.raises(
        TypeError, match="no option 'strenght'; the options are candidates, temperature"
    ):
        transfer.apply("twinkle", style="bach", strenght=2)
    for song, style, chosen, words in (
        ("missing.mid", "bach", {}, "no such file"),
        ("twinkle", "bahc", {}, "did you mean bach"),
        ("twinkle", "bach", {"feel": "sleepy"}, "--feel sleepy"),
        ("twinkle", "bach", {"top_p": 2}, "--top-p 2"),
    ):
        with pytest.raises(InputError, match=words):
            transfer.apply(song, style=style, **chosen)
    with pytest.raises(InputError, match="not a model folder"):
        StyleTransfer.from_pretrained(tmp_path)


def test_values_of_wrong_types_are_sentences(tiny_package: Path) -> None:
    music = StyleTransfer(str(tiny_package))  # type: ignore[arg-type]  # a name does as well
    for name, value in {
        "candidates": "2",
        "temperature": "1",
        "seed": 1.5,
        "seconds": "30",
        "keep_register": "no",
        "melody_track": 1.5,
    }.items():
        with pytest.raises(InputError, match=name):
            music.apply("frere-jacques", "bach", **{name: value})
    with pytest.raises(InputError, match="style"):
        music.apply("frere-jacques", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no option 'model'"):
        music.apply("frere-jacques", "bach", model="x")
    found = music.apply(
        "frere-jacques", "bach", candidates=np.int64(1), strength=1.0, melody_track=1
    )
    assert found.request is not None
    assert found.request.melody_track == "1"


def test_the_song_is_not_saved_over(music: Result) -> None:
    assert music.request is not None
    with pytest.raises(InputError, match="one of the inputs"):
        music.save(music.request.song, force=True)


def test_saved_by_suffix(music: Result, run: Run, tmp_path: Path) -> None:
    for name in ("x.mid", "x.WAV", "x.png", "x.json"):
        music.save(tmp_path / name)
        with pytest.raises(InputError, match="exists already"):
            music.save(tmp_path / name)
    music.save(tmp_path / "x.png", force=True)
    assert len(read_score(tmp_path / "x.mid").notes) == len(music.notes)
    assert (tmp_path / "x.png").read_bytes()[1:4] == b"PNG"
    with wave.open(str(tmp_path / "x.WAV")) as sound:
        assert sound.getnframes() > sound.getframerate()
    assert json.loads((tmp_path / "x.json").read_text())["outputs"][0]["file"] == "x.mid"
    assert run("replay", "x.json", "--check") == (0, "the same bytes as x.mid\n", "")
    for name in ("x.aac", "x"):
        with pytest.raises(InputError, match=r"ends in one of \.mid, \.midi, \.wav"):
            music.save(tmp_path / name)


def test_the_sidecar_describes_the_song_that_was_read(tiny_package: Path, tmp_path: Path) -> None:
    """It may be saved late, after the file and the current folder have changed."""
    song = short_song(tmp_path / "song.mid")
    music = StyleTransfer(tiny_package).apply(song, style="bach", candidates=1)
    first = json.loads(music.save(tmp_path / "first.json").read_text())
    song.write_bytes(b"something else")
    assert (
        json.loads(music.save(tmp_path / "second.json").read_text())["ingredients"]
        == first["ingredients"]
    )


def test_a_free_composition_has_no_sidecar(tiny_package: Path, tmp_path: Path) -> None:
    music = Music.of(generate("debussy", 3, SamplingConfig(1), tiny_package))
    music.save(tmp_path / "x.mid")
    with pytest.raises(InputError, match="only the arrangement of a song"):
        music.save(tmp_path / "x.json")
    assert "In the style of Claude Debussy" in html_of(music)


def embedded(html: str, kind: str) -> bytes:
    found = re.search(rf'src="data:{kind};base64,([A-Za-z0-9+/=]+)"', html)
    assert found is not None
    return base64.b64decode(found[1])


def test_printed_music_is_five_lines(music: Result) -> None:
    lines = str(music).splitlines()
    assert len(lines) == 5
    assert lines[0] == music.title
    assert lines[1].startswith("4/4 melody notes kept")
    assert "--style bach --seed" in lines[3]


def test_a_notebook_shows_picture_and_player(music: Result, tmp_path: Path) -> None:
    html = music._repr_html_()
    assert "A &lt;b&gt; song, in the style of J. S. Bach" in html
    assert "<b> song" not in html
    assert "4/4 melody notes kept" in html
    assert embedded(html, "image/png")[1:4] == b"PNG"
    with wave.open(io.BytesIO(embedded(html, "audio/wav"))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        seconds = sound.getnframes() / sound.getframerate()
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    music.save(
        tmp_path / "song.mid"
    )  # where a pitch that still sounds is struck again, the note before ends
    assert seconds >= read_song(tmp_path / "song.mid").length_seconds
    assert np.abs(samples.astype(int)).max() > 500


def test_a_notebook_without_a_soundfont_shows_the_rest(
    music: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLETRANSFER_SOUNDFONT", "/nowhere/none.sf2")
    html = music._repr_html_()
    assert "<audio" not in html
    assert "no such soundfont" in html
    assert embedded(html, "image/png")[1:4] == b"PNG"


def test_a_display_never_raises() -> None:
    """This holds even for an empty result."""
    assert "<div>" in Music(None, {})._repr_html_()  # type: ignore[arg-type]


@pytest.mark.parametrize(("channels", "left", "right"), [(2, 1000, 3000), (1, 2000, 2000)])
def test_small_wave(channels: int, left: int, right: int) -> None:
    """The channels are averaged at half the rate and cut short; the full length is still stated."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((channels, 2, 48_000, 0, "NONE", "not compressed"))
        sound.writeframes(np.tile([left, right][:channels], 96_000).astype("<i2").tobytes())
    data, seconds = small_wave(buffer.getvalue(), 1.0)
    assert seconds == 2.0
    with wave.open(io.BytesIO(data)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (
            1,
            24_000,
            24_000,
        )
        samples = np.frombuffer(sound.readframes(24_000), "<i2")
    assert np.abs(samples[500:-500].astype(int) - 2000).max() <= 2


def test_importing_the_package_loads_nothing(tmp_path: Path) -> None:
    heavy = "{'numpy', 'torch', 'typer'} & set(sys.modules)"
    code = f"import sys, styletransfer; print(len({heavy}), styletransfer.__version__)"
    root = str(Path(styletransfer.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": root},
        text=True,
        capture_output=True,
        check=True,
    )
    assert result.stdout.split() == ["0", styletransfer.__version__]
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = styletransfer.nothing_such
