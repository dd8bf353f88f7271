"""The published sources, their licences, and what a card says of an imported model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from csp_core.model import DualEncoder


@dataclass(frozen=True)
class Source:
    """Where a family of published files comes from.

    Args:
        repository: Its code.
        paper: What to cite.
        license: The licence in a word.
        terms: What it means for the weights, in a sentence.
        recognised: The tensors it is recognised by.
    """

    repository: str
    paper: str
    license: str
    terms: str
    recognised: str


NONE_GIVEN = "No licence given: do not redistribute the weights, nor a model imported from them."
MIT = "The repository, with what it publishes, is under the MIT licence; keep its notice."
SHARE_ALIKE = (
    "The weights are under Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International"
    " (CC BY-NC-SA 4.0), and so is every model made from them: name BirdNET, share it alike and use"
    " it for no commerce."
)
SOURCES = {
    "torchspatial": Source(
        "seai-lab/TorchSpatial",
        "Wu et al. 2024, TorchSpatial",
        "MIT code, CC BY-NC 4.0 data products",
        "The code is under the MIT licence, the data products under CC BY-NC 4.0, and it is not"
        " said which of the two the weights are: name the source and use them for no commerce.",
        "spa_enc.* and class_emb.weight",
    ),
    "csp": Source(
        "gengchenmai/csp",
        "Mai et al. 2023, CSP",
        "none given",
        NONE_GIVEN,
        "loc_enc.*, or spa_enc.* with the settings of CSP",
    ),
    "geo_prior": Source(
        "macaodha/geo_prior",
        "Mac Aodha et al. 2019, Presence-Only Geographical Priors",
        "none given",
        NONE_GIVEN,
        "feats.*, class_emb.weight and user_emb.weight",
    ),
    "sinr": Source(
        "elijahcole/sinr", "Cole et al. 2023, SINR", "MIT", MIT, "feats.* and class_emb.weight"
    ),
    "satclip": Source(
        "microsoft/satclip", "Klemmer et al. 2025, SatCLIP", "MIT", MIT, "model.location.nnet.*"
    ),
    "geoclip": Source(
        "VicenteVivan/geo-clip",
        "Vivanco Cepeda et al. 2023, GeoCLIP",
        "MIT",
        MIT,
        "LocEnc0.capsule.*",
    ),
    "birdnet": Source(
        "birdnet-team/BirdNET-Analyzer",
        "Kahl et al. 2021, BirdNET",
        "CC BY-NC-SA 4.0",
        SHARE_ALIKE,
        "the operators of its .tflite file",
    ),
    "geomodel": Source(
        "birdnet-team/geomodel",
        "Kahl et al. 2026, Spatiotemporal species occurrence prediction",
        "Apache 2.0",
        "The repository puts its model files under the Apache licence 2.0; keep its notice. Copies"
        " elsewhere name other licences: look at what came with the file.",
        "encoder.film_generators.* and species_head.head.*",
    ),
}


def write_import_card(model: DualEncoder, provenance: Mapping[str, Any]) -> str:
    """Write the card of an imported model.

    Args:
        model: The model.
        provenance: As ``Imported.provenance``.

    Returns:
        Markdown with YAML front matter.
    """
    source = SOURCES[provenance["source"]]
    classes = len(model.classes)
    what = f"A location prior over {classes} classes" if classes else "A location encoder"
    summary = f"{what}, imported from a published file of {source.repository}."
    front = {
        "title": model.name,
        "summary": summary,
        "license": source.license,
        "library_name": "csp_core",
        "tags": ["geospatial", "location-encoder", provenance["source"]],
        **({"prior_kind": model.prior_kind} if classes else {}),
    }
    meaning = (
        "Relative scores, one sigmoid a class: they rank, and are no percentages."
        if classes
        else "It gives each place a vector and ranks no classes."
    )
    sections = [
        f"# {model.name}",
        summary,
        "## What its numbers mean",
        f"{meaning} Nothing was measured here. It holds no training records, so it cannot say what"
        " its answer at a place rests on.",
        "## Where it comes from",
        _list(
            {
                "repository": source.repository,
                "paper": source.paper,
                "file": provenance["file"],
                "SHA-256": provenance["sha256"],
            }
        ),
        "## What was read from the shapes of the tensors",
        _list(provenance["from_shapes"]),
        "## What was read from the stored settings",
        _list(provenance["from_params"]) or "Nothing.",
        "## Notes",
        "\n".join(f"- {note}" for note in provenance["notes"]) or "None.",
        "## Licence",
        source.terms,
    ]
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n" + "\n\n".join(sections) + "\n"


def _list(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in facts.items())
