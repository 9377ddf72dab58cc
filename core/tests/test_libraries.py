"""What a library raises on bad input is one message; a mistake of our own keeps its traceback."""

import json
from importlib.metadata import version
from types import SimpleNamespace

import pytest

import ftrun


def test_what_a_library_raises_is_one_message_with_its_cause():
    said = r"^x\.json is damaged: Expecting value: line 1 column 1"
    with pytest.raises(ftrun.SpecError, match=said) as error, ftrun.library_errors("x.json is damaged"):
        json.loads("")
    assert isinstance(error.value.__cause__, ValueError)
    with pytest.raises(ftrun.DataError, match=r"^it is gone: "), ftrun.library_errors("it is gone", ftrun.DataError):
        version("no such distribution")


@pytest.mark.parametrize("mistake", ["no_such_name", "json.no_such_name", "len(5)", "'a' + 1"])
def test_a_mistake_in_the_code_that_calls_it_stays_what_it_is(mistake):
    def call() -> None:
        eval(mistake, globals())

    with pytest.raises((NameError, AttributeError, TypeError)), ftrun.library_errors("the file is damaged"):
        call()


def test_the_same_kind_of_error_from_inside_a_library_is_the_files():
    said = "the file is damaged: the JSON object must be str"
    with pytest.raises(ftrun.SpecError, match=said), ftrun.library_errors("the file is damaged"):
        json.loads(SimpleNamespace())


def test_expected_errors_and_the_end_of_the_process_pass():
    for error in (ftrun.DataError("torn"), KeyboardInterrupt(), SystemExit(3)):
        with pytest.raises(type(error)), ftrun.library_errors("x"):
            raise error


def test_of_many_lines_the_first_that_says_something_counts():
    class Wordy(Exception):
        pass

    with pytest.raises(ftrun.SpecError, match=r"^x: first$"), ftrun.library_errors("x"):
        raise Wordy("\n\n  first\nsecond")
    with pytest.raises(ftrun.SpecError, match=r"^x: Wordy$"), ftrun.library_errors("x"):
        raise Wordy
