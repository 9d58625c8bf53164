"""The report as one HTML file: no script, nothing loaded from elsewhere, plots inside."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from html import escape
from pathlib import PurePosixPath
from typing import Any

from alpr_edge.errors import UsageError
from benchmarks.report_plots import INK, PAPER

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --line: #d0d7de;
  --soft: #f3f5f7; --warn: #b35900; --link: #0550ae; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --soft: #161b22; --warn: #f0a04b;
    --link: #79b8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
a { color: var(--link); }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
nav, h2#what-was-noisy + * { background: var(--soft); border-radius: .4rem; padding: .6rem 1rem; }
h2#what-was-noisy + * { border-left: .3rem solid var(--warn); }
h2#what-was-noisy + ul { padding-left: 2rem; }
nav a { display: inline-block; margin-right: 1rem; }
code { background: var(--soft); padding: .1em .3em; border-radius: .2em; font-size: .9em; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: left;
  white-space: nowrap; }
th { background: var(--soft); }
figure { margin: 1.5rem 0; }
figcaption { font-size: .9rem; }
figure svg { display: block; width: 100%; min-width: 36rem; max-width: 60rem; height: auto; }
"""


def page(markdown: str, drawings: Mapping[str, str]) -> str:
    """The file's text; ``drawings`` are the SVG files that the Markdown shows, by name.

    Raises:
        UsageError: markdown-it-py is not installed.
    """
    if importlib.util.find_spec("markdown_it") is None:
        raise UsageError("--html needs markdown-it-py; run: pip install 'alpr-edge[bench]'")
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer: Any = parser.renderer
    renderer.rules |= {
        "table_open": lambda *_: '<div class="scroll"><table>\n',
        "table_close": lambda *_: "</table></div>\n",
        "link_open": lambda *_: "", "link_close": lambda *_: "",  # they lead to the repo's files
        "image": lambda tokens, index, *_: _figure(tokens[index], drawings),
    }
    tokens = parser.parse(markdown)
    headings = _name_headings(tokens)
    body = renderer.render(tokens, parser.options, {})
    body = body.replace("<p><figure>", "<figure>").replace("</figure></p>", "</figure>")
    title = headings[0][1]
    links = "".join(f'<a href="#{name}">{escape(text)}</a>\n'
                    for name, text, level in headings if level == "h2")
    body = body.replace("</h1>\n", f"</h1>\n<nav>{links}</nav>\n", 1)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" '
        f'content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>"
    )


def _name_headings(tokens: list[Any]) -> list[tuple[str, str, str]]:
    """Give each heading an id that no other has; all of them as id, text, tag."""
    found: list[tuple[str, str, str]] = []
    for heading, content in zip(tokens, tokens[1:], strict=False):
        if heading.type == "heading_open":
            name = re.sub(r"[^a-z0-9]+", "-", content.content.lower()).strip("-")
            same = sum(one.startswith(name) for one, _, _ in found)
            heading.attrSet("id", f"{name}-{same}" if same else name)
            found.append((str(heading.attrGet("id")), content.content, heading.tag))
    return found


def _figure(image: Any, drawings: Mapping[str, str]) -> str:
    name = PurePosixPath(image.attrs["src"]).name
    return (f'<figure><div class="scroll">{_inline(drawings[name], PurePosixPath(name).stem)}</div>'
            f"<figcaption>{escape(image.content)}</figcaption></figure>")


def _inline(svg: str, name: str) -> str:
    """A drawn file as part of the page: in its colours, with ids that no other drawing has."""
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg[svg.index("<svg"):])
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace(INK, "currentColor").replace(PAPER, "var(--paper)").strip()
