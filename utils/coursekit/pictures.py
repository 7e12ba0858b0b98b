"""Pictures made smaller without changing a pixel: matplotlib embeds digits as colour with transparency."""

from __future__ import annotations

import base64
import io
import re

from PIL import Image, ImageChops

EMBEDDED = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")


def compress(drawing: str) -> str:
    """An SVG's text with each PNG in it stored in the fewest channels that hold it, best compressed."""

    def smaller(found: re.Match[str]) -> str:
        data = base64.b64decode(found[1])
        best = min(data, fewest_bytes(data), key=len)
        return found[0] if best is data else f"data:image/png;base64,{base64.b64encode(best).decode()}"

    return EMBEDDED.sub(smaller, drawing)


def fewest_bytes(data: bytes) -> bytes:
    """A PNG's bytes, written anew: without transparency where nothing is, in grey where nothing is coloured."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    opaque = picture.getchannel("A").getextrema()[0] == 255
    red, green, blue = (picture.getchannel(c) for c in "RGB")
    grey = not (ImageChops.difference(red, green).getbbox() or ImageChops.difference(red, blue).getbbox())
    if grey:
        picture = red if opaque else Image.merge("LA", (red, picture.getchannel("A")))
    elif opaque:
        picture = picture.convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
