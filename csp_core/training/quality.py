"""What ``data.quality`` asks for, done to the records that a run learns from, and told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from csp_core.config import RunConfig
from csp_core.config.quality import AS_DISAGREEING, AS_DUPLICATES, PIXELS, QualityConfig
from csp_core.data.batch import Batch
from csp_core.data.captions.attach import without_captions
from csp_core.data.quality import (
    at_random,
    near_duplicates,
    noisy_captions,
    shuffle_pairs,
    thumbnails,
    worst_pairs,
)
from csp_core.data.records import RecordDataset
from csp_core.data.subsets import keep_rows
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder
from csp_core.model.parts import evaluating, see
from csp_core.store import load_model

log = logging.getLogger(__name__)
# Images that are looked at in one go.
BATCH = 256


def prepare_records(config: RunConfig, train_set: RecordDataset) -> RecordDataset:
    """Do to the records that a run learns from what ``data.quality`` says.

    Args:
        config: The run.
        train_set: Records to learn from.

    Returns:
        The records; ``info`` tells what was done, and the hash of the records as they were loaded,
        where these are not they.

    Raises:
        CspError: If what is asked for does not fit the records, or leaves none.
    """
    quality = config.data.quality
    if quality is None and config.data.captions is None:
        return train_set
    as_loaded = without_captions(train_set).content_hash()
    told: list[str] = []
    if quality is not None:
        for step in (_shuffle, _duplicates, _disagreeing, _at_random, _noise):
            train_set, said = step(quality, train_set)
            told += [said] if said else []
    if not len(train_set):
        raise ConfigError("data.quality leaves no record to learn from; take out fewer.")
    for sentence in told:
        log.info("quality: %s", sentence, extra={"tell": True})
    facts: dict[str, object] = {"hash_as_loaded": as_loaded}
    facts |= {"changed_on_purpose": "; ".join(told)} if told else {}
    return replace(train_set, info={**train_set.info, **facts})


def _shuffle(quality: QualityConfig, records: RecordDataset) -> tuple[RecordDataset, str]:
    if quality.shuffled is None:
        return records, ""
    mixed = shuffle_pairs(records, quality.shuffled, _drawn(quality, 0))
    unknown = mixed.lonlat.isnan() & records.lonlat.isnan()
    moved = ((mixed.lonlat != records.lonlat) & ~unknown).any(dim=1)
    moved |= mixed.caption != records.caption
    number = round(quality.shuffled * len(records))
    return mixed, (
        f"{number:,} of {len(records):,} records have the place and caption of another, which is a"
        f" different one for {int(moved.sum()):,}"
    )


def _duplicates(quality: QualityConfig, records: RecordDataset) -> tuple[RecordDataset, str]:
    if quality.near_duplicates is None or quality.at_random == AS_DUPLICATES:
        return records, ""
    keep = _unlike(quality, records)
    return keep_rows(records, keep), (
        f"{_out(keep)} as near-duplicates by their {_named(quality.embedding)} (cosine of"
        f" {quality.near_duplicates:g} or more with one before)"
    )


def _disagreeing(quality: QualityConfig, records: RecordDataset) -> tuple[RecordDataset, str]:
    if quality.disagreeing is None or quality.at_random == AS_DISAGREEING:
        return records, ""
    keep = _agreeing(quality, records)
    return keep_rows(records, keep), (
        f"{_out(keep)} whose image and place agree least by {_named(str(quality.model))}"
    )


def _at_random(quality: QualityConfig, records: RecordDataset) -> tuple[RecordDataset, str]:
    if quality.at_random is None:
        return records, ""
    like = ""
    if isinstance(quality.at_random, float):
        out = round(quality.at_random * len(records))
    else:
        found = _unlike if quality.at_random == AS_DUPLICATES else _agreeing
        out = int((~found(quality, records)).sum())
        like = f", as many as there are {quality.at_random.removeprefix('as ')} ones"
        like = like.replace("near_duplicates ones", "near-duplicates")
    keep = at_random(len(records), out, _drawn(quality, 1))
    return keep_rows(records, keep), f"{_out(keep)} at random{like}"


def _noise(quality: QualityConfig, records: RecordDataset) -> tuple[RecordDataset, str]:
    if quality.caption_noise is None:
        return records, ""
    noisy = noisy_captions(records, quality.caption_noise, _drawn(quality, 2))
    number = round(quality.caption_noise * int((records.caption >= 0).sum()))
    wrong = int((noisy.caption != records.caption).sum())
    return noisy, f"{number:,} captions are those of another record, {wrong:,} a different one"


def _unlike(quality: QualityConfig, records: RecordDataset) -> Tensor:
    """Find the records that are no near-duplicates."""
    assert quality.near_duplicates is not None  # whoever asks has looked
    if quality.embedding == PIXELS:
        _check_pixels(records)
        return near_duplicates(_gathered(records, _thumbnails), quality.near_duplicates)
    model = load_model(quality.embedding)
    if model.image is None:
        raise ConfigError(
            f"data.quality.embedding is {quality.embedding!r}, a model without images; give one"
            f" that sees them, or {PIXELS}."
        )
    with evaluating(model):
        embedding = _gathered(records, lambda part: _embedded(model, part))
    return near_duplicates(embedding, quality.near_duplicates)


def _agreeing(quality: QualityConfig, records: RecordDataset) -> Tensor:
    """Find the records that are left without those whose image and place agree least."""
    assert quality.disagreeing is not None and quality.model is not None
    model = load_model(quality.model)
    sides = (model.location, model.image, model.image_head or model.location_head)
    if any(side is None for side in sides):
        raise ConfigError(
            f"data.quality.model is {quality.model!r}, which does not compare images with places;"
            " give one of both that was trained to (csp_mc, or of the CLIP family)."
        )
    with evaluating(model):
        agreement = _gathered(records, lambda part: _agreement(model, part))
    return worst_pairs(agreement, quality.disagreeing)


def _gathered(records: RecordDataset, ask: Callable[[Batch], Tensor]) -> Tensor:
    """Ask something of all records that have images, some at a time."""
    if "image" not in records[0]:
        raise ConfigError(
            "data.quality compares images, and these records have none: give near_duplicates and"
            " disagreeing for data sets with images alone."
        )
    starts = range(0, len(records), BATCH)
    parts = [range(start, min(start + BATCH, len(records))) for start in starts]
    return torch.cat([ask(records.__getitems__(part)) for part in parts])


def _thumbnails(batch: Batch) -> Tensor:
    return thumbnails(batch["image"])


def _embedded(model: DualEncoder, batch: Batch) -> Tensor:
    assert model.image is not None  # whoever asks has looked
    return see(model.image, batch["image"], batch.get("days"))


def _agreement(model: DualEncoder, batch: Batch) -> Tensor:
    """Give the cosine of each image and its place; NaN where the place is not known."""
    known = ~batch["lonlat"].isnan().any(dim=1)
    found = torch.full((len(known),), torch.nan)
    if known.any():
        days = batch["days"][known] if "days" in batch else None
        asked = batch["lonlat"][known], batch["date"][known], batch["hour"][known]
        # Some models bring places to what images are, most of them images to what places are.
        if model.location_head is not None:
            image, place = _embedded(model, batch)[known], model.predict_features(*asked)
        else:
            image = model.embed_image(batch["image"][known], days=days)
            place = model.embed_location(*asked)
        found[known] = torch.cosine_similarity(image, place, dim=1).float()
    return found


def _check_pixels(records: RecordDataset) -> None:
    image = records[0].get("image")
    if image is not None and image.ndim < 3:
        raise ConfigError(
            f"data.quality.embedding is {PIXELS}, and these records have features in the place of"
            " images; load the images, or give a model."
        )


def _drawn(quality: QualityConfig, purpose: int) -> torch.Generator:
    """Make a generator of the seed of this section: runs of other seeds get the same records."""
    return torch.Generator().manual_seed(3 * quality.seed + purpose)


def _out(keep: Tensor) -> str:
    return f"{int((~keep).sum()):,} of {len(keep):,} records are left out"


def _named(model: str) -> str:
    """Name a model without the folders of this machine."""
    return model.rstrip("/").rpartition("/")[2]
