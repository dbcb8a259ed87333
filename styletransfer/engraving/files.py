"""Scores to files: MusicXML, and engraved pages as SVG or PDF.

Engraving needs the extra ``[score]`` (verovio, typst).
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from styletransfer.errors import InputError
from styletransfer.files import check_writable
from styletransfer.formats.midi_in import on_beats
from styletransfer.formats.pulse import read_on_beats
from styletransfer.formats.read import read_song
from styletransfer.music.chords import ChordTable
from styletransfer.music.notes import Piece

XML_SUFFIXES = (".musicxml", ".xml")
NEEDS = {".svg": ("verovio",), ".pdf": ("verovio", "typst")}
"""The packages that engraving needs, by suffix."""

PAGE = {"pageWidth": 2100, "pageHeight": 2970, "unit": 8}
MARGINS = {f"pageMargin{side}": 120 for side in ("Left", "Right", "Top", "Bottom")}
"""Verovio's options for A4 in tenths of a millimetre; staves are 6.4 mm high, as in printed piano
music."""
WITH_SYMBOLS = {"spacingLinear": 0.36, "spacingNonLinear": 0.67}
"""Verovio's options for wider bars, in which chord symbols have room beside each other."""
LONGEST_PAGE = 60_000
"""The tallest page that verovio makes, in the same unit: an SVG file is one page as tall as the
music needs."""
LAYOUTS = {"wide": PAGE, "narrow": {"pageWidth": 1000, "pageHeight": 1600, "unit": 8}}
"""Page sizes for a screen: A4, or as narrow as a phone."""
SVG = "http://www.w3.org/2000/svg"
_FONT = ("font-size", "font-family", "font-style", "font-weight")
_ACCIDENTALS = {"\uea64": "♭", "\uea65": "♮", "\uea66": "♯"}
"""The accidentals of chord symbols in verovio's font (SMuFL's for figured bass), and the characters
that any font has for them."""


def check_score(path: str | Path, song: str, feel: str, force: bool = False) -> Piece:
    """Refuse a score before any work is done, and return the song.

    It is refused in an unknown format, where it isn't writable, without the packages for engraving,
    and without beats. The beats of the song are needed for a free performance of it.

    Args:
        path: where the score is to be written.
        song: the song, as for :func:`read_song`.
        feel: how the song is to be arranged.
        force: whether an existing file may be replaced.

    Raises:
        InputError: with the sentence for the user.
    """
    check_format(path, force)
    if feel == "score":
        source = read_on_beats(song, silent=True)
    else:
        source = read_song(song, None if feel == "auto" else "score", silent=True)
    free = feel == "performance" and not on_beats(
        source.notes, source.bars, source.ticks_per_quarter
    )
    if source.feel == "performance" or free:
        raise InputError(
            f"{song}: its notes lie on no beats, so it cannot become a score; leave --score out"
            + ("." if feel == "score" else " or say --feel score.")
        )

    return source


def check_format(path: str | Path, force: bool = False) -> None:
    """Refuse a path to which no score can be written, for its format or its folder.

    Raises:
        InputError: with the sentence for the user; also where the format lacks its packages.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (*XML_SUFFIXES, *NEEDS):
        raise InputError(
            f"{path}: a score is written as .musicxml, .svg or .pdf; name such a file."
        )
    check_writable(path, force)
    missing = [name for name in NEEDS.get(suffix, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{path}: engraving needs {' and '.join(missing)}; "
            "install styletransfer-music[score], or write a .musicxml file."
        )


def score_bytes(
    piece: Piece,
    path: Path,
    title: str = "",
    *,
    beats: Piece | None = None,
    chords: ChordTable | None = None,
) -> bytes:
    """Write a piece with beats as a score for its ensemble.

    It is MusicXML, one tall page of SVG, or PDF in A4 pages.

    Args:
        piece: the piece.
        path: a path that :func:`check_format` took.
        title: the heading.
        beats: the song (:func:`check_score`) over whose beats a piece without bars was played.
        chords: the chords above the first staff.

    Raises:
        InputError: where the piece has no beats, or is too long for one page of SVG.
    """
    from styletransfer.engraving.musicxml import musicxml_bytes
    from styletransfer.engraving.page import lay_out

    if beats is not None and not len(piece.bars):
        piece = replace(piece, bars=beats.bars, key_signatures=beats.key_signatures)
    data = musicxml_bytes(lay_out(piece, chords), title)
    if path.suffix.lower() == ".svg":
        pages = engraved(data, tall=True)
        if len(pages) > 1:
            raise InputError(
                f"{path}: it is too long for one page; write a .pdf or a .musicxml file."
            )
        data = pages[0]
    elif path.suffix.lower() == ".pdf":
        data = pdf_bytes(engraved(data), title)
    return data


def engraved(musicxml: bytes, *, tall: bool = False, narrow: bool = False) -> list[bytes]:
    """Engrave MusicXML as SVG pages: A4 or one ``tall`` page, ``narrow`` as a phone.

    The pages need no font for music signs.

    Raises:
        ValueError: where verovio can't read it.
    """
    layout: dict[str, Any] = PAGE | MARGINS
    if narrow:
        layout = LAYOUTS["narrow"] | dict.fromkeys(MARGINS, 50) | {"svgViewBox": True}
    if tall:
        layout |= {"pageHeight": LONGEST_PAGE, "adjustPageHeight": True}
    if b"<harmony" in musicxml:
        layout |= WITH_SYMBOLS
    toolkit = _loaded(musicxml, layout)
    folder = Path(toolkit.getResourcePath())
    return [
        _standalone(toolkit.renderToSVG(page), folder)
        for page in range(1, toolkit.getPageCount() + 1)
    ]


def _loaded(musicxml: bytes, layout: dict[str, Any]) -> Any:
    """Return verovio's toolkit with a score in it.

    Raises:
        ValueError: where verovio can't read it.
    """
    import verovio

    verovio.enableLog(verovio.LOG_ERROR)
    toolkit = verovio.toolkit()
    fixed = {
        "breaks": "auto",
        "footer": "none",
        "smuflTextFont": "none",
        "xmlIdSeed": 1,
        "scale": 100,
    }
    toolkit.setOptions(fixed | layout)
    if not toolkit.loadData(musicxml.decode("utf-8")):
        raise ValueError(f"verovio cannot engrave it: {toolkit.getLog()}")
    return toolkit


def pages_with_times(
    musicxml: bytes, layout: str = "wide"
) -> tuple[list[bytes], list[dict[str, Any]]]:
    """Engrave MusicXML as pages of SVG for a screen, with the times of its notes.

    Args:
        musicxml: the score.
        layout: of :data:`LAYOUTS`.

    Returns:
        The pages, without style sheets or style attributes, which a strict policy forbids; and by
        time ``quarter`` (from the score's first note or rest), ``bar`` (its place, from 0), and the
        ids of the notes that begin (``on``) and end (``off``) there.

    Raises:
        ValueError: where verovio can't read it.
    """
    margins = {f"pageMargin{side}": 50 for side in ("Left", "Right", "Top", "Bottom")}
    # Without a heading: the screen shows its own, and a narrow page would cut it off.
    size = {
        "adjustPageHeight": True,
        "svgViewBox": True,
        "svgRemoveXlink": True,
        "header": "none",
    }
    toolkit = _loaded(musicxml, LAYOUTS[layout] | margins | size)
    folder = Path(toolkit.getResourcePath())
    pages = [
        _standalone(toolkit.renderToSVG(page), folder, styles=False)
        for page in range(1, toolkit.getPageCount() + 1)
    ]

    rows, bar = [], -1
    for row in toolkit.renderToTimemap({"includeMeasures": True}):
        bar += "measureOn" in row
        told = {"quarter": float(row["qstamp"]), "bar": max(bar, 0)}
        rows.append(told | {side: list(row.get(side, ())) for side in ("on", "off")})
    return pages, rows


def pdf_bytes(pages: list[bytes], title: str) -> bytes:
    """Make a PDF file of A4 pages of SVG; the same pages give the same bytes."""
    import typst

    files = {f"page-{number}.svg": page for number, page in enumerate(pages, 1)}
    sheets = [
        f'#page(width: 210mm, height: 297mm, margin: 0mm, image("{name}", width: 210mm))'
        for name in files
    ]
    source = "\n".join([f"#set document(title: {_typst_string(title)}, date: none)", *sheets])
    # typst takes several files this way, although its type hints don't show it
    project: Any = {"main.typ": source.encode("utf-8")} | files
    return bytes(typst.compile(project, format="pdf"))


def _typst_string(text: str) -> str:
    """Quote a text for typst."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _standalone(svg: str, resources: Path, *, styles: bool = True) -> bytes:
    """Make a page's texts plain, and draw the music signs inside texts.

    Such a sign is a metronome mark's note. Verovio nests positions, anchors and fonts in a way that
    only browsers follow, and leaves those signs to its own font.
    """
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        if not styles:
            parent.attrib.pop("style", None)
            for sheet in parent.findall(f"{{{SVG}}}style"):
                parent.remove(sheet)
        for index, child in enumerate(list(parent)):
            if child.tag == f"{{{SVG}}}text":
                parent[index] = _plain_text(child, resources)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _plain_text(text: Any, resources: Path) -> Any:
    """Turn a text into a group of texts, each with its own position, and drawn signs."""
    group = ElementTree.Element(
        f"{{{SVG}}}g", {k: v for k, v in text.attrib.items() if k in ("id", "class")}
    )
    place, shift, line = ("", ""), 0.0, None
    for style, words in _runs(text, {}):
        size = float(style["font-size"].removesuffix("px"))
        if (style.get("x", "0"), style.get("y", "0")) != place:
            place, shift, line = (style.get("x", "0"), style.get("y", "0")), 0.0, None
        if line is not None and words in _ACCIDENTALS:  # it isn't known where the words end
            line[-1].text = f"{line[-1].text}{_ACCIDENTALS[words]}"
            continue
        if style.get("font-family") == "Leipzig":
            for sign in words:
                outline, advance = _sign(f"{ord(sign):04X}", resources)
                moved = f"translate({float(place[0]) + shift:g} {place[1]})"
                at = f"{moved} scale({size / 1000:g} {-size / 1000:g})"
                if outline:
                    drawn = {"d": outline, "stroke": "none", "transform": at}
                    ElementTree.SubElement(group, f"{{{SVG}}}path", drawn)
                shift += advance * size / 1000
            line = None
            continue
        if line is None:
            anchor = {
                "x": f"{float(place[0]) + shift:g}",
                "y": place[1],
                "text-anchor": style.get("text-anchor", "start"),
            }
            line = ElementTree.SubElement(group, f"{{{SVG}}}text", anchor)
        ElementTree.SubElement(
            line, f"{{{SVG}}}tspan", {k: style[k] for k in _FONT if k in style}
        ).text = words

    return group


def _runs(element: Any, style: dict[str, str]) -> Iterator[tuple[dict[str, str], str]]:
    """Yield the words of a text in order, with the style and position they inherit."""
    if element.tag == f"{{{SVG}}}title":
        return
    style = style | {
        k: v for k, v in element.attrib.items() if k in (*_FONT, "x", "y", "text-anchor")
    }
    if element.text and element.text.strip():
        yield style, element.text
    for child in element:
        yield from _runs(child, style)


@lru_cache(maxsize=64)
def _sign(code: str, resources: Path) -> tuple[str, float]:
    """Return the outline of a music sign, and its advance.

    The advance is in thousandths of the font's size.
    """
    outline = ElementTree.parse(resources / "Leipzig" / f"{code}.xml").find("path")
    table = (resources / "Leipzig.xml").read_text(encoding="utf-8")
    found = re.search(rf'<g c="{code}"[^>]* h-a-x="([\d.]+)"', table)
    return (outline.get("d", "") if outline is not None else ""), float(found[1]) if found else 0.0
