"""Text and pictures from strangers, made fit for a page: no control characters, no more than fits, nothing active."""

from __future__ import annotations

import base64
import io
import warnings

from nbconvert.filters import strip_ansi
from PIL import Image

LONGEST_TEXT = 20_000
"""Characters of one output."""
LARGEST_PICTURE = 6_000_000
"""Bytes of one picture."""
MOST_PIXELS = 64_000_000
PICTURES = ("image/png", "image/jpeg")

# These turn the direction of the text around them, so that code can look like other code.
_TURNS = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]
_REPLACED = {code: f"[U+{code:04X}]" for code in _TURNS}
_REPLACED |= {code: None for code in [*range(32), *range(127, 160)] if chr(code) not in "\n\t"}
_REPLACED |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def clean(text: object) -> str:
    """The text without colours, control characters or marks that turn its direction; those are named instead.

    Of a line that overwrites itself, as a progress bar does, the last state is left.
    """
    lines = strip_ansi(str(text)).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines).translate(_REPLACED)


def shorten(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, or its beginning and a note if it has more than ``longest`` characters."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}\n(Shortened: the first {longest:,} characters are shown.)"


def joined(value: object) -> object:
    """A text that the notebook's format keeps as a list of lines, in one piece."""
    return "".join(map(str, value)) if isinstance(value, list) else value


def one_line(text: object, longest: int = 200) -> str:
    """The text in one line, such as a name or the label of a link."""
    words = " ".join(clean(text).split())
    return words if len(words) <= longest else words[: longest - 1] + "…"


def picture_address(data: object, kind: str) -> str | None:
    """A ``data:`` address of a PNG or JPEG picture in base64; None if it is broken, too large or something else."""
    if kind not in PICTURES or not isinstance(data, str) or len(data) > LARGEST_PICTURE * 4 / 3 + 4:
        return None
    try:
        content = base64.b64decode("".join(data.split()), validate=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns of pictures that would fill the memory
            with Image.open(io.BytesIO(content), formats=["PNG", "JPEG"]) as picture:
                sound = picture.width * picture.height <= MOST_PIXELS
                kind = Image.MIME[picture.format]
                picture.verify()
    except Exception:  # Pillow raises many kinds of errors on files that are not pictures
        return None
    return f"data:{kind};base64,{base64.b64encode(content).decode()}" if sound else None
