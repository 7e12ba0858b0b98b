"""Formulas for pages without scripts: LaTeX becomes MathML, which browsers set by themselves."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from xml.etree import ElementTree

from docutils.utils.math.latex2mathml import tex2mathml

LONGEST = 2000
"""Characters; a longer formula is shown as its source."""

# Elements and attributes that MathML needs. Whatever else the converter returns, the formula is shown as its source.
_PARTS = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3, "mroot": 2}
_ELEMENTS = {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "msqrt", "mtable", "mtr", "mtd", "mstyle", *_PARTS}
_ATTRIBUTES = {"display", "stretchy", "form", "fence", "separator", "symmetric", "largeop", "movablelimits", "accent"}
_ATTRIBUTES |= {"accentunder", "minsize", "maxsize", "lspace", "rspace", "width", "displaystyle", "scriptlevel"}
_ATTRIBUTES |= {"linethickness", "mathvariant", "columnalign", "columnspacing", "rowspacing"}
_CLASSES = {"ams-align", "cases"}
_VALUE = re.compile(r"[\w .%+-]*\Z")

# What people write, in the words that the converter knows.
_SPELLINGS = (
    (re.compile(r"\\(?:dots[cb]?|hdots)(?![A-Za-z])"), r"\\ldots"),
    (re.compile(r"\\(?:big|Big|bigg|Bigg)m?(?![A-Za-z])"), ""),
    (re.compile(r"\\(?:textbf|textit|textrm|textsf|emph|mbox)(?=\{)"), r"\\text"),
    (re.compile(r"\\texttt(?=\{)"), r"\\mathtt"),
    (re.compile(r"\\(?:boldsymbol|bm)(?=\{)"), r"\\mathbf"),
    (re.compile(r"\\([td]?frac)\s*([0-9])\s*([0-9])"), r"\\\1{\2}{\3}"),
    (re.compile(r"\\([td]?frac)\s*([0-9])(?=\{)"), r"\\\1{\2}"),
    (re.compile(r"([_^])([0-9])(?=[0-9])"), r"\1{\2}"),
    (re.compile(r"\\(begin|end)\{(?:align|equation|eqnarray)\*?\}"), r"\\\1{aligned}"),
    (re.compile(r"\\(begin|end)\{(?:gathered|gather)\*?\}"), r"\\\1{aligned}"),
    (re.compile(r"\\(?:label|tag)\*?\{[^{}]*\}|\\nonumber(?![A-Za-z])"), ""),
)


@lru_cache(maxsize=4096)
def to_mathml(latex: str, block: bool = False) -> str | None:
    """The formula as a ``<math>`` element, or None where it cannot be converted without loss.

    Only elements and attributes of MathML that are known to be harmless ever come back.
    """
    latex = latex.strip()
    if not latex or len(latex) > LONGEST:
        return None
    for pattern, spelling in _SPELLINGS:
        latex = pattern.sub(spelling, latex)
    try:
        text = tex2mathml(latex, as_block=block).replace("&ApplyFunction;", "\u2061")
        root = ElementTree.fromstring(text)
    except Exception:  # the converter is made for authors: on odd input it raises whatever comes
        return None
    return _serialise(root) if _is_sound(root) else None


def _is_sound(root: ElementTree.Element) -> bool:
    """Whether only harmless elements occur, none of which is left without the parts that it needs."""
    for element in root.iter():
        name = _local(element)
        if name not in _ELEMENTS or len(element) != _PARTS.get(name, len(element)):
            return False
    return "\\" not in "".join(root.itertext()).replace("\\ ", "")


def _serialise(root: ElementTree.Element) -> str:
    for element in root.iter():
        _space_functions(element)
        element.tag = _local(element)
        kept = {k: v for k, v in element.attrib.items() if k in _ATTRIBUTES and _VALUE.match(v)}
        if element.get("class") in _CLASSES:
            kept["class"] = element.get("class")
        element.attrib.clear()
        element.attrib.update(kept)
        element.text = (element.text or "").strip("\n") if not len(element) else None
        element.tail = None
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _space_functions(element: ElementTree.Element) -> None:
    """Browsers leave no space between the name of a function and its argument, as in log p."""
    for mark, argument in pairwise(element):
        if mark.text == "\u2061" and _local(argument) != "mo":
            mark.set("rspace", "0.1667em")


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
