"""What every block of the file is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0.0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
OnBad = Literal["fail", "skip"]


class Block(BaseModel):
    """A mapping of the file: unknown keys are errors, values are never converted or changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
