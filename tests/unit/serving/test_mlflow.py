"""What MLflow stores with a model and asks: answers as everywhere, and mistakes as its own errors."""

from __future__ import annotations

from typing import Any

import numpy
import pandas
import pytest
from mlflow.exceptions import MlflowException

from textmill.mlflow_model import TextmillModel
from textmill.prediction import Predictor


def model(predictor: Predictor) -> Any:
    """The model as MLflow has it after load_context."""
    made = TextmillModel()
    made.predictor = predictor
    return made


def test_a_mistake_is_a_wrong_request(predictors: dict[str, Predictor]) -> None:
    for value in (None, 3):
        with pytest.raises(MlflowException, match=r"input 2: text.*(missing|expected text)") as told:
            model(predictors["sentiment"]).predict(None, pandas.DataFrame({"text": ["good", value]}))
        assert told.value.error_code == "INVALID_PARAMETER_VALUE"


def test_turns_may_come_as_an_array(predictors: dict[str, Predictor]) -> None:
    turns = [{"role": "user", "text": "Good day."}]
    array = numpy.empty(1, dtype=object)
    array[0] = turns[0]
    found = model(predictors["dialogue"]).predict(None, pandas.DataFrame({"turns": [array]}))
    assert found.to_dict("records") == predictors["dialogue"].predict([{"turns": turns}])
