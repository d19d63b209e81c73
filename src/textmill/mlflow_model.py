"""The code that MLflow stores with a model and runs to load it: nothing is pickled.

``mlflow.pyfunc.load_model("models:/sentiment@champion").predict([{"text": "..."}])`` answers with the
same predictions as ``evaluate`` wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import pandas


class TextmillModel(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined]
    """A fine-tuned or pretrained model folder behind MLflow's predict."""

    def load_context(self, context: Any) -> None:
        """Load the model's folder from the artifacts."""
        from textmill.prediction import Predictor

        self.predictor = Predictor(Path(context.artifacts["model"]))

    def predict(
        self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> pandas.DataFrame:
        """One row of prediction a row of input."""
        rows = model_input.to_dict(orient="records")
        return pandas.DataFrame(self.predictor.predict(rows))


mlflow.models.set_model(TextmillModel())
