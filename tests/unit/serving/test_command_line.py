"""``textmill predict`` and ``generate``: the same answers as the library, from texts, files and a stream."""

from __future__ import annotations

import io
import json
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from textmill import cli
from textmill.errors import UserError
from textmill.evaluation.evaluate import lightning_runner
from textmill.params import Generation, Params, load
from textmill.prediction import Predictor, find_model
from textmill.serving import Limits, serve

Folders = dict[str, Path]


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["textmill", *arguments])
    cli.main()
    return capsys.readouterr().out


def test_texts_a_file_and_a_stream_give_the_same_lines(
    folders: Folders, predictors: dict[str, Predictor], tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    texts = ["good", "一点也不好 😀", "bad tools"]
    expected = predictors["sentiment"].predict(texts)
    model = str(folders["sentiment"])
    told = run(monkeypatch, capsys, "predict", model, *texts)
    assert [json.loads(line) for line in told.splitlines()] == expected
    path = tmp_path / "texts.txt"
    path.write_text("\ufeff" + "\r\n\n".join(texts) + "\n", encoding="utf-8")
    assert run(monkeypatch, capsys, "predict", model, "--file", str(path), "--batch-size", "1") == told
    lines = "".join(json.dumps({"id": f"t{i}", "text": text}) + "\n" for i, text in enumerate(texts))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    found = [json.loads(line) for line in run(monkeypatch, capsys, "predict", model).splitlines()]
    assert found == [{"id": f"t{i}", **row} for i, row in enumerate(expected)]


def test_predictions_come_before_the_input_has_ended(predictors: dict[str, Predictor]) -> None:
    def endless() -> Any:
        while True:
            yield "good"

    assert len(next(predictors["sentiment"].parts(endless(), batch_size=2))) == 32


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (None, "standard input is closed"),
        (io.TextIOWrapper(io.BytesIO("坏 ".encode("gb18030"))), "standard input"),
    ],
)
def test_a_standard_input_that_cannot_be_read_is_told(
    folders: Folders, pretrained: Path, monkeypatch: Any, capsys: Any, stream: Any, told: str
) -> None:
    for command, model in (("predict", folders["sentiment"]), ("generate", pretrained)):
        if stream is not None:
            stream = io.TextIOWrapper(io.BytesIO("坏 ".encode("gb18030")))
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(SystemExit):
            run(monkeypatch, capsys, command, str(model))
        error = capsys.readouterr().err
        assert error.startswith(f"textmill: {told}")
        assert stream is None or "not UTF-8 at byte 0" in error


def test_no_input_is_told(folders: Folders, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, "predict", str(folders["sentiment"]))
    assert "no input" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["sentiment", "pretrained"])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"txt": "a"}, "text is missing"),
        ({"text": "坏 \ud83d"}, r"text: half a character (\ud83d without its other half)"),
        ({"text": "a", "id": ["\udc00"]}, r"id: half a character (\udc00 without its other half)"),
    ],
)
def test_a_line_that_cannot_be_predicted_is_named(
    folders: Folders,
    pretrained: Path,
    tmp_path: Path,
    monkeypatch: Any,
    capsys: Any,
    task: str,
    line: Any,
    message: str,
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(f"good\n\n{json.dumps(line)}\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, "predict", str(folders.get(task, pretrained)), "--file", str(path))
    assert f"{path}:3: {message}" in capsys.readouterr().err


def test_a_prompt_with_half_a_character_is_told(folders: Folders, pretrained: Path) -> None:
    for folder in (folders["dialogue"], pretrained):
        with pytest.raises(UserError, match=r"the prompt: \w+: half a character \(\\udcff"):
            Predictor(folder).generate("Good \udcff", load().generation, 0)


def test_generation_follows_its_options_and_its_seed(folders: Folders, monkeypatch: Any, capsys: Any) -> None:
    model = str(folders["dialogue"])
    ask = ("generate", model, "Good day.", "--sample", "--max-new-tokens", "12")
    one, again = (run(monkeypatch, capsys, *ask, "--seed", "3") for _ in range(2))
    assert one == again
    assert len({run(monkeypatch, capsys, *ask, "--seed", str(seed)) for seed in range(4)}) > 1
    greedy, beams = run(monkeypatch, capsys, *ask[:3]), run(monkeypatch, capsys, *ask[:3], "--beams", "3")
    assert greedy.strip() == Predictor(model).predict(["Good day."])[0]["prediction"]
    assert isinstance(beams, str)


def test_more_tokens_than_a_model_has_positions_for_are_told(folders: Folders, monkeypatch: Any) -> None:
    predictor = Predictor(folders["dialogue"])
    assert predictor.task
    read, settings = predictor.task.finetune.max_length, predictor.task.finetune.generation
    monkeypatch.setattr("textmill.models.positions.longest", lambda model: read + 4)
    predictor.generate("Good day.", settings.model_copy(update={"max_new_tokens": 5}), 0)
    with pytest.raises(UserError, match=rf"max_new_tokens: {read + 5} tokens are more than the {read + 4} "):
        predictor.generate("Good day.", settings.model_copy(update={"max_new_tokens": 6}), 0)


def test_a_task_that_samples_says_the_same_each_time(
    folders: Folders, tmp_path: Path, params: Params, monkeypatch: Any, capsys: Any
) -> None:
    """From one text or among others, from predict, generate, and the runner of evaluate."""
    folder = tmp_path / "dialogue"
    shutil.copytree(folders["dialogue"], folder)
    card = json.loads((folder / "textmill.json").read_text(encoding="utf-8"))
    card["spec"]["finetune"]["generation"] |= {"sample": True, "max_new_tokens": 12}
    (folder / "textmill.json").write_text(json.dumps(card), encoding="utf-8")
    texts = ["Good day.", "你好", "Where is Norbi Tools?"]
    lines = run(monkeypatch, capsys, "predict", str(folder), *texts).splitlines()
    predictor = Predictor(folder)
    assert predictor.predict(texts[1:]) == [json.loads(line) for line in lines[1:]]
    written = run(monkeypatch, capsys, "generate", str(folder), texts[0])
    assert written.rstrip("\n") == json.loads(lines[0])["prediction"]
    runner = lightning_runner(predictor.family, predictor.model, params, None)
    examples = [predictor.example(text) for text in texts]
    found = predictor.family.predict(predictor.model, examples, 2, runner)
    assert found == [json.loads(line) for line in lines]


def test_what_cannot_be_generated_is_told(folders: Folders, monkeypatch: Any, capsys: Any) -> None:
    for arguments, message in (
        (("generate", str(folders["sentiment"]), "a"), "sentiment does not write text"),
        (
            ("generate", str(folders["dialogue"]), "a", "--beams", "0"),
            "--beams: Input should be greater than 0",
        ),
        (
            ("generate", str(folders["dialogue"]), "a", "--min-new-tokens", "9", "--max-new-tokens", "8"),
            "textmill: min_new_tokens 9 is more than max_new_tokens 8\n",
        ),
        (("generate", "nothing", "a"), "no model 'nothing'"),
    ):
        with pytest.raises(SystemExit):
            run(monkeypatch, capsys, *arguments)
        assert message in capsys.readouterr().err


def test_generate_has_every_key_of_the_parameters() -> None:
    assert set(cli.GENERATION) == set(Generation.model_fields)
    for name, kind in cli.GENERATION.items():
        assert Generation.model_fields[name].annotation is kind, name


def test_the_least_sure_of_a_file_are_written_for_annotation(
    folders: Folders, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    texts = [f"good tools {i} 😀" for i in range(20)]
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    out = tmp_path / "out" / "tasks.json"
    model = str(folders["sentiment"])
    ask = ("annotate", model, str(out), "--count", "5", "--file", str(tmp_path / "texts.txt"))
    assert "5 of 20 examples" in run(monkeypatch, capsys, *ask)
    rows = json.loads(out.read_text(encoding="utf-8"))
    scores = sorted(row["score"] for row in Predictor(model).predict(texts))
    assert [row["predictions"][0]["score"] for row in rows] == scores[:5]
    assert '<Choice value="positive"/>' in out.with_suffix(".xml").read_text(encoding="utf-8")
    run(monkeypatch, capsys, *ask, "--format", "doccano")
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in lines] == [row["data"]["text"] for row in rows]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("predict", "sentiment", "good", "--file", "texts.txt"), "--file texts.txt: give texts or a file"),
        (("annotate", "sentiment", "out.json", "--file", "texts.txt"), "texts.txt: no text in it"),
        (("annotate", "headlines", "out.json", "--file", "texts.txt"), "headlines is sequence_to_sequence"),
    ],
)
def test_what_cannot_be_asked_is_told_at_once(
    folders: Folders, tmp_path: Path, monkeypatch: Any, capsys: Any, command: tuple[str, ...], message: str
) -> None:
    (tmp_path / "texts.txt").write_text("\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    name, task, *rest = command
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, name, str(folders[task]), *rest)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_an_output_that_cannot_be_written_is_named(
    folders: Folders, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("good", encoding="utf-8")
    ask = ("annotate", str(folders["sentiment"]), "--file", str(texts))
    for output, message in ((tmp_path, "Is a directory"), (texts / "tasks.json", "File exists")):
        with pytest.raises(SystemExit):
            run(monkeypatch, capsys, *ask, str(output))
        place = tmp_path if output == tmp_path else texts
        assert capsys.readouterr().err == f"textmill: {place}: {message}\n"


def test_a_model_of_another_version_is_told(folders: Folders, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(folders["sentiment"], folder)
    card = json.loads((folder / "textmill.json").read_text(encoding="utf-8"))
    del card["spec"]["finetune"]["generation"]["beams"]
    (folder / "textmill.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(UserError, match=r"textmill\.json: .*another version.*beams: Field required"):
        Predictor(folder)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("textmill.json", "[]", r"textmill\.json: expected a JSON object, found \[\]"),
        ("textmill.json", '{"spec": {}}', r"textmill\.json: no task and no input_example"),
        (
            "config.json",
            '{"hidden_size": "wide", "model_type": "textmill-encoder"}',
            "no model to load: .*hidden_size",
        ),
        ("model.safetensors", "", "no model to load"),
    ],
)
def test_a_broken_folder_is_told(
    folders: Folders, tmp_path: Path, file: str, content: str, told: str
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(folders["sentiment"], folder)
    (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=told):
        Predictor(folder)


def test_a_pretrained_decoder_goes_on_from_the_prompt(pretrained: Path) -> None:
    root = pretrained.parents[1]
    assert find_model("decoder", root) == pretrained
    written = Predictor(pretrained).generate("Mara Velt", load().generation, 0)
    assert written.startswith("Mara Velt")
    with pytest.raises(UserError, match="no model 'encoder'; known: decoder"):
        find_model("encoder", root)


@pytest.mark.parametrize("text", ["Mara Velt works in Ulmen. " * 60, "韦玛在乌尔门工作。" * 60, "Mara Velt"])
def test_a_long_prompt_is_gone_on_with_from_its_end(pretrained: Path, monkeypatch: Any, text: str) -> None:
    predictor = Predictor(pretrained)
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        predictor.model, "generate", lambda **given: asked.update(given) or given["input_ids"]
    )
    settings = load().generation.model_copy(update={"max_new_tokens": 20})
    predictor.generate(text, settings, 0)
    ids = asked["input_ids"][0].tolist()
    whole = predictor.tokenizer(text)["input_ids"][:-1]  # without the end of the document
    assert ids[1:] == whole[1:][1 - len(ids) :]
    assert len(ids) == min(len(whole), 256 - 20 - 1)
    assert asked["max_new_tokens"] == 20


@pytest.mark.parametrize(
    ("family", "host", "shown"), [("AF_INET", "127.0.0.1", "127.0.0.1"), ("AF_INET6", "::1", "[::1]")]
)
def test_an_address_is_taken_or_told(
    folders: Folders, monkeypatch: Any, capsys: Any, family: str, host: str, shown: str
) -> None:
    """One in use is told, and one that is free is shown as a browser takes it."""
    import uvicorn

    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(uvicorn, "run", lambda app, host, port, **_: asked.append((host, port)))
    try:
        with socket.socket(getattr(socket, family)) as taken:
            taken.bind((host, 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(UserError, match=rf"cannot listen on {re.escape(shown)}:{port}"):
                serve([folders["sentiment"]], host, port, Limits(inputs=8, characters=1000))
    except OSError:
        pytest.skip(f"this machine has no {family}")
    serve([folders["sentiment"]], host, port, Limits(inputs=8, characters=1000))
    assert asked == [(host, port)]
    assert f"http://{shown}:{port}  serves sentiment" in capsys.readouterr().out
