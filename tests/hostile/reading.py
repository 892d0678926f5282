"""What a page or a picture is made of, read strictly: its elements, its attributes, its text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import Final

VOID: Final = frozenset({"meta", "img"})
SVG: Final = "{http://www.w3.org/2000/svg}"
DRAWN: Final = {
    "svg": {"class", "role", "aria-label", "width", "height", "viewBox", "direction", "font-family", "font-size"},
    "g": {"transform"},
    "path": {"d", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity"},
    "rect": {
        *("x", "y", "width", "height", "rx", "fill", "fill-opacity"),
        *("stroke", "stroke-width", "stroke-dasharray", "stroke-opacity"),
    },
    "text": {"x", "y", "text-anchor", "fill", "font-size", "font-weight"},
    "title": set[str](),
    "desc": set[str](),
}
"""Elements and attributes of our pictures; none of them can refer to anything."""
_VALUE: Final = re.compile(r"[#\w .,()'-]*")
"""What attributes of a picture hold: numbers, colours, paths, names of fonts."""
DANGEROUS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What moves a cursor, ends a line, breaks a document or turns the text around it."""


class Element(HTMLParser):
    """A page as its elements, in order: `(name, attributes)`; `texts` is what stands between them.

    Fails where an element is not closed, or a comment, a declaration or an instruction comes up.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.declared: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_decl(self, decl: str) -> None:
        self.declared.append(decl)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)

    @property
    def tags(self) -> set[str]:
        """Names of the elements."""
        return {name for name, _ in self.elements}

    @property
    def text(self) -> str:
        """All text, scripts and styles included."""
        return "".join(self.texts)


def drawn(svg: str) -> list[str]:
    """The texts of one of our pictures, once it is sure that it is nothing else than shapes and texts."""
    assert "<!" not in svg
    assert "<?" not in svg
    root = ET.fromstring(svg)  # noqa: S314 - a picture of our own
    texts = [root.attrib.pop("aria-label")]
    for element in root.iter():
        name = element.tag.removeprefix(SVG)
        assert set(element.attrib) <= DRAWN[name], element.attrib
        for value in element.attrib.values():
            assert _VALUE.fullmatch(value), value
        text = element.text or ""
        assert not text.strip() or name in ("text", "title", "desc"), text
        assert not (element.tail or "").strip()
        texts.append(text)
    for text in texts:
        assert not DANGEROUS.search(text), ascii(text)
    return texts


def terminal(text: str) -> str:
    """A text for a terminal, once it is sure that nothing in it but line ends moves the cursor or turns text around."""
    bad = sorted({sign for sign in text if not sign.isprintable() and sign != "\n"})
    assert not bad, ascii(bad)
    return text
