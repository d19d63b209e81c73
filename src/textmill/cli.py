"""The ``textmill`` command: what one does by hand around the pipeline."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textmill import inputs
from textmill.errors import UserError

# The keys of params.yaml: generation, which `textmill generate` takes as options.
GENERATION: dict[str, type] = {
    "beams": int,
    "sample": bool,
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "min_new_tokens": int,
    "max_new_tokens": int,
    "no_repeat_ngram": int,
    "repetition_penalty": float,
    "length_penalty": float,
}


def main() -> None:
    """Entry point: prints the answer; a user's mistake is one line and exit code 1."""
    arguments = _parser().parse_args()
    try:
        answer = arguments.run(arguments)
        if answer:
            print(answer)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`); Python would complain once more on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UserError, OSError) as error:
        if arguments.debug:
            raise
        # A file that cannot be read or written is the user's to put right, too.
        place = getattr(error, "filename", None)
        told = f"{place}: {error.strerror}" if isinstance(error, OSError) and place else error
        print(f"textmill: {told}", file=sys.stderr)
        sys.exit(1)


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    """The type of an option: a whole number from ``least`` to ``most``."""

    def read(text: str) -> int:
        """The number that ``text`` says; raises argparse's error, with the range, where it says none."""
        try:
            number = int(text)
        except ValueError:  # more digits than Python reads, too
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, found {text}")
        return number

    return read


def _share(text: str) -> float:
    """The type of an option: a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, found {text}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="textmill", description=__doc__)
    parser.add_argument("--debug", action="store_true", help="show the traceback of a user's mistake too")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    params = command("params", _params, "write params.yaml for an overlay under experiments/")
    params.add_argument("experiment", nargs="?", help="name of the overlay; none restores the committed file")
    params.add_argument("--root", help="folder that ${data.root} stands for")

    command("results", _results, "the models and the tasks' results as a short table")

    why = command("why", _why, "a document's way through the corpus: figures, rules, decision, neighbours")
    why.add_argument("document", help="the document's id, or the beginning of it")
    why.add_argument("--json", action="store_true", help="as data")

    about = "two corpora compared; published thresholds for a language"
    parts = commands.add_parser("corpus", help=about, description=about).add_subparsers(required=True)
    told = "FineWeb-2's thresholds for a language, as the block quality under corpus"
    bounds = parts.add_parser("thresholds", help=told, description=told)
    bounds.set_defaults(run=_thresholds)
    bounds.add_argument("code", help="language and script: swh_Latn")
    told = "configs/ of a copy of the repository huggingface/fineweb-2; none fetches what is published"
    bounds.add_argument("folder", type=Path, nargs="?", help=told)
    told = "what changed from one curated corpus to another"
    diff = parts.add_parser("diff", help=told, description=told)
    diff.set_defaults(run=_corpus_diff)
    diff.add_argument("before", type=Path)
    diff.add_argument("after", type=Path, nargs="?", default=Path("data/corpus"))
    diff.add_argument("--json", action="store_true", help="as data")

    inspect = command("inspect", _inspect, "what a file of labels holds, and the tasks: block that reads it")
    inspect.add_argument("path", type=Path)

    compare = command("compare", _compare, "two runs of evaluate on one test split: which is better?")
    told = (
        "a folder that evaluate wrote, or an MLflow run: its id or the beginning of it (six characters or "
        "more), or its name for the newest so called"
    )
    compare.add_argument("first", metavar="RUN", help=told)
    compare.add_argument("second", metavar="RUN", help="as the first")
    compare.add_argument("--json", action="store_true", help="as data")

    curve = command("curve", _curve, "a task's dev score over the number of training examples")
    curve.add_argument("task")
    told = "numbers of examples; by default halves of halves"
    curve.add_argument("--sizes", type=_whole_number(1, 2**31 - 1), nargs="+", help=told)

    about = "a learning rate or a batch size to begin with, for a task or a model"
    parts = commands.add_parser("find", help=about, description=about).add_subparsers(required=True)
    for what, run, told in (
        ("learning-rate", _find_learning_rate, "where the loss falls as the learning rate rises"),
        ("batch-size", _find_batch_size, "tokens a second and memory by the size of a batch"),
    ):
        find = parts.add_parser(what, help=told, description=told)
        find.set_defaults(run=run)
        find.add_argument("name", help="a task's or model's name in params.yaml")

    predict = command("predict", _predict, "predictions of a model as JSON lines")
    predict.add_argument("task", help="a task's or pretrained model's name, or a model's folder")
    told = "texts; none reads texts or JSON objects, a line each, from stdin"
    predict.add_argument("input", nargs="*", default=[], help=told)
    predict.add_argument("--file", type=Path, help="read texts or JSON objects, a line each, from a file")
    predict.add_argument("--batch-size", type=_whole_number(1, 2**31 - 1), help="inputs a batch")
    predict.add_argument(
        "--precision",
        choices=("32-true", "bf16-mixed"),
        default="32-true",
        help="bf16-mixed is faster where the processor has instructions for it (default: as evaluate)",
    )

    generate = command("generate", _generate, "the text that a model writes after, or in answer to, a prompt")
    generate.add_argument("model", help="a task's or pretrained model's name, or a model's folder")
    generate.add_argument("prompt", nargs="?", help="none reads it from standard input")
    told = "of the sampling; 0 by default"
    generate.add_argument("--seed", type=_whole_number(0, 2**32 - 1), default=0, help=told)
    for key, kind in GENERATION.items():
        flag, text = f"--{key.replace('_', '-')}", f"in place of generation.{key}"
        if kind is bool:
            generate.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        else:
            generate.add_argument(flag, type=kind, help=text)

    annotate = command("annotate", _annotate, "the examples a model is least sure of, for people to label")
    annotate.add_argument("task", help="a task's name, or a model's folder")
    annotate.add_argument("output", type=Path, help="file that the tool imports")
    annotate.add_argument("--format", choices=("label_studio", "doccano"), default="label_studio")
    told = "examples; 100 by default"
    annotate.add_argument("--count", type=_whole_number(1, 2**31 - 1), default=100, help=told)
    annotate.add_argument(
        "--file", type=Path, help="unlabelled texts or JSON objects, a line each; none takes the test split"
    )

    serve = command("serve", _serve, "answer over HTTP, and try the tasks in a browser")
    told = "tasks' or pretrained models' names, or models' folders; none serves every task"
    serve.add_argument("models", nargs="*", help=told)
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; by default this machine only"
    )
    for flag, most, usual, told in (
        ("--port", 2**16 - 1, 8000, "to listen on"),
        ("--max-inputs", 2**31 - 1, 64, "inputs a request"),
        ("--max-characters", 2**31 - 1, 20000, "of a text"),
    ):
        serve.add_argument(
            flag, type=_whole_number(1, most), default=usual, help=f"{told}; {usual} by default"
        )

    explain = command("explain", _explain, "which tokens of a text a model's answer hangs on")
    explain.add_argument("model", help="a task's or pretrained model's name, or a model's folder")
    explain.add_argument("input", help="a text, or a JSON object with the fields of the task")
    explain.add_argument("--target", help="a label, or a part of the text, in place of what was answered")
    explain.add_argument("--output", type=Path, help="write a page (.html) or data (.json) instead")

    graph = command("graph", _graph, "a knowledge graph of what two models find in texts")
    graph.add_argument("entities", help="a token-classification task's name, or a model's folder")
    graph.add_argument("relations", help="a relation-classification task's name, or a model's folder")
    graph.add_argument("input", nargs="+", help=".jsonl, .parquet or .txt files, or sample")
    graph.add_argument("--output", type=Path, default=Path("reports/graph"), help="reports/graph by default")
    graph.add_argument("--none", default="none", help="the label of pairs without a relation: none")
    graph.add_argument("--min-score", type=_share, default=0.5, help="edges below are left out: 0.5")
    graph.add_argument("--gold", help="an edges.csv to score against, or sample: the facts of its world")
    graph.add_argument(
        "--train", type=Path, nargs="*",
        help="examples that say which types are related; by default those of the two tasks under data/tasks",
    )  # fmt: skip

    taken = command("import", _import, "turn a published checkpoint into one of ours")
    taken.add_argument("source", help="a folder or hub id: BERT, RoBERTa, GPT-2, Llama or BART")
    taken.add_argument("output", type=Path)

    given = command("export", _export, "write a model as one that stock transformers loads without textmill")
    given.add_argument("folder", type=Path)
    given.add_argument("output", type=Path)
    given.add_argument("--target", help="bert, gpt2, llama or bart; by default what fits the architecture")

    trace = command("trace", _trace, "from a model back to its run, code, data and sources")
    trace.add_argument("model", help="a task's or pretrained model's name")
    return parser


def _params(arguments: argparse.Namespace) -> str:
    from textmill.experiments import write_params

    return write_params(arguments.experiment, Path.cwd(), arguments.root)


def _results(arguments: argparse.Namespace) -> str:
    from textmill.params import load
    from textmill.results import table

    return table(load(), Path.cwd())


def _why(arguments: argparse.Namespace) -> str:
    from textmill.corpus import why
    from textmill.params import load

    answer = why(arguments.document, load(), Path("data/documents"), Path("data/corpus"))
    return _shown(answer, as_json=arguments.json)


def _thresholds(arguments: argparse.Namespace) -> str:
    from textmill.corpus.fineweb2 import thresholds

    rows = thresholds(arguments.code, arguments.folder).items()
    lines = (
        f"{rule}: {{{', '.join(f'{side}: {bound:g}' for side, bound in row.items())}}}" for rule, row in rows
    )
    return "\n".join(["quality:", *(f"  {line}" for line in lines)])


def _corpus_diff(arguments: argparse.Namespace) -> str:
    from textmill.corpus import diff

    return _shown(diff(arguments.before, arguments.after), as_json=arguments.json)


def _shown(answer: Any, *, as_json: bool) -> str:
    return json.dumps(answer.data, ensure_ascii=False, indent=2, default=str) if as_json else answer.text


def _inspect(arguments: argparse.Namespace) -> str:
    from textmill.inspect import inspect

    return inspect(arguments.path)


def _compare(arguments: argparse.Namespace) -> str:
    from textmill.evaluation.compare import compare_runs
    from textmill.params import load

    found = compare_runs(load(), Path.cwd(), arguments.first, arguments.second)
    return json.dumps(found, indent=2) if arguments.json else str(found["words"])


def _curve(arguments: argparse.Namespace) -> str:
    from textmill.evaluation.learning_curve import draw_curve
    from textmill.params import load

    return draw_curve(load(), Path.cwd(), arguments.task, arguments.sizes)


def _find_learning_rate(arguments: argparse.Namespace) -> str:
    from textmill.params import load
    from textmill.training.finders import find_learning_rate

    return find_learning_rate(load(), Path.cwd(), arguments.name)


def _find_batch_size(arguments: argparse.Namespace) -> str:
    from textmill.params import load
    from textmill.training.finders import find_batch_size

    return find_batch_size(load(), Path.cwd(), arguments.name)


def _predict(arguments: argparse.Namespace) -> str:
    from textmill.prediction import Predictor, find_model

    done = 0
    predictor = Predictor(find_model(arguments.task), arguments.precision)
    asked = inputs.read(arguments.input, arguments.file, predictor.check)
    for part in predictor.parts(asked, arguments.batch_size):
        for item, row in part:
            known = {"id": item["id"]} if isinstance(item, dict) and "id" in item else {}
            print(json.dumps(known | row, ensure_ascii=False))
        done += len(part)
        _show_progress(done, len(part))
    if not done:
        raise UserError("no input: give texts, --file, or lines on standard input")
    return ""


def _show_progress(done: int, new: int) -> None:
    """How many inputs are done: one line written anew in a terminal, in a log a line a thousand."""
    if sys.stderr.isatty() and not sys.stdout.isatty():
        print(f"\r{done:,} inputs done", end="", file=sys.stderr, flush=True)
    elif done // 1000 > (done - new) // 1000:
        print(f"{done:,} inputs done", file=sys.stderr)


def _explain(arguments: argparse.Namespace) -> str:
    from textmill.explain import explain
    from textmill.prediction import Predictor, find_model
    from textmill.records import write_json

    output = arguments.output
    if output is not None and output.suffix not in (".html", ".json"):
        raise UserError(f"--output {output}: expected a name that ends in .html or .json")
    item = inputs.parsed(arguments.input, "the input")
    found = explain(Predictor(find_model(arguments.model)), item, arguments.target)
    if output is None:
        return found.text
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.suffix == ".json":
        write_json(output, found.data)
    else:
        output.write_text(found.html(), encoding="utf-8")
    return f"{output}: why {found.data['task']} answered as it did"


def _graph(arguments: argparse.Namespace) -> str:
    from textmill.graph.construct import construct, told
    from textmill.graph.extraction import CHUNK
    from textmill.params import load
    from textmill.prediction import Predictor, find_model

    entities, relations = (Predictor(find_model(name)) for name in (arguments.entities, arguments.relations))
    train = arguments.train
    if train is None:
        read = (Path("data/tasks") / predictor.name / "train.jsonl" for predictor in (entities, relations))
        train = [path for path in read if path.is_file()]
    summary = construct(
        entities,
        relations,
        arguments.input,
        arguments.output,
        none=arguments.none,
        min_score=arguments.min_score,
        train=train,
        gold=arguments.gold,
        seed=load().seed,
        on_progress=lambda done: _show_progress(done, CHUNK),
    )
    return told(summary, arguments.output)


def _generate(arguments: argparse.Namespace) -> str:
    from textmill.params import Generation, load
    from textmill.prediction import Predictor, find_model

    predictor = Predictor(find_model(arguments.model))
    base = predictor.task.finetune.generation if predictor.task else load().generation
    given = {key: value for key in GENERATION if (value := getattr(arguments, key)) is not None}
    try:
        generation = Generation.model_validate_json(json.dumps(base.model_dump() | given))
    except ValueError as error:  # pydantic's
        wrong = error.errors()[0]  # type: ignore[attr-defined]
        if not wrong["loc"]:  # of two options together
            raise UserError(wrong["msg"].removeprefix("Value error, ")) from None
        option = str(wrong["loc"][0]).replace("_", "-")
        raise UserError(f"--{option}: {wrong['msg']}, found {wrong['input']}") from None
    prompt = inputs.whole() if arguments.prompt is None else arguments.prompt
    if not prompt:
        raise UserError("no prompt: give one, or text on standard input")
    return predictor.generate(prompt, generation, arguments.seed)


def _annotate(arguments: argparse.Namespace) -> str:
    from textmill.annotation import check, export, labelling_interface, least_sure
    from textmill.prediction import Predictor, find_model
    from textmill.records import read_examples

    predictor = Predictor(find_model(arguments.task))
    if predictor.task is None:
        raise UserError(f"{predictor.name} is fine-tuned for no task")
    check(predictor.task, arguments.format, predictor.name)
    if arguments.format == "label_studio" and arguments.output.suffix == ".xml":
        raise UserError(f"{arguments.output}: the interface for the examples goes there; end it in .json")
    items = (
        list(inputs.read([], arguments.file, predictor.check))
        if arguments.file
        else list(read_examples(Path("data/tasks") / predictor.name, "test"))
    )
    if not items:
        raise UserError(f"{arguments.file}: no text in it")
    rows = [{"text": item} if isinstance(item, str) else item for item in items]
    pairs = list(zip(rows, predictor.predict(rows), strict=True))
    threshold = predictor.family.threshold or 0.0
    chosen = least_sure(pairs, arguments.count, predictor.name, threshold)
    text = export(predictor.task, chosen, arguments.format, predictor.name)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(text, encoding="utf-8", newline="\n")
    told = f"{arguments.output}: {len(chosen):,} of {len(rows):,} examples, the least sure first"
    if arguments.format == "label_studio":
        interface = arguments.output.with_suffix(".xml")
        shown = labelling_interface(predictor.task, [example for example, _ in chosen])
        interface.write_text(shown, encoding="utf-8", newline="\n")
        told += f"\n{interface}: the labelling interface for it"
    return told


def _serve(arguments: argparse.Namespace) -> str:
    from textmill.prediction import find_model
    from textmill.serving import Limits, serve

    names = arguments.models or sorted(path.name for path in Path("models/finetuned").glob("[!.]*"))
    if not names:
        raise UserError("nothing to serve: no model under models/finetuned; run dvc repro, or name a folder")
    limits = Limits(arguments.max_inputs, arguments.max_characters)
    serve([find_model(name) for name in names], arguments.host, arguments.port, limits)
    return ""


def _import(arguments: argparse.Namespace) -> str:
    from textmill.models.exchange import import_checkpoint

    import_checkpoint(arguments.source, arguments.output)
    return f"{arguments.output}: {arguments.source} as a textmill model"


def _export(arguments: argparse.Namespace) -> str:
    from textmill.models.exchange import export_checkpoint

    export_checkpoint(arguments.folder, arguments.output, arguments.target)
    return f"{arguments.output}: {arguments.folder} for stock transformers"


def _trace(arguments: argparse.Namespace) -> str:
    from textmill.lineage import trace

    return trace(Path.cwd(), arguments.model)


if __name__ == "__main__":
    main()
