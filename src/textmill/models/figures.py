"""A picture of what a trained model's heads look at."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attention_figure(folder: Path, text: str, layer: int = 0) -> Figure:
    """The attention weights of every head of one layer over ``text``, row by row who looks at whom.

    ``folder`` holds a saved encoder or decoder with its tokenizer. Save the result with
    ``figure.savefig("attention.svg")``.
    """
    import torch
    from matplotlib.figure import Figure
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        weights = model(input_ids=ids, output_attentions=True).attentions[layer][0]
    # weights: (heads, length, length)
    names = [str(tokenizer.decode([token])) for token in ids[0].tolist()]
    columns = math.ceil(math.sqrt(len(weights)))
    rows = math.ceil(len(weights) / columns)
    figure = Figure(figsize=(3.2 * columns, 3.4 * rows), layout="constrained")
    for head, grid in enumerate(weights.numpy()):
        axes = figure.add_subplot(rows, columns, head + 1)
        axes.imshow(grid, cmap="Blues", vmin=0.0, vmax=1.0)
        axes.set_title(f"layer {layer}, head {head}", fontsize=9)
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
        axes.set_yticks(range(len(names)), names, fontsize=6)
    return figure
