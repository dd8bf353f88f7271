"""What each page is for, in three sentences, and the way through all of them in a minute."""

from __future__ import annotations

from dataclasses import dataclass

from csp_core.store import ModelInfo


@dataclass(frozen=True)
class Stop:
    """A page as somebody meets it who has never seen it.

    Args:
        path: Its file, as Streamlit names it.
        title: What it is called.
        invites: What to do there, in a sentence of the tour.
        says: Three sentences for the first visit.
        of_records: The same for a model whose records are no recordings, where that differs by more
            than their name.
        of_none: The same for a model that came without counts of its records.
    """

    path: str
    title: str
    invites: str
    says: str
    of_records: str = ""
    of_none: str = ""

    def said_of(self, info: ModelInfo | None) -> str:
        """Give the sentences for a model; the usual ones without one."""
        if info is None:
            return self.says
        if self.of_none and not info.keeps_counts:
            return self.of_none
        return self.of_records or self.says if info.introduction.record else self.says


# In the order of the tour, by the name in the address.
TOUR = {
    "explore": Stop(
        "views/explore.py",
        "Explore",
        "Click the map: what is recorded there most?",
        "Click the map or type a place, and the list says what is recorded there. Its words rest on"
        " recordings that people made, not on a survey. Open a line of the list for its numbers.",
        "Click the map or type a place, and the list says what is likely there. It rests on the"
        " recordings near that place, which are counted. Open a line of the list for its numbers.",
        "Click the map or type a place, and the list says what to expect there. The model came"
        " without counts of recordings, so nobody can say what its scores rest on. Choose a name to"
        " see more of it here.",
    ),
    "range-map": Stop(
        "views/range_map.py",
        "Range map",
        "Pick one of them: where on Earth is it recorded?",
        "Pick a name, and the map shows where on Earth it is recorded. Hatched parts have too few"
        " recordings to say. A second name beside it compares the two.",
        of_none="Pick a name, and the map shows where on Earth it is recorded. The model came"
        " without counts of recordings, so no part is hatched. A second name beside it compares the"
        " two.",
    ),
    "few-shot": Stop(
        "views/few_shot.py",
        "From places",
        "Click a few places where you saw something: where else may it live?",
        "Click the map where you have seen a species, and it says where else it is like there. A"
        " handful of places is enough for a first guess, and places where you looked in vain help,"
        " too. Saved as a model, it stands on the other pages.",
    ),
    "photo": Stop(
        "views/photo.py",
        "Photo",
        "Give it a picture: what does it show, and what does its place add?",
        "Give a picture, or take one of the examples. The page says what the picture shows by"
        " itself, and what changes once its place counts too. Your pictures stay in memory and are"
        " written nowhere.",
    ),
    "segment": Stop(
        "views/segment.py",
        "Segment",
        "See a picture from above pixel by pixel: what covers the ground?",
        "Give a picture from above, such as a satellite's, or look at the example. The colours say"
        " what covers the ground, pixel by pixel; hatched parts are doubtful. Click one to see how"
        " sure that is, and what else in the picture looks like it.",
    ),
    "clusters": Stop(
        "views/clusters.py",
        "Clusters",
        "See what the model has learned of places: which are alike?",
        "The colours group places that the model sees as alike. Click one to find those like it,"
        " near and far. Nobody told the model of these groups: they are what it made of the"
        " recordings.",
    ),
    "train": Stop(
        "views/train.py",
        "Train",
        "Make a model of your own: half a minute on an invented world.",
        "Press Train in the sidebar: half a minute later there is a model of an invented world."
        " You may close the page meanwhile, as the run goes on without it. Your own recordings"
        " come in under New run.",
    ),
}
