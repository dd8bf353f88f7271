"""A model of a few animals that says the same of every picture and borrows the places of birds."""

from __future__ import annotations

from pathlib import Path

import torch

from csp_core.data.records import ClassTable
from csp_core.files import ASSETS
from csp_core.image import make_image_encoder
from csp_core.model import REST, Borrowed, DualEncoder, Heads
from csp_core.store import load_model, save_model

# A bunting of the Americas, a finch of Europe, two species of one class, a cat, and all else.
NAMES = ("Passerina cyanea", "Carduelis carduelis", "Junco", "Puma concolor", REST)
COMMON = ("indigo bunting", "European goldfinch", "juncos", "puma", "")
TAXA = ((NAMES[0],), (NAMES[1],), ("Junco hyemalis", "Junco phaeonotus"), (), ())
PROBS = (0.4, 0.3, 0.05, 0.15, 0.1)


def save_few_animals(folder: Path, probs: tuple[float, ...] = PROBS) -> Path:
    """Save the model as ``animals`` in a folder."""
    image = make_image_encoder("small_convnet", 4, bands=3)
    heads = Heads(image=None, classifiers=("image",), fine=6)
    table = ClassTable(NAMES, COMMON)
    model = DualEncoder(image, None, classes=table, name="animals", heads=heads)
    head = model.image_classifier
    assert head is not None
    fine = torch.tensor([*probs[:-1], probs[-1] / 2, probs[-1] / 2])
    with torch.no_grad():
        head.fine.weight.zero_()
        head.fine.bias.copy_(fine.log())
        head.group.copy_(torch.tensor([0, 1, 2, 3, 4, 4]))
    model.borrowed = Borrowed(load_model(ASSETS / "models" / "world_birds"), TAXA)
    return save_model(model, folder / "animals")
