"""Models over HTTP: JSON for programs, a page for people.

``app`` has the addresses, ``inputs`` what a request may hold, ``connections`` what one may cost,
``batching`` puts requests together that come at the same time, ``page`` shows a prediction with its
explanation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textmill.errors import UserError

__all__ = ["Limits", "serve"]


@dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    inputs: int
    characters: int  # of one text


def serve(folders: Sequence[Path], host: str, port: int, limits: Limits) -> None:
    """Load the models in ``folders`` and answer until interrupted.

    Raises UserError where a folder holds no model, two have one name, or the address is taken.
    """
    import socket

    import uvicorn

    from textmill.prediction import Predictor
    from textmill.serving.app import create_app

    if min(limits.inputs, limits.characters) < 1:
        raise UserError("--max-inputs and --max-characters must be at least 1")
    predictors: dict[str, Predictor] = {}
    for folder in folders:
        predictor = Predictor(folder)
        if predictor.name in predictors:
            raise UserError(f"{folder}: a model called {predictor.name!r} is served already")
        predictors[predictor.name] = predictor
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as asked:  # before the server does, which would answer with a traceback
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind((host, port))
        except OSError as error:
            raise UserError(
                f"cannot listen on {address}: {error.strerror}; choose another --host or --port"
            ) from None
    names = ", ".join(predictors)
    print(f"http://{address}  serves {names}; the JSON is described at /openapi.json", flush=True)
    uvicorn.run(
        create_app(predictors, limits, host), host=host, port=port, log_level="warning", server_header=False
    )
