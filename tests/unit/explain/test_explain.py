"""Explanations: completeness, where attention goes, what hangs on the weights, and the page."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textmill.explain.page as page_module
from textmill.errors import UserError
from textmill.explain import Explanation, explain

CASES = ("sentiment", "entities", "relations", "questions", "headlines", "dialogue")


@pytest.mark.parametrize("stock", [False, True], ids=["ours", "stock"])
@pytest.mark.parametrize("name", CASES)
def test_every_family_is_explained_and_integrated_gradients_are_complete(
    name: str, stock: bool, make_predictor: Any, inputs: Any
) -> None:
    found = explain(make_predictor(name, stock=stock), inputs[name])
    data = found.data
    assert data == json.loads(json.dumps(data))
    tokens = data["tokens"]
    assert data["targets"]
    for target in data["targets"]:
        complete = target["completeness"]
        difference = target["value"] - target["baseline_value"]
        assert complete["difference"] == pytest.approx(difference, abs=1e-4)
        assert complete["sum"] == pytest.approx(sum(target["integrated_gradients"]), abs=1e-3)
        assert abs(complete["error"]) <= max(0.02 * abs(difference), 1e-3)
        assert sum(target["attention"]) == pytest.approx(1, abs=0.01)
        for method in ("integrated_gradients", "input_times_gradient", "occlusion"):
            values = target[method]
            assert len(values) == len(tokens)
            assert all(v == 0 for v, t in zip(values, tokens, strict=True) if t["special"])
            assert any(values)
    for layers in data["attention"].values():
        weights = np.array(layers)
        assert weights.ndim == 4
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=0.01)
    assert ("cross" in data["attention"]) == (name == "headlines")
    assert '<section class="explanation">' in found.html_fragment()


@pytest.mark.parametrize("name", ["sentiment", "relations"])
def test_what_ngrams_score_is_shared_among_their_tokens(name: str, make_predictor: Any, inputs: Any) -> None:
    """With a Transformer that says nothing the answer is the n-grams' alone, which add up without error."""
    import torch

    from textmill.explain.reading import read
    from textmill.models.heads import ngram_places

    predictor = make_predictor(name, finetune={"ngrams": 2})
    model = predictor.model
    with torch.no_grad():
        model.classifier.output.weight.zero_()
        model.ngrams.table.copy_(
            torch.randn(model.ngrams.table.shape, generator=torch.Generator().manual_seed(3))
        )
        model.ngrams.table /= 100
    data = explain(predictor, inputs[name]).data
    (target,) = data["targets"]
    reading = read(predictor, inputs[name], None)
    ids, score = reading.inputs["input_ids"], reading.targets[0].score
    difference = target["value"] - target["baseline_value"]
    assert abs(difference) > 0.1
    assert abs(target["completeness"]["error"]) <= max(0.02 * abs(difference), 1e-3)
    with torch.no_grad():
        assert float(score(model(**reading.inputs))) == pytest.approx(target["value"], abs=1e-4)
        place = max(range(ids.shape[1]), key=lambda i: abs(target["occlusion"][i]))
        hidden = ids.clone()
        hidden[0, place] = predictor.tokenizer.mask_token_id
        others = {key: value for key, value in reading.inputs.items() if key != "input_ids"}
        fall = target["value"] - float(score(model(input_ids=hidden, **others)))
    assert target["occlusion"][place] == pytest.approx(fall, abs=1e-4)
    if name == "sentiment":  # of two labels the log-odds are linear in the scores
        baseline = torch.where(torch.tensor([[t["special"] for t in data["tokens"]]]), ids, hidden[0, place])
        with torch.no_grad():
            changed = ((model.ngrams(ids) - model.ngrams(baseline))[0] / 2).tolist()
        chosen = predictor.family.labels.index(target["name"])
        expected = [0.0] * ids.shape[1]
        for places, scores in zip(ngram_places(2, ids.shape[1]), changed, strict=True):
            own = [i for i in places if not data["tokens"][i]["special"]]
            for i in own:
                expected[i] += (scores[chosen] - scores[1 - chosen]) / len(own)
        assert target["integrated_gradients"] == pytest.approx(expected, abs=1e-4)


def test_matches_of_a_question_stay_as_they_are_while_embeddings_change(
    make_predictor: Any, inputs: Any
) -> None:
    predictor = make_predictor("questions", finetune={"mark_matches": True})
    for target in explain(predictor, inputs["questions"]).data["targets"]:
        difference = target["value"] - target["baseline_value"]
        assert abs(target["completeness"]["error"]) <= max(0.02 * abs(difference), 1e-3)


def test_a_hidden_word_is_none_that_the_question_has_too(make_predictor: Any, inputs: Any) -> None:
    import torch

    from textmill.explain.reading import read
    from textmill.models.embeddings import matches

    predictor = make_predictor("questions", finetune={"mark_matches": True})
    with torch.no_grad():  # which begin at zero
        for name, weight in predictor.model.named_parameters():
            if ".matches." in name:
                weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
    reading = read(predictor, inputs["questions"], None)
    ids, matched = reading.inputs["input_ids"], reading.inputs["matched"]
    eos = predictor.model.config.eos_token_id
    behind = int((ids[0] == eos).nonzero()[0])  # the question
    shared = next(i for i in range(behind + 1, ids.shape[1]) if ids[0, i] in ids[0, 1:behind])
    target, score = explain(predictor, inputs["questions"]).data["targets"][0], reading.targets[0].score
    hidden = ids.clone()
    hidden[0, shared] = predictor.tokenizer.mask_token_id
    others = {k: v for k, v in reading.inputs.items() if k not in ("input_ids", "matched")}
    with torch.no_grad():
        really = float(score(predictor.model(input_ids=hidden, **others)))
        frozen = float(score(predictor.model(input_ids=hidden, matched=matched, **others)))
    assert not torch.equal(matches(hidden, eos), matched)
    assert abs(really - frozen) > 1e-3
    assert target["occlusion"][shared] == pytest.approx(target["value"] - really, abs=1e-3)


def test_tags_of_a_chain_are_as_likely_as_the_answer_says(make_predictor: Any, inputs: Any) -> None:
    import torch

    from textmill.explain.reading import read

    predictor = make_predictor("entities", finetune={"crf": True})
    with torch.no_grad():
        for weight in predictor.model.crf.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
    item = {"text": "Mara works, 玛"}
    found = explain(predictor, item).data["targets"]
    reading = read(predictor, item, None)
    places = predictor.family.encode(item, labelled=False)[0]["_spans"]
    assert len(found) > 1
    least: dict[str, float] = {}
    for told, target in zip(found, reading.targets, strict=True):
        complete = told["completeness"]
        assert abs(complete["error"]) <= max(0.02 * abs(complete["difference"]), 1e-3)
        start = places[target.positions[0]][0]
        spans = reading.prediction["prediction"]
        name = next(span["text"] for span in spans if span["start"] <= start < span["end"])
        least[name] = min(least.get(name, 1.0), 1 / (1 + math.exp(-told["value"])))
    assert least == pytest.approx(
        {span["text"]: span["score"] for span in reading.prediction["prediction"]}, abs=1e-3
    )


def test_a_chain_goes_through_all_windows_of_a_long_text(make_predictor: Any) -> None:
    import torch

    predictor = make_predictor("entities", finetune={"crf": True, "max_length": 12})
    with torch.no_grad():
        for weight in predictor.model.crf.parameters():
            weight.copy_(3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
    item = {"text": "Mara Velt works, 玛拉 with Norbi Tools in Ulmen"}
    features = predictor.family.encode(item, labelled=False)
    assert len(features) > 2
    windows = set()
    for span in predictor.predict([item])[0]["prediction"]:
        data = explain(predictor, item, span["text"]).data
        if data["left_out"] or item["text"].count(span["text"]) > 1:
            continue
        least = min(1 / (1 + math.exp(-target["value"])) for target in data["targets"])
        assert least == pytest.approx(span["score"], abs=1e-3)
        windows.add(tuple(token["text"] for token in data["tokens"]))
    assert len(windows) > 1


def test_an_answer_is_explained_in_the_window_that_it_was_read_from(make_predictor: Any) -> None:
    import torch

    predictor = make_predictor("questions", finetune={"max_length": 24})
    text = "Mara Velt works, 玛拉 with Norbi Tools in Ulmen by the river and sings"
    seen = set()
    for start in range(0, len(text) - 30, 3):
        item = {"question": "Who?", "context": text[start:] + text[:start]}
        features = predictor.family.encode(item, labelled=False)
        answer = predictor.predict([item])[0]["prediction"]
        data = explain(predictor, item).data
        scores = []
        for feature in features:
            with torch.no_grad():
                output = predictor.model(input_ids=torch.tensor([feature["input_ids"]]))
            first, last = answer["start"], answer["start"] + len(answer["text"])
            starts = [a for a, b in feature["_spans"]]
            ends = [b for a, b in feature["_spans"]]
            if answer["text"] and first in starts and last in ends:
                i = next(n for n, a in enumerate(starts) if a == first and ends[n] > a)
                j = max(n for n, b in enumerate(ends) if b == last and b > starts[n])
                scores.append((float(output.start_logits[0, i] + output.end_logits[0, j]), feature))
            elif not answer["text"]:
                scores.append((-float(output.start_logits[0, 0] + output.end_logits[0, 0]), feature))
        wanted = max(scores, key=lambda pair: pair[0])[1]
        decoded = predictor.tokenizer.decode(wanted["input_ids"])
        assert "".join(token["text"] for token in data["tokens"]) == decoded
        seen.add(features.index(wanted) if len(scores) > 1 else -1)
    assert seen - {-1, 0}


def test_an_unknown_word_is_no_special_token(make_predictor: Any, inputs: Any) -> None:
    predictor = make_predictor("sentiment")
    tokenizer = predictor.tokenizer
    word = tokenizer.convert_ids_to_tokens(tokenizer("bad", add_special_tokens=False)["input_ids"][-1])
    tokenizer.unk_token = word  # as a WordPiece vocabulary has one for what it does not know
    assert tokenizer.unk_token_id in tokenizer.all_special_ids
    data = explain(predictor, "not bad").data
    found = [t for t in data["tokens"] if t["text"] and t["text"] in word]
    assert found
    assert not any(token["special"] for token in found)
    place = data["tokens"].index(found[-1])
    assert data["targets"][0]["occlusion"][place] != 0


def test_a_terminal_says_what_is_left_out_and_where_there_is_nothing(make_predictor: Any) -> None:
    data = explain(make_predictor("sentiment"), "not bad").data
    assert "\nand 3 more" in Explanation({**data, "left_out": 3}).text
    assert "nothing was found" in Explanation({**data, "targets": []}).text
    assert "more" not in Explanation(data).text


def test_the_tokens_spell_the_text_and_an_emoji_of_several_tokens_is_one(
    make_predictor: Any, inputs: Any
) -> None:
    found = explain(make_predictor("sentiment"), inputs["sentiment"]).data
    text = "".join(token["text"] for token in found["tokens"] if not token["special"])
    assert text == inputs["sentiment"]["text"]
    assert sum(token["text"] == "" for token in found["tokens"]) >= 1


def test_occlusion_is_the_fall_of_the_score_when_the_token_is_hidden(
    make_predictor: Any, inputs: Any
) -> None:
    import torch

    predictor = make_predictor("sentiment")
    found = explain(predictor, inputs["sentiment"]).data
    target = found["targets"][0]
    feature = predictor.family.encode(inputs["sentiment"], labelled=False)[0]
    label = predictor.family.labels.index(target["name"])
    for place in (1, 4):
        ids = list(feature["input_ids"])
        ids[place] = predictor.tokenizer.mask_token_id
        with torch.no_grad():
            logits = predictor.model(input_ids=torch.tensor([ids])).logits[0]
        expected = target["value"] - float(logits[label] - logits[1 - label])
        assert target["occlusion"][place] == pytest.approx(expected, abs=1e-4)


def test_a_label_or_a_part_of_the_text_can_be_chosen(make_predictor: Any, inputs: Any) -> None:
    predictor = make_predictor("sentiment")
    good, bad = (explain(predictor, inputs["sentiment"], label) for label in ("positive", "negative"))
    assert good.data["targets"][0]["value"] == pytest.approx(-bad.data["targets"][0]["value"], abs=1e-4)
    with pytest.raises(UserError, match="no label 'great'; known: negative, positive"):
        explain(predictor, inputs["sentiment"], "great")
    chosen = explain(make_predictor("entities"), inputs["entities"], "乌尔").data["targets"]
    assert [target["name"][:2] for target in chosen] == ["乌:", "尔:"]
    with pytest.raises(UserError, match="the text has no 'Ulm'"):
        explain(make_predictor("entities"), inputs["entities"], "Ulm")


def test_gradients_of_several_labels_of_a_number_and_of_nothing(make_predictor: Any, inputs: Any) -> None:
    several = explain(
        make_predictor("sentiment", data={"multi_label": True}, gate={"metric": "micro_f1"}), "not bad"
    )
    assert {t["name"] for t in several.data["targets"]} <= {"negative", "positive"}
    with pytest.raises(UserError, match="the text is empty"):
        explain(make_predictor("sentiment"), {"text": ""})


@pytest.mark.parametrize("name", ["headlines", "dialogue"])
def test_a_text_drawn_at_random_is_explained_as_it_is_shown(
    name: str, make_predictor: Any, inputs: Any
) -> None:
    settings = {"sample": True, "temperature": 5.0, "max_new_tokens": 6}
    predictor = make_predictor(name, finetune={"generation": settings})
    shown = set()
    for seed in range(4):
        predictor.family.seed = seed
        data = explain(predictor, inputs[name]).data
        assert data["prediction"] == predictor.predict([inputs[name]])[0]
        written = "".join(token["text"] for token in data["written"])
        # Bytes that are no character are a sign a token in the one, and a sign a run in the other.
        for hidden in (*predictor.tokenizer.all_special_tokens, "\ufffd"):
            written = written.replace(hidden, "")
        assert written.strip() == data["prediction"]["prediction"].replace("\ufffd", "").strip()
        shown.add(written)
    assert len(shown) > 1


def test_entities_in_other_windows_are_counted(make_predictor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = make_predictor("entities", finetune={"max_length": 24})
    text = "Mara is here. " + "The river is near. " * 6 + "Norbi is there."
    names = ("Mara", "Norbi")
    spans = [
        {"start": text.index(name), "end": text.index(name) + len(name), "label": "person", "text": name}
        for name in names
    ]
    answer = {"prediction": spans, "score": 1.0}
    monkeypatch.setattr(predictor.family, "predict", lambda *_: [answer])
    tokens = {
        name: {
            a
            for f in predictor.family.encode({"text": text}, labelled=False)
            for a, b in f["_spans"]
            if text.index(name) <= a < b <= text.index(name) + len(name)
        }
        for name in names
    }
    found = explain(predictor, text).data
    assert len(found["targets"]) == len(tokens["Mara"])
    assert found["left_out"] == len(tokens["Norbi"]) > 0


def test_a_part_longer_than_a_window_cannot_be_chosen(make_predictor: Any) -> None:
    predictor = make_predictor("questions", finetune={"max_length": 32})
    context = "Mara Velt is here. " + "The river is near. " * 10
    question = {"question": "Who?", "context": context}
    for target in ("Velt", " Velt "):
        (start, _) = explain(predictor, question, target).data["targets"]
        assert start["name"] == "Velt: start"
    with pytest.raises(UserError, match="no window of 32 tokens shows all of 'The river"):
        explain(predictor, question, "The river is near. " * 9)


def test_a_number_is_shown_as_itself(make_predictor: Any) -> None:
    predictor = make_predictor(
        "sentiment", labels=None, data={"regression": True}, behaviour=None, gate={"metric": "pearson"}
    )
    found = explain(predictor, "not bad")
    number = f"{found.data['prediction']['prediction']:.2f}"
    assert f"the number: {number}, of nothing" in found.text
    assert f'<b>the number</b><span class="ex-soft">{number}</span>' in found.html_fragment()
    assert "log-odds" not in found.text + found.html_fragment()
    assert "log-odds" in explain(make_predictor("sentiment"), "not bad").html_fragment()


def test_rollout_multiplies_the_layers_and_their_residual_connections() -> None:
    import torch

    from textmill.explain.attention import rollout

    first = torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]])  # two heads
    second = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]] * 2)
    by_hand = torch.tensor([[0.5, 0.5], [0.5, 0.5]]) @ torch.tensor([[0.75, 0.25], [0.25, 0.75]])
    torch.testing.assert_close(rollout(torch.stack([first, second])), by_hand)


def test_attention_in_use_is_left_as_it_was(make_predictor: Any, inputs: Any) -> None:
    predictor = make_predictor("sentiment", stock=True)
    before = predictor.model.config._attn_implementation
    explain(predictor, inputs["sentiment"])
    assert predictor.model.config._attn_implementation == before == "sdpa"


def test_the_page_escapes_the_text_and_needs_nothing_else(make_predictor: Any) -> None:
    found = explain(make_predictor("sentiment"), "<script>alert(1)</script> & not bad")
    for page in (found.html(), found.html_fragment()):
        assert "<script" not in page
        assert "http" not in page.replace("http-equiv", "")
        assert "src=" in page
        assert page.count('src="data:image/png') == page.count("src=")


def test_coloured_text_can_be_read_in_light_and_dark() -> None:
    style = (Path(page_module.__file__).parent / "style.css").read_text(encoding="utf-8")
    assert ".85 *" in (Path(page_module.__file__).parent / "fragment.jinja").read_text(encoding="utf-8")

    def luminance(colour: np.ndarray) -> float:
        """WCAG 2.2, relative luminance."""
        share = colour / 255
        return float(
            np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
            @ [0.2126, 0.7152, 0.0722]
        )

    for scheme in (0, 1):  # light, dark

        def value(name: str, scheme: int = scheme) -> np.ndarray:
            found = re.findall(rf"--ex-{name}: ([^;]+);", style)[scheme]
            parts = re.findall(r"[0-9a-f]{2}", found) if found[0] == "#" else found.split()
            return np.array([int(part, 16 if found[0] == "#" else 10) for part in parts])

        for name in ("for", "against", "share"):
            ground = 0.85 * value(name) + 0.15 * value("wash")  # of the token that counts most
            low, high = sorted((luminance(value("ink")), luminance(ground)))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, name)  # criterion 1.4.3


def test_a_character_of_several_tokens_is_as_wide_and_dark_as_what_it_weighs() -> None:
    values = [0.0, 0.3, 0.3, 0.3, 0.45, 0.0]
    texts = ["[CLS]", "好", "", "", "吃", "[SEP]"]
    methods = ("integrated_gradients", "input_times_gradient", "occlusion")
    target = {
        "name": "positive", "log_odds": True, "value": 1.35, "baseline_value": 0.0,
        "completeness": {"sum": 1.35, "difference": 1.35, "error": 0.0, "steps": 32},
        **dict.fromkeys(methods, values), "attention": [5.0, 0.1, 0.1, 0.1, 0.1, 5.0],
    }  # fmt: skip
    found = Explanation(
        {
            "task": "sentiment", "prediction": {"prediction": "positive"}, "baseline": "[MASK]",
            "tokens": [{"text": text, "special": text.startswith("[")} for text in texts],
            "targets": [target], "left_out": 0, "attention": {},
        }
    )  # fmt: skip
    assert [line.count("█") for line in found.text.splitlines()[-2:]] == [20, 10]
    shares = {
        name: re.findall(r"--s:([0-9.]+)", cells)
        for name, cells in re.findall(r"<dt>(.*)</dt>\n(.*)", found.html_fragment())
    }
    assert shares["Integrated gradients"] == ["0.000", "0.850", "0.425", "0.000"]
    assert shares["Attention"] == ["0.850", "0.850", "0.000", "0.850"]  # the special ones set no scale


def test_an_answer_of_nothing_has_a_page(make_predictor: Any) -> None:
    import torch

    predictor = make_predictor("entities")
    with torch.no_grad():
        predictor.model.classifier.bias[0] += 1000
    found = explain(predictor, "nobody here")
    assert found.data["targets"] == []
    assert "found nothing" in found.html()


def test_attributions_hang_on_the_weights(make_predictor: Any) -> None:
    """Who explains the model, not the text, says something else of random weights (Adebayo et al. 2018)."""
    trained = _taught(make_predictor("sentiment"))
    texts = ["the tools are good here", "the good tools are here", "here are the tools, not bad"]
    good = explain(trained, texts[0])
    values = dict(_words(good))
    assert max(values, key=lambda word: values[word]) == "good"
    ours = [_vector(explain(trained, text, "positive")) for text in texts]
    np.testing.assert_allclose(_vector(explain(trained, texts[0], "positive")), ours[0], atol=1e-5)
    for parameter in trained.model.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data[:, _permutation(parameter.shape[1])]
    random = [_vector(explain(trained, text, "positive")) for text in texts]
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours, random, strict=True)]
    assert np.mean(np.abs(alike)) < 0.7


def _permutation(size: int) -> Any:
    import torch

    return torch.randperm(size, generator=torch.Generator().manual_seed(1))


def _taught(predictor: Any) -> Any:
    """The predictor after it has learnt that "good" is positive."""
    import torch

    torch.manual_seed(0)
    rows = [
        {"text": f"the tools are {word} {rest}", "pair": None, "label": label}
        for rest in ("here", "there", "at all", "", "says Mara", "in Ulmen", "and old", "and new")
        for word, label in (
            ("good", "positive"),
            ("bad", "negative"),
            ("red", "negative"),
            ("so", "negative"),
        )
    ]
    batch = predictor.family.collate([predictor.family.encode(row)[0] for row in rows])
    optimizer = torch.optim.AdamW(predictor.model.parameters(), lr=3e-3)
    for _ in range(60):
        loss = predictor.model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert float(loss.detach()) < 0.05
    return predictor


def _vector(found: Explanation) -> np.ndarray:
    return np.array(found.data["targets"][0]["integrated_gradients"])


def _words(found: Explanation) -> list[tuple[str, float]]:
    """The attribution of each word."""
    words: list[tuple[str, float]] = []
    for token, value in zip(found.data["tokens"], _vector(found), strict=True):
        if token["special"]:
            continue
        if words and not token["text"].startswith(" "):
            words[-1] = (words[-1][0] + token["text"], words[-1][1] + value)
        else:
            words.append((token["text"].strip(), value))
    return words
