"""Download MAESTRO from its official address: resumable, with a checksum."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from styletransfer.errors import InputError

MAESTRO_URL = (
    "https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/maestro-v3.0.0-midi.zip"
)
MAESTRO_SHA256 = "70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c"
"""As https://magenta.tensorflow.org/datasets/maestro states it (MIDI only, v3.0.0)."""

BLOCK = 1 << 16
"""Bytes to read at once: few enough that the progress bar moves, and that little is lost when the
connection breaks."""
TIMEOUT = 30.0
"""Seconds without a byte after which the connection counts as broken."""


def download_maestro(
    folder: Path | str,
    *,
    url: str = MAESTRO_URL,
    sha256: str = MAESTRO_SHA256,
    console: Console | None = None,
) -> Path:
    """Download MAESTRO v3.0.0's MIDI archive (58 MB, CC BY-NC-SA 4.0).

    A complete archive that is there already isn't downloaded again. A download that breaks off
    leaves ``….part``, from which the next call continues.
    :func:`styletransfer.data.prepare.prepare` takes the archive as it is.

    Returns:
        The path of the archive in ``folder``.

    Raises:
        InputError: where the server can't be reached, the connection breaks, the disk is full, or
            the checksum is wrong.
    """
    target = Path(folder) / url.rsplit("/", 1)[-1]
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            if file_sha256(target) == sha256:
                return target
            raise InputError(
                f"{target}: it isn't the archive of {url} (wrong checksum); delete it and try"
                " again."
            )

        _fetch(url, part, console or Console(stderr=True))
        found = file_sha256(part)
        if found != sha256:
            part.unlink()
            raise InputError(
                f"{url}: the download has the wrong checksum ({found[:12]}…) and was deleted; try"
                " again."
            )
        part.rename(target)
    except urllib.error.HTTPError as error:
        raise InputError(
            f"{url}: the server answered {error.code} ({error.reason}); try again later."
        ) from error
    except urllib.error.URLError as error:
        raise InputError(
            f"{url}: it can't be reached ({error.reason}); check the connection and try again."
        ) from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        kept = f"{part.stat().st_size / 1e6:.1f} MB are kept, " if part.exists() else ""
        raise InputError(
            f"{url}: the connection broke; {kept}run the same command again to continue."
        ) from error
    except OSError as error:
        raise InputError(f"{target}: it can't be written ({error.strerror or error}).") from error
    return target


def _fetch(url: str, part: Path, console: Console) -> None:
    """Append what ``part`` lacks of ``url``.

    Raises:
        ConnectionError: where the server sends less than it announced.
    """
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            error.close()
            return  # nothing is missing: the checksum decides
        raise

    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if resumed else 0  # a server without ranges sends everything
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None

        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with (
            part.open("ab" if resumed else "wb") as file,
            Progress(*columns, console=console, transient=True) as bar,
        ):
            task = bar.add_task("MAESTRO", total=total, completed=have)
            while block := response.read(BLOCK):
                file.write(block)
                have += len(block)
                bar.advance(task, len(block))
    if total is not None and have < total:
        raise ConnectionError(f"{have} of {total} bytes arrived")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
