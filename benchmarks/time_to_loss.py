"""Processor time to a validation loss on tiny shakespeare: the project's recipe against the plain one.

    python -m benchmarks.time_to_loss RECIPE ... --text FILE [--seeds 1 2 3] [--json OUT]

Recipes: ``textmill`` (Muon, rotary positions, RMSNorm, squared ReLU, through ``fit``) and ``plain`` (GPT-2's
shape, AdamW, cosine, float32, 2,000 steps of 12 windows: nanoGPT's documented run on a CPU). Losses are over
the whole validation tenth, nats a character; times are of training, without imports and final validation.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.contestants import by_fit
from benchmarks.side_by_side import clock
from benchmarks.training import BASE, batches, packed, spec
from textmill import models, params
from textmill.models.configuration import DecoderConfig
from textmill.training.data import PackedBatches

LENGTH = 65  # tokens of a window: 64 are predicted
RECIPE = {"layers": 2, "batch": 16, "steps": 260}


def loss_of(model: Any, held_out: PackedBatches) -> float:
    """Nats a character over the whole split."""
    total, count = 0.0, 0
    model.eval()
    with torch.inference_mode():
        for batch in held_out.epoch(0):
            labels = batch["labels"][:, 1:].numel()
            total += float(model(**batch).loss) * labels
            count += labels
    return total / count


def by_project(folder: Path, seed: int) -> tuple[float, float]:
    """(seconds, loss) of the project's recipe."""
    train, held_out = batches(folder, "decoder", LENGTH, RECIPE["batch"])
    train.seed = seed
    fields = spec((RECIPE["layers"], 4, 128, LENGTH, 0), train.about["vocabulary"])
    fields |= {"positions": "rotary", "norm": "rms", "activation": "relu2", "bias": False, "qk_norm": True,
               "tie_word_embeddings": False, "residual_init": "zero"}  # fmt: skip
    model = models.build("decoder", "causal_lm", DecoderConfig(**fields), seed)
    optimizer = BASE.training.optimizer.model_copy(
        update={"name": "muon", "muon_learning_rate": 0.03, "muon_momentum": 0.9}
    )
    few = batches(folder, "decoder", LENGTH, RECIPE["batch"])[1]
    few.windows = RECIPE["batch"]
    start = clock()
    marks = by_fit(
        lambda: model, train, few, BASE, None,
        batch_size=RECIPE["batch"], budget=params.Budget(steps=RECIPE["steps"]), optimizer=optimizer,
        learning_rate=5e-3, schedule=params.Schedule(name="linear", warmup=5 / RECIPE["steps"]),
    )  # fmt: skip
    return marks[-1] - start, loss_of(model, held_out)


def by_plain(folder: Path, seed: int) -> tuple[float, float]:
    """(seconds, loss) of the plain recipe."""
    train, held_out = batches(folder, "decoder", LENGTH, 12)
    train.seed = seed
    fields = spec((4, 4, 128, LENGTH, 0), train.about["vocabulary"], attention="fused")
    model = models.build("decoder", "causal_lm", DecoderConfig(**fields), seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)

    def rate(step: int) -> float:
        if step < 100:
            return step / 100
        return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - 100) / 1900))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    start = clock()
    for number in range(2000):
        model(**train.batch(*divmod(number, len(train)))).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return clock() - start, loss_of(model, held_out)


def main() -> None:
    recipes = {"textmill": by_project, "plain": by_plain}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("recipes", nargs="+", choices=list(recipes))
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the results here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = []
    print("| recipe | seed | seconds of processor | validation loss |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        packed(arguments.text, Path(scratch))
        for seed in arguments.seeds:
            for name in arguments.recipes:
                seconds, loss = recipes[name](Path(scratch), seed)
                results.append({"recipe": name, "seed": seed, "seconds": seconds, "loss": loss})
                print(f"| {name} | {seed} | {seconds:.1f} | {loss:.3f} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
