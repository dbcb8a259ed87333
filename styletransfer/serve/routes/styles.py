"""Styles: listed, heard, learnt from pieces."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

from styletransfer.errors import InputError
from styletransfer.serve.jobs import Job
from styletransfer.serve.samples import SECONDS
from styletransfer.serve.state import BODY_SECONDS, state_of
from styletransfer.serve.trust import safe_name, shown_name


async def list_styles(request: Request) -> Response:
    """Answer with the styles."""
    return JSONResponse(await asyncio.to_thread(_styles))


def _styles() -> list[dict[str, Any]]:
    from styletransfer.music.composers import COMPOSERS, display_name, years_of
    from styletransfer.styles.find import all_styles

    return [
        {
            "name": style.name,
            "title": display_name(style.name) if style.name in COMPOSERS else None,
            "kind": style.kind,
            "era": style.era,
            "years": years_of(style.name) or None if style.name in COMPOSERS else None,
            "pieces": style.card.pieces if style.card else None,
            "gain": round(style.card.gain, 4) if style.card and style.card.gain else None,
            "sample": f"/api/styles/{style.name}/sample.wav",
        }
        for style in all_styles()
    ]


async def style_sample(request: Request) -> Response:
    """Answer with four bars in a style, as sound.

    They are arranged when they are first requested.
    """
    state, name = state_of(request), request.path_params["name"]
    path = await asyncio.to_thread(_sample, name, state.settings.model)
    if not path.is_file():
        await _make_sample(request, name, path)
    target = state.folder / f"sample-{path.stem}.wav"
    await state.ask("sound", path=str(path), target=str(target))
    return FileResponse(target, media_type="audio/wav")


def _sample(name: str, model: Path | None) -> Path:
    """Return the path at which a style's sample is kept."""
    from styletransfer.serve.samples import sample_path
    from styletransfer.styles.find import all_styles

    for style in all_styles():
        if style.name == name:
            return sample_path(style, model)
    raise HTTPException(404, "there is no such style.")


async def _make_sample(request: Request, name: str, path: Path) -> None:
    """Have a sample made as soon as nobody is waiting for anything else."""
    jobs, arguments = state_of(request).jobs, {"target": str(path), "style": name}
    asked = (one for one in jobs.all.values() if one.arguments == arguments)
    job = next((one for one in asked if not one.over and not one.stopping), None)
    if job is None:
        job = Job(
            secrets.token_hex(8),
            "sample",
            arguments,
            lambda _: {"version": None},
            limit=SECONDS,
            urgent=False,
        )
        jobs.add(job)

    job.listeners += 1
    try:
        while not job.over:
            with suppress(TimeoutError):
                await asyncio.wait_for(job.news.wait(), 1)
            if await request.is_disconnected():
                raise ClientDisconnect
    finally:
        job.listeners -= 1
        if not job.listeners and not job.over:
            jobs.stop(job)

    last, told = job.events[-1]
    if last == "failed":
        raise InputError(told["error"])
    if last == "stopped":
        raise HTTPException(503, "the sample had to give way to an arrangement; try again later.")


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
            clean=lambda: _clean(folder, name),
            limit=60 * minutes + state.settings.arranging_seconds,
        )
        state.jobs.add(job)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise

    return JSONResponse({"job": job.id}, 202)


def _clean(folder: Path, name: str) -> None:
    """Remove what a training leaves behind after it has ended."""
    from styletransfer.serve.leftovers import remove_work

    shutil.rmtree(folder, ignore_errors=True)
    remove_work(name)


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
    """Store uploaded pieces in a folder, numbered, or as the archive they came in."""
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
