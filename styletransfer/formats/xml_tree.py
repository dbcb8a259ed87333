"""XML files of scores, plain or in an archive, as trees of elements.

Document type definitions are not fetched, and a file that defines entities is refused.
"""

from __future__ import annotations

import io
import zipfile
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from styletransfer.errors import InputError

MAX_XML_BYTES = 64 * 1024 * 1024
"""A compressed score that unpacks to more than this is refused."""
MAX_DEPTH = 64
"""Elements within elements; MusicXML has a dozen."""


def xml_of(data: bytes, name: str, suffixes: tuple[str, ...]) -> bytes:
    """Return the score's XML, taken out of the archive where it is compressed.

    Args:
        data: the file's bytes.
        name: what error messages call it.
        suffixes: with which the names of scores end, in an archive that doesn't state which it is.

    Raises:
        InputError: where the archive is damaged, or has no score in it, or one that is too large.
    """
    if data[:2] != b"PK":
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            others = ("META-INF/", "__MACOSX", "Excerpts/")
            inside = [n for n in names if n.endswith(suffixes) and not n.startswith(others)]
            where = "META-INF/container.xml"
            if where in names and archive.getinfo(where).file_size < 1 << 20:
                container = tree(archive.read(where), name)
                roots = [e.get("full-path") or "" for e in container.iter("rootfile")]
                roots = [root for root in roots if root in names]
                inside = [r for r in roots if r.endswith(suffixes)][:1] or inside or roots[:1]
            if not inside:
                raise InputError(
                    f"{name}: the archive has no score in it; save or export it again."
                )
            if archive.getinfo(inside[0]).file_size > MAX_XML_BYTES:
                raise InputError(
                    f"{name}: its score unpacks to more than {MAX_XML_BYTES >> 20} MB; "
                    "export it again."
                )
            return archive.read(inside[0])
    except InputError:
        raise
    except Exception as error:  # damaged archives raise many kinds
        raise InputError(
            f"{name}: the compressed score is damaged; download or export it again."
        ) from error


def tree(data: bytes, name: str, skipped: frozenset[str] = frozenset()) -> Element:
    """Return the elements of an XML file, named without their namespaces.

    The ``skipped`` ones are left out.

    A byte-order mark overrules the encoding that the file states, and what is neither that nor
    UTF-8 is read as Latin-1.

    Raises:
        InputError: where it isn't XML, or its elements are nested too deeply, or it defines
            entities.
    """
    encoding = None
    for mark, codec in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if data.startswith(mark):
            data, encoding = data.decode(codec, errors="replace").encode(), "utf-8"

    data = data.lstrip()
    try:
        return _parsed(data, encoding, name, skipped)
    except (
        expat.ExpatError,
        ValueError,
        LookupError,
    ) as error:  # the latter two: an encoding that does not exist
        if encoding is None and not _is_utf8(data):
            try:
                return _parsed(data, "iso-8859-1", name, skipped)
            except expat.ExpatError:
                pass  # the first error says more
        wrong = (
            "cut short or not XML" if isinstance(error, expat.ExpatError) else "not readable XML"
        )
        raise InputError(f"{name}: it is {wrong} ({error}); export it again.") from None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parsed(data: bytes, encoding: str | None, name: str, left_out: frozenset[str]) -> Element:
    builder, parser = TreeBuilder(), expat.ParserCreate(encoding)
    depth, skipped = 0, 0  # skipped: the depth of the element that is left out, with all in it

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, skipped
        depth += 1
        if depth > MAX_DEPTH:
            raise InputError(
                f"{name}: its elements are nested too deeply to be music; export it again."
            )
        local = tag.rpartition(":")[2]
        if not skipped and local in left_out:
            skipped = depth
        if not skipped:
            builder.start(local, attributes)

    def end(tag: str) -> None:
        nonlocal depth, skipped
        if not skipped:
            builder.end(tag.rpartition(":")[2])
        elif skipped == depth:
            skipped = 0
        depth -= 1

    def characters(text: str) -> None:
        if not skipped and not text.isspace():
            builder.data(text)

    def entity(*_: object) -> None:
        raise InputError(
            f"{name}: it defines entities of its own, which no score needs; export it again."
        )

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = (
        start,
        end,
        characters,
    )
    parser.EntityDeclHandler = entity
    parser.Parse(data, True)
    return builder.close()
