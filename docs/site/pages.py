"""Take pages from outside ``docs/`` into the site, under their own paths.

Recipes and results are described beside their code (``pretrain/README.md``, ``eval/RESULTS.md`` …),
where a reader of the repository looks for them. On the site they have the same path. A link from
one page to another is written as it works in the repository; here it is turned into what it must
be on the site. A link to a file that is no page (code, settings, results) becomes plain text, once
it is known that the file is there.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "benchmarks/*.md",
    "benchmarks/*.png",
    "eval/*.md",
    "finetune/*.md",
    "finetune/*.png",
    "pretrain/*.md",
    "pretrain/*.png",
    "styletransfer/assets/base/*.md",
)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
log = logging.getLogger("mkdocs.hooks.outside")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside ``docs/``."""
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(
                File(name, str(ROOT), config.site_dir, use_directory_urls=config.use_directory_urls)
            )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that are right in the repository into links that are right on the site."""
    inside = Path(str(page.file.abs_src_path)).is_relative_to(config.docs_dir)
    source = posixpath.join("docs", page.file.src_uri) if inside else page.file.src_uri
    here = posixpath.dirname(source)

    def turned(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match.group()
        path, hash_, anchor = target.partition("#")
        wanted = posixpath.normpath(posixpath.join(here, path))
        on_site = wanted.removeprefix("docs/")
        if files.get_file_from_path(on_site):
            start = posixpath.dirname(page.file.src_uri)
            return f"{image}[{text}]({posixpath.relpath(on_site, start)}{hash_}{anchor})"
        if not (ROOT / wanted).exists():
            log.warning("%s: there is no %s", source, wanted)
        return text

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(turned, part) for part in parts)
