"""An explanation of one answer, as data, as text and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from textmill.explain.attribution import Attribution
    from textmill.explain.reading import Target
    from textmill.prediction import Predictor

METHODS = ("integrated_gradients", "input_times_gradient", "occlusion")


@dataclass(frozen=True)
class Explanation:
    """Why a model answered as it did.

    ``data`` is JSON: ``task``, ``family``, ``prediction``; ``tokens``, the input token by token (``text``,
    empty where a character goes on; ``special``), and ``written``, those that a generating model wrote;
    ``targets``, each with ``name``, its number for the input and for the baseline (``value``,
    ``baseline_value``), whether this is ``log_odds`` (all but a regression's), for each method a number a
    token, ``completeness`` and ``attention``, the share of each token in what the target was read from;
    ``attention``: the weights of "self", "decoder" and "cross" as layers of heads of rows (from) of columns
    (to); ``left_out``, how many targets more there are.
    """

    data: dict[str, Any]

    @property
    def text(self) -> str:
        """The tokens of each target with their integrated gradients, for a terminal."""
        lines = [f"{self.data['task']}: {answer(self.data['prediction'])}"]
        for target in self.data["targets"]:
            error = target["completeness"]["error"]
            unit = "log-odds " if target["log_odds"] else ""
            lines.append(
                f"\n{target['name']}: {unit}{target['value']:.2f}, of nothing "
                f"{target['baseline_value']:.2f} (the sum misses by {abs(error):.3f})"
            )
            rows = merged(self.data["tokens"], target["integrated_gradients"])
            most = max((abs(value) for _, value in rows), default=0.0) or 1.0
            for text, value in rows:
                if value:
                    lines.append(f"{value:+8.3f}  {'█' * round(20 * abs(value) / most):20}  {text.strip()}")
        if not self.data["targets"]:
            lines.append("nothing was found that could be explained; --target names a part of the text")
        if self.data["left_out"]:
            lines.append(f"\nand {self.data['left_out']:,} more")
        return "\n".join(lines)

    def html_fragment(self) -> str:
        """A ``<section class="explanation">`` with its style, to put into a page; all text is escaped."""
        from textmill.explain.page import fragment

        return fragment(self.data)

    def html(self) -> str:
        """A whole page that needs no other file and no script."""
        from textmill.explain.page import page

        return page(self.data)


def explain(predictor: Predictor, item: str | Mapping[str, Any], target: str | None = None) -> Explanation:
    """Explain the answer of a model to an input, as ``Predictor.predict`` takes it.

    ``target`` chooses what is explained: a label for the families that classify, a part of the text for
    those that mark it (by default what the model answered). Raises UserError where it does not fit.
    """
    import torch

    from textmill.explain.attention import attentions, rollout
    from textmill.explain.attribution import attribute
    from textmill.explain.reading import read

    model, tokenizer = predictor.model, predictor.tokenizer
    reading = read(predictor, item, target)
    inputs = {
        key: value.to(model.device) if isinstance(value, torch.Tensor) else value
        for key, value in reading.inputs.items()
    }
    ids: Tensor = inputs["input_ids"]
    special = torch.isin(ids, torch.tensor(sorted(_special(tokenizer)), device=ids.device))
    if bool(special.all()):
        raise UserError("the text is empty: there is nothing to explain")
    baseline = torch.where(special, ids, _nothing(tokenizer))
    weights = attentions(model, inputs)
    shares: dict[str, Tensor] = {}
    if weights:
        # An encoder-decoder's target is read from the decoder, which looks at the source directly.
        shares["attention"] = (
            weights["cross"].mean(dim=(0, 1)) if "cross" in weights else rollout(weights["self"])
        )
    targets = [
        _told(target, attribute(model, inputs, baseline, target.score), shares) for target in reading.targets
    ]
    family = predictor.task.family if predictor.task else "language_model"
    return Explanation(
        {
            "task": predictor.name,
            "family": family,
            "prediction": reading.prediction,
            "tokens": _tokens(tokenizer, ids[0].tolist()),
            "written": _tokens(tokenizer, list(reading.written)),
            "baseline": tokenizer.decode([_nothing(tokenizer)]),
            "targets": targets,
            "left_out": reading.left_out,
            "attention": {name: _rounded(found) for name, found in weights.items()},
        }
    )


def _special(tokenizer: Any) -> set[int]:
    """The tokens that are no text; one that stands for an unknown word is, unless it is the baseline's."""
    return set(tokenizer.all_special_ids) - ({tokenizer.unk_token_id} - {_nothing(tokenizer)})


def _nothing(tokenizer: Any) -> int:
    """The token of the baseline, in place of each of the text: the mask, or what else says least."""
    for token in (tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id):
        if token is not None:
            return int(token)
    return int(tokenizer.eos_token_id)


def _told(target: Target, found: Attribution, shares: Mapping[str, Tensor]) -> dict[str, Any]:
    rows = list(target.positions)
    return {
        "name": target.name,
        "log_odds": target.log_odds,
        "value": round(found.value, 6),
        "baseline_value": round(found.baseline_value, 6),
        **{method: [round(value, 6) for value in getattr(found, method)] for method in METHODS},
        **{
            name: _rounded(share[rows].mean(dim=0) if rows else share.mean(dim=0))
            for name, share in shares.items()
        },
        "completeness": {
            "sum": round(sum(found.integrated_gradients), 6),
            "difference": round(found.value - found.baseline_value, 6),
            "error": round(found.completeness_error, 6),
            "steps": found.steps,
        },
    }


def _tokens(tokenizer: Any, ids: Sequence[int]) -> list[dict[str, Any]]:
    """The text of each token; one that only goes on with the character of the token before has none."""
    texts = [""] * len(ids)
    special = _special(tokenizer)
    told, start = "", 0
    for i in range(len(ids)):
        whole = tokenizer.decode(ids[: i + 1], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if whole.endswith("\ufffd") and i + 1 < len(ids):
            continue  # a part of a character
        # A tokenizer may join what it decoded before with what comes ("don '" and "t").
        same = next((n for n, (a, b) in enumerate(zip(told, whole, strict=False)) if a != b), len(told))
        texts[start] = whole[same:]
        told, start = whole, i + 1
    return [{"text": text, "special": i in special} for text, i in zip(texts, ids, strict=True)]


def merged(tokens: Sequence[Mapping[str, Any]], values: Sequence[float]) -> list[tuple[str, float]]:
    """Text and value of the tokens, those that go on with a character added to the one that begins it."""
    rows: list[tuple[str, float]] = []
    for token, value in zip(tokens, values, strict=True):
        if rows and not token["text"]:
            rows[-1] = (rows[-1][0], rows[-1][1] + value)
        else:
            rows.append((token["text"], value))
    return rows


def answer(prediction: Mapping[str, Any]) -> str:
    """The prediction in a line."""
    found = prediction["prediction"]
    if isinstance(found, Mapping):
        found = found["text"] or "no answer"
    elif isinstance(found, list):
        found = ", ".join(f"{p['text']} ({p['label']})" if isinstance(p, Mapping) else str(p) for p in found)
    score = prediction.get("score")
    return f"{found or 'nothing'}" + (f" ({score:.1%})" if score is not None else "")


def _rounded(numbers: Tensor) -> Any:
    return [round(x, 4) for x in numbers.tolist()] if numbers.dim() == 1 else [_rounded(x) for x in numbers]
