"""The maps of features inside a model of timm, and how they are pooled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.image.base import FeatureMaps
from csp_core.image.tokens import run_to_tokens

# What models of timm have behind their maps.
POOLING = ("head", "fc_norm", "attn_pool", "global_pool", "norm_head")


@dataclass(frozen=True)
class MapPlan:
    """Which maps are taken from a backbone, finest first.

    Args:
        indices: Their numbers among the stages that timm tells of.
        channels: Channels of each.
        strides: Pixels of the image for each step on each.
    """

    indices: tuple[int, ...]
    channels: tuple[int, ...]
    strides: tuple[int, ...]


def plan_maps(net: nn.Module) -> MapPlan | None:
    """Choose the maps of a backbone: the last of each side, and at the end what it pools.

    Args:
        net: A model of timm.

    Returns:
        The plan; None for a model that does not give its stages.
    """
    backbone: Any = net
    info = getattr(backbone, "feature_info", None)
    if not info or not callable(getattr(backbone, "forward_intermediates", None)):
        return None
    # Blocks of a transformer all have one side; of these the last counts.
    last = {int(stage["reduction"]): number for number, stage in enumerate(info)}
    strides = sorted(last)
    channels = [int(info[last[stride]]["num_chs"]) for stride in strides]
    # Some convolve once more behind the last stage.
    channels[-1] = int(backbone.num_features)
    return MapPlan(tuple(last[stride] for stride in strides), tuple(channels), tuple(strides))


def run_to_maps(
    net: nn.Module, plan: MapPlan, pixels: Tensor, token: Tensor | None = None
) -> FeatureMaps:
    """Run a backbone to its maps.

    Args:
        net: A model of timm.
        plan: Which maps.
        pixels: ``(N, bands, H, W)``, normalised.
        token: ``(1, 1, D)`` one more token of a vision transformer, which is in no map.

    Returns:
        The maps.
    """
    backbone: Any = net
    if token is not None:
        tokens = run_to_tokens(net, pixels, token)[:, :-1]
        rows, columns = (side // plan.strides[-1] for side in pixels.shape[-2:])
        return _from_tokens(net, tokens, rows, columns)
    last, stages = backbone.forward_intermediates(pixels, indices=list(plan.indices))
    if last.ndim == 3:
        return _from_tokens(net, last, *stages[-1].shape[-2:])
    return FeatureMaps([*stages[:-1], last.permute(0, 3, 1, 2) if _channels_last(net) else last])


def pool_maps(net: nn.Module, maps: FeatureMaps) -> Tensor:
    """Pool the last map as a backbone does.

    Args:
        net: A model of timm.
        maps: What ``run_to_maps`` gave.

    Returns:
        ``(N, features)``.
    """
    backbone: Any = net
    last = maps[-1]
    if maps.prefix is not None:
        last = torch.cat((maps.prefix, last.flatten(2).transpose(1, 2)), dim=1)
    elif _channels_last(net):
        last = last.permute(0, 2, 3, 1)
    found: Tensor = backbone.forward_head(last)
    return found


def pooling_parts(net: nn.Module) -> list[nn.Module]:
    """List the layers of a backbone that stand behind its maps.

    Args:
        net: A model of timm.

    Returns:
        The layers.
    """
    backbone: Any = net
    found = [getattr(backbone, name, None) for name in POOLING]
    # Some convolve behind the pooling, others of this name before it.
    if getattr(backbone, "head_hidden_size", None) not in (None, backbone.num_features):
        found.append(getattr(backbone, "conv_head", None))
    return [part for part in found if isinstance(part, nn.Module)]


def _from_tokens(net: nn.Module, tokens: Tensor, rows: int, columns: int) -> FeatureMaps:
    """Lay the tokens of patches out as a map; those before them belong to no place."""
    before = int(getattr(net, "num_prefix_tokens", 0))
    patches = tokens[:, before:].transpose(1, 2)
    return FeatureMaps([patches.reshape(*patches.shape[:2], rows, columns)], tokens[:, :before])


def _channels_last(net: nn.Module) -> bool:
    return str(getattr(net, "output_fmt", "NCHW")) == "NHWC"
