"""Styles: listed, heard, learnt from pieces."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from styletransfer.errors import InputError
from styletransfer.serve.jobs import Job
from styletransfer.serve.state import BODY_SECONDS, state_of
from styletransfer.serve.trust import safe_name, shown_name


async def list_styles(request: Request) -> Response:
    """Answer with the styles."""
    return JSONResponse(await asyncio.to_thread(_styles))


def _styles() -> list[dict[str, Any]]:
    from styletransfer.music.composers import COMPOSERS, display_name
    from styletransfer.styles.find import all_styles

    return [
        {
            "name": style.name,
            "title": display_name(style.name) if style.name in COMPOSERS else None,
            "kind": style.kind,
            "era": style.era,
            "years": None,
            "pieces": style.card.pieces if style.card else None,
            "gain": round(style.card.gain, 4) if style.card and style.card.gain else None,
            "sample": f"/api/styles/{style.name}/sample.wav" if _sample(style) else None,
        }
        for style in all_styles()
    ]


def _sample(style: Any) -> Path | None:
    """The short piece that shows a style."""
    path: Path | None = style.path and style.path / "sample.mid"
    return path if path is not None and path.is_file() else None


async def style_sample(request: Request) -> Response:
    """Answer with a short piece in a style, as sound."""
    from styletransfer.styles.find import all_styles

    name = request.path_params["name"]
    styles = {style.name: style for style in await asyncio.to_thread(all_styles)}
    path = _sample(styles[name]) if name in styles else None
    if path is None:
        raise HTTPException(404, "there is no sample of that style.")
    state = state_of(request)
    target = state.folder / f"sample-{name}-{path.stat().st_mtime_ns}.wav"
    await state.ask("sound", path=str(path), target=str(target))
    return FileResponse(target, media_type="audio/wav")


async def add_style(request: Request) -> Response:
    """Queue the training of a style from uploaded pieces."""
    state = state_of(request)
    folder = state.folder / "training" / secrets.token_hex(8)
    folder.mkdir(parents=True)
    try:
        async with (
            asyncio.timeout(BODY_SECONDS * 5),
            request.form(max_files=2_000, max_fields=8) as form,
        ):
            name, era = str(form.get("name") or ""), str(form.get("era") or "unknown")
            minutes = _minutes(form.get("minutes"))
            files = [item for _, item in form.multi_items() if isinstance(item, UploadFile)]
            source = await _pieces(files, folder)
        await asyncio.to_thread(_check_style, name, era)
        arguments = {"source": str(source), "name": name, "era": era, "minutes": minutes}
        job = Job(
            secrets.token_hex(8),
            "train",
            arguments,
            lambda result: {"version": None, "style": result["style"]},
            cancelled=lambda: shutil.rmtree(folder, ignore_errors=True),
        )
        state.jobs.add(job)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise

    return JSONResponse({"job": job.id}, 202)


def _minutes(given: Any) -> float:
    try:
        minutes = float(given or 10)
    except (TypeError, ValueError):
        minutes = 0.0
    if not 0 < minutes <= 600:
        raise InputError("`minutes` is a number above 0, at most 600.")
    return minutes


def _check_style(name: str, era: str) -> None:
    from styletransfer.folders import home
    from styletransfer.styles.find import check_name
    from styletransfer.tokens.controls import ERAS, UNKNOWN

    check_name(name)
    if era not in (*ERAS, UNKNOWN):
        raise InputError(f"`era` is one of {', '.join(ERAS)}, or {UNKNOWN}.")
    if (home() / name).exists():
        raise InputError(f"{name}: there is a style of that name; choose another.")


async def _pieces(files: list[UploadFile], folder: Path) -> Path:
    """Uploaded pieces in a folder of ours, under numbers, or an archive of them."""
    from styletransfer.formats.read import SCORE_SUFFIXES

    suffixes = [Path(shown_name(upload.filename)).suffix.lower() for upload in files]
    if suffixes == [".zip"]:
        source = folder / "pieces.zip"
        await asyncio.to_thread(_copy, files[0], source)
        return source
    source = folder / "pieces"
    source.mkdir()
    for number, (upload, suffix) in enumerate(zip(files, suffixes, strict=True), 1):
        if suffix in SCORE_SUFFIXES:
            stem = safe_name(Path(shown_name(upload.filename)).stem, "piece")
            await asyncio.to_thread(_copy, upload, source / f"{number:04}-{stem}{suffix}")
    if not any(source.iterdir()):
        known = ", ".join(sorted(SCORE_SUFFIXES))
        raise InputError(f"give pieces to learn from: files in {known}, or one .zip of them.")
    return source


def _copy(upload: UploadFile, target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(upload.file, file)
