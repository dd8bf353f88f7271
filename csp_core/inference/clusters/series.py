"""How a location space unfolds while a run learns: the same places, epoch by epoch."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import BadRecordError, CheckpointError, ConfigError, DataNotFoundError
from csp_core.files import save_tensors, spreadsheet_cell
from csp_core.files.writing import writing
from csp_core.inference.clusters.groups import NOISE, cluster, match
from csp_core.inference.clusters.result import colour_of
from csp_core.inference.clusters.sampling import make_sample
from csp_core.inference.clusters.vectors import axes, check_finite, embed
from csp_core.runs import RunDir
from csp_core.runs.artifacts import FRAME_BYTES, MAIN, SPACE, RangeFrame, range_frames
from csp_core.runs.reading import read_regular

# Of equal area on land; at 256 dimensions a frame of them takes 1 MB.
PLACES = 2000
# Of longer films, as many are shown, spread evenly, the first and the last among them.
MOST_SHOWN = 40
# Squares within clusters that may be lost for groups that are followed from frame to frame.
AS_GOOD = 1.03


@dataclass(frozen=True, eq=False)
class SpaceFrame:
    """The space after an epoch.

    Args:
        epoch: Epochs done; 0 before the first.
        stage: ``main`` in a run of one stage.
        labels: ``(N,)`` int64, numbered as in the frame after; all -1 where no groups are found.
        plane: ``(N, 2)`` float32 along the axes of the last frame.
        agreement: Adjusted Rand index with the clusters of the last frame.
    """

    epoch: int
    stage: str
    labels: Tensor
    plane: Tensor
    agreement: float

    @property
    def title(self) -> str:
        """Which epoch it is, in words."""
        stage = "" if self.stage == MAIN else f"{self.stage}, "
        return f"{stage}before training" if not self.epoch else f"{stage}epoch {self.epoch}"


@dataclass(frozen=True, eq=False)
class Series:
    """The same places, epoch by epoch.

    Args:
        lonlat: ``(N, 2)`` degrees.
        frames: From the first to the last.
        explained: ``(2,)`` shares of the variance of the last frame that its two axes hold.
    """

    lonlat: Tensor
    frames: tuple[SpaceFrame, ...]
    explained: Tensor

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Least and most of each axis in all frames."""
        plane = torch.cat([frame.plane for frame in self.frames])
        (left, low), (right, high) = plane.amin(dim=0).tolist(), plane.amax(dim=0).tolist()
        return (left, max(right, left + 1e-6)), (low, max(high, low + 1e-6))

    def numbered_like(self, reference: Tensor) -> Series:
        """Give the same with other numbers: those of the last frame as in another clustering.

        Args:
            reference: ``(N,)`` int64 of the same places, -1 for none.

        Returns:
            The film, whose colours are those of the other clustering.
        """
        last = self.frames[-1].labels
        # The last place stays -1, for what is in no cluster.
        number = torch.full((int(last.max()) + 2,), NOISE)
        number[last] = match(last, reference)
        frames = tuple(replace(one, labels=number[one.labels]) for one in self.frames)
        return replace(self, frames=frames)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values of all but the points."""
        frames = [
            {
                "stage": frame.stage,
                "epoch": frame.epoch,
                "title": frame.title,
                "clusters": len(set(frame.labels[frame.labels != NOISE].tolist())),
                "agreement": frame.agreement,
            }
            for frame in self.frames
        ]
        shares = self.explained.tolist()
        return {"points": len(self.lonlat), "explained": shares, "frames": frames}


def write_frame(model: Any, path: Path) -> None:
    """Write how a model sees places, as ``(N, D)`` ``vectors`` in half precision and ``lonlat``.

    Args:
        model: A model with a location side; it stays as it is.
        path: File to write.

    Raises:
        CspError: If the model has no location side, or gives what is no number.
        OSError: If it cannot be written.
    """
    lonlat = make_sample(PLACES).lonlat
    save_tensors(path, {"lonlat": lonlat, "vectors": embed(model, lonlat).half()})


def run_of(directory: Path) -> RunDir:
    """Give the run that a model directory is of; one without frames if it is no run's.

    Args:
        directory: The model's.

    Returns:
        The run.
    """
    return RunDir(directory.parent if directory.name == "model" else directory)


def find_frames(run: RunDir) -> list[RangeFrame]:
    """List what a run kept of its space; see ``training.space_every``.

    Args:
        run: The run.

    Returns:
        In the order in which they were made, at most 40 spread evenly.
    """
    found = range_frames(run, kind=SPACE)
    if len(found) <= MOST_SHOWN:
        return found
    chosen = torch.linspace(0, len(found) - 1, MOST_SHOWN).round().long().tolist()
    return [found[i] for i in chosen]


def unfold(frames: Sequence[RangeFrame], *, count: int = 8, seed: int = 0) -> Series:
    """Group the places of each frame, with numbers that stay, on axes that stay.

    Each frame is grouped by k-means, and its clusters take the numbers of those of the frame after
    that they share most places with, so that colours lead to those of the last one. Where k-means
    that starts from the groups of the frame after does as well, within 3 % of the squares, that is
    taken: then what changes is the space, and not what chance had k-means find. All are seen
    along the principal components of the last frame, so that distances of two frames compare.

    Args:
        frames: As ``find_frames`` lists them.
        count: Clusters, from 2.
        seed: Of k-means.

    Returns:
        The frames whose vectors have as many dimensions as the last one's.

    Raises:
        DataNotFoundError: If there are none.
        ConfigError: If the number of clusters is none, or the last frame cannot be grouped.
        CspError: If a file is not as a run writes it.
    """
    from sklearn.metrics import adjusted_rand_score

    if not frames:
        raise DataNotFoundError(
            "This run kept nothing of its space: train with `training.space_every=1`, which keeps"
            " how 2,000 places are seen after every epoch, 1 MB each at 256 dimensions."
        )
    lonlat, last = _read(frames[-1].path)
    mean, directions, share = axes(last.numpy(), 2)
    final = after = cluster(last, count=count, seed=seed)
    shown: list[SpaceFrame] = []
    for frame in reversed(frames):
        places, vectors = _read(frame.path)
        if vectors.shape != last.shape or not torch.equal(places, lonlat):
            continue
        labels = _grouped(vectors, count, seed, after)
        if bool((labels != NOISE).any()):
            after = labels = match(labels, after)
        plane = torch.from_numpy((vectors.double().numpy() - mean) @ directions).float()
        agreement = float(adjusted_rand_score(final.numpy(), labels.numpy()))
        shown.append(SpaceFrame(frame.epoch, frame.stage, labels, plane, agreement))
    return Series(lonlat, tuple(reversed(shown)), torch.from_numpy(share))


def write_series(film: Series, path: Path, *, model: str = "", license: str = "") -> None:
    """Write a film as a table: one row an epoch and place.

    Args:
        film: The film.
        path: CSV to write.
        model: Name of the model or run, for each row.
        license: Licence of the model, for each row.

    Raises:
        BadRecordError: If it cannot be written.
    """
    places = [(round(lon, 4), round(lat, 4)) for lon, lat in film.lonlat.double().tolist()]
    about = {"model": spreadsheet_cell(model), "license": spreadsheet_cell(license)}
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("stage", "epoch", "lon", "lat", "cluster", "colour", "x", "y", *about))
        for frame in film.frames:
            values = zip(places, frame.labels.tolist(), frame.plane.tolist(), strict=True)
            for (lon, lat), label, (x, y) in values:
                at = (f"{x:.6g}", f"{y:.6g}", *about.values())
                rows.writerow((frame.stage, frame.epoch, lon, lat, label, colour_of(label), *at))


def _grouped(vectors: Tensor, count: int, seed: int, after: Tensor) -> Tensor:
    """Group a frame anew, or from the groups of the frame after where these are as good."""
    try:
        labels = cluster(vectors, count=count, seed=seed)
    except ConfigError:  # too few that differ: an encoder that tells no places apart yet
        return torch.full((len(vectors),), NOISE)
    followed = _followed(vectors, after, count)
    return followed if _within(vectors, followed) <= AS_GOOD * _within(vectors, labels) else labels


def _followed(vectors: Tensor, after: Tensor, count: int) -> Tensor:
    from sklearn.cluster import KMeans

    points = vectors.numpy()
    fit = KMeans(count, init=_means(vectors, after).numpy(), n_init=1).fit(points)
    return torch.from_numpy(fit.labels_).long()


def _means(vectors: Tensor, labels: Tensor) -> Tensor:
    number = int(labels.max()) + 1
    total = torch.zeros(number, vectors.shape[1]).index_add_(0, labels, vectors)
    return total / torch.bincount(labels, minlength=number).clamp(min=1)[:, None]


def _within(vectors: Tensor, labels: Tensor) -> float:
    return float((vectors - _means(vectors, labels)[labels]).square().sum())


def _read(path: Path) -> tuple[Tensor, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        found = load(read_regular(path, limit=FRAME_BYTES))
        lonlat, vectors = found["lonlat"].float(), found["vectors"].float()
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is no frame of a space as a run writes it.") from error
    fits = lonlat.ndim == vectors.ndim == 2 and lonlat.shape[1] == 2
    if not fits or not 2 <= len(lonlat) == len(vectors) or vectors.shape[1] < 2:
        raise BadRecordError(
            f"{path} holds places of shape {tuple(lonlat.shape)} and vectors of shape"
            f" {tuple(vectors.shape)}; a frame has (N, 2) and (N, D)."
        )
    check_finite(lonlat, f"{path}")
    check_finite(vectors, f"{path}")
    return lonlat, vectors
