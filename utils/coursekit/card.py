"""The pictures that other sites show beside a link to a page: the book's background with the page's title."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

SIZE = (1200, 630)
"""Width and height in pixels: what social sites expect."""
INK = "#222832"
MUTED = "#48566b"
LEFT, WIDTH, TOP = 80, 1040, 250


def draw(background: Path, title: str, book: str, target: Path) -> None:
    """Write the card of one page as a PNG.

    Raises:
        ValueError: If the background has another size.
    """
    card = Image.open(background).convert("RGB")
    if card.size != SIZE:
        raise ValueError(f"{background.name} must be {SIZE[0]}x{SIZE[1]}, it is {card.size[0]}x{card.size[1]}")
    pen = ImageDraw.Draw(card)
    for size in (68, 58, 50, 42):
        font = _font(size, bold=True)
        lines = _wrap(title, font)
        if len(lines) <= 3:
            break
    for i, line in enumerate(lines):
        pen.text((LEFT, TOP + i * 1.25 * size), line, fill=INK, font=font)
    if title != book:
        pen.text((LEFT, SIZE[1] - 90), book, fill=MUTED, font=_font(32))
    target.parent.mkdir(parents=True, exist_ok=True)
    card.quantize(64).save(target, "PNG", optimize=True)


def _wrap(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > WIDTH:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)
