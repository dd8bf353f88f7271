from csp_core.data.records import ClassTable
from shared.widgets import MOST_SHOWN, matching


def test_a_long_list_is_searched_by_either_name() -> None:
    names = tuple(f"Genus species{i}" for i in range(3000))
    common = tuple("Owl" if i == 2999 else "" for i in range(3000))
    classes = ClassTable(names, common)
    assert matching(classes, "owl", None) == (names[2999],)
    found = matching(classes, "", names[2500])
    assert len(found) == MOST_SHOWN + 1 and names[2500] in found
