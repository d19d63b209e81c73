"""An input as the model reads it, and the numbers in the model's output that its answer hangs on.

The numbers are log-odds, log p / (1 - p), of what was answered: unlike a probability they do not level
off where the model is sure, so that gradients keep saying something. A regression's number is itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from textmill.errors import UserError
from textmill.explain.attribution import Score
from textmill.models.embeddings import matches
from textmill.words import trim

if TYPE_CHECKING:
    from textmill.prediction import Predictor
    from textmill.tasks.base import Family, Feature, Prediction

MOST_TARGETS = 12  # numbers explained of one input


@dataclass(frozen=True)
class Target:
    """A number to explain: its name, how to read it from the model's output, and the positions that it is
    read from (none: the whole sequence); whether it is log-odds."""

    name: str
    score: Score
    positions: tuple[int, ...] = ()
    log_odds: bool = True


@dataclass(frozen=True)
class Reading:
    """One row for the model, what it answered, and what of that is explained.

    ``inputs`` hold ``input_ids`` (1, length) and what else the model takes; ``written`` the ids of what a
    model that generates wrote, as far as it is explained. ``left_out`` counts targets beyond MOST_TARGETS and
    in other windows.
    """

    inputs: dict[str, Any]
    prediction: Prediction
    targets: list[Target]
    written: tuple[int, ...] = ()
    left_out: int = field(default=0)


def log_odds(logits: Tensor, index: int) -> Tensor:
    """log p / (1 - p) of one outcome under a softmax: (batch, outcomes) -> (batch,)."""
    others = torch.cat([logits[:, :index], logits[:, index + 1 :]], dim=1)
    return logits[:, index] - others.logsumexp(dim=1)


def read(predictor: Predictor, item: Any, target: str | None) -> Reading:
    """The reading of an input of ``predictor``; ``target`` as in ``explain``."""
    if predictor.task is None:
        return _language_model(predictor, item, target)
    example = predictor.example(item)
    family = predictor.family
    features = family.encode(example, labelled=False)
    if family.generates:
        reading = _generated(family, predictor.model, example, features, target)
    else:
        prediction = family.predict(predictor.model, [example], 1)[0]
        make = READERS[predictor.task.family]
        reading = make(family, predictor.model, example, features, prediction, target)
    if getattr(predictor.model.config, "mark_matches", False):
        # Read off the ids once: which tokens match stays as it is while their embeddings change.
        ids = reading.inputs["input_ids"]
        reading.inputs["matched"] = matches(ids, predictor.model.config.eos_token_id)
    return reading


def _classification(
    family: Any, model: Any, example: Any, features: list[Feature], prediction: Prediction, target: str | None
) -> Reading:
    # A classifier reads the markers, the mean of all tokens, or the first, as published encoders do.
    if markers := getattr(model.config, "marker_ids", None):
        read_from = tuple(features[0]["input_ids"].index(marker) for marker in markers)
        features = [{**features[0], "marker_positions": list(read_from)}]
    else:
        read_from = () if getattr(model.config, "pooling", "first") == "mean" else (0,)
    if family.task.regression:
        _no_choice(target, "a number")
        targets = [Target("the number", lambda output: output.logits[:, 0], read_from, log_odds=False)]
    else:
        chosen = prediction["prediction"] if target is None else target
        labels = chosen if isinstance(chosen, list) else [chosen]
        if target is None and not set(labels) & set(family.labels):
            # None of several labels, or out of scope: the likeliest label is explained.
            labels = [max(prediction["probabilities"], key=prediction["probabilities"].get)]
        for label in labels:
            if label not in family.labels:
                raise UserError(f"no label {label!r}; known: {', '.join(family.labels)}")
        targets = [
            Target(label, _label(family.labels.index(label), family.task.multi_label), read_from)
            for label in labels
        ]
    return _reading(family, features[0], prediction, targets)


def _label(index: int, multi_label: bool) -> Score:
    if multi_label:  # under a sigmoid the logit is the log-odds
        return lambda output: output.logits[:, index]
    return lambda output: log_odds(output.logits, index)


def _tokens(
    family: Any, model: Any, example: Any, features: list[Feature], prediction: Prediction, target: str | None
) -> Reading:
    text: str = example["text"]
    wanted = [(span["start"], span["end"]) for span in prediction["prediction"]]
    if target is not None:
        start = text.find(target)
        if start < 0 or not target:
            raise UserError(f"the text has no {target!r}")
        wanted = [(start, start + len(target))]

    def span(window: int, place: int) -> tuple[int, int]:
        """Where a token stands in the text, in characters."""
        return cast("tuple[int, int]", features[window]["_spans"][place])

    tokens = family.read_from(features)
    found = [at for at in tokens if any(span(*at)[0] < end and span(*at)[1] > start for start, end in wanted)]
    window = found[0][0] if found else 0
    here = [(row, place) for row, (at, place) in enumerate(tokens) if at == window]
    if family.task.finetune.crf:
        # The tags of a text hang together across its windows; what the others say does not change.
        with torch.no_grad():
            batches = [family.collate([feature]) for feature in features]
            logits = [model(**{k: v.to(model.device) for k, v in batch.items()}).logits for batch in batches]
        known = torch.stack([logits[at][0, place] for at, place in tokens]).float()

    def of(row: int, place: int, tag: int) -> Score:
        """The log-odds of a tag at a token, which is the text's ``row``-th and at ``place`` in the window."""
        if not family.task.finetune.crf:
            return lambda output: log_odds(output.logits[:, place], tag)

        def score(output: Any) -> Tensor:
            """(batch,) over all sequences of tags of the text."""
            emissions = known.repeat(len(output.logits), 1, 1)
            rows, places = zip(*here, strict=True)
            emissions[:, rows] = output.logits[:, places].float()
            odds: Tensor = model.crf.log_odds(emissions, row, tag)
            return odds

        return score

    targets = []
    for row, place in here:
        if (window, place) in found:
            start, end = span(window, place)
            tag = _tag(start, prediction["prediction"])
            score = of(row, place, family.tags.index(tag))
            targets.append(Target(f"{text[start:end]}: {tag}", score, positions=(place,)))
    reading = _reading(family, features[window], prediction, targets)
    return replace(reading, left_out=reading.left_out + len(found) - len(targets))


def _tag(start: int, spans: Sequence[dict[str, Any]]) -> str:
    """The IOB2 tag that spans give to the token which begins at ``start``."""
    for span in spans:
        if span["start"] <= start < span["end"]:
            return f"{'B' if start == span['start'] else 'I'}-{span['label']}"
    return "O"


def _span(
    family: Any, model: Any, example: Any, features: list[Feature], prediction: Prediction, target: str | None
) -> Reading:
    answer = prediction["prediction"]
    first, last = answer["start"], answer["start"] + len(answer["text"])
    feature, start, end = features[0], 0, 0  # no answer is the span at the first token
    if target is not None:
        first = example["context"].find(target)
        last = first + len(target)
        if first < 0 or not target.strip():
            raise UserError(f"the context has no {target!r}")
        first, last = trim(example["context"], first, last)  # tokens cover no white space at their ends
    places = [(feature, 0, 0) for feature in features]
    if first < last:
        places = []
        for each in features:
            inside = [i for i, (a, b) in enumerate(each["_spans"]) if a < b and a < last and b > first]
            if inside and each["_spans"][inside[-1]][1] >= last and each["_spans"][inside[0]][0] <= first:
                places.append((each, inside[0], inside[-1]))
        if not places and target is not None:
            raise UserError(
                f"no window of {family.max_length} tokens shows all of {target[:40]!r}: choose a shorter part"
            )
    if len(places) > 1:  # windows overlap: an answer is the surest one's, and no answer the least sure one's
        sure = max if first < last else min
        feature, start, end = sure(places, key=lambda place: _sum(family, model, *place))
    elif places:
        feature, start, end = places[0]
    name = example["context"][first:last] if first < last else "no answer"
    targets = [
        Target(f"{name}: start", lambda output: log_odds(output.start_logits, start), (start,)),
        Target(f"{name}: end", lambda output: log_odds(output.end_logits, end), (end,)),
    ]
    return _reading(family, feature, prediction, targets)


def _sum(family: Any, model: Any, feature: Feature, start: int, end: int) -> float:
    """The score of a span: that of its start and that of its end."""
    batch = {key: value.to(model.device) for key, value in family.collate([feature]).items()}
    with torch.no_grad():
        output = model(**batch)
    return float(output.start_logits[0, start] + output.end_logits[0, end])


def _generated(family: Any, model: Any, example: Any, features: list[Feature], target: str | None) -> Reading:
    _no_choice(target, "what it wrote")
    batch = family.collate(features[:1])
    batch = {key: value.to(model.device) for key, value in batch.items()}
    with torch.inference_mode():
        # Once: what is drawn at random would be another text the second time.
        ids = family.generate(model, batch)
    prediction = family.decode(example, features, family.texts(ids, batch))
    return written(model, family.tokenizer, batch, ids[0].tolist(), prediction)


def written(
    model: Any, tokenizer: Any, inputs: dict[str, Any], ids: list[int], prediction: Prediction
) -> Reading:
    """A reading of a model that wrote ``ids`` behind (decoder) or from (encoder-decoder) ``inputs``.

    Each token that it wrote is explained by the input and, in a decoder, the tokens before it.
    """
    coupled = bool(model.config.is_encoder_decoder)
    begin = 1 if coupled else inputs["input_ids"].shape[1]
    end = next((i for i in range(begin, len(ids)) if ids[i] == tokenizer.eos_token_id), len(ids) - 1) + 1
    answer = ids[begin:end]
    kept = answer[:MOST_TARGETS]
    shown = torch.tensor([ids[: begin + len(kept) - 1]], device=model.device)
    inputs = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    if coupled:
        inputs["decoder_input_ids"] = shown
    else:
        inputs = {"input_ids": shown, "attention_mask": torch.ones_like(shown)}

    def of(place: int, token: int) -> Score:
        """The log-odds of a token at a position."""
        return lambda output: log_odds(output.logits[:, place], token)

    targets = [
        Target(
            tokenizer.decode([token]).strip() or repr(tokenizer.decode([token])), of(place, token), (place,)
        )
        for place, token in enumerate(kept, begin - 1)
    ]
    return Reading(
        {**inputs, "use_cache": False}, prediction, targets, tuple(kept), left_out=len(answer) - len(kept)
    )


def _language_model(predictor: Predictor, item: Any, target: str | None) -> Reading:
    """A pretrained model: what it puts at each mask, or writes behind or from the text."""
    _no_choice(target, "what it wrote")
    predictor.check(item, "input 1")
    text = item if isinstance(item, str) else item["text"]
    model, tokenizer = predictor.model, predictor.tokenizer
    if hasattr(model, "generate") and model.can_generate():
        ids, found = predictor.written(text)
        said = str(tokenizer.decode(found[0], skip_special_tokens=True)).strip()
        inputs = {"input_ids": ids.clone(), "attention_mask": torch.ones_like(ids)}
        return written(model, tokenizer, inputs, found[0].tolist(), {"prediction": said})
    prediction = predictor.predict([item])[0]
    encoding = tokenizer(text, return_tensors="pt", truncation=True, max_length=predictor.limit())
    inputs = {key: encoding[key] for key in ("input_ids", "attention_mask")}
    ids = inputs["input_ids"]
    with torch.no_grad():
        best = model(**inputs).logits[0].argmax(dim=-1).tolist()
    places = (ids[0] == tokenizer.mask_token_id).nonzero().flatten().tolist()
    if not places:
        raise UserError(f"the text has no {tokenizer.mask_token}: there is nothing to fill in and explain")

    def of(place: int, token: int) -> Score:
        """The log-odds of a token at a position."""
        return lambda output: log_odds(output.logits[:, place], token)

    targets = [Target(str(tokenizer.decode([best[i]])).strip(), of(i, best[i]), (i,)) for i in places]
    return Reading(inputs, prediction, targets[:MOST_TARGETS], left_out=len(targets[MOST_TARGETS:]))


def _reading(family: Family, feature: Feature, prediction: Prediction, targets: list[Target]) -> Reading:
    inputs: dict[str, Any] = dict(family.collate([feature]))
    return Reading(inputs, prediction, targets[:MOST_TARGETS], left_out=len(targets[MOST_TARGETS:]))


def _no_choice(target: str | None, what: str) -> None:
    if target is not None:
        raise UserError(f"the model answers with {what}: there is no target to choose")


READERS: dict[str, Callable[..., Reading]] = {
    "sequence_classification": _classification,
    "relation_classification": _classification,
    "token_classification": _tokens,
    "span_extraction": _span,
}
