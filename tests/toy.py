"""A small invented model, for tests of the app that need one and not a good one."""

from __future__ import annotations

from pathlib import Path

import torch

from csp_core import geo
from csp_core.checkpoint import save_model
from csp_core.data.records import ClassTable
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.support import Support

NAIROBI, VIENNA = (36.8, -1.3), (16.4, 48.2)
# The last name holds what Markdown and HTML would read as their own.
SPECIES = (
    ("Inventa nairobica", "Nairobi Inventor", NAIROBI),
    ("Inventa kenyensis", "Kenya Inventor", NAIROBI),
    ("Fabula alta", "", NAIROBI),
    ("Ficta viennensis", "Vienna Ficton", VIENNA),
    ("Ficta danubia", "Danube Ficton", VIENNA),
    ("Nomen <b>malum</b>", "Bad *name* [x](y) $z$", VIENNA),
)
PER_SPECIES = 90


def save_toy_model(folder: Path, name: str = "toy", *, train_steps: int = 80) -> Path:
    """Train an invented model for a moment and save it.

    Args:
        folder: The folder of models.
        name: Its name.
        train_steps: Steps of Adam.

    Returns:
        The model's directory.
    """
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(len(SPECIES)).repeat_interleave(PER_SPECIES)
    centre = torch.tensor([place for _, _, place in SPECIES])[label]
    lonlat = geo.jitter(centre, 150.0, torch.rand(len(label), 2, generator=generator))
    classes = ClassTable(
        tuple(row[0] for row in SPECIES),
        tuple(row[1] for row in SPECIES),
        (PER_SPECIES,) * len(SPECIES),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = make_location_encoder("sphere_c", dim=16, num_scales=4)
        model = DualEncoder(None, encoder, dim=16, classes=classes, name=name)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(train_steps):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model.class_logits(lonlat), label).backward()
            optimiser.step()
    model.support = Support.from_records(lonlat, label, len(classes))
    card = (
        f"---\ntitle: Invented birds\nsummary: For tests.\nlicense: none\n---\n\n# {name}\n\n"
        "Six invented species near two cities.\n"
    )
    texts = {"README.md": card, "ATTRIBUTION": "Records by nobody.\n"}
    return save_model(model.eval(), folder / name, texts=texts)
