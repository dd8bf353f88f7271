"""Any image model of the library timm as an image encoder, for any number of bands and any size."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.errors import CheckpointError, ConfigError, UnknownNameError
from csp_core.image.base import FeatureMaps
from csp_core.image.maps import MapPlan, plan_maps, pool_maps, pooling_parts, run_to_maps
from csp_core.image.pixels import PixelEncoder, Trainable
from csp_core.image.weights import HUB, Weights, read_weights
from csp_core.image.wheels import WHEEL, read_wheel

# What of a model's form can be asked for, and its largest value.
FORM = {
    **{"patch_size": 64, "embed_dim": 2048, "depth": 64, "num_heads": 64},
    **{"mlp_ratio": 16, "drop_path_rate": 0.9},
}


class TimmBackbone(PixelEncoder):
    """A model of timm without its classifier.

    Args:
        dim: Size of the embedding; None for that of the backbone's features.
        bands: Channels of an image. Pretrained first layers of three bands are spread over others.
        model: Name of the model in timm, with or without the tag of its weights.
        weights: None to start from chance; ``"pretrained"`` for those of the hub, which are
            fetched; ``"wheel"`` for those in an installed package; a file, ``.safetensors`` or
            ``.pth``; a folder that holds ``model.safetensors``, as on the hub; or a model directory
            of ours.
        mean: Mean of each band, on the scale [0, 1]; None for that which the weights were trained
            with, or, without weights, of the training images.
        std: Standard deviation of each band, likewise.
        size: Side in pixels that images are brought to, or None to take them as they are. Vision
            transformers are made for this size.
        trainable: ``all``, ``last`` (the last blocks) or ``none`` of the backbone.
        last_blocks: How many blocks are the last.
        architecture: What of the model's own form is otherwise, some of ``patch_size``,
            ``embed_dim``, ``depth``, ``num_heads``, ``mlp_ratio`` and ``drop_path_rate``, for
            models that have it, as ``{patch_size: 4, embed_dim: 96, depth: 4, num_heads: 3}`` makes
            a small vision transformer.

    Raises:
        UnknownNameError: If timm has no such model.
        ConfigError: If an option does not fit the model.
        CheckpointError: If weights cannot be read, fetched or fitted in.

    Source:
        Wightman 2019, PyTorch Image Models.
    """

    def __init__(
        self,
        dim: int | None = None,
        bands: int = 3,
        *,
        model: str = "resnet18",
        weights: str | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        size: int | None = None,
        trainable: Trainable = "all",
        last_blocks: int = 1,
        architecture: Mapping[str, float] | None = None,
    ) -> None:
        form = _form(architecture)
        found = _read(model, weights)
        net = _make_net(model, bands, size, weights == HUB, found, form)
        if weights is not None and mean is None and std is None:
            mean, std = _trained_bands(net, bands)
        super().__init__(
            net,
            _num_features(net),
            _blocks(net),
            dim=dim,
            bands=bands,
            mean=mean,
            std=std,
            size=size,
            trainable=trainable,
            last_blocks=last_blocks,
        )
        if found is not None and found.own:
            found.into(self)

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of the map of each stage, the last of what is pooled."""
        return self._plan().channels

    @property
    def map_strides(self) -> tuple[int, ...]:
        """Pixels for each step on a map; of a vision transformer the side of its patches."""
        return self._plan().strides

    def _plan(self) -> MapPlan:
        plan = plan_maps(self.net)
        if plan is None:
            self._without_maps()
        return plan

    def _net_maps(self, pixels: Tensor) -> FeatureMaps:
        return run_to_maps(self.net, self._plan(), pixels, self.token)

    def rest_pooling(self) -> None:
        """Stop training what only pooling uses: processes wait for every gradient asked for."""
        for part in pooling_parts(self.net):
            part.requires_grad_(False)

    def pool(self, maps: FeatureMaps) -> Tensor:
        """Pool the last map as the model does.

        Args:
            maps: As ``maps`` gives them.

        Returns:
            ``(N, num_features)``.
        """
        return pool_maps(self.net, maps)


def _read(model: str, weights: str | None) -> Weights | None:
    """Read the weights to start from, unless timm fetches them or there are none."""
    if weights is None or weights == HUB:
        return None
    if weights != WHEEL:
        return read_weights(weights)
    _check_known(model)
    with torch.device("meta"):
        whole: nn.Module = _timm().create_model(model)
    return read_wheel(model, whole.state_dict())


def read_classifier(model: str) -> tuple[Tensor, Tensor]:
    """Read the classifier behind a model from the package that holds its weights.

    Args:
        model: Name of the model in timm.

    Returns:
        ``(F, num_features)`` weights and ``(F,)`` biases of its published classes.

    Raises:
        UnknownNameError: If timm has no such model.
        DataNotFoundError: If the package is not installed.
        CspError: If no package holds its weights, or they are others than the model's.
    """
    tensors = _read(model, WHEEL)
    assert tensors is not None
    return tensors.tensors["classifier.weight"], tensors.tensors["classifier.bias"]


def _check_known(model: str) -> None:
    timm = _timm()
    if not timm.is_model(model):
        raise UnknownNameError("timm model", model, timm.list_models())


def _form(architecture: Mapping[str, float] | None) -> dict[str, float]:
    """Check what of a model's form is asked for; whole numbers where it needs them."""
    found: dict[str, float] = {}
    for name, value in (architecture or {}).items():
        least = 0 if name.endswith("_rate") else 1
        if name not in FORM or not least <= value <= FORM[name]:
            known = ", ".join(f"{one} (to {most})" for one, most in FORM.items())
            raise ConfigError(f"architecture: {name} is {value!r}; give some of {known}.")
        found[name] = value if name.endswith(("_rate", "_ratio")) else int(value)
    return found


def _make_net(
    model: str,
    bands: int,
    size: int | None,
    hub: bool,
    found: Weights | None,
    form: Mapping[str, float],
) -> nn.Module:
    _check_known(model)
    timm = _timm()
    options: dict[str, Any] = {"in_chans": bands, "num_classes": 0, "pretrained": hub, **form}
    if found is not None and not found.own:
        # timm fits the first layer to the bands and drops the classifier.
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": found.tensors}}
    make = functools.partial(timm.create_model, model, **options)
    try:
        try:
            net: nn.Module = make() if size is None else make(img_size=size)
        except TypeError:  # convolutions take any size and are not told
            net = make()
    except Exception as error:
        # Which error comes of a file or host that does not answer is up to timm and the hub.
        raise _explain(model, hub, found, error) from error
    if found is not None and not found.own:
        _check_fit(model, net, found)
    # Named tensors would be kept with the model as long as it lives.
    getattr(net, "pretrained_cfg", {}).pop("state_dict", None)
    return net


def _check_fit(model: str, net: nn.Module, found: Weights) -> None:
    """Refuse weights of which hardly any are those of the model: timm itself only logs that."""
    names = [name for name, _ in net.named_parameters()]
    known = sum(name in found.tensors for name in names)
    if known < len(names) / 2:
        raise CheckpointError(
            f"The weights in {found.path} do not fit {model}: of its {len(names)} tensors"
            f" {known} are there. Name the model that they are of."
        )


def _explain(
    model: str, hub: bool, found: Weights | None, error: Exception
) -> CheckpointError | ConfigError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
    if hub:
        timm = _timm()
        config = timm.get_pretrained_cfg(model)
        where = getattr(config, "hf_hub_id", None) or getattr(config, "url", None) or "the hub"
        return CheckpointError(
            f"The pretrained weights of {model} are not here and could not be fetched: where there"
            f" is a network, take model.safetensors of {where} on the Hugging Face hub, put it"
            " beside the configuration and name it as model.image.weights."
        )
    if found is not None:
        return CheckpointError(f"The weights in {found.path} do not fit {model} ({reason}).")
    return ConfigError(f"timm cannot make {model} with these bands and this size ({reason}).")


def _timm() -> Any:
    """Import timm where it is first needed: it takes seconds."""
    import timm

    return timm


def _num_features(net: Any) -> int:
    """Tell how many numbers a backbone gives; some have a layer behind the pooling."""
    return int(getattr(net, "head_hidden_size", None) or net.num_features)


def _trained_bands(net: nn.Module, bands: int) -> tuple[list[float], list[float]]:
    """Give the mean and standard deviation of each band that published weights were trained with.

    Bands beyond the published three get the mean of those.
    """
    config = getattr(net, "pretrained_cfg", {})
    columns = []
    for key, usual in (("mean", 0.5), ("std", 0.25)):
        known = [float(value) for value in config.get(key) or (usual,)]
        middle = sum(known) / len(known)
        columns.append(known if len(known) == bands else [middle] * bands)
    return columns[0], columns[1]


def _blocks(net: Any) -> list[list[nn.Parameter]]:
    """Group the parameters of a backbone in blocks, first to last, as timm does."""
    parameters = dict(net.named_parameters())
    try:
        from timm.models import group_parameters

        named = group_parameters(net, net.group_matcher(coarse=True), reverse=True)
    except (AttributeError, NotImplementedError):
        named = {name: number for number, (top, _) in enumerate(net.named_children())
                 for name in parameters if name.startswith(f"{top}.")}  # fmt: skip
    numbers = sorted({named[name] for name in parameters if name in named})
    blocks = [[p for n, p in parameters.items() if named.get(n) == number] for number in numbers]
    # A last normalisation alone is no block; it goes with the one before.
    if len(blocks) > 1 and all(_is_vector(parameter) for parameter in blocks[-1]):
        blocks[-2:] = [blocks[-2] + blocks[-1]]
    return blocks


def _is_vector(parameter: Tensor) -> bool:
    return parameter.ndim == 1
