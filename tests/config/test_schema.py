import inspect

import pytest

from csp_core.config import TrainingConfig
from csp_core.config.schema import FAMILIES, GIVEN, Option, options, summary, training_options
from csp_core.errors import UnknownNameError
from csp_core.tables import option_names

ENTRIES = [(family, name) for family, (table, _) in FAMILIES.items() for name in table]
KINDS = {"bool", "int", "float", "text", "choice", "yaml"}


@pytest.mark.parametrize(("family", "name"), ENTRIES)
def test_every_component_says_what_it_is_and_what_its_options_are(family: str, name: str) -> None:
    assert summary(family, name).endswith(".")
    table, given = FAMILIES[family]
    found = options(family, name)
    assert {o.name: o.default for o in found} == {
        key: None if default is inspect.Parameter.empty else default
        for key, default in option_names(table[name], given=given).items()
        if key not in GIVEN.get(family, ())
    }
    for option in found:
        assert option.kind in KINDS
        assert option.help and "``" not in option.help, f"{name} does not document {option.name}"


def test_kinds_are_read_from_signatures() -> None:
    found = {option.name: option for option in options("objective", "image_softmax")}
    assert found["mode"].kind == "choice" and found["mode"].choices == ("full", "heads", "linear")
    assert found["label_smoothing"].kind == "float" and not found["label_smoothing"].nullable
    assert found["augmentation"].kind == "text" and found["augmentation"].nullable
    assert found["jitter_km"].kind == "yaml"
    root = options("data", "photos")[0]
    assert (root.name, root.kind, root.nullable) == ("root", "text", True)


def test_options_of_a_class_are_explained_by_those_it_is_built_on() -> None:
    found = {option.name: option.help for option in options("objective", "csp_mc")}
    assert "random" in found["num_random"].casefold()


def test_training_has_a_sentence_for_every_key() -> None:
    found = training_options()
    assert [option.name for option in found] == list(TrainingConfig.model_fields)
    assert all(option.help.endswith(".") for option in found)
    assert found[0] == Option("epochs", "int", 50, help=found[0].help)


def test_an_unknown_component_is_named() -> None:
    with pytest.raises(UnknownNameError, match="sphere_c"):
        options("location", "sphere_x")
