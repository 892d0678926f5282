"""A dashboard as one file: it opens from disk, without a kernel, and asks nobody for anything."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Any, Final

import msgspec

from workbench import front
from workbench.views.tape import Tape
from workbench.views.tape_packet import saved

PANES: Final = ("graph", "timeline", "promises", "forks", "oplog", "why")
"""The views, in the order of their tabs."""


def page(
    tape: Tape,
    title: str,
    facts: Mapping[str, Any],
    notes: Mapping[str, Any],
    *,
    panes: Sequence[str] = (),
    tab: str = "",
) -> str:
    """The file's text.

    The page's own policy allows its one script and its one style sheet by their hashes, and nothing else: no network,
    no other script. What agents are called and say is data in it, compressed.

    Args:
        tape: what to show.
        title: of the page.
        facts: what its head tells of the session.
        notes: answers that it can give, by `kind:key`.
        panes: which views, all by default.
        tab: the view that is open first.
    """
    script = front.script()
    style = front.styles("page", *front.SHEETS)
    options = msgspec.json.encode({"panes": list(panes), "tab": tab}).decode().replace("<", "\\u003c")
    data = b64encode(saved(tape, facts, notes)).decode()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n"
        '<body><div id="wb-root"></div><noscript>These views are drawn by JavaScript, which is off.</noscript>\n'
        f'<script type="application/json" id="wb-options">{options}</script>\n'
        f'<script type="application/octet-stream" id="wb-data">{data}</script>\n'
        f'<script type="module">{script}</script></body></html>\n'
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
