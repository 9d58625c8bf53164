"""The live page's files and ``/docs``: everything a browser gets comes from here."""

from __future__ import annotations

import html
import json
import re
from importlib import resources
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from alpr_edge.serve.guard import PAGE

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_INDEX = "index.html"
_LIMITS = {"minimum": "at least", "maximum": "at most", "maxLength": "characters at most",
           "default": "default"}


def page_routes() -> APIRouter:
    """``/`` and the files it loads, kept in memory."""
    router = APIRouter(include_in_schema=False)
    folder = resources.files("alpr_edge.serve") / "page"
    for file in folder.iterdir():
        path = "/" if file.name == _INDEX else f"{PAGE}{file.name}"
        kind = _TYPES[file.name.rpartition(".")[2]]
        router.add_api_route(path, _answer(file.read_bytes(), kind))
    return router


def _answer(data: bytes, kind: str) -> Any:
    async def answer() -> Response:
        return Response(data, media_type=kind, headers={"cache-control": "no-cache"})

    return answer


def docs_page(schema: dict[str, Any]) -> HTMLResponse:
    """The OpenAPI description as plain HTML: no script, nothing from elsewhere."""
    parts = [_operation(method, path, operation)
             for path, methods in schema["paths"].items()
             for method, operation in methods.items()]
    parts += [_model(name, model) for name, model in schema["components"]["schemas"].items()]
    title = html.escape(f"{schema['info']['title']} {schema['info']['version']}")
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="stylesheet" href="{PAGE}page.css">'
        '<body class="docs"><main>'
        f'<h1>{title}</h1><p>{_text(schema["info"]["description"])}</p>'
        '<p>For programs: <a href="/openapi.json">/openapi.json</a>. '
        f'The live page: <a href="/">/</a>.</p>{"".join(parts)}</main>'
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    about = operation.get("description", operation.get("summary", ""))
    parameters = "".join(
        f"<dt><code>{html.escape(p['name'])}</code> <small>{html.escape(p['in'])}"
        f"{', required' if p.get('required') else ''}, {_kind(p['schema'])}</small></dt>"
        f"<dd>{_text(p.get('description', ''))}</dd>"
        for p in operation.get("parameters", [])
    )
    answers = "".join(
        f"<dt><code>{status}</code> <small>{_content(answer)}</small></dt>"
        f"<dd>{_text(answer['description'])}</dd>"
        for status, answer in operation["responses"].items()
    )
    return (
        f'<section class="card"><h2><code>{method.upper()} {html.escape(path)}</code></h2>'
        f"<p>{_text(about)}</p>"
        + (f"<h3>Parameters</h3><dl>{parameters}</dl>" if parameters else "")
        + f"<h3>Answers</h3><dl>{answers}</dl></section>"
    )


def _model(name: str, model: dict[str, Any]) -> str:
    """What an answer's object holds, or which words stand for it."""
    fields = "".join(
        f"<dt><code>{html.escape(field)}</code> <small>{_kind(about)}</small></dt>"
        f"<dd>{_text(about.get('description', ''))}</dd>"
        for field, about in model.get("properties", {}).items()
    ) or f"<dd>{_kind(model)}</dd>"
    return (f'<section class="card" id="{html.escape(name)}"><h2>{html.escape(name)}</h2>'
            f"<p>{_text(model.get('description', ''))}</p><dl>{fields}</dl></section>")


def _content(answer: dict[str, Any]) -> str:
    """Types of an answer's body, JSON by its object."""
    return ", ".join(
        _kind(body["schema"]) if body.get("schema") else html.escape(kind)
        for kind, body in answer.get("content", {}).items()
    )


def _kind(schema: dict[str, Any]) -> str:
    """A JSON schema in words: its type, what is allowed and the default."""
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        kind = " or ".join(map(_kind, schema["anyOf"]))
    elif "items" in schema:
        kind = f"array of {_kind(schema['items'])}"
    else:
        allowed = schema.get("enum") or [schema.get("const", schema.get("type", "any"))]
        kind = html.escape(" | ".join(map(str, allowed)))
    for key, word in _LIMITS.items():
        if key in schema:
            kind += f", {word} {html.escape(json.dumps(schema[key]))}"
    return kind


def _text(text: str) -> str:
    """As HTML, with what stands between backticks as code."""
    return re.sub(r"(`+)(.+?)\1", r"<code>\2</code>", html.escape(text))
