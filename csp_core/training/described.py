"""The places of a model that learned from descriptions of them, as a model of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from csp_core.location import LocationEncoder
from csp_core.model import DualEncoder, Heads


def places_alone(model: DualEncoder) -> DualEncoder:
    """Take the location side of a model, measured by the numbers that it predicts of places.

    An objective that compares pushes all places apart alike, and what it predicts stands in the
    head behind. So the embedding becomes what that head gives: in as many axes as before, with
    lengths and angles of the predicted numbers. The axes are turned by chance, seed 0, so that
    each has a part of all that matters, and bringing each to one variance keeps these lengths.

    Args:
        model: The model as it was trained; left as it is, but for the last layer of its location
            encoder where there is such a head.

    Returns:
        A model of its location encoder, without images, classes or heads.
    """
    head, location = model.location_head, model.location
    network = location.network if isinstance(location, LocationEncoder) else None
    output = getattr(network, "output", None)
    plain = isinstance(getattr(network, "final", None), nn.Identity)
    if head is not None and isinstance(output, nn.Linear) and plain:
        fold(output, head)
    heads = Heads(image=None, classifiers=())
    return DualEncoder(None, location, dim=model.dim, name=model.name, heads=heads)


@torch.no_grad()
def fold(output: nn.Linear, head: nn.Linear) -> None:
    """Put a head into the layer before it, in the axes that it spans.

    Args:
        output: Layer from anything to D numbers; changed in place.
        head: Layer from these to F numbers.
    """
    weight, bias = head.weight.double(), head.bias.double()
    spanned, _, _ = torch.linalg.svd(weight, full_matrices=False)  # (F, the smaller of F and D)
    turn = spanned @ _turn(head.in_features).to(spanned)[: spanned.shape[1]]
    onto = turn.T @ weight
    output.bias.copy_(onto @ output.bias.double() + turn.T @ bias)
    output.weight.copy_(onto @ output.weight.double())


def _turn(size: int) -> Tensor:
    """Draw an orthogonal matrix."""
    drawn = torch.randn(size, size, generator=torch.Generator().manual_seed(0)).double()
    turned: Tensor = torch.linalg.qr(drawn)[0]
    return turned
