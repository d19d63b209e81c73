"""Fine-tuning: a pretrained model taught one task."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError
from textmill.params import Params
from textmill.prediction import SEEDS, predict_batch_size, write_card
from textmill.records import Example, read_examples
from textmill.tasks import FAMILIES
from textmill.tasks.base import Family, prepare_tokenizer
from textmill.training.calibration import calibrate
from textmill.training.data import Batches, BucketedBatches
from textmill.training.fit import fit, processes
from textmill.training.loading import load, widen
from textmill.training.multitask import MixedBatches, MultiTask

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger
    from transformers import PreTrainedModel


def finetune(
    params: Params,
    name: str,
    data: Path,
    model: Path,
    output: Path,
    *,
    logger: Logger | None,
    folder: Path,
) -> dict[str, float]:
    """Train the pretrained model in ``model`` on the task's train split, and save it in ``output``.

    The dev split is scored ``validations`` times; for the families that classify or point, and under early
    stopping, the weights with the best gate metric are kept. ``folder`` holds what ``fit`` goes on from. With
    ``seeds`` above 1 as many models are trained, from the parameters' seed on: the best on dev is saved, the
    others in ``output/seeds``, and the logged curves are the first one's. Returns metrics of the training and
    of the dev split (``dev_`` and the metric's name; with several seeds also its ``_mean`` and
    ``_deviation``).

    The ``auxiliary`` tasks, whose data lie beside the task's, are learnt through the same encoder by heads of
    their own, which are not saved; a budget in epochs counts the batches of all.
    """
    task = params.tasks[name]
    if task.finetune.auxiliary and params.trainer.strategy == "fsdp":
        raise UserError(
            f"params.yaml: tasks.{name}.finetune.auxiliary: under trainer.strategy fsdp the processes add up "
            "their gradients layer by layer, and in one step they may learn different tasks, whose "
            "heads would be taken for each other; take ddp_find_unused_parameters_true"
        )
    seeds = range(params.seed, params.seed + task.finetune.seeds)
    if len(seeds) == 1:
        return _train(params, name, params.seed, data, model, output, logger, folder)
    if processes(params.trainer) > 1:
        raise UserError(
            f"params.yaml: tasks.{name}.finetune.seeds: {len(seeds)} models are trained one after another by "
            "one process; set trainer.devices to 1, or seeds to 1"
        )
    trained = {
        seed: _train(
            params,
            name,
            seed,
            data,
            model,
            output / SEEDS / str(seed),
            logger if seed == params.seed else None,
            folder / str(seed),
        )
        for seed in seeds
    }
    headline = f"dev_{task.gate.metric}"
    kept = max(seeds, key=lambda seed: trained[seed][headline])
    for path in (output / SEEDS / str(kept)).iterdir():
        path.rename(output / path.name)
    (output / SEEDS / str(kept)).rmdir()
    values = [trained[seed][headline] for seed in seeds]
    return {
        **trained[kept],
        "seed": kept,
        f"{headline}_mean": statistics.fmean(values),
        f"{headline}_deviation": statistics.stdev(values),
    }


def _train(
    params: Params,
    name: str,
    seed: int,
    data: Path,
    model: Path,
    output: Path,
    logger: Logger | None,
    folder: Path,
) -> dict[str, float]:
    """One model, from one seed: its new head, the order of the examples, and dropout are drawn from it."""
    task = params.tasks[name]
    begun = prepare(params, name, seed, data, model)
    family, network, dev = begun.family, begun.network, begun.dev

    def score(trained: PreTrainedModel) -> dict[str, float]:
        """The metrics on the whole dev split, of the task's own network in what is trained."""
        own: Any = trained.heads[0] if isinstance(trained, MultiTask) else trained
        return family.score(dev, family.predict(own, dev, predict_batch_size(task)))

    # Written text is slow to score and its loss is a fair guide, so these keep their last weights, unless the
    # score is to say when to stop.
    choose = not family.generates or task.finetune.early_stopping is not None
    metrics = fit(
        begun.together,
        train=begun.batches(task.finetune.batch_size, seed),
        validation=BucketedBatches(features(family, dev), family.collate, 2 * task.finetune.batch_size, None),
        training=task.finetune,
        trainer=params.trainer,
        seed=seed,
        logger=logger,
        folder=folder,
        score=score if choose else None,
        best=task.gate.metric if choose else None,
        class_weights=family.class_weights(begun.train),
        added_tokens=begun.added_tokens,
    )
    fitted = calibrate(family, network, dev, predict_batch_size(task))
    family.threshold = fitted.get("threshold")
    network.save_pretrained(output)
    family.tokenizer.save_pretrained(output)
    write_card(output, name, task, dev[0], fitted)
    return {
        **metrics,
        **fitted,
        "train_windows": len(begun.features[0]),
        "train_beyond_window": beyond_window(family, begun.train),
        **{f"dev_{k}": v for k, v in score(network).items()},
    }


@dataclass
class Beginning:
    """What the fine-tuning of one task begins with."""

    families: list[Family]  # of the task, then of its auxiliary tasks
    networks: list[PreTrainedModel]  # a head each; the first is kept
    together: Any  # what is trained: the network, or all of them over one encoder
    train: Sequence[Example]
    dev: Sequence[Example]
    features: list[list[dict[str, Any]]]  # of the train splits
    added_tokens: Sequence[int]  # the ids of the families' special tokens, which no pretraining has shown

    @property
    def family(self) -> Family:
        """The family of the task itself."""
        return self.families[0]

    @property
    def network(self) -> PreTrainedModel:
        """The model that is kept."""
        return self.networks[0]

    def batches(self, size: int, seed: int) -> Batches:
        """The training batches of ``size`` examples, of all tasks."""
        parts = [
            BucketedBatches(rows, family.collate, size, seed)
            for rows, family in zip(self.features, self.families, strict=True)
        ]
        return MixedBatches(parts, seed) if len(parts) > 1 else parts[0]


def prepare(params: Params, name: str, seed: int, data: Path, model: Path) -> Beginning:
    """Read the task's examples and the model in ``model``, whose new heads are drawn from ``seed``."""
    import torch
    import transformers

    import textmill  # noqa: F401  registers textmill's architectures with transformers

    task = params.tasks[name]
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    specs = [task, *(params.tasks[other] for other in task.finetune.auxiliary)]
    added = sum(prepare_tokenizer(FAMILIES[spec.family], tokenizer) for spec in specs)
    families = [FAMILIES[spec.family](spec, tokenizer) for spec in specs]
    torch.manual_seed(seed)  # the new heads' weights
    networks = [load(each, model) for each in families]
    for other, each, made in zip((name, *task.finetune.auxiliary), families, networks, strict=True):
        each.check(made, other)
    if added:
        widen(networks[0], len(tokenizer))
    train = read_examples(data, "train")
    families[0].prepare(train)
    others = [read_examples(data.parent / other, "train") for other in task.finetune.auxiliary]
    return Beginning(
        families=families,
        networks=networks,
        together=MultiTask(networks) if others else networks[0],
        train=train,
        dev=read_examples(data, "dev"),
        features=[
            features(each, examples) for each, examples in zip(families, [train, *others], strict=True)
        ],
        added_tokens=sorted(
            {tokenizer.get_vocab()[token] for each in families for token in each.added_tokens}
        ),
    )


def features(family: Family, examples: Sequence[Example]) -> list[dict[str, Any]]:
    """What the examples are to the model, without those that are not learnt."""
    return [feature for example in examples if family.learns(example) for feature in family.encode(example)]


def beyond_window(family: Family, examples: Sequence[Example], sample: int = 2000) -> float:
    """The share of examples whose text is longer than the family's ``max_length`` tokens.

    What is beyond is cut off, or read in further windows by the families that point. Of long lists every
    k-th example is looked at, so that about ``sample`` are.
    """
    chosen = examples[:: max(1, len(examples) // sample)]
    whole = type(family)(family.task, family.tokenizer)
    whole.max_length = 1_000_000
    lengths = [len(whole.encode(example, labelled=False)[0]["input_ids"]) for example in chosen]
    return round(sum(length > family.max_length for length in lengths) / max(len(lengths), 1), 4)
