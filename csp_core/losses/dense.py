"""Losses between single cells of images: dense contrast, its form without negatives, and CSCL."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.losses.contrastive import info_nce, negative_weight, similarities

Negatives = Literal["image", "batch"]
# Weight of the cells of one class in the loss as it was released.
POSITIVE_WEIGHT = 0.125


def dense_negatives(
    image: Tensor,
    position: Tensor,
    *,
    negatives: Negatives = "batch",
    radius: float = 0.0,
    lonlat: Tensor | None = None,
    apart_km: float = 0.0,
) -> Tensor:
    """Tell which cells are negatives of which.

    Args:
        image: ``(N,)`` int64, the image that each cell is of.
        position: ``(N, 2)`` row and column of each cell in its image, in cells.
        negatives: ``image`` for other cells of the same image alone, ``batch`` for all other cells.
        radius: Cells of one image that are closer than this, in cells, are no negatives: they see
            nearly the same ground.
        lonlat: ``(I, 2)`` degrees, the place of each of the images that ``image`` counts, NaN where
            unknown; or None.
        apart_km: Cells of other images that are closer than this, in kilometres, are no negatives:
            the images may overlap. 0 leaves them all.

    Returns:
        ``(N, N)`` float32, 1 for a negative and 0 for what is none, as on the diagonal.

    Example:
        >>> image = torch.tensor([0, 0, 0, 1])
        >>> position = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 3.0], [0.0, 0.0]])
        >>> dense_negatives(image, position, radius=2.0).long().tolist()
        [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]]
    """
    same = image[:, None] == image
    counts = same if negatives == "image" else torch.ones_like(same)
    if radius > 0:
        # Exact distances: the quick form of cdist is off by more than cells are apart.
        apart = torch.cdist(position, position, compute_mode="donot_use_mm_for_euclid_dist")
        counts = counts & ~(same & (apart < radius))
    if lonlat is not None and apart_km > 0:
        far = negative_weight(lonlat, lonlat, mask_km=apart_km) > 0
        counts = counts & (same | far[image][:, image])
    found: Tensor = counts.float().fill_diagonal_(0.0)
    return found


def match_info_nce(
    query: Tensor,
    key: Tensor,
    negative: Tensor,
    *,
    temperature: float,
    extra: Tensor | None = None,
    extra_weight: Tensor | None = None,
) -> Tensor:
    """Find the matching cell of the other view among cells that are elsewhere.

    Args:
        query: ``(N, D)`` projections of cells of one view.
        key: ``(N, D)`` projections of the cells of the other view that show the same ground.
        negative: ``(N, N)`` as ``dense_negatives`` gives it; the diagonal is not read.
        temperature: Divisor of the cosines, above 0.
        extra: ``(M, D)`` projections of further cells, or None.
        extra_weight: ``(N, M)`` at least 0, how much each of them counts; all 1 if None.

    Returns:
        Scalar, nats, mean over N; 0 for a cell without negatives.

    Source:
        The InfoNCE loss of van den Oord et al. 2018 on cells, as in Wang et al. 2021, DenseCL.
    """
    similarity, weight = similarities(query, key), negative
    if extra is not None:
        similarity = torch.cat((similarity, similarities(query, extra)), dim=1)
        beside = similarity.new_ones(len(query), len(extra))
        weight = torch.cat((negative, beside if extra_weight is None else extra_weight), dim=1)
    partner = torch.arange(len(query), device=query.device)
    return info_nce(similarity, partner, temperature=temperature, weight=weight)


def dense_info_nce(
    first: Tensor,
    second: Tensor,
    image: Tensor,
    position: Tensor,
    *,
    temperature: float = 0.1,
    radius: float = 0.0,
    negatives: Negatives = "batch",
    lonlat: Tensor | None = None,
    apart_km: float = 0.0,
    extra: Tensor | None = None,
    extra_weight: Tensor | None = None,
) -> Tensor:
    """Tell each place of an image from other places by how two views of it are embedded.

    Args:
        first: ``(N, D)`` projections of cells of the first views.
        second: ``(N, D)`` projections of the cells of the second views that show the same ground.
        image: ``(N,)`` int64; see ``dense_negatives``.
        position: ``(N, 2)``, likewise.
        temperature: Divisor of the cosines, above 0.
        radius: See ``dense_negatives``.
        negatives: See ``dense_negatives``.
        lonlat: See ``dense_negatives``.
        apart_km: See ``dense_negatives``.
        extra: See ``match_info_nce``; negatives of the cells of either view.
        extra_weight: See ``match_info_nce``.

    Returns:
        Scalar, nats, mean over N and over the two directions.

    Source:
        A reading of Tarasiou & Zafeiriou 2022, Embedding Earth, whose own loss is not published.

    Example:
        Ten orthogonal pairs give ln(1 + 9 exp(-10)).

        >>> pairs = torch.eye(10, dtype=torch.float64)
        >>> one_each = torch.arange(10)
        >>> loss = dense_info_nce(pairs, pairs, one_each, torch.zeros(10, 2))
        >>> round(loss.item(), 10)
        0.0004085159
    """
    negative = dense_negatives(
        image, position, negatives=negatives, radius=radius, lonlat=lonlat, apart_km=apart_km
    ).to(first.dtype)
    both = [
        match_info_nce(query, key, negative, temperature=temperature, extra=extra,
                       extra_weight=extra_weight)
        for query, key in ((first, second), (second, first))
    ]  # fmt: skip
    return torch.stack(both).mean()


def cosine_match(prediction: Tensor, target: Tensor) -> Tensor:
    """Draw what is predicted of cells to what a target says of them, without negatives.

    Args:
        prediction: ``(N, D)``.
        target: ``(N, D)``, which gets no gradient.

    Returns:
        Scalar, minus the mean cosine over N, in [-1, 1].

    Source:
        Chen & He 2021, SimSiam; twice it plus 2 is the loss of Grill et al. 2020, BYOL.
    """
    return -F.cosine_similarity(prediction, target.detach(), dim=1).mean()


def window_similarities(
    query: Tensor, key: Tensor, down: Tensor, right: Tensor, *, unit: bool = True
) -> Tensor:
    """Compare each cell with the cells of the window around it, which know where they stand in it.

    Args:
        query: ``(B, A, H, W)``.
        key: ``(B, A, H, W)``, which is 0 beyond the edge.
        down: ``(A/2, K)`` what is added to the first half of the key by its row in the window.
        right: ``(A - A/2, K)`` what is added to the second half by its column in the window.
        unit: Whether both are brought to unit length; the values are cosines then.

    Returns:
        ``(B, H, W, K, K)``.

    Source:
        Tarasiou, Guler & Zafeiriou 2022, context-self contrastive pre-training (CSCL).
    """
    size, (height, width) = down.shape[1], query.shape[2:]
    margin = size // 2
    padded = F.pad(key, (margin,) * 4)
    query = F.normalize(query, dim=1) if unit else query
    rows = []
    for u in range(size):
        for v in range(size):
            place = torch.cat((down[:, u], right[:, v]))[:, None, None]
            window = padded[:, :, u : u + height, v : v + width] + place
            window = F.normalize(window, dim=1) if unit else window
            rows.append((query * window).sum(dim=1))
    return torch.stack(rows, dim=-1).view(*query[:, 0].shape, size, size)


def window_agreement(label: Tensor, *, size: int = 3, unknown: int = -1) -> tuple[Tensor, Tensor]:
    """Tell which cells of the window around each have its class.

    Args:
        label: ``(B, H, W)`` int64.
        size: Side of the window in cells, odd.
        unknown: The class of cells of which nothing is known.

    Returns:
        ``(B, H, W, K, K)`` bool, whether the classes agree, where beyond the edge is a class of its
        own; and ``(B, H, W, K, K)`` bool, whether that says something: both classes are known, and
        the cell is another one within the image.
    """
    margin = size // 2
    beyond = int(label.max()) + 1
    height, width = label.shape[1:]
    padded = F.pad(label, (margin,) * 4, value=beyond)
    windows = padded.unfold(1, size, 1).unfold(2, size, 1)
    centre = label.view(-1, height, width, 1, 1)
    told = (windows != beyond) & (windows != unknown) & (centre != unknown)
    told[..., margin, margin] = False
    return windows == centre, told


def window_pairs(valid: Tensor, *, size: int = 3) -> Tensor:
    """Tell which cells of the window around each have data, as it has itself.

    Args:
        valid: ``(B, H, W)`` bool, where there is data.
        size: Side of the window in cells, odd.

    Returns:
        ``(B, H, W, K, K)`` bool; of what lies beyond the edge nothing is missing.
    """
    padded = F.pad(valid, (size // 2,) * 4, value=True)
    windows = padded.unfold(1, size, 1).unfold(2, size, 1)
    return windows & valid[..., None, None]


def cscl(
    similarity: Tensor,
    agrees: Tensor,
    *,
    counts: Tensor | None = None,
    positive_weight: float = POSITIVE_WEIGHT,
) -> Tensor:
    """Draw neighbouring cells of one class together and push those of other classes apart.

    It is linear in the similarities, with neither a softmax nor a temperature.

    Args:
        similarity: ``(B, H, W, K, K)``, from ``window_similarities``.
        agrees: The same shape, bool, whether the classes agree.
        counts: The same shape, bool, which of them count; None for all, as released, where the
            centre of the window and what lies beyond the edge count too.
        positive_weight: Weight of the cells that agree, at least 0.

    Returns:
        Scalar, mean over the cells that count, 0 where none does.

    Source:
        Tarasiou, Guler & Zafeiriou 2022, as in their released code.
    """
    terms = torch.where(agrees, -positive_weight * similarity, similarity)
    if counts is None:
        return terms.mean()
    return (terms * counts).sum() / counts.sum().clamp_min(1)
