"""The theme's icon fonts, cut down to the icons that the book shows: from 270 kB a page to a few."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

RULE = re.compile(r'((?:\.fa-[\w-]+::?before,?)+)\{content:"(\\[0-9a-f]{1,4}|[^"])"\}')
CLASS = re.compile(r"\bfa-[a-z0-9-]+")
FACE = re.compile(
    r"url\(([^()]*?/)(fa-(?:solid-900|regular-400|brands-400))\.woff2\) format\(\"woff2\"\)"
    r",url\([^()]*\.ttf\) format\(\"truetype\"\)"
)
ESCAPE = re.compile(r"\\([ef][0-9a-f]{3})\b", re.I)
PRIVATE = re.compile("[\ue000-\uf8ff]")


def shrink(style: Path, fonts: Path, texts: Iterable[str], more_styles: Iterable[str]) -> None:
    """Keep in a style sheet and in the fonts beside it only the icons in use.

    Arguments:
        style: The theme's style sheet, in the built book; it is changed.
        fonts: Where the theme keeps its fonts in TrueType.
        texts: Pages and scripts, whose ``fa-`` classes are in use.
        more_styles: Other style sheets, whose characters of the private area are in use.
    """
    css = style.read_text("utf-8")
    names = {name for text in texts for name in CLASS.findall(text)}

    def keep(rule: re.Match[str]) -> str:
        return rule[0] if names & set(CLASS.findall(rule[1])) else ""

    css = RULE.sub(keep, css)
    used = set()
    for text in (css, *more_styles):
        used |= {int(code, 16) for code in ESCAPE.findall(text)} | {ord(c) for c in PRIVATE.findall(text)}
    for folder, name in set(FACE.findall(css)):
        target = (style.parent / folder).resolve()
        _subset(fonts / f"{name}.ttf", target / f"{name}.woff", used)
        for kind in ("ttf", "woff2"):
            (target / f"{name}.{kind}").unlink(missing_ok=True)
    style.write_text(FACE.sub(r'url(\1\2.woff) format("woff")', css), "utf-8")


def _subset(source: Path, target: Path, codes: set[int]) -> None:
    """Write the glyphs of some code points as a WOFF font."""
    logging.getLogger("fontTools.subset").setLevel(logging.WARNING)  # else it tells of every table
    font = TTFont(source)
    cutter = subset.Subsetter(subset.Options(layout_features=[], hinting=False, notdef_outline=True))
    cutter.populate(unicodes=codes)
    cutter.subset(font)
    font.flavor = "woff"
    font.save(target)
