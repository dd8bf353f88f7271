"""Places a second of the location encoders, beside a plain matrix product and the published way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from report import arguments, markdown, write_report
from torch import Tensor, nn

from csp_core.geo import sphere_points
from csp_core.location import ENCODINGS, LocationEncoder, make_location_encoder
from csp_core.location.multiscale import geometric_frequencies
from csp_core.location.network import ResidualMLP

BATCH, DIM, SCALES, HIDDEN = 8192, 256, 32, 512
AIM_SHARE, AIM_RATIO = 0.7, 1.8
# The smallest scale of the published encodings that are timed; the largest is in ``largest``.
SMALLEST = {"grid": 0.1, "sphere_c": 0.01, "sphere_m": 0.01}


def multiply_adds(module: nn.Module) -> int:
    """Count the multiply-adds that the linear layers of a module take for one row."""
    return sum(part.weight.numel() for part in module.modules() if isinstance(part, nn.Linear))


def least_seconds(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Time ways in turn, so that whatever else the machine does strikes all alike.

    Args:
        ways: Name to work, done on one thread.
        rounds: How often each has its turn.

    Returns:
        Name to the least seconds that this thread was at work.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            started = time.thread_time()
            work()
            found[name].append(time.thread_time() - started)
    return {name: min(values) for name, values in found.items()}


def matrix_product(rows: int = BATCH) -> tuple[Callable[[], Tensor], int]:
    """Give a plain product of matrices as large as a hidden layer's, and its multiply-adds."""
    left, right = torch.ones(rows, HIDDEN), torch.ones(HIDDEN, HIDDEN)
    return lambda: torch.mm(left, right), rows * HIDDEN * HIDDEN


def usual_places(count: int) -> Tensor:
    """Draw places uniformly on the sphere."""
    return sphere_points(torch.rand(count, 2, generator=torch.Generator().manual_seed(0)))


# The published way, written anew from its description: every batch goes to NumPy, is encoded in
# double precision through arrays that grow by repetition and concatenation, and comes back.


def largest(name: str) -> float:
    """Give the largest scale of a published encoding."""
    return 360.0 if name == "grid" else 1.0


def published_features(name: str, lonlat: Tensor) -> Tensor:
    """Encode places as published; ``(N, 2)`` degrees to float32 features."""
    scale = geometric_frequencies(SCALES, SMALLEST[name], largest(name)).numpy()
    places = lonlat.detach().cpu().numpy().astype(np.float64)
    if name != "grid":
        places = places * np.pi / 180
    angle = np.repeat(np.repeat(places[:, :, None, None], SCALES, axis=2), 2, axis=3)
    angle = angle * scale[:, None]
    if name == "grid":
        angle[..., 0], angle[..., 1] = np.sin(angle[..., 0]), np.cos(angle[..., 1])
        return torch.FloatTensor(angle.reshape(len(places), -1))
    terms = np.concatenate(_sphere_terms(name, places, angle[..., :1]), axis=-1)
    return torch.FloatTensor(terms.reshape(len(places), -1))


def _sphere_terms(
    name: str, places: NDArray[np.float64], angle: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    lon, lat = angle[:, 0], angle[:, 1]  # (N, S, 1)
    sin_lon, cos_lon, sin_lat, cos_lat = np.sin(lon), np.cos(lon), np.sin(lat), np.cos(lat)
    if name == "sphere_c":
        return [sin_lat, cos_lat * cos_lon, cos_lat * sin_lon]
    own = np.repeat(places[:, :, None, None], SCALES, axis=2)
    own_lon, own_lat = own[:, 0], own[:, 1]
    return [
        sin_lat,
        cos_lat * np.cos(own_lon),
        np.cos(own_lat) * cos_lon,
        cos_lat * np.sin(own_lon),
        np.cos(own_lat) * sin_lon,
    ]


def published_network(network: ResidualMLP) -> nn.Sequential:
    """Give the published network with the weights of ours."""
    act = nn.LeakyReLU(0.2)
    hidden = [network.hidden[0], act, nn.Dropout(), network.norms[0]]
    return nn.Sequential(*hidden, network.output, act, nn.Dropout()).eval()


# Measuring


@torch.inference_mode()
def measure(name: str, rounds: int) -> dict[str, Any]:
    """Time an encoder with its default options and network, in evaluation."""
    torch.manual_seed(0)
    encoder = make_location_encoder(name, DIM).eval()
    places, (product, work) = usual_places(BATCH), matrix_product()
    found = least_seconds({"ours": lambda: encoder(places), "product": product}, rounds)
    own = multiply_adds(encoder) * BATCH
    return {
        "encoder": name,
        "features": encoder.encoding.out_dim,
        "multiply_adds": multiply_adds(encoder),
        "seconds": found["ours"],
        "product_rate": work / found["product"],
        "share": own / found["ours"] / (work / found["product"]),
    }


@torch.no_grad()
def beside_published(name: str, rounds: int) -> dict[str, Any]:
    """Time an encoder with 32 scales and 512 hidden units in ours and in the published way."""
    torch.manual_seed(0)
    network = {"name": "residual_mlp", "hidden_dim": HIDDEN, "final_activation": "leaky_relu"}
    scales = {"num_scales": SCALES, "min_radius": SMALLEST[name], "max_radius": largest(name)}
    encoder = make_location_encoder(name, DIM, network=network, **scales).eval()
    places, (product, work) = usual_places(BATCH), matrix_product()
    plain = published_network(encoder.network)
    ways = {
        "ours": lambda: encoder(places),
        "published": lambda: plain(published_features(name, places)),
        "our features": lambda: features_in_parts(encoder, places),
        "published features": lambda: published_features(name, places),
        "product": product,
    }
    found = least_seconds(ways, rounds)
    own, rate = multiply_adds(encoder) * BATCH, work / found["product"]
    difference = (ways["ours"]() - ways["published"]()).abs().max()
    return {
        "encoder": name,
        "seconds": found,
        "share": own / found["ours"] / rate,
        "ratio": found["published"] / found["ours"],
        "ratio_at_most": found["published"] / (own / rate),
        "difference": float(difference),
    }


def features_in_parts(encoder: LocationEncoder, places: Tensor) -> Tensor:
    """Encode places in parts of the size that the encoder takes."""
    return torch.cat([encoder.encoding(part) for part in places.split(1024)])


ABOUT = """\
Every encoder with its default options, its default network and {dim} dimensions, in evaluation,
{batch:,} places at a time, one thread. *Share* is the rate of the linear layers' multiply-adds
alone, as if all else took no time, of that of `torch.mm` at {batch}×{hidden}×{hidden} measured in
the same turns ({rate:.1f} thousand million a second at best). Least of {rounds} rounds in turns, in
seconds of this thread at work; the machine was shared with other programs.

{table}

Products inside of an encoding (`rff`, `rff_sphere`, `geoclip`) and the table of `tile` are not
counted, so what they take lowers the share.

The published way is written anew from its description: each batch goes to NumPy, is encoded in
double precision by repeating and joining arrays, and comes back as single precision; the same
network, {scales} scales, {hidden} hidden units, `leaky_relu` on the output. *At most* is how many
times faster the products alone would be, at the rate of `torch.mm` and with all else for nothing:
both ways share them, and they bound what can be won.

{published}

Aim: a share of {share:.0%} and {ratio:g} times the published way. {reached}
"""


def reached(rows: list[dict[str, Any]], encoders: list[dict[str, Any]]) -> str:
    """Say which of the aims the three compared encoders reach, and who else misses the share."""
    said = []
    for what, key, aim in (("share", "share", AIM_SHARE), ("ratio", "ratio", AIM_RATIO)):
        missed = [f"{row['encoder']} ({row[key]:.2f})" for row in rows if row[key] < aim]
        said.append(f"The {what}: {'missed by ' + ', '.join(missed) if missed else 'reached'}.")
    below = [
        f"{row['encoder']} ({row['share']:.2f})" for row in encoders if row["share"] < AIM_SHARE
    ]
    also = f" In the table of all, below that share: {', '.join(below)}." if below else ""
    return f"Of the three compared: {' '.join(said)}{also}"


def main() -> None:
    """Run the benchmark."""
    options = arguments("Places a second of every location encoder.")
    torch.set_num_threads(1)
    rounds = 2 if options.quick else 15
    # Before the table of all: large matrices teach the C library to keep memory, which spares what
    # comes after them the fetching of fresh pages.
    compared = [beside_published(name, rounds) for name in SMALLEST]
    # GeoCLIP's network is 40 times the others.
    encoders = [measure(name, 2 if name == "geoclip" else rounds) for name in ENCODINGS]
    head = ["encoder", "features", "multiply-adds a place", "ms a batch", "places/s", "share"]
    table = [
        [
            row["encoder"],
            str(row["features"]),
            f"{row['multiply_adds']:,}",
            f"{1e3 * row['seconds']:.1f}",
            f"{BATCH / row['seconds']:,.0f}",
            f"{row['share']:.0%}",
        ]
        for row in encoders
    ]
    columns = ("ours", "published", "our features", "published features")
    head_published = [
        *("encoder", *(f"{column} ms" for column in columns)),
        *("share", "times faster", "at most", "largest difference"),
    ]
    published = [
        [
            row["encoder"],
            *(f"{1e3 * row['seconds'][column]:.1f}" for column in columns),
            f"{row['share']:.0%}",
            f"{row['ratio']:.2f}",
            f"{row['ratio_at_most']:.2f}",
            f"{row['difference']:.0e}",
        ]
        for row in compared
    ]
    body = ABOUT.format(
        dim=DIM,
        batch=BATCH,
        hidden=HIDDEN,
        scales=SCALES,
        rounds=rounds,
        rate=max(row["product_rate"] for row in encoders) / 1e9,
        table=markdown(head, table),
        published=markdown(head_published, published),
        share=AIM_SHARE,
        ratio=AIM_RATIO,
        reached=reached(compared, encoders),
    )
    record = {"batch": BATCH, "rounds": rounds, "encoders": encoders, "published": compared}
    write_report("encoder_speed", "Speed of the location encoders", body.strip(), record, options)


if __name__ == "__main__":
    main()
