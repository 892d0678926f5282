"""Text on still pictures: what agents say made fit to be drawn, and how wide it comes out.

A picture is drawn without knowing the font, so widths are those of common sans serifs, the wide ones: what fits by this
table fits in Helvetica, Segoe and DejaVu.
"""

import re
import unicodedata
from typing import Final

LONGEST: Final = 200
"""Characters of a text that are drawn at most."""
_UNFIT: Final = re.compile(
    "[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
"""What XML forbids, controls, and the marks that would turn the direction of the text around them."""
_BLANKS: Final = re.compile(r"[\t\n\r\f\v\x85\u2028\u2029]+")
_PHANTOM: Final = re.compile(r"\[([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f-]{27}\]\Z")
_WIDER: Final = 1.14
"""How much wider than Helvetica the widest fonts are in which this is shown."""
_BOLDER: Final = 1.08
_WIDE, _OTHER, _FULL = 0.6, 0.72, 1.0
_WIDTHS: Final = {
    character: width
    for characters, width in (
        ("'ijl|", 0.25),
        (" !,./:;I[]\\ft·", 0.29),
        ("()-`r", 0.34),
        ('"*^{}', 0.42),
        ("Jckosvxyz", 0.52),
        ("abdeghnpqu0123456789_?$#L", 0.56),
        ("+<=>~FTZ", 0.6),
        ("&ABEKPSVXY", 0.68),
        ("wCDHNRU", 0.74),
        ("GOQ", 0.79),
        ("mM%", 0.87),
        ("W@…", 1.0),
    )
    for character in characters
}


def plain(text: str) -> str:
    """Text from an agent on one line, cut, without what cannot be drawn or would disturb what stands around it."""
    text = _UNFIT.sub("\ufffd", _BLANKS.sub(" ", text[: 2 * LONGEST]))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def text_width(text: str, size: float = 12, *, bold: bool = False) -> float:
    """Pixels that a text takes, rather too many than too few."""
    return sum(map(_width, text)) * size * _WIDER * (_BOLDER if bold else 1)


def _width(character: str) -> float:
    width = _WIDTHS.get(character)
    if width is not None:
        return width
    if unicodedata.combining(character):
        return 0
    if character.isascii():
        return _WIDE
    return _FULL if unicodedata.east_asian_width(character) in "WF" or character > "\uffff" else _OTHER


def fitting(text: str, width: float, size: float = 12, *, bold: bool = False) -> str:
    """The text made plain, and cut to so many pixels."""
    text = plain(text)
    unit = size * _WIDER * (_BOLDER if bold else 1)
    if sum(map(_width, text)) * unit <= width:
        return text
    left = width / unit - _WIDTHS["…"]
    for i, character in enumerate(text):
        left -= _width(character)
        if left < 0:
            return text[:i].rstrip() + "…" if i else "…"
    return text


def short_id(agent_id: str) -> str:
    """The text of an agent's id, the phantom's part of it shortened."""
    return _PHANTOM.sub(r"[\1…]", agent_id)
