"""Second views of a caption: words left out, swapped, or replaced by others that mean the same."""

from __future__ import annotations

import torch

# Words of captions of places and pictures; each group means the same.
GROUPS = (
    ("picture", "image", "photo", "photograph", "view", "scene"),
    ("seen", "viewed", "pictured", "shown"),
    ("near", "around", "beside", "by"),
    ("above", "overhead"),
    ("satellite", "orbital"),
    ("aerial", "airborne"),
    ("area", "region", "zone"),
    ("place", "spot", "location", "site"),
    ("land", "ground", "terrain"),
    ("forest", "woodland", "woods", "forested"),
    ("tree", "trees"),
    ("crop", "crops"),
    ("field", "fields", "farmland", "cropland"),
    ("annual", "yearly"),
    ("permanent", "perennial", "lasting"),
    ("meadow", "meadows", "grassland", "grass"),
    ("pasture", "pastures", "grazing"),
    ("herbaceous", "grassy"),
    ("vegetation", "plants", "greenery"),
    ("shrub", "shrubs", "scrub", "bush"),
    ("highway", "motorway", "freeway"),
    ("road", "street", "roadway"),
    ("industrial", "factory"),
    ("industry", "factories"),
    ("residential", "housing", "homes"),
    ("building", "buildings", "structure", "structures"),
    ("house", "houses", "dwelling", "dwellings"),
    ("city", "town", "municipality"),
    ("village", "hamlet", "settlement"),
    ("urban", "built-up"),
    ("rural", "countryside"),
    ("river", "stream", "waterway"),
    ("lake", "reservoir", "pond"),
    ("sea", "ocean"),
    ("water", "waters"),
    ("coast", "shore", "seaside"),
    ("beach", "sand"),
    ("mountain", "mountains", "peak", "peaks"),
    ("hill", "hills", "rise"),
    ("valley", "vale", "dale"),
    ("desert", "wasteland"),
    ("ice", "glacier"),
    ("snow", "snowy"),
    ("bare", "barren"),
    ("vineyard", "vineyards"),
    ("orchard", "orchards"),
    ("big", "large", "great"),
    ("small", "little", "tiny"),
    ("bird", "birds"),
    ("animal", "animals", "creature"),
    ("plant", "flower", "herb"),
    ("taken", "made", "captured", "recorded"),
    ("located", "lying", "situated"),
    ("close", "next"),
    ("covered", "coated"),
    ("showing", "depicting", "displaying"),
)
SYNONYMS = {word: tuple(w for w in group if w != word) for group in GROUPS for word in group}
# Part of the words that a change touches; at least one.
TOUCHED = 0.1


def change_caption(caption: str, generator: torch.Generator) -> str:
    """Change a caption in one of three ways, drawn anew: synonyms, words swapped, words left out.

    Args:
        caption: The caption.
        generator: Source of random numbers.

    Returns:
        The other caption; as it was where it has one word or none that the change could touch.

    Source:
        Wei & Zou 2019, EDA, as in Li et al. 2022, DeCLIP; the table of synonyms is our own.

    Example:
        >>> generator = torch.Generator().manual_seed(7)
        >>> change_caption("a picture of a small forest near Bern", generator)
        'a view of a small forest near Bern'
    """
    words = caption.split()
    if len(words) < 2:
        return caption
    many = max(1, round(TOUCHED * len(words)))
    change = (_replace, _swap, _drop)[_draw(3, generator)]
    return " ".join(change(words, many, generator))


def _replace(words: list[str], many: int, generator: torch.Generator) -> list[str]:
    found = [at for at, word in enumerate(words) if _bare(word).lower() in SYNONYMS]
    chosen = torch.randperm(len(found), generator=generator)[:many].tolist()
    changed = list(words)
    for at in (found[number] for number in chosen):
        bare = _bare(words[at])
        others = SYNONYMS[bare.lower()]
        other = others[_draw(len(others), generator)]
        changed[at] = words[at].replace(bare, other.capitalize() if bare[0].isupper() else other)
    return changed


def _swap(words: list[str], many: int, generator: torch.Generator) -> list[str]:
    changed = list(words)
    for _ in range(many):
        a, b = torch.randperm(len(words), generator=generator)[:2].tolist()
        changed[a], changed[b] = changed[b], changed[a]
    return changed


def _drop(words: list[str], many: int, generator: torch.Generator) -> list[str]:
    dropped = set(torch.randperm(len(words), generator=generator)[:many].tolist())
    return [word for at, word in enumerate(words) if at not in dropped]


def _bare(word: str) -> str:
    return word.strip(".,;:!?()\"'")


def _draw(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (1,), generator=generator))
