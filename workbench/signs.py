"""Text from agents made fit for a line of a terminal."""


def printable(text: str) -> str:
    """A text with an escape for each sign that is not printable: control signs, halves of pairs, marks of direction."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def printed(lines: list[str]) -> str:
    """Lines below each other, each one printable."""
    return "\n".join(map(printable, lines))
