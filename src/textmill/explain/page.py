"""An explanation as HTML: coloured text, tables and maps of attention, without a script."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textmill.explain.explanation import METHODS, merged

NAMES = {
    "integrated_gradients": "Integrated gradients",
    "input_times_gradient": "Input × gradient",
    "occlusion": "Occlusion",
    "attention": "Attention",
}
SIDES = {
    "self": "Attention",
    "decoder": "Attention among what was written",
    "cross": "Attention to the input",
}


def fragment(data: Mapping[str, Any]) -> str:
    """A section with its own style, which touches nothing outside it."""
    return _render("fragment.jinja", data)


def page(data: Mapping[str, Any]) -> str:
    """The section as a page of its own."""
    return _render("page.jinja", data)


def _render(template: str, data: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from textmill.explain.explanation import answer

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(template).render(
        style=Markup((here / "style.css").read_text(encoding="utf-8")),
        task=data["task"],
        answer=answer(data["prediction"]),
        baseline=data["baseline"],
        left_out=data["left_out"],
        targets=[_target(data["tokens"], target) for target in data["targets"]],
        sides=[
            {"name": SIDES[side], "layers": [[_map(np.array(head)) for head in layer] for layer in weights]}
            for side, weights in data["attention"].items()
        ],
    )


def _target(tokens: Sequence[Mapping[str, Any]], target: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of one target."""
    own = [not special for _, special in merged(tokens, [token["special"] for token in tokens])]
    rows: list[dict[str, Any]] = []
    for method in (*METHODS, "attention"):
        if method in target:
            values = merged(tokens, target[method])
            # Special tokens draw much attention and say little: they do not set the scale.
            mine = [abs(v) for (_, v), inside in zip(values, own, strict=True) if inside] or [0.0]
            # Attention spreads over all tokens: what stands out is what is shown.
            least = min(mine) if method == "attention" else 0.0
            width = (max(mine) - least) or 1.0
            cells = [
                {"text": text, "value": value, "share": min(1.0, max(0.0, (abs(value) - least) / width))}
                for text, value in values
            ]
            rows.append({"name": NAMES[method], "cells": cells})
    return {
        "name": target["name"],
        "value": target["value"],
        "probability": 1 / (1 + np.exp(-target["value"])) if target["log_odds"] else None,
        "baseline_value": target["baseline_value"],
        "completeness": target["completeness"],
        "methods": rows,
        "table": [
            [rows[0]["cells"][i]["text"], *(row["cells"][i]["value"] for row in rows)]
            for i in range(len(rows[0]["cells"]))
        ],
    }


def _map(weights: np.ndarray) -> dict[str, Any]:
    """A head's weights (from, to) as a picture, and in words where most of them go."""
    return {"image": _image(weights), "words": _words(weights)}


def _words(weights: np.ndarray) -> str:
    """The place with most of a head's weight: itself, the token before or after, the first or the last."""
    rows, columns = weights.shape
    if rows != columns or rows < 3:
        return ""
    shares = {
        "itself": np.diagonal(weights).sum() / rows,
        "before": np.diagonal(weights, -1).sum() / (rows - 1),
        "after": np.diagonal(weights, 1).sum() / (rows - 1),
        "first": weights[:, 0].mean(),
        "last": weights[:, -1].mean(),
    }
    name = max(shares, key=lambda key: shares[key])
    return f"{name} {shares[name]:.0%}"


def _image(weights: np.ndarray) -> str:
    """Weights as a PNG in a data address: one dot a pair, clear where 0, so that any ground shows through."""
    from PIL import Image

    dots = np.zeros((*weights.shape, 4), dtype=np.uint8)
    dots[..., :3] = (20, 140, 112)
    dots[..., 3] = np.round(255 * np.sqrt(np.clip(weights, 0, 1)))  # small weights are to be seen too
    file = io.BytesIO()
    Image.fromarray(dots).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
