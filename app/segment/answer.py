"""What the model says of the scene, asked once for each scene and model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from csp_core.errors import BadRecordError
from csp_core.raster.scenes import (
    LearnedScene,
    SeenScene,
    check_takes,
    learn,
    legend_of,
    see,
    unlike,
)
from csp_core.store import ModelInfo
from segment.chosen import Chosen
from segment.colours import class_colours
from shared import resources
from shared.visits import own

# In the session's state: the answer to the scene that is shown.
KEPT = "answer"


@dataclass(eq=False)
class Answer:
    """What a model says of a scene; parts that take long are made when they are first asked for.

    Args:
        info: The model.
        chosen: The scene.
        problem: Why the model cannot take it, ``""`` if it can.
        reasons: What speaks against relying on the answer.
        made: What was made so far, by name.
    """

    info: ModelInfo
    chosen: Chosen
    problem: str = ""
    reasons: tuple[str, ...] = ()
    made: dict[Any, Any] = field(default_factory=dict)

    @property
    def seen(self) -> SeenScene:
        """Classes, areas and doubt."""
        facts = self.chosen.scene.facts
        said = f"Looking at {facts.width:,} × {facts.height:,} pixels …"
        seen: SeenScene = self.once("seen", self._see, said)
        return seen

    def _see(self) -> SeenScene:
        model = self._model()
        legend = legend_of(self.info.directory, model.classes)
        seen = see(model, self.chosen.scene, self.chosen.ground, legend)
        # Files shall have the colours of the page.
        return seen.coloured(class_colours(seen.names))

    @property
    def learned(self) -> LearnedScene:
        """What the model makes of the parts of the scene."""
        model, scene = self._model(), self.chosen.scene
        said = "Comparing the parts of the scene …"
        learned: LearnedScene = self.once("learned", lambda: learn(model, scene), said)
        return learned

    def once(self, name: Any, make: Callable[[], Any], said: str = "") -> Any:
        """Make a part, or give it as it was made before.

        Args:
            name: Tells it from the others.
            make: Makes it.
            said: What is shown meanwhile, or ``""``.

        Returns:
            The part.
        """
        if name not in self.made:
            if said:
                with st.spinner(said):
                    self.made[name] = make()
            else:
                self.made[name] = make()
        return self.made[name]

    def _model(self) -> Any:
        return resources.model(self.info)


def ask(info: ModelInfo, chosen: Chosen) -> Answer:
    """Ask a model about a scene, or give what it said before.

    Args:
        info: The model.
        chosen: The scene.

    Returns:
        The answer.
    """
    state, key = st.session_state, (resources.content_hash(info), chosen.key)
    if chosen.example:
        return _of_example(*key, info, chosen)
    kept: tuple[Any, Answer] | None = state.get(own(KEPT))
    if kept is None or kept[0] != key:
        # An upload is this session's alone, and one answer may take a hundred megabytes.
        kept = state[own(KEPT)] = (key, _begin(info, chosen))
    return kept[1]


@st.cache_resource(show_spinner=False, max_entries=3)
def _of_example(content: str, scene: str, _info: ModelInfo, _chosen: Chosen) -> Answer:
    return _begin(_info, _chosen)


def _begin(info: ModelInfo, chosen: Chosen) -> Answer:
    model = resources.model(info)
    try:
        check_takes(model, chosen.scene)
    except BadRecordError as error:
        return Answer(info, chosen, problem=str(error))
    learned = info.introduction.metres
    return Answer(info, chosen, reasons=unlike(model, chosen.scene, chosen.ground, learned))
