"""One more token in a vision transformer, beside those of its patches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError

# What a vision transformer of timm has, and is run by here.
PARTS = ("patch_embed", "_pos_embed", "patch_drop", "norm_pre", "blocks", "norm", "forward_head")
SPREAD = 0.02


def takes_token(net: nn.Module) -> bool:
    """Tell whether a backbone is a vision transformer that one more token can be given to.

    Args:
        net: The backbone.

    Returns:
        Whether it is.
    """
    kinds = [(kind.__module__.split(".")[0], kind.__name__) for kind in type(net).__mro__]
    # Others, with rotating positions, have the same parts and need more than these are given.
    return ("timm", "VisionTransformer") in kinds and all(
        callable(getattr(net, part, None)) for part in PARTS
    )


def make_token(net: nn.Module) -> nn.Parameter:
    """Make a token that is learned.

    Args:
        net: A vision transformer.

    Returns:
        ``(1, 1, D)``, normally distributed around 0 with a spread of 0.02.

    Raises:
        ConfigError: If the backbone is another.
    """
    if not takes_token(net):
        raise ConfigError(
            f"The image backbone {type(net).__name__} takes no further token: give a vision"
            " transformer, such as model.image: {name: timm, model: vit_small_patch16_224}, or, if"
            " the token was to be distilled into, objective.distil: none."
        )
    transformer: Any = net
    return nn.Parameter(torch.randn(1, 1, int(transformer.embed_dim)) * SPREAD)


def run_with_token(net: nn.Module, pixels: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
    """Run a vision transformer with one more token behind those of the patches.

    The token has no position. Pooling sees it no more than the network's own tokens let it: it has
    no part in a mean over the patches.

    Args:
        net: A vision transformer of timm.
        pixels: ``(N, bands, H, W)``, normalised.
        token: ``(N, 1, D)``, or ``(1, 1, D)`` for all alike.

    Returns:
        ``(N, features)``, as the network gives them, and ``(N, D)``, what has become of the token.

    Source:
        Bernhard et al. 2024, semi-supervised learning with spatiotemporal metadata, early fusion.
    """
    transformer: Any = net
    tokens = run_to_tokens(net, pixels, token)
    features: Tensor = transformer.forward_head(tokens[:, :-1], pre_logits=True)
    return features, tokens[:, -1]


def run_to_tokens(net: nn.Module, pixels: Tensor, token: Tensor) -> Tensor:
    """Run a vision transformer with one more token up to where it pools.

    Args:
        net: A vision transformer of timm.
        pixels: ``(N, bands, H, W)``, normalised.
        token: ``(N, 1, D)``, or ``(1, 1, D)`` for all alike.

    Returns:
        ``(N, tokens + 1, D)``: the network's own, those of the patches, the further one.
    """
    transformer: Any = net
    tokens = transformer.patch_embed(pixels)
    tokens = transformer.norm_pre(transformer.patch_drop(transformer._pos_embed(tokens)))
    tokens = torch.cat((tokens, token.to(tokens.dtype).expand(len(tokens), -1, -1)), dim=1)
    found: Tensor = transformer.norm(transformer.blocks(tokens))
    return found
