from plugins.scalar import scalar_texts


def test_what_is_not_text_is_written_as_json() -> None:
    assert scalar_texts({"a": "x", "b": True, "c": 1.5, "d": 7}) == {"a": "x", "b": "true", "c": "1.5", "d": "7"}
