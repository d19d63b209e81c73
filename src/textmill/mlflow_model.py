"""The code that MLflow stores with a model and runs to load it: nothing is pickled.

``mlflow.pyfunc.load_model("models:/sentiment@champion").predict([{"text": "..."}])`` answers with the
same predictions as ``evaluate`` wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import mlflow.exceptions
import mlflow.pyfunc
import numpy
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
        """One row of prediction a row of input; a wrong one is MLflow's error for a wrong request."""
        from textmill.errors import UserError

        rows = [
            {key: value.tolist() if isinstance(value, numpy.ndarray) else value for key, value in row.items()}
            for row in model_input.to_dict(orient="records")
        ]
        try:
            return pandas.DataFrame(self.predictor.predict(rows))
        except UserError as error:
            raise mlflow.exceptions.MlflowException.invalid_parameter_value(str(error)) from None


mlflow.models.set_model(TextmillModel())
