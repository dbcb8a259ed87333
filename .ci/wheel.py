"""Build the wheel and use it as a user would: in an empty environment, from another folder.

Run as ``python .ci/wheel.py`` with the ``dev`` extra installed; works on Linux, macOS and Windows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = (
    "styletransfer/assets/base/model-00001.safetensors",
    "styletransfer/configs/pretrain/small.yaml",
)
FORBIDDEN = ("tests/", "eval/", "pretrain/", "finetune/", "benchmarks/", "docs/")
LARGEST = 90_000_000
"""Bytes of the wheel, at the most: PyPI takes 100 MB."""
MAGIC = {".mid": b"MThd", ".wav": b"RIFF", ".png": b"\x89PNG"}


def build(folder: Path) -> Path:
    """Build the wheel into a folder, and return its path."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return next(folder.glob("*.whl"))


def check_contents(wheel: Path) -> None:
    """Stop where the wheel lacks something, holds too much, or is too large."""
    names = zipfile.ZipFile(wheel).namelist()
    for name in NEEDED:
        if name not in names:
            sys.exit(f"the wheel has no {name}")
    if unwanted := [name for name in names if name.startswith(FORBIDDEN)]:
        sys.exit(f"the wheel holds what it must not: {unwanted[0]}")
    if wheel.stat().st_size >= LARGEST:
        sys.exit(f"the wheel is larger than {LARGEST // 1_000_000} MB")


def check_use(wheel: Path, work: Path) -> None:
    """Install the wheel into an empty environment, and arrange a song in another folder."""
    venv.create(work / "venv", with_pip=True)
    scripts = work / "venv" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([scripts / "pip", "install", "-q", wheel], check=True)

    command = scripts / "styletransfer"
    subprocess.run([command, "--version"], check=True, cwd=work)
    arguments = [
        "apply",
        "happy-birthday",
        "--style",
        "bach",
        "--audio",
        "out.wav",
        "--plot",
        "out.png",
        "--json",
    ]
    done = subprocess.run(
        [command, *arguments], check=True, cwd=work, stdout=subprocess.PIPE, text=True
    )
    report = json.loads(done.stdout)
    assert report["melody_notes_kept"] == report["melody_notes"] == 25, report
    assert report["notes"] > 50, report
    for name in (report["output"], "out.wav", "out.png"):
        assert (work / name).read_bytes().startswith(MAGIC[Path(name).suffix]), name

    arguments = ["apply", "missing.mid", "--style", "bach"]
    failed = subprocess.run([command, *arguments], cwd=work, stderr=subprocess.PIPE, text=True)
    assert failed.returncode == 2, "a missing file went through"
    assert len(failed.stderr.splitlines()) == 1, failed.stderr


def main() -> None:
    """Build, look inside, install, use."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        wheel = build(work / "dist")
        check_contents(wheel)
        check_use(wheel, work)
        print(f"the wheel works: {wheel.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
