"""One way to train: the budget, the guard, and going on after an interruption to the same bits."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from transformers import GPT2Config, GPT2LMHeadModel

from textmill import models
from textmill.errors import UserError
from textmill.models.configuration import CONFIGS
from textmill.params import Budget, EarlyStopping, Lora, Schedule, load
from textmill.training.data import Batches
from textmill.training.fit import fit, total_steps
from textmill.training.guard import Guard
from textmill.training.losses import smoothed_loss
from textmill.training.optimizers import depths
from textmill.training.progress import Progress

ROOT = Path(__file__).parents[3]
PARAMS = load(ROOT / "params.yaml")
MUON = PARAMS.training.optimizer.model_copy(update={"name": "muon"})


class Counting(Batches):
    """Rows of consecutive numbers modulo 16: easy to learn, and no file needed."""

    def __init__(self, size=4, count=6, poison=None):
        self.size, self.count, self.poison = size, count, poison
        self.tokens_per_batch = float(size * 8)

    def __len__(self):
        return self.count

    def batch(self, epoch, index):
        rng = np.random.default_rng((epoch, index))
        rows = (rng.integers(0, 16, (self.size, 1)) + np.arange(8)) % 16
        ids = torch.from_numpy(rows)
        return {"input_ids": ids, "labels": ids}

    def fingerprint(self):
        return f"{self.size} {self.count}"

    def ids(self, epoch, index):
        return [f"doc-{epoch}-{index}"]


def network(dropout=0.1):
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=16, n_positions=8, n_embd=16, n_layer=2, n_head=2,
        resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def spec(**update):
    given = {"budget": Budget(steps=12), "log_every": 4, "checkpoint_every": 5, "learning_rate": 3e-3}
    return PARAMS.training.model_copy(update={**given, **update})


def train(folder, model=None, batches=None, held_out=None, logger=None, trainer=None, **update):
    model = model or network()
    device = PARAMS.trainer.model_copy(update={"accelerator": "cpu", **(trainer or {})})
    options = {k: update.pop(k) for k in ("score", "best") if k in update}
    metrics = fit(
        model,
        train=batches or Counting(),
        validation=held_out or Counting(count=2),
        training=spec(**update),
        trainer=device,
        seed=3,
        logger=logger,
        folder=Path(folder),
        **options,
    )
    return model, metrics


def bits(model):
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def curve(log):
    """What is logged of a training, without what differs from run to run."""
    varying = ("tokens_per_second", "flops_per_second", "peak_flops_share", "memory_gb")
    return [(step, {k: v for k, v in row.items() if k not in varying}) for step, row in log.rows]


class Recorder:
    """Stands in for Lightning's logger."""

    def __new__(cls):
        from pytorch_lightning.loggers import CSVLogger

        class Kept(CSVLogger):
            def log_metrics(self, metrics, step=None):
                self.rows.append((step, dict(metrics)))

            def save(self):
                pass

        kept = Kept("unused")
        kept.rows = []
        return kept


@pytest.mark.parametrize(
    ("budget", "steps"), [({"steps": 7}, 7), ({"epochs": 2.5}, 15), ({"tokens": 100}, 4)]
)
def test_budget_is_kept(tmp_path, budget, steps):
    _, metrics = train(tmp_path, budget=Budget(**budget))
    assert metrics["steps"] == steps
    assert metrics["tokens"] == steps * 32


def test_minutes_end_a_training(tmp_path):
    _, metrics = train(tmp_path, budget=Budget(minutes=0.01), validations=1)
    assert metrics["steps"] % 4 == 0  # looked at the clock at a logging interval
    assert metrics["training_seconds"] >= 0.6


def test_processes_go_by_the_clock_of_the_first(tmp_path, monkeypatch):
    def broadcast(self, value, src=0):
        return 0.15 if isinstance(value, float) else value  # a quarter of the budget, whatever the time here

    monkeypatch.setattr(SingleDeviceStrategy, "broadcast", broadcast)
    log = Recorder()
    schedule = Schedule(name="linear", warmup=0.5)
    train(tmp_path, budget=Budget(minutes=0.01), validations=1, logger=log, schedule=schedule)
    rates = [row["learning_rate"] for _, row in log.rows if "loss" in row]
    assert rates == pytest.approx([1.5e-3] * len(rates))


def test_accumulation_counts_optimiser_steps():
    assert total_steps(Budget(epochs=2), Counting(), 2) == 6
    assert total_steps(Budget(epochs=2), Counting(), 1, world=2) == 6


def test_learns_and_logs_at_intervals_only(tmp_path):
    log = Recorder()
    _, metrics = train(tmp_path, logger=log, budget=Budget(steps=80), log_every=20, validations=2)
    assert metrics["validation_loss"] < 1.5 < np.log(16)
    trained = [(step, row) for step, row in log.rows if "loss" in row]
    assert [step for step, _ in trained] == [20, 40, 60, 80]
    assert [step for step, row in log.rows if "validation_loss" in row] == [40, 80]
    wanted = {"loss", "gradient_norm", "parameter_norm", "learning_rate", "tokens", "tokens_per_second",
              "flops_per_second", "peak_flops_share", "memory_gb"}  # fmt: skip
    assert wanted <= set(trained[0][1])
    assert trained[-1][1]["tokens"] == 80 * 32


def test_final_step_is_validated_once(tmp_path):
    log = Recorder()
    train(tmp_path, logger=log, budget=Budget(steps=10), validations=4)
    assert [step for step, row in log.rows if "validation_loss" in row] == [3, 6, 9, 10]


def test_validation_loss_is_the_mean_over_all_labels(tmp_path):
    model, metrics = train(tmp_path, trainer={"precision": "32-true"})
    batches = Counting(count=2)
    rows = torch.cat([batches.batch(0, i)["input_ids"] for i in range(2)])
    with torch.no_grad():
        exact = model(input_ids=rows, labels=rows).loss
    assert metrics["validation_loss"] == pytest.approx(float(exact), rel=1e-6)


def test_same_seed_gives_the_same_bits(tmp_path):
    first, _ = train(tmp_path / "a")
    second, _ = train(tmp_path / "b")
    assert bits(first) == bits(second)


class StopAt(Counting):
    def batch(self, epoch, index):
        if epoch * self.count + index >= 9:
            raise RuntimeError("power cut")
        return super().batch(epoch, index)


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"ema": 0.9},
        {"best": "validation_loss", "learning_rate": 0.03},
        {"accumulate": 2, "checkpoint_every": 3},
        {"accumulate": 2, "checkpoint_every": 3, "ema": 0.9},
        {"gradual_unfreezing": 0.75, "optimizer": MUON, "layer_decay": 0.8},
    ],
)
def test_goes_on_to_the_same_bits(tmp_path, update, capsys):
    first = Recorder()
    whole, expected = train(tmp_path / "whole", logger=first, **update)
    assert "going on" not in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="power cut"):
        train(tmp_path / "cut", batches=StopAt(), **update)
    assert (tmp_path / "cut" / "resume.ckpt").exists()
    log = Recorder()
    resumed, metrics = train(tmp_path / "cut", logger=log, **update)
    assert curve(log) == curve(first)  # what was logged before the cut is logged again
    assert f"going on after step {update.get('checkpoint_every', 5)}" in capsys.readouterr().err
    assert bits(resumed) == bits(whole)
    timing = ("tokens_per_second", "training_seconds")
    assert {k: v for k, v in metrics.items() if k not in timing} == {
        k: v for k, v in expected.items() if k not in timing
    }
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["finished.safetensors"]


def test_what_has_ended_is_not_trained_again(tmp_path, capsys):
    class Never(Counting):
        def batch(self, epoch, index):
            raise AssertionError("trained again")

    first, log = Recorder(), Recorder()
    settings = {"score": lambda model: {"accuracy": 0.5}, "best": "accuracy"}
    whole, expected = train(tmp_path, logger=first, **settings)
    again, metrics = train(tmp_path, logger=log, batches=Never(), held_out=Never(count=2), **settings)
    assert "trained by an earlier run (12 steps)" in capsys.readouterr().err
    assert bits(again) == bits(whole) != bits(network())
    assert not again.training
    assert metrics == expected
    assert log.rows == first.rows  # the figures of speed too, since they are of that training


@pytest.mark.parametrize(
    "change", [{"learning_rate": 1e-3}, {"held_out": Counting(count=3)}, {"best": "validation_loss"}]
)
def test_what_has_ended_by_other_parameters_or_data_is_removed(tmp_path, change):
    train(tmp_path)
    with pytest.raises(RuntimeError, match="power cut"):
        train(tmp_path, batches=StopAt(), **change)
    assert not (tmp_path / "finished.safetensors").exists()


def test_the_rate_after_a_resume_counts_the_time_before_it(tmp_path):
    class Slow(Counting):
        def batch(self, epoch, index):
            time.sleep(0.05)
            return super().batch(epoch, index)

    class Cut(Slow, StopAt):
        pass

    settings = {"log_every": 8, "checkpoint_every": 7}
    with pytest.raises(RuntimeError, match="power cut"):
        train(tmp_path, batches=Cut(), budget=Budget(steps=16), **settings)
    log = Recorder()
    train(tmp_path, batches=Slow(), budget=Budget(steps=16), logger=log, **settings)
    step, rate = next((step, row["tokens_per_second"]) for step, row in log.rows if "loss" in row)
    assert step == 8
    assert rate < 32 / 0.05


def test_the_time_left_after_a_resume_is_that_of_the_steps_left(capsys):
    progress = Progress()
    progress.start(100, None, 80)
    progress.show(90, 180.0, 1.0, 1.0)
    assert capsys.readouterr().err.endswith("0:20 left\n")


def test_a_checkpoint_of_other_parameters_is_ignored(tmp_path):
    with pytest.raises(RuntimeError):
        train(tmp_path, batches=StopAt())
    changed, metrics = train(tmp_path, learning_rate=1e-3)
    fresh, _ = train(tmp_path / "fresh", learning_rate=1e-3)
    assert metrics["steps"] == 12
    assert bits(changed) == bits(fresh)


def test_not_a_number_names_step_and_documents(tmp_path):
    class Poisoned(GPT2LMHeadModel):
        calls = 0

        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            if self.training:
                Poisoned.calls += 1
                if Poisoned.calls == 8:
                    output.loss = output.loss * float("nan")
            return output

    model = Poisoned(network().config)
    with pytest.raises(UserError, match=r"step 8: the loss is nan; batch of doc-1-1; checkpoint of step 5"):
        train(tmp_path, model=model)
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_of_several_processes_the_one_is_named_whose_batch_it_is():
    batches = SimpleNamespace(ids=lambda epoch, number: [f"doc-{number}"])
    stream = SimpleNamespace(rank=1, world=2, where=lambda number: (0, 2 * number + 1), batches=batches)
    training = SimpleNamespace(accumulate=1, learning_rate=0.1)
    guard = Guard(SimpleNamespace(training=training, train=stream), SimpleNamespace(step=0))
    told = "step 3: the gradient's norm is nan; process 1's batch of doc-5; no checkpoint yet"
    with pytest.raises(UserError, match=told):
        guard.check_step(3, torch.tensor(1.0), torch.tensor(math.nan))


def test_divergence_stops(tmp_path):
    with pytest.raises(UserError, match="diverges"):
        train(
            tmp_path, learning_rate=100.0, clip=0.0, budget=Budget(steps=60), divergence=1.5,
            schedule=Schedule(name="linear", warmup=1.0),
        )  # fmt: skip


def test_best_weights_are_kept_and_patience_stops(tmp_path):
    scores = iter([0.1, 0.9, 0.5, 0.4, 0.3, 0.2])
    seen = []

    def score(model):
        seen.append(bits(model))
        return {"accuracy": next(scores)}

    model, metrics = train(
        tmp_path, score=score, best="accuracy", validations=6, early_stopping=EarlyStopping(patience=2)
    )
    assert metrics["best_step"] == 4
    assert metrics["steps"] == 8
    assert bits(model) == seen[1]


def test_frozen_layers_stay(tmp_path):
    before, (after, _) = network(), train(tmp_path, frozen_layers=2)
    moved = {n for n, p in after.named_parameters() if not torch.equal(p, before.get_parameter(n))}
    assert moved
    assert not any("wte" in n or "wpe" in n or ".h.0." in n for n in moved)
    assert any(".h.1." in n for n in moved)


@pytest.mark.parametrize("optimizer", [PARAMS.training.optimizer, MUON], ids=["adamw", "muon"])
def test_layers_thaw_from_the_head_down(tmp_path, optimizer):
    model = network()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    depth = depths(model)
    moved = []

    def score(_):
        changed = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
        moved.append({depth[name] for name in changed})
        assert changed == {name for name in before if depth[name] in moved[-1]}
        return {}

    train(
        tmp_path, model=model, score=score, validations=4, gradual_unfreezing=0.75, optimizer=optimizer,
        layer_decay=0.8, ema=0.5,
    )  # fmt: skip
    assert moved == [{3}, {2, 3}, {1, 2, 3}, {0, 1, 2, 3}]  # after steps 3, 6, 9 and 12 of 12


def test_smoothing_and_z_loss_move_the_training_loss_only(tmp_path):
    _, plain = train(tmp_path, trainer={"precision": "32-true"}, budget=Budget(steps=4), log_every=1)
    _, other = train(
        tmp_path, trainer={"precision": "32-true"}, budget=Budget(steps=4), log_every=1,
        label_smoothing=0.2, z_loss=0.1,
    )  # fmt: skip
    assert other["train_loss"] > plain["train_loss"] + 0.1
    assert other["validation_loss"] == pytest.approx(plain["validation_loss"], abs=0.1)


def test_the_loss_of_a_classifier_is_weighted_and_smoothed():
    logits, labels = (
        torch.randn(6, 3, generator=torch.Generator().manual_seed(1)),
        torch.tensor([0, 1, 2, 2, 1, 0]),
    )
    weights = torch.tensor([1.0, 2.0, 0.5])
    each = -logits.log_softmax(-1)[torch.arange(6), labels] * weights[labels]
    found = smoothed_loss(logits, labels, 0.0, 0.0, weights)
    assert found == pytest.approx(float(each.sum() / weights[labels].sum()), abs=1e-6)
    smoothed = smoothed_loss(logits, labels, 0.3, 0.0)
    even = -logits.log_softmax(-1).mean(-1)
    plain = -logits.log_softmax(-1)[torch.arange(6), labels]
    assert smoothed == pytest.approx(float((0.7 * plain + 0.3 * even).mean()), abs=1e-6)


@pytest.mark.parametrize(("kind", "head"), [("encoder", "masked_lm"), ("decoder", "causal_lm")])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_logits_without_a_label_are_spared_and_change_nothing(tmp_path, kind, head, z_loss):
    class Sparse(Counting):
        def batch(self, epoch, index):
            ids = super().batch(epoch, index)["input_ids"]
            return {"input_ids": ids, "labels": torch.where(ids % 3 == 0, ids, -100)}

    seen = []

    def run(folder, spare):
        config = CONFIGS[kind](
            vocab_size=16, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, intermediate_size=32, max_position_embeddings=8, dropout=0.0,
        )  # fmt: skip
        model = models.build(kind, head, config, 1)
        forward = model.forward

        def whole(input_ids, labels):
            return forward(input_ids=input_ids, labels=labels)

        def noted(input_ids, labels, labelled_only):
            output = forward(input_ids=input_ids, labels=labels, labelled_only=labelled_only)
            seen.append(output.logits.ndim)
            return output

        model.forward = noted if spare else whole
        settings = {"trainer": {"precision": "32-true"}, "budget": Budget(steps=6), "z_loss": z_loss}
        return train(folder, model=model, batches=Sparse(), held_out=Sparse(count=2), **settings)

    (spared, some), (full, every) = run(tmp_path / "a", True), run(tmp_path / "b", False)
    assert set(seen) == {2}
    for key in ("train_loss", "validation_loss"):
        assert some[key] == pytest.approx(every[key], rel=1e-5)
    for name, value in full.state_dict().items():
        assert torch.allclose(value, spared.state_dict()[name], atol=1e-5), name


def test_activation_checkpointing_gives_the_same_weights(tmp_path):
    settings = {"trainer": {"precision": "32-true"}, "budget": Budget(steps=4)}
    plain, _ = train(tmp_path, **settings)
    saving, _ = train(tmp_path, checkpoint_activations=True, **settings)
    for name, value in plain.state_dict().items():
        assert torch.allclose(value, saving.state_dict()[name], atol=1e-6), name


@pytest.mark.slow
def test_lora_is_merged(tmp_path, capsys):
    from transformers import BertConfig, BertForSequenceClassification

    class Labelled(Counting):
        def batch(self, epoch, index):
            ids = super().batch(epoch, index)["input_ids"]
            return {"input_ids": ids, "labels": ids[:, 0] % 2}

    def network():
        torch.manual_seed(0)
        config = BertConfig(vocab_size=16, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                            intermediate_size=32, max_position_embeddings=8)  # fmt: skip
        return BertForSequenceClassification(config)

    settings = {"batches": Labelled(), "held_out": Labelled(), "lora": Lora(rank=2, alpha=4.0),
                "learning_rate": 1e-2}  # fmt: skip
    model = network()
    names = [name for name, _ in model.named_parameters()]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(tmp_path, model=model, **settings)
    assert [name for name, _ in model.named_parameters()] == names
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert "classifier.weight" in moved
    assert any("query.weight" in n for n in moved)
    assert not any("embeddings" in n for n in moved)
    again, _ = train(tmp_path, model=network(), **settings)
    assert "trained by an earlier run" in capsys.readouterr().err
    assert bits(again) == bits(model)


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "optimizer"), [("ddp", "adamw"), ("fsdp", "adamw"), ("fsdp", "muon")])
def test_two_processes_equal_one_with_twice_the_batch(tmp_path, strategy, optimizer):
    one = _run_script(tmp_path / "one", devices=1, size=8, optimizer=optimizer)
    two = _run_script(tmp_path / "two", devices=2, size=4, optimizer=optimizer, strategy=strategy)
    assert one["steps"] == two["steps"] == 6
    _assert_close(tmp_path, one, two)


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, {"rank": 2, "alpha": 4.0}], ids=["whole", "lora"])
def test_a_sharded_model_is_fine_tuned_as_a_whole_one(tmp_path, lora):
    settings = {
        "tune": True, "lora": lora, "ema": 0.5, "clip": 0.05, "accumulate": 2, "validations": 3,
        "frozen_layers": 0 if lora else 1, "checkpoint_activations": True, "optimizer": "adamw",
    }  # fmt: skip
    one = _run_script(tmp_path / "one", devices=1, size=8, **settings)
    two = _run_script(tmp_path / "two", devices=2, size=4, strategy="fsdp", **settings)
    assert one["best_step"] == two["best_step"] == 4
    assert two["dev_size"] == pytest.approx(one["dev_size"], rel=1e-4)
    _assert_close(tmp_path, one, two)


def _assert_close(folder, one, two):
    for key in ("train_loss", "validation_loss"):
        assert two[key] == pytest.approx(one[key], rel=1e-5), key
    whole, sharded = (torch.load(folder / name / "weights.pt", weights_only=True) for name in ("one", "two"))
    assert list(whole) == list(sharded)
    for name, value in whole.items():
        assert torch.allclose(value, sharded[name], atol=1e-5), name


SCRIPT = """
import json, os, sys, time
from pathlib import Path
sys.path[:0] = [{src!r}, {here!r}]
import numpy as np, torch
import test_fit
from textmill import models
from textmill.models.configuration import CONFIGS
from textmill.params import Budget, Lora

class Halves(test_fit.Counting):
    # batch i of size 4 is the half i % 2 of batch i // 2 of size 8
    def batch(self, epoch, index):
        if epoch * self.count + index >= {stop}:
            raise RuntimeError("power cut")
        time.sleep({wait} * int(os.environ.get("LOCAL_RANK", 0)))
        number = (epoch * self.count + index) * self.size
        rows = [np.random.default_rng(number + i).integers(0, 16, 1) + np.arange(8) for i in range(self.size)]
        ids = torch.from_numpy(np.stack(rows) % 16)
        return dict(input_ids=ids, labels=ids[:, 0] % 2 if {tune} else ids)

scores = iter([0.1, 0.9, 0.5])

def score(model):
    model.eval()
    with torch.inference_mode():
        size = model(input_ids=torch.arange(8).repeat(3, 1)).logits.norm()
    model.train()
    return dict(size=float(size), accuracy=next(scores))

if __name__ == "__main__":
    kind, head = ("encoder", "sequence_classification") if {tune} else ("decoder", "causal_lm")
    # Widths that two processes cannot halve.
    config = CONFIGS[kind](
        vocab_size=17, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=33, max_position_embeddings=8, dropout={dropout}, classifier_dropout={dropout},
    )
    update = {update!r}
    update["optimizer"] = test_fit.PARAMS.training.optimizer.model_copy(
        update=dict(name=update["optimizer"])
    )
    update["budget"] = Budget(**update.get("budget", dict(steps=6)))
    if update.get("lora"):
        update["lora"] = Lora(**update["lora"])
        torch.manual_seed(0)  # of its matrices
    if {tune}:
        update |= dict(score=score, best="accuracy")
    model, metrics = test_fit.train(
        Path({folder!r}, "state"), model=models.build(kind, head, config, 1),
        batches=Halves(size={size}, count=48 // {size}), held_out=Halves(size=4, count=3),
        trainer=dict(devices={devices}, strategy={strategy!r}, precision="32-true"), **update,
    )
    torch.save(model.state_dict(), Path({folder!r}, "weights.pt"))
    print("RESULT" + json.dumps(metrics))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "update"),
    [
        ("ddp", {}),
        ("fsdp", {"optimizer": "muon", "ema": 0.5, "gradual_unfreezing": 1.0}),
    ],
    ids=["ddp", "fsdp"],
)
def test_each_of_two_processes_goes_on_with_its_own_state(tmp_path, strategy, update):
    # The checkpoint of step 3 lies within a logging interval, and each process draws its own dropout.
    settings = {"devices": 2, "size": 4, "dropout": 0.3, "log_every": 4, "strategy": strategy, **update}
    whole = _run_script(tmp_path / "whole", **settings)
    assert _run_script(tmp_path / "cut", **settings, stop=10) is None
    assert (tmp_path / "cut" / "state" / "resume.ckpt").exists()
    resumed = _run_script(tmp_path / "cut", **settings)
    for key in ("train_loss", "validation_loss"):
        assert resumed[key] == whole[key], key
    expected, found = (
        torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("whole", "cut")
    )
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_processes_of_different_speed_validate_together(tmp_path, strategy):
    settings = {"budget": {"minutes": 0.1}, "validations": 3, "wait": 0.03, "strategy": strategy}
    metrics = _run_script(tmp_path, devices=2, size=4, **settings)
    assert metrics["training_seconds"] >= 6


def _run_script(
    folder, *, devices, size, strategy="auto", dropout=0.0, stop=1000, wait=0.0, tune=False, **update
):
    """What the training returned; None where the power was cut at batch ``stop``."""
    folder.mkdir(exist_ok=True)
    script = folder / "run.py"
    update = {"log_every": 1, "checkpoint_every": 3, "optimizer": "adamw", **update}
    script.write_text(
        SCRIPT.format(
            src=str(ROOT / "src"), here=str(Path(__file__).parent), folder=str(folder), size=size,
            devices=devices, strategy=strategy, dropout=dropout, stop=stop, wait=wait, tune=tune,
            update=update,
        )
    )  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=300
    )
    if "power cut" in done.stderr:
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(lines) == 1, done.stdout + done.stderr[-3000:]
    return json.loads(lines[0].removeprefix("RESULT"))


KILLED = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started deaf to it
sys.path[:0] = [{src!r}, {here!r}]
import time
import test_fit

class Slow(test_fit.Counting):
    def batch(self, epoch, index):
        time.sleep(0.05)
        return super().batch(epoch, index)

test_fit.train(Path({folder!r}), batches=Slow(), budget=test_fit.Budget(steps=200))
"""


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_goes_on_after_a_signal(tmp_path, sent, capsys):
    script = tmp_path / "run.py"
    state = tmp_path / "state"
    script.write_text(
        KILLED.format(src=str(ROOT / "src"), here=str(Path(__file__).parent), folder=str(state))
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    for _ in range(600):
        if (state / "resume.ckpt").exists():
            break
        time.sleep(0.1)
    time.sleep(0.3)
    process.send_signal(sent)
    assert process.wait(60) != 0
    log, undisturbed = Recorder(), Recorder()
    resumed, _ = train(state, budget=Budget(steps=200), logger=log)
    whole, _ = train(tmp_path / "whole", budget=Budget(steps=200), logger=undisturbed)
    assert "going on after step" in capsys.readouterr().err
    assert curve(log) == curve(undisturbed)
    assert bits(resumed) == bits(whole)
