"""What ``--force`` replaces: regular files, by a link or not, and nothing else."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from styletransfer.errors import InputError
from styletransfer.files import check_writable, write_bytes, write_folder_atomically
from tests.command import Run, refused


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_pipes_and_devices_stay(tmp_path: Path) -> None:
    """They used to be replaced by a plain file: ``/dev/full`` was lost."""
    pipe = tmp_path / "pipe.mid"
    os.mkfifo(pipe)
    (tmp_path / "link.mid").symlink_to(pipe)
    for path in (pipe, tmp_path / "link.mid"):
        with pytest.raises(InputError, match="no regular file"):
            write_bytes(path, b"new", force=True)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(InputError, match="no regular file"):
        check_writable(os.devnull, force=True)


def test_a_link_is_followed(tmp_path: Path) -> None:
    """It used to be replaced by a file, and what it leads to stayed as it was."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far/song.mid").write_bytes(b"old")
    link, folder, astray = (tmp_path / name for name in ("link.mid", "folder", "astray.mid"))
    link.symlink_to(tmp_path / "far/song.mid")
    with pytest.raises(InputError, match="exists already"):
        write_bytes(link, b"new")
    write_bytes(link, b"new", force=True)
    assert link.is_symlink()
    assert (tmp_path / "far/song.mid").read_bytes() == b"new"

    astray.symlink_to(tmp_path / "nowhere.mid")
    with pytest.raises(InputError, match="leads nowhere"):
        write_bytes(astray, b"new", force=True)

    folder.symlink_to(tmp_path / "far")
    write_folder_atomically(folder, lambda partial: partial.mkdir())
    assert folder.is_symlink()
    assert not list((tmp_path / "far").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "astray.mid",
        "far",
        "folder",
        "link.mid",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that is in use")
def test_a_current_folder_that_is_gone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to be a traceback, or to end the process inside a library."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    refused(run("apply", "twinkle", "-s", "bach"), "the current folder is no longer there")
