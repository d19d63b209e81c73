"""The ``textmill`` command: what one does by hand around the pipeline."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from textmill.errors import UserError


def main() -> None:
    """Entry point: prints one line and exits with 1 on a user's mistake."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        print(arguments.run(arguments))
    except UserError as error:
        if arguments.debug:
            raise
        print(f"textmill: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="textmill", description=__doc__)
    parser.add_argument("--debug", action="store_true", help="show the traceback of a user's mistake too")
    commands = parser.add_subparsers(required=True, metavar="command")

    params = commands.add_parser("params", help="write params.yaml for an overlay under experiments/")
    params.add_argument("experiment", nargs="?", help="name of the overlay; none restores the committed file")
    params.add_argument("--root", help="folder that ${data.root} stands for")
    params.set_defaults(run=_params)

    results = commands.add_parser("results", help="the tasks' results as a short table")
    results.set_defaults(run=_results)
    return parser


def _params(arguments: argparse.Namespace) -> str:
    from textmill.experiments import write_params

    return write_params(arguments.experiment, Path.cwd(), arguments.root)


def _results(arguments: argparse.Namespace) -> str:
    from textmill.params import load
    from textmill.report.results import table

    return table(load(), Path.cwd())


if __name__ == "__main__":
    main()
