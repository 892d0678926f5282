r"""Texts that are something else to a page, a picture, a terminal, a formula, a diagram or a parser.

Each one that can run a script sets `window.hacked`, and each one that can make a request makes it to `BEACON`, where
nobody listens: a test needs only to look for these two.
"""

from __future__ import annotations

from typing import Final

BEACON: Final = "http://127.0.0.1:9/"
RUN: Final = "window.hacked=1"

PAYLOADS: Final[dict[str, str]] = {
    # ---- pages ------------------------------------------------------------------------------------------------------
    "script": f"<script>{RUN}</script>",
    "script-end": f"</script><script>{RUN};fetch('{BEACON}')</script>",
    "img": f"<img src=x onerror=\"{RUN}\"><img src='{BEACON}i.png'>",
    "svg-onload": f'<svg onload="{RUN}"><use href="{BEACON}#x"/></svg>',
    "svg-in-svg": f'</text></g></svg><foreignObject><body onload="{RUN}"><image href="{BEACON}"/>',
    "animate": f'<svg><animate onbegin="{RUN}" attributeName=x dur=1s><set attributeName=href to="javascript:{RUN}"/>',
    "details": f"<details open ontoggle={RUN}><summary>x</summary></details>",
    "iframe": f'<iframe srcdoc="<script>parent.{RUN}</script>" src="{BEACON}"></iframe>',
    "object": f'<object data="{BEACON}"></object><embed src="{BEACON}"><video src="{BEACON}" autoplay>',
    "double-quote": f'" onmouseover="{RUN}" autofocus onfocus="{RUN}" x="',
    "single-quote": f"' onmouseover='{RUN}' autofocus onfocus='{RUN}' x='",
    "backtick": f"` onmouseover=`{RUN}` x=`",
    "comment": f"--><script>{RUN}</script><!--",
    "cdata": f"]]><script>{RUN}</script><![CDATA[",
    "style-end": f"</style><style>@import '{BEACON}a.css';*{{display:none}}</style>",
    "title-end": f"</title></textarea></noscript><script>{RUN}</script>",
    "base": f'<base href="{BEACON}"><link rel=stylesheet href="{BEACON}b.css">',
    "refresh": f'<meta http-equiv="refresh" content="0;url={BEACON}">',
    "form": f'<form action="{BEACON}"><input name=x autofocus onfocus="{RUN}"><button formaction="javascript:{RUN}">',
    "css": f"x:expression({RUN});background:url({BEACON}c.png);behavior:url({BEACON})",
    "entities": f"&lt;script&gt;{RUN}&lt;/script&gt;&#60;img src=x onerror={RUN}&#62;&amp;nbsp;",
    "percent": f"%3Cscript%3E{RUN}%3C%2Fscript%3E%00%0a?mode=rwc#x",
    # ---- links ------------------------------------------------------------------------------------------------------
    "javascript": f"javascript:{RUN}//",
    "javascript-parted": f"jav\tascript:{RUN}//\n\x01javascript:{RUN}",
    "data-url": f"data:text/html,<script>{RUN}</script> data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "markdown-image": f"![x]({BEACON}m.png) <{BEACON}auto>",
    "markdown-link": f'[x](javascript:{RUN}) [y]: {BEACON} "z"',
    "markdown-block": f"\n\n```html\n<script>{RUN}</script>\n```\n\n# head\n\n| a | b |\n|---|---|\n",
    # ---- XML --------------------------------------------------------------------------------------------------------
    "doctype": f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "{BEACON}e">]><x>&e;</x>',
    "stylesheet": f'<?xml-stylesheet href="{BEACON}x.xsl" type="text/xsl"?>',
    # ---- formulas ---------------------------------------------------------------------------------------------------
    "tex-link": rf"$\href{{javascript:{RUN}}}{{x}}$ $$\require{{html}}\class{{a}}{{x}}$$ \(\unicode{{60}}\)",
    "tex-broken": r"$\frac{1}{$ \begin{equation} \input{/etc/passwd} $_^{",
    # ---- diagrams ---------------------------------------------------------------------------------------------------
    "mermaid": f"%%{{init: {{'securityLevel': 'loose'}}}}%%\nclick n0 \"javascript:{RUN}\"\nend",
    "mermaid-label": f'"]; click n0 href "javascript:{RUN}"; n1["fa:fa-car `**b**` #quot; ﬂ°°60¶ß',
    # ---- parsers ----------------------------------------------------------------------------------------------------
    "json": '"}],"texts":["x"],"__proto__":{"hacked":1},"a":[{"b":"',
    "template": f"${{{RUN}}} `${{{RUN}}}` {{{{{RUN}}}}} {{% {RUN} %}} %s %(x)s {{0.__class__}}",
    "proto": "__proto__",
    "constructor": "constructor",
    "to-string": "toString",
    "sql": "'); DROP TABLE log; --",
    # ---- terminals and text -----------------------------------------------------------------------------------------
    "ansi": "\x1b[31mred\x1b[0m\x1b[2J\x1b[1;1H\x1b]0;a title\x07\r\x08\x9b31m",
    "osc-link": f"\x1b]8;;{BEACON}\x1b\\a link\x1b]8;;\x07\x1b]52;c;aGFja2Vk\x07\x90q\x9c",
    "nul": "before\x00after",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f" + "".join(map(chr, range(0x80, 0xA0))),
    "newlines": "one\ntwo\r\nthree\rfour\x0bfive\x0csix\x85seven\u2028eight\u2029nine",
    "bidi": "user\u202etxt.exe\u2066\u2067\u061c\u200f left",
    "zero-width": "a\u200bb\u200cc\u200dd\ufeffe\u00adf\u2060g",
    "noncharacters": "\ufffe\uffff\U0001fffe\ufdd0",
    "astral": "😀👩‍👩‍👧‍👦 \U0001d4d5 \U0010ffff é 漢字 עברית",
    "surrogate": "half \ud83d of \udcff a pair \ud800",
    "long": f"<b>{'long text ' * 1_000}",
    "one-word": "W" * 10_000,
    "blank": " \t ",
}
"""By name."""


def without_halves(text: str) -> str:
    """The text where no half of a surrogate pair may stand."""
    return text.encode("utf-8", "backslashreplace").decode()


def as_path(text: str) -> str:
    """The text as a part of a path, for a file system that takes all bytes but two: those that are no text are kept."""
    kept = "".join(sign for sign in text if sign not in "/\x00" and not "\ud800" <= sign < "\udc80")
    return kept.encode("utf-8", "surrogateescape")[:120].decode("utf-8", "surrogateescape")
