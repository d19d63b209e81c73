"""The ``textmill`` command: what one does by hand around the pipeline."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textmill.errors import UserError


def main() -> None:
    """Entry point: prints the answer; a user's mistake is one line and exit code 1."""
    arguments = _parser().parse_args()
    try:
        answer = arguments.run(arguments)
        if answer:
            print(answer)
        sys.stdout.flush()
    except UserError as error:
        if arguments.debug:
            raise
        print(f"textmill: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader has seen enough (`| head`); Python would complain once more on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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

    diff = command("corpus-diff", _corpus_diff, "what changed from one curated corpus to another")
    diff.add_argument("before", type=Path)
    diff.add_argument("after", type=Path, nargs="?", default=Path("data/corpus"))
    diff.add_argument("--json", action="store_true", help="as data")

    inspect = command("inspect", _inspect, "what a file of labels holds, and the tasks: block that reads it")
    inspect.add_argument("path", type=Path)

    compare = command("compare", _compare, "two sets of predictions of one task on the same test split")
    compare.add_argument("task")
    compare.add_argument("first", type=Path, help="a folder with predictions.jsonl")
    compare.add_argument("second", type=Path)

    predict = command("predict", _predict, "predictions of a task's model as JSON lines")
    predict.add_argument("task", help="a task's name, or a model's folder")
    predict.add_argument(
        "input", nargs="*", help="texts; none reads texts or JSON objects, a line each, from stdin"
    )
    predict.add_argument("--file", type=Path, help="read texts or JSON objects, a line each, from a file")
    predict.add_argument("--batch-size", type=int, help="inputs a batch")

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


def _corpus_diff(arguments: argparse.Namespace) -> str:
    from textmill.corpus import diff

    return _shown(diff(arguments.before, arguments.after), as_json=arguments.json)


def _shown(answer: Any, *, as_json: bool) -> str:
    return json.dumps(answer.data, ensure_ascii=False, indent=2, default=str) if as_json else answer.text


def _inspect(arguments: argparse.Namespace) -> str:
    from textmill.tasks.inspect import inspect

    return inspect(arguments.path)


def _compare(arguments: argparse.Namespace) -> str:
    from textmill.evaluation.compare import compare
    from textmill.params import load

    params = load()
    if arguments.task not in params.tasks:
        raise UserError(f"no task {arguments.task!r}; known: {', '.join(params.tasks)}")
    folders = (Path("data/tasks") / arguments.task, arguments.first, arguments.second)
    return str(compare(params.tasks[arguments.task], *folders, params.seed)["words"])


def _predict(arguments: argparse.Namespace) -> str:
    from textmill.prediction import Predictor

    folder = Path(arguments.task)
    if not folder.is_dir():
        folder = Path("models/finetuned") / arguments.task
    if not folder.is_dir():
        known = sorted(path.name for path in Path("models/finetuned").glob("[!.]*"))
        raise UserError(f"no fine-tuned model {arguments.task!r}; known: {', '.join(known) or 'none yet'}")
    inputs = list(_inputs(arguments))
    if not inputs:
        raise UserError("no input: give texts, --file, or lines on standard input")
    told = (lambda done: print(f"{done}/{len(inputs)}", file=sys.stderr)) if len(inputs) > 1000 else None
    for row in Predictor(folder).predict(inputs, arguments.batch_size, told):
        print(json.dumps(row, ensure_ascii=False))
    return ""


def _inputs(arguments: argparse.Namespace) -> Iterator[str | dict[str, Any]]:
    """Texts from the command line, or lines that are texts or JSON objects."""
    if arguments.input:
        yield from arguments.input
        return
    try:
        lines = arguments.file.read_text(encoding="utf-8-sig") if arguments.file else sys.stdin.read()
    except OSError as error:
        raise UserError(f"{arguments.file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{arguments.file or 'standard input'}: not UTF-8 at byte {error.start}") from None
    for number, line in enumerate(lines.split("\n"), 1):
        if line.lstrip().startswith("{"):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(
                    f"{arguments.file or 'standard input'}:{number}: not JSON: {error.msg}"
                ) from None
        elif line.strip():
            yield line


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
