import pytest

from ftrun.contracts.printable import cell, printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ant 1", "ant 1"),
        ("\u86c7 \u0645\u06cc\u200c\u062e\u0648 \U0001f469\u200d\U0001f680", None),  # scripts and emoji that join
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\x9b2Jb", "a\\x9b2Jb"),
        ("a\nb\rc", "a\\x0ab\\x0dc"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("\ufeffa\u200b", "\\ufeffa\\u200b"),
        ("a\udce9", "a\\udce9"),
    ],
)
def test_a_terminal_has_nothing_to_obey(text, shown):
    assert printable(text) == (text if shown is None else shown)


def test_lines_stay_lines():
    assert printable_lines("a\x07\nb") == "a\\x07\nb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+a", "'+a"),
        ("@a", "'@a"),
        ("\t=1", "'\t=1"),
        ("-1.5", "-1.5"),
        ("-a", "'-a"),
        ("a=1", "a=1"),
    ],
)
def test_a_cell_is_no_formula(text, expected):
    assert cell(text) == expected
