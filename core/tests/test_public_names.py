import ftrun


def test_all_is_complete_sorted_and_importable():
    assert ftrun.__all__ == sorted(ftrun.__all__)
    for name in ftrun.__all__:
        assert getattr(ftrun, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(ftrun, "Nte")
