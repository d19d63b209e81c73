"""Great Expectations' Data Docs as a few static pages without scripts, remote files or dates.

The library's own site takes 4 MB, loads some twenty files from other hosts and stamps the time into its
paths. What it says of each expectation is rendered by the library; the pages around it are ours.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textmill.checks.report import Report

TITLES = {
    "documents": "Each document",
    "splits": "Training, validation and test",
    "corpus": "The corpus as a whole",
    "rules": "Rules of curation",
    "sources": "Sources",
    "languages": "Languages",
    "drift": "Drift since the last accepted corpus",
    "tasks": "Test sets in the corpus",
    "token_splits": "Packed ids",
    "token_languages": "Tokens by language",
    "vocabulary": "Vocabulary",
    "token_documents": "Tokens of each document",
    "token_tasks": "Tokens of the tasks' examples",
    "examples": "Each labelled example",
    "task_splits": "Tasks and splits",
    "skipped": "Labelled rows that were set aside",
}


def write(report: Report, raw: list[Any], folder: Path) -> None:
    """Write ``index.html`` and a page for each suite (``documents.html`` ...) into ``folder``."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    template = environment.get_template("data_docs.jinja")
    style = (here / "data_docs.css").read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    suites = []
    for result in raw:
        name = result.suite_name
        rendered = _sections(result)
        checks = [row for row in report.results if row["table"] == name]
        errors = [row for row in report.errors if row["table"] == name]
        suite = {"name": name, "title": TITLES[name], "checks": checks, "errors": errors}
        suites.append(suite)
        page = template.render(style=style, suite=suite, rendered=rendered, counts=None, suites=[])
        (folder / f"{name}.html").write_text(page, encoding="utf-8", newline="\n")
    page = template.render(style=style, suite=None, rendered={}, counts=report.metrics(), suites=suites)
    (folder / "index.html").write_text(page, encoding="utf-8", newline="\n")


def _sections(result: Any) -> dict[str, str]:
    """The library's rendering of each expectation, by column, as safe HTML."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaSectionView
    from markupsafe import Markup

    view = DefaultJinjaSectionView()
    content = ValidationResultsPageRenderer().render(result).to_json_dict()
    rendered: dict[str, str] = {}
    for section in content["sections"]:
        blocks = [block for block in section["content_blocks"] if block["content_block_type"] == "table"]
        if not section.get("section_name") or section["section_name"] == "Overview":
            continue
        # Collapsed blocks need a script to open, hold tracebacks with paths, and have random ids.
        pruned = {**section, "content_blocks": [_prune(block) for block in blocks]}
        text = view.render({"section": pruned, "section_loop": {"index": 1}})
        rendered[section["section_name"]] = Markup(_static(text))
    return rendered


def _prune(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _prune(value) for key, value in node.items()}
    if isinstance(node, list):
        return [
            _prune(item)
            for item in node
            if not (isinstance(item, dict) and item.get("content_block_type") == "collapse")
        ]
    return node


def _static(text: str) -> str:
    """Markup without ids, which repeat on a page, and without the hooks of absent scripts."""
    text = re.sub(r'\s(?:id|data-[a-z-]+)="[^"]*"', "", text)
    text = re.sub(r'<i class="[^"]*(check|times|exclamation)[^"]*"[^>]*></i>', _icon, text)
    return re.sub(r"[ \t]*\n\s*", "\n", text)


def _icon(match: re.Match[str]) -> str:
    return {"check": "✓", "times": "✗", "exclamation": "!"}[match[1]]
