"""Overlays written over the committed parameters."""

import os
import subprocess
from pathlib import Path

import pytest

from textmill.errors import UserError
from textmill.experiments import write_params
from textmill.params import Params, load
from textmill.tasks.readers import prepare

ROOT = Path(__file__).parents[2]
# Where the overlays' data lies, as `make params ROOT=...` is told; without it nothing is read.
DATA = Path(os.environ.get("TEXTMILL_DATA", ROOT / "data" / "raw"))
COMMITTED = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
OVERLAY = """
corpus:
  sources:
    world: null
    mine: {format: text, unit: line, licence: mine, path: "${data.root}/mine"}
tasks:
  sentiment:
    finetune: {learning_rate: 3.0e-4, budget: {steps: 10}}
  dialogue: null
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_text(COMMITTED, encoding="utf-8")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(OVERLAY)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    return tmp_path


def test_an_overlay_adds_changes_and_removes_blocks(project):
    write_params("mine", project, data_root="corpora")
    params = load(project / "params.yaml")
    assert list(params.corpus.sources) == ["mine"]
    assert params.corpus.sources["mine"].path == "corpora/mine"
    assert params.data.root == "corpora"
    assert "dialogue" not in params.tasks
    finetune = params.tasks["sentiment"].finetune
    assert (finetune.learning_rate, finetune.budget.steps, finetune.budget.epochs) == (3e-4, 10, None)
    assert "# The whole experiment." in (project / "params.yaml").read_text(encoding="utf-8")


def test_the_base_is_the_committed_file_however_often_it_is_overlaid(project):
    write_params("mine", project)
    once = (project / "params.yaml").read_text(encoding="utf-8")
    assert "path: null " in once  # as the committed file spells it
    write_params("mine", project)
    assert (project / "params.yaml").read_text(encoding="utf-8") == once
    write_params(None, project)
    assert (project / "params.yaml").read_text(encoding="utf-8") == COMMITTED


def test_an_overlay_that_does_not_validate_leaves_the_file_as_it_was(project):
    (project / "experiments" / "bad.yaml").write_text("tasks: {sentiment: {modl: encoder}}")
    with pytest.raises(
        UserError, match=r"bad\.yaml over params\.yaml.*modl: unknown key; did you mean model"
    ):
        write_params("bad", project)
    assert (project / "params.yaml").read_text(encoding="utf-8") == COMMITTED
    assert sorted(p.name for p in project.iterdir()) == [".git", "experiments", "params.yaml"]


@pytest.mark.parametrize("name", ["none", "/etc/passwd", "../params", "mine.yaml"])
def test_an_unknown_experiment_is_told_with_the_known_ones(project, name):
    with pytest.raises(UserError, match=f"no experiment '{name}' in .*experiments; known: mine"):
        write_params(name, project)


def _overlaid(name: str, folder: Path) -> Params:
    (folder / "experiments").mkdir(parents=True)
    (folder / "params.yaml").write_text(COMMITTED, encoding="utf-8")
    overlay = ROOT / "experiments" / f"{name}.yaml"
    (folder / "experiments" / overlay.name).write_text(overlay.read_text(encoding="utf-8"), encoding="utf-8")
    write_params(name, folder, data_root=str(DATA))
    return load(folder / "params.yaml")


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "experiments").glob("*.yaml")))
def test_every_overlay_validates_and_gives_every_task_a_model(name, tmp_path):
    params = _overlaid(name, tmp_path)
    if params.tasks:
        assert set(params.pretrain) == {task.model for task in params.tasks.values()}
    else:
        assert (tmp_path / "data" / "tasks").is_dir()  # which curation hangs on
    assert "world" not in params.corpus.sources


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overlay", "task", "counts"),
    [
        ("english", "clinc150", (15100, 3100, 5500)),
        ("english", "sick", (4500, 500, 4927)),
        ("english", "sick-relatedness", (4500, 500, 4927)),
        ("african", "swahili", (2109, 300, 604)),
        ("african", "yoruba", (2171, 305, 645)),
        ("african", "amharic", (1750, 250, 500)),
        ("classical", "classical", (25034, 366, 566)),
        ("translation", "multi30k", (29000, 1014, 1000)),
        ("translation", "multi30k-de-en", (29000, 1014, 1000)),
    ],
)
def test_an_overlays_data_are_read_completely(overlay, task, counts, tmp_path):
    params = _overlaid(overlay, tmp_path)
    if not Path(params.tasks[task].data.path).exists():
        pytest.skip(f"{DATA} (TEXTMILL_DATA) has no such data")
    found = prepare(params, task, tmp_path / "out")
    assert tuple(found[f"{split}_examples"] for split in ("train", "dev", "test")) == counts
    assert found["skipped"] == 0
