"""The sections of a run's configuration, each checked against what it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from csp_core.config.quality import QualityConfig
from csp_core.data.captions.attach import check_source
from csp_core.errors import ConfigError
from csp_core.image import IMAGE_ENCODERS
from csp_core.location import ENCODINGS, INPUTS, NETWORKS
from csp_core.store import check_introduction
from csp_core.tables import check_options, lookup, option_names
from csp_core.text import TEXT_ENCODERS


class Section(BaseModel):
    """A frozen part of the tree that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Component(BaseModel):
    """A name from a table with options for what stands there: ``{name: grid, num_scales: 32}``.

    The name alone means the component with its default options.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


def checked(
    kind: str, table: Mapping[str, Callable[..., Any]], part: Component, given: int, *skip: str
) -> dict[str, Any]:
    """Check a component against its constructor's signature and mend the types of its options.

    Args:
        kind: What to call it in messages.
        table: Name to constructor.
        part: The component.
        given: How many leading parameters are not options.
        skip: Options that are checked elsewhere.

    Returns:
        Its name and all options, defaults written out.

    Raises:
        ConfigError: If an option is unknown or does not fit.
        UnknownNameError: If the name is unknown.
    """
    constructor = lookup(kind, table, part.name)
    options = {key: value for key, value in part.options.items() if key not in skip}
    check_options(kind, part.name, constructor, options, given=given)
    hints = option_types(constructor)
    for key, value in options.items():
        try:
            options[key] = TypeAdapter(hints.get(key, Any)).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise ConfigError(f"{kind} {part.name!r}: {key} is {value!r}; {reason}.") from error
    known = option_names(constructor, given=given)
    # Defaults are written out, so that a run keeps its meaning when a default changes.
    defaults = {k: v for k, v in known.items() if v is not inspect.Parameter.empty}
    kept = {key: part.options[key] for key in skip if key in part.options}
    return {"name": part.name, **defaults, **options, **kept}


def option_types(constructor: Callable[..., Any]) -> dict[str, Any]:
    """Read the types of a constructor's options from its signature.

    Args:
        constructor: A class or function.

    Returns:
        Name to type.
    """
    method = "__init__" if isinstance(constructor, type) else "__call__"
    is_function = inspect.isfunction(constructor)
    return get_type_hints(constructor if is_function else getattr(constructor, method))


def model_teacher(path: str) -> None:
    """Hold the options of a teacher that is a model."""


def outside_teacher(path: str, power: float = 1.0, floor: float = 1e-3) -> None:
    """Hold the options of a teacher that is another's model, brought to the training records."""


def network_teacher(members: int = 3, overrides: Mapping[str, Any] | None = None) -> None:
    """Hold the options of a teacher that is trained in the same run, before what learns of it."""


class DataConfig(Component):
    """Which records to train on: a name in DATASETS with the options of its loader.

    ``root`` is where the data lies, relative to the configuration file. ``captions`` and
    ``quality``, which any data set can have, are no options of its loader.
    """

    name: str = "occurrences"
    root: Path | None = None
    captions: str | None = None
    quality: QualityConfig | None = None

    @field_validator("captions")
    @classmethod
    def _captions_exist(cls, value: str | None) -> str | None:
        return None if value is None else check_source(value)

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Runs without them are told as they were before there were any.
        tree: dict[str, Any] = handler(self)
        unused = [key for key in ("captions", "quality") if tree.get(key, 0) is None]
        return {key: value for key, value in tree.items() if key not in unused}

    def loading(self) -> dict[str, Any]:
        """Give what ``load_dataset`` is to be told besides name and part."""
        captions = {} if self.captions is None else {"captions": self.captions}
        return {"root": self.root, **self.options, **captions}


class TeacherConfig(Component):
    """A prior to learn from, and its weight.

    A baseline by name, ``{name: model, path: …}`` with the same classes, ``{name: outside_prior,
    path: …}`` whose classes are matched by scientific name (``model.OutsidePrior``), or ``{name:
    network, members: 3, overrides: {section.key: value}}``: networks like the one that learns, but
    for the overrides.
    """

    weight: float = Field(1.0, gt=0)


class ModelConfig(Section):
    """What to train."""

    location: Component | None = Component(name="sphere_c_plus")
    image: Component | None = None
    text: Component | None = None
    dim: int = Field(256, ge=1)
    bias: bool = True
    init_from: str | None = None

    @model_validator(mode="after")
    def _some_side(self) -> ModelConfig:
        if self.location is None and self.image is None:
            raise ConfigError("location and image are both null; give the model one side at least.")
        return self

    @field_validator("location")
    @classmethod
    def _location_exists(cls, part: Component | None) -> Component | None:
        if part is None:
            return None
        further = _further_inputs(part)
        encoding = checked("location encoder", ENCODINGS, part, 0, "network", *INPUTS)
        network = part.options.get("network") or {}
        if not isinstance(network, (str, Mapping)):
            raise ConfigError(f"network is {network!r}; give a name, or a name with options.")
        given = {"name": network} if isinstance(network, str) else network
        usual = {"name": ENCODINGS[part.name].default_network}
        body = checked("network", NETWORKS, Component.model_validate(usual | dict(given)), 2)
        for name in INPUTS:
            encoding.pop(name, None)
        return Component.model_validate(encoding | {"network": body} | further)

    @field_validator("image")
    @classmethod
    def _image_exists(cls, part: Component | None) -> Component | None:
        if part is None:
            return None
        return Component.model_validate(checked("image encoder", IMAGE_ENCODERS, part, 0))

    @field_validator("text")
    @classmethod
    def _text_exists(cls, part: Component | None) -> Component | None:
        if part is None:
            return None
        return Component.model_validate(checked("text encoder", TEXT_ENCODERS, part, 1))


def _further_inputs(part: Component) -> dict[str, Any]:
    """Check what stands beside the position; nothing where a location encoder has nothing."""
    found: dict[str, Any] = {}
    for name in INPUTS:
        given = part.options.get(name)
        if given is None or given is False:
            continue
        if given is True and name == "time":
            given = {}
        if not isinstance(given, Mapping):
            form = "true, or options" if name == "time" else "options, such as {source: x.tif}"
            raise ConfigError(f"model.location: {name} is {given!r}; give {form}.")
        options = checked("input", INPUTS, Component.model_validate({**given, "name": name}), 0)
        del options["name"]
        if name == "covariates" and not options["source"]:
            raise ConfigError(
                "model.location: covariates need a source: a raster, or a CSV or Parquet table"
                " with lon and lat and columns of numbers."
            )
        found[name] = options
    return found


class TrainingConfig(Section):
    """How to train it."""

    epochs: int = Field(50, ge=1, description="How often all training records are seen.")
    batch_size: int = Field(256, ge=1, description="Records in one step of the optimiser.")
    learning_rate: float = Field(1e-3, gt=0, description="Highest step size of AdamW.")
    encoder_rate: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Part of the learning rate at which encoders learn: below 1, such as 0.1, keeps"
        " more of what they start from.",
    )
    weight_decay: float = Field(0.0, ge=0, description="How strongly weights are drawn to 0.")
    decay_vectors: bool = Field(
        True, description="Whether biases and scales of normalisation are drawn to 0 as well."
    )
    schedule: Literal["constant", "cosine", "cosine_7_16", "exponential"] = Field(
        "cosine", description="How the learning rate falls."
    )
    decay: float = Field(
        0.98, gt=0, le=1, description="Factor of the learning rate an epoch, if exponential."
    )
    warmup: float = Field(
        0.0, ge=0, lt=1, description="Part of the steps in which the learning rate rises."
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Factor of a running average of the weights, each step; none: no average.",
    )
    patience: int | None = Field(
        None, ge=1, description="End after so many epochs without a better one; none: never."
    )
    monitor: Literal[
        "auto", "calibrated_log_loss", "log_loss", "mrr", "macro_ap", "miou", "loss"
    ] = Field("auto", description="The validation number that tells which epoch is the best.")
    keep: Literal["best", "last"] = Field("best", description="Which epoch's weights to keep.")
    refit: bool = Field(
        False,
        description="After measuring, train once more on all records, those held out included.",
    )
    checkpoint_every: int | None = Field(
        None, ge=1, description="Save also after so many steps; none: after each epoch alone."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to compute; auto takes a GPU where there is one."
    )
    precision: Literal["no", "bf16", "fp16"] = Field(
        "no", description="Mixed precision: faster on a GPU; no: float32 throughout."
    )
    threads: int | None = Field(None, ge=1, description="Threads of the CPU; none: as many as fit.")
    cache_features: bool = Field(
        True, description="Compute the features of images that nothing changes only once."
    )
    saved_as: Literal["float32", "float16"] = Field(
        "float32", description="Number type of the finished model's file."
    )
    # These two change no weight, so no hash and no model tells of them.
    space_every: int | None = Field(
        None,
        ge=1,
        description="Epochs after which it is kept how places are seen, for a film; none: never.",
    )
    watch: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="A class by its scientific name, whose range is drawn after each epoch.",
    )


class CardConfig(Section):
    """What the model card says beyond what the run knows by itself."""

    title: str = ""
    summary: str = ""
    license: str = "unstated"
    license_text: str = ""
    source: str = ""
    limits: str = ""
    attribution: str = ""
    introduction: dict[str, Any] = Field(default_factory=dict)

    @field_validator("introduction")
    @classmethod
    def _introduction(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_introduction(value)
        return value
