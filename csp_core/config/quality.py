"""The section ``data.quality``: what is done to the training records on purpose."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from csp_core.errors import ConfigError

# As many at random as something else takes out, which is then not taken out itself.
AS_DUPLICATES, AS_DISAGREEING = "as near_duplicates", "as disagreeing"
PIXELS = "pixels"


class QualityConfig(BaseModel):
    """How good or bad training records are made; validation and test records are left alone.

    It is done in the order of these keys, and the same whatever the seed of the run is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shuffled: float | None = Field(
        None, gt=0, le=1, description="Share of the records that get another's place and caption."
    )
    near_duplicates: float | None = Field(
        None, gt=-1, le=1, description="Images whose cosine with one before reaches this go out."
    )
    embedding: str = Field(
        PIXELS, description="What images are compared by: pixels, or a model's embedding."
    )
    disagreeing: float | None = Field(
        None, gt=0, lt=1, description="Share that goes out: where the model sees least agreement."
    )
    model: str | None = Field(
        None, description="The model that says how far image and place agree."
    )
    at_random: float | Literal["as near_duplicates", "as disagreeing"] | None = Field(
        None, description="Share that goes out at random; or as many as another key takes out."
    )
    caption_noise: float | None = Field(
        None, gt=0, le=1, description="Share of the captions that are exchanged for others."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of what chance decides here.")

    @model_validator(mode="after")
    def _fits(self) -> QualityConfig:
        if isinstance(self.at_random, float) and not 0 < self.at_random < 1:
            raise ConfigError(f"at_random is {self.at_random}; give a share above 0 and below 1.")
        if self.disagreeing is not None and self.model is None:
            raise ConfigError(
                "disagreeing needs a model of images and places, whose agreement is compared: give"
                " data.quality.model."
            )
        for other, key in (
            (AS_DUPLICATES, "near_duplicates"),
            (AS_DISAGREEING, "disagreeing"),
        ):
            if self.at_random == other and getattr(self, key) is None:
                raise ConfigError(f"at_random is {other!r}, and {key} is not given: give it.")
        unused = []
        if self.model is not None and self.disagreeing is None:
            unused.append("model needs disagreeing")
        if self.embedding != PIXELS and self.near_duplicates is None:
            unused.append("embedding needs near_duplicates")
        if unused:
            raise ConfigError(f"quality: {', '.join(unused)}, or it changes nothing.")
        return self

    def models(self) -> tuple[str, ...]:
        """List the models that are asked."""
        embedding = () if self.embedding == PIXELS else (self.embedding,)
        return (*embedding, *(() if self.model is None else (self.model,)))
