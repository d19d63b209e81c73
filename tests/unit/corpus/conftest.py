"""A parameter tree whose corpus reads what a test says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textmill import params
from textmill.corpus import engine


@pytest.fixture(autouse=True)
def _one_process(monkeypatch):
    """Shards of a few documents are not worth a process."""
    monkeypatch.setattr(engine, "SHARDS_A_PROCESS", 10**9)


@pytest.fixture
def corpus_params() -> Callable[..., params.Params]:
    """Build parameters with these sources, and with ``over`` merged into the block corpus."""
    base = params.load(Path(__file__).parents[3] / "params.yaml").model_dump(mode="json")

    def build(sources: dict[str, Any], **over: Any) -> params.Params:
        tree = json.loads(json.dumps(base))
        tree["corpus"]["sources"] = {
            name: {"licence": "CC0-1.0", **source} for name, source in sources.items()
        }
        tree["corpus"] = params.merge(tree["corpus"], over)
        tree["corpus"]["quality"] = over.get("quality", {})
        return params.Params.model_validate_json(json.dumps(tree))

    return build
