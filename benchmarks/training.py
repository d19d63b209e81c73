"""Speed of training and inference, side by side with the transformers Trainer and with plain loops.

    python -m benchmarks.training [SECTION ...] --text FILE --labelled FOLDER [--threads 1] [--json OUT]

Sections: small, small48, decoder, encoder (pretraining), finetune, inference. ``--text`` is a text file (tiny
shakespeare), ``--labelled`` a folder with a train.tsv of text and label (SST-2). Rates are of processor time
and leave out what comes before the first steps, compilation too; contestants take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import torch
import transformers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
)

from benchmarks.contestants import by_fit, by_loop, by_peer, peer
from benchmarks.side_by_side import clock, compare, machine, peak, table
from textmill import models, params, tokenizer
from textmill.models.configuration import DecoderConfig, EncoderConfig
from textmill.objectives import objective
from textmill.tasks import FAMILIES
from textmill.tracking import Run, Tracker
from textmill.training.data import BucketedBatches, PackedBatches
from textmill.training.precision import resolve
from textmill.training.resources import flops_per_token

# layers, heads, width, length, batch
SIZES = {"small": (4, 4, 128, 64, 12), "small48": (4, 4, 128, 64, 48), "decoder": (6, 6, 384, 256, 2),
         "encoder": (6, 6, 384, 256, 2)}  # fmt: skip
STEPS = {"small": 40, "small48": 15, "decoder": 8, "encoder": 8}
WARM = 3
BASE = params.load()


def spec(size: tuple[int, ...], vocabulary: int, **changes: Any) -> dict[str, Any]:
    """Fields of a configuration of the published shape (GPT-2's or BERT's), without dropout."""
    layers, heads, width, length, _ = size
    return {
        "vocab_size": vocabulary, "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": heads, "intermediate_size": 4 * width,
        "max_position_embeddings": length, "positions": "learned", "norm": "layer", "activation": "gelu",
        "bias": True, "dropout": 0.0, "classifier_dropout": 0.0, **changes,
    }  # fmt: skip


def gpt2(size: tuple[int, ...], vocabulary: int) -> GPT2LMHeadModel:
    layers, heads, width, length, _ = size
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=length, n_embd=width, n_layer=layers, n_head=heads,
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    return GPT2LMHeadModel(config).train()


def bert(cls: type, size: tuple[int, ...], vocabulary: int) -> Any:
    layers, heads, width, length, _ = size
    config = BertConfig(
        vocab_size=vocabulary, max_position_embeddings=length, hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=heads, intermediate_size=4 * width, hidden_dropout_prob=0,
        attention_probs_dropout_prob=0,
    )  # fmt: skip
    return cls(config).train()


def packed(text: Path, folder: Path) -> None:
    """The text by characters, its last tenth for validation, as nanoGPT cuts it."""
    whole = text.read_text("utf-8")
    cut = int(len(whole) * 0.9)
    for split, part in (("train", [whole[:cut]]), ("validation", [whole[cut:]]), ("test", [])):
        frame = pl.DataFrame({"text": part}, schema={"text": pl.String})
        frame.with_columns(language=pl.lit("en")).write_parquet(folder / f"{split}.parquet")
    character = params.Tokenizer(kind="character", vocabulary_size=None, path=None)
    tokenizer.train(tokenizer.read_texts(folder), character).save_pretrained(folder / "tokenizer")
    tokenizer.pack(folder, folder / "tokenizer", folder / "tokens")


def batches(folder: Path, kind: str, length: int, size: int) -> tuple[PackedBatches, PackedBatches]:
    """Training and validation batches; the validation is one batch, as its time is not asked for."""
    goal = {"name": "causal", "separate_documents": False}
    if kind == "encoder":
        goal = {"name": "masked", "separate_documents": False, "probability": 0.15, "whole_word": False}
    aim = objective(params.Objective.model_validate(goal), tokenizer.load(folder / "tokenizer"), length)
    train = PackedBatches(folder / "tokens", "train", aim, size, 1)
    return train, PackedBatches(folder / "tokens", "validation", aim, size, 1, shuffle=False)


def pretraining(name: str, folder: Path, run: Run, rounds: int) -> tuple[dict[str, Any], float]:
    """Tokens a second of each way to train, and the floating-point operations of a token."""
    size = SIZES[name]
    length, batch = size[3], size[4]
    kind: Any = "encoder" if name == "encoder" else "decoder"
    train, held_out = batches(folder, kind, length, batch)
    held_out.windows = min(held_out.windows, batch)
    vocabulary = train.about["vocabulary"]
    config, head = (EncoderConfig, "masked_lm") if kind == "encoder" else (DecoderConfig, "causal_lm")

    def ours(attention: str) -> Any:
        return models.build(kind, head, config(**spec(size, vocabulary, attention=attention)), 1)

    steps = STEPS[name]
    rows = [
        {key: value[i] for key, value in train.batch(0, number).items()}
        for number in range(steps)
        for i in range(batch)
    ]
    theirs: Callable[[], Any] = (
        partial(bert, BertForMaskedLM, size, vocabulary)
        if kind == "encoder"
        else partial(gpt2, size, vocabulary)
    )
    fitted = partial(by_fit, partial(ours, "plain"), train, held_out, BASE, run, batch_size=batch,
                     budget=params.Budget(steps=steps))  # fmt: skip
    contestants = {
        "textmill fit, compiled": partial(fitted, compile=True),
        "textmill fit": fitted,
        "the same model in a plain loop": lambda: by_loop(ours("plain"), train, BASE, steps, plain=False),
        "plain recipe: fused attention, float32": lambda: by_loop(
            ours("fused"), train, BASE, steps, plain=True
        ),
        "transformers Trainer": lambda: by_peer(theirs(), rows, batch, steps),
    }
    tokens = float(batch * length)
    found = compare(contestants, dict.fromkeys(contestants, tokens), rounds=rounds, warm=WARM)
    return found, flops_per_token(ours("plain"), length)


class Sentences:
    """SST-2 by its own tokenizer, as features of the family and as rows for the Trainer."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "train.tsv").read_text("utf-8").splitlines()
        pairs = [line.split("\t") for line in lines]
        self.examples = [
            {"id": str(i), "text": text, "label": label} for i, (text, label) in enumerate(pairs)
        ]
        size = params.Tokenizer(kind="bpe", vocabulary_size=4096, path=None)
        self.tokenizer = tokenizer.train((example["text"] for example in self.examples), size)
        base = BASE.tasks["sentiment"]
        task = base.model_copy(update={"labels": ("0", "1")})
        self.family = FAMILIES[task.family](task, self.tokenizer)
        self.features = [self.family.encode(example)[0] for example in self.examples]

    def rows(self, count: int, padded: int | None) -> list[dict[str, Any]]:
        """The first features, each padded to ``padded`` tokens where it is given."""
        found = []
        for feature in self.features[:count]:
            gap = (padded or 0) - len(feature["input_ids"])
            fill = {"input_ids": [0] * gap, "attention_mask": [0] * gap}
            found.append({key: value + fill[key] if key in fill else value for key, value in feature.items()})
        return found


SENTENCES = (6, 6, 384, 128, 32)


def classifiers(data: Sentences) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Ours and BERT's of one shape."""
    fields = spec(SENTENCES, len(data.tokenizer), num_labels=2)

    def ours() -> Any:
        return models.build("encoder", "sequence_classification", EncoderConfig(**fields), 1)

    return ours, partial(bert, BertForSequenceClassification, SENTENCES, len(data.tokenizer))


def finetuning(data: Sentences, run: Run, rounds: int) -> dict[str, Any]:
    """Sequences a second."""
    ours, theirs = classifiers(data)
    batch, steps = SENTENCES[4], 24
    buckets = BucketedBatches(data.features[: batch * 50], data.family.collate, batch, seed=1)
    held_out = BucketedBatches(data.features[:batch], data.family.collate, batch, seed=None)
    fitted = partial(by_fit, ours, buckets, held_out, BASE, run, batch_size=batch,
                     budget=params.Budget(steps=steps))  # fmt: skip
    contestants = {
        "textmill fit, length buckets": fitted,
        "transformers Trainer, padded to 128": lambda: by_peer(theirs(), data.rows(batch * 7, 128), batch, 7),
        "transformers Trainer, dynamic padding": lambda: by_peer(
            theirs(), data.rows(batch * steps, None), batch, steps, data.tokenizer
        ),
    }
    return compare(contestants, dict.fromkeys(contestants, float(batch)), rounds=rounds, warm=WARM)


def inference(data: Sentences, rounds: int) -> dict[str, Any]:
    """Sequences a second: ours from the text on, the Trainer's from features on."""
    ours, theirs = classifiers(data)
    own, other = ours().eval(), theirs().eval()
    batch = SENTENCES[4]

    def predict(mixed: bool) -> list[float]:
        start = clock()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            data.family.predict(own, data.examples[: 16 * batch], 2 * batch)
        return [start, clock()]

    def by_trainer(count: int, padded: int | None) -> list[float]:
        trainer, _ = peer(other, data.rows(count, padded), batch, 1, data.tokenizer)
        rows: Any = data.rows(count, padded)
        start = clock()
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.predict(rows)
        return [start, clock()]

    contestants = {
        "textmill, sorted by length, bfloat16": partial(predict, mixed=True),
        "textmill, sorted by length, float32": partial(predict, mixed=False),
        "transformers Trainer, padded to 128": lambda: by_trainer(6 * batch, 128),
        "transformers Trainer, dynamic padding": lambda: by_trainer(16 * batch, None),
    }
    amounts = dict.fromkeys(contestants, 16.0 * batch)
    amounts["transformers Trainer, padded to 128"] = 6.0 * batch
    return compare(contestants, amounts, rounds=rounds, warm=0)


@contextlib.contextmanager
def tracked() -> Iterator[Run]:
    """A run in a store of its own, which is what a stage logs to."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        tracker = Tracker(params.Tracking(uri="sqlite:///bench.db", experiment="bench"), Path(folder))
        run = tracker.start("bench", "bench", {})
        yield run
        run.finish("FINISHED")


def main() -> None:
    sections = [*SIZES, "finetune", "inference"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(sections))
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--labelled", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the results here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers.utils.logging.set_verbosity_error()
    wanted = arguments.sections or sections
    mixed = resolve(BASE.trainer).precision == "bf16-mixed"
    peaks = {"float32": peak(torch.float32), "bfloat16": peak(torch.bfloat16)}
    here = {**machine(), "peak_flops": peaks, "precision": resolve(BASE.trainer).precision}
    print(json.dumps(here))
    results: dict[str, Any] = {"machine": here}
    with tempfile.TemporaryDirectory() as scratch, tracked() as run:
        packed(arguments.text, Path(scratch))
        for name in wanted:
            if name in SIZES:
                results[name], flops = pretraining(name, Path(scratch), run, arguments.rounds)
                limit = peaks["bfloat16" if mixed else "float32"]
                for row in results[name].values():
                    row["peak_share"] = row["rate"] * flops / limit
                shares = ", ".join(f"{row['peak_share']:.0%} ({key})" for key, row in results[name].items())
                print(
                    table(f"{name}: pretraining", "tokens/s", results[name]),
                    f"\n\nShare of the peak: {shares}",
                )
            else:
                data = Sentences(arguments.labelled)
                results[name] = (
                    finetuning(data, run, arguments.rounds)
                    if name == "finetune"
                    else inference(data, arguments.rounds)
                )
                print(table(name, "sequences/s", results[name]), flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
