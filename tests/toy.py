"""A small invented model, for tests of the app that need one and not a good one."""

from __future__ import annotations

from pathlib import Path

import torch

from csp_core import geo
from csp_core.data.records import ClassTable
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Support
from csp_core.store import save_model

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


def save_strange_models(folder: Path) -> None:
    """Save models of places that cannot be grouped, or of which little can be said.

    Args:
        folder: The folder of models: ``unary`` ranks one class, ``unreal`` gives what is no number,
            ``uniform`` gives every place the same vector.
    """
    for name, classes in (
        ("unary", ("Solus unicus",)),
        ("unreal", ("a", "b")),
        ("uniform", ("a", "b")),
    ):
        encoder = make_location_encoder("sphere_c", 8, num_scales=2)
        model = DualEncoder(None, encoder, dim=8, classes=classes, name=name)
        with torch.no_grad():
            if name == "unreal":
                # Finite, or the file would be refused; what comes out is not.
                for weight in encoder.parameters():
                    weight.fill_(3e38)
            elif name == "uniform":
                for weight in encoder.parameters():
                    weight.zero_()
                list(encoder.parameters())[-1].fill_(1.0)
        save_model(model.eval(), folder / name)


def save_toy_model(
    folder: Path,
    name: str = "toy",
    *,
    train_steps: int = 80,
    seasons: bool = False,
    weeks: bool = False,
    data_set: str = "occurrences",
) -> Path:
    """Train an invented model for a moment and save it.

    Args:
        folder: The folder of models.
        name: Its name.
        train_steps: Steps of Adam.
        seasons: Whether it knows the date; at each city the first species is then recorded around
            New Year, the second around July, the third at any time.
        weeks: Whether it knows them, 48 a year, and keeps no counts, as an imported one does.
        data_set: What it is said to be trained on, which tells whether its classes are species.

    Returns:
        The model's directory.
    """
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(len(SPECIES)).repeat_interleave(PER_SPECIES)
    centre = torch.tensor([place for _, _, place in SPECIES])[label]
    lonlat = geo.jitter(centre, 150.0, torch.rand(len(label), 2, generator=generator))
    peak = torch.tensor([0.0, 0.5, 0.0])[label % 3]
    width = torch.tensor([0.1, 0.1, 1.0])[label % 3]
    date = (peak + width * (torch.rand(len(label), generator=generator) - 0.5)) % 1
    classes = ClassTable(
        tuple(row[0] for row in SPECIES),
        tuple(row[1] for row in SPECIES),
        (PER_SPECIES,) * len(SPECIES),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = make_location_encoder("sphere_c", dim=16, num_scales=4,
                                        time={"weeks": 48} if weeks else seasons)  # fmt: skip
        model = DualEncoder(None, encoder, dim=16, classes=classes, name=name)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(train_steps):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model.class_logits(lonlat, date), label).backward()
            optimiser.step()
    model.support = None if weeks else Support.from_records(lonlat, label, len(classes))
    card = (
        "---\ntitle: Invented birds\nsummary: For tests.\nlicense: none\nintroduction:\n"
        "  examples: [{name: Nairobi, lon: 36.8, lat: -1.3}]\n---\n\n"
        f"# {name}\n\n"
        "Six invented species near two cities.\n"
    )
    texts = {"README.md": card, "ATTRIBUTION": "Records by nobody.\n"}
    provenance = {"config": {"data": {"name": data_set}}}
    return save_model(model.eval(), folder / name, texts=texts, provenance=provenance)


def save_demo_model(folder: Path, name: str = "demo", *, train_steps: int = 110) -> Path:
    """Train a model of images and places on the invented world ``demo`` for seconds, and save it.

    Args:
        folder: The folder of models.
        name: Its name.
        train_steps: Steps of Adam.

    Returns:
        The model's directory.
    """
    from csp_core.data.sets.demo import DemoWorld
    from csp_core.evaluation import fit_calibration, score
    from csp_core.image import make_image_encoder
    from csp_core.image.stats import ImageStats
    from csp_core.model import Heads

    world = DemoWorld(0)
    records, held = world.sample(2000, 3), world.sample(400, 4)
    # Places cost little, so there are more of them.
    many = world.sample(20_000, 3, images=False)
    for part in (records, held):
        # As a file of 8 bits holds them.
        part.image.clamp_(0, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = make_image_encoder("small_convnet", None, width=8)
        place = make_location_encoder("sphere_c_plus", dim=48, num_scales=8, time=True)
        heads = Heads(classifiers=("image", "location"))
        model = DualEncoder(image, place, dim=48, classes=records.classes, name=name, heads=heads)
        for steps, part, batch in ((train_steps, records, 64), (4 * train_steps, many, 512)):
            optimiser = torch.optim.Adam(model.parameters(), lr=0.004)
            for rows in torch.randint(len(part), (steps, batch)):
                optimiser.zero_grad()
                if part is records:
                    logits = model.image_logits(records.image[rows])
                else:
                    logits = model.class_logits(many.lonlat[rows], many.date[rows])
                torch.nn.functional.cross_entropy(logits, part.label[rows]).backward()
                optimiser.step()
    model.eval()
    fit_calibration(model, score(model, held))
    model.image_stats = ImageStats.of(records.image)
    model.support = Support.from_records(many.lonlat, many.label, len(many.classes))
    card = "---\ntitle: Invented pictures\nsummary: For tests.\nlicense: none\n---\n\n# demo\n"
    return save_model(model, folder / name, texts={"README.md": card})
