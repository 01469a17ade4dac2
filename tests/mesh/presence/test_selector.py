from collections.abc import Callable

import pytest

from mesh.presence.beat import Beat
from mesh.presence.selector import InvalidSelector, Selector


@pytest.mark.parametrize(
    ("text", "is_meant"),
    [
        ("*", True),
        ("site=berlin", True),
        ("site=paris", False),
        ("site=berlin,role!=test", True),
        ("site=berlin, role!=camera", False),
        ("role!=test,role!=lab", True),
        ("missing=1", False),
        ("missing!=1", True),
        ("missing=", False),
        ("empty=", True),
        ("agent=pi-1", True),
        ("agent=pi-2", False),
        ("agent!=pi-2,site==berlin", True),
    ],
)
def test_a_selector_chooses_by_labels_and_id(beat: Callable[..., Beat], text: str, is_meant: bool) -> None:
    one = beat(labels={"site": "berlin", "role": "camera", "empty": "", "agent": "pi-2"})
    assert Selector.parse(text).matches(one) is is_meant


@pytest.mark.parametrize("text", ["", "site", "=berlin", "site=berlin,", "site=a=b", "*,site=a", "site~berlin"])
def test_what_is_no_selector_is_refused_with_how_one_looks(text: str) -> None:
    with pytest.raises(InvalidSelector, match="expected label=value or label!=value"):
        Selector.parse(text)


@pytest.mark.parametrize("text", ["*", "site=berlin,role!=test"])
def test_a_selector_is_shown_as_it_was_written(text: str) -> None:
    assert str(Selector.parse(text)) == text
