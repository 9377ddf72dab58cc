"""One commit with all of the files, and one message for whatever is in its way."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

import ftrun

_REASONS = {
    400: "it does not take what it was sent",
    401: "it does not know the token. Make one at its settings, and log in: hf auth login, or HF_TOKEN",
    403: "the token may not write there. Take one that may, or another repository",
    404: "there is no such place",
    409: "somebody else is at work in that repository. Try again",
    413: "it does not take files of that size",
    429: "it has had too many requests. Try again later",
}


class Pushing:
    """What pushes to the Hugging Face Hub."""

    def push(self, files: Mapping[str, Path], repository: str, *, message: str, private: bool) -> str:
        """Make the repository, if it is not there, and commit the files to it; the address of the commit.

        Raises SpecError for a name that no repository can have, FtrunError for what the server refuses.
        """
        api = HfApi(endpoint=os.environ.get("HF_ENDPOINT", "").rstrip("/") or None)
        token = get_token()
        if not token:
            raise ftrun.FtrunError(
                f"there is no login for {api.endpoint}. Set HF_TOKEN to a token that may write, or run: hf auth login"
            )
        with _told(api.endpoint, repository, token), _quiet():
            repository = api.create_repo(repository, private=private, exist_ok=True).repo_id  # with its owner
            if private and not api.model_info(repository).private:
                raise ftrun.FtrunError(
                    f"{api.endpoint}/{repository} is there already, for all to see, and you asked for --private. "
                    "Nothing was pushed. Take another name, or make that one private first."
                )
            operations = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
            return str(api.create_commit(repository, operations, commit_message=message).commit_url)


@contextmanager
def _told(endpoint: str, repository: str, token: str) -> Iterator[None]:
    """Whatever the library raises, as one message, in which the token is not."""
    try:
        yield
    except ftrun.FtrunError:
        raise
    except HFValidationError as error:
        raise ftrun.SpecError(f"{repository}: is no name of a repository. {_line(error, token)}") from None
    except Exception as error:  # which class it is depends on the HTTP library that the client was built on
        cause = error if isinstance(error, HfHubHTTPError) else error.__cause__ or error
        raise ftrun.FtrunError(_message(endpoint, repository, cause, token)) from None


def _message(endpoint: str, repository: str, error: BaseException, token: str) -> str:
    if not isinstance(error, HfHubHTTPError):
        what = f"{type(error).__name__}: {_line(error, token)}"
        return f"{endpoint} cannot be reached, or does not answer as a hub does: {what}"
    status = error.response.status_code
    reason = _REASONS.get(status, "try again later" if status >= 500 else "it says no more")
    said = f" It says: {_shown(error.server_message, token)}" if error.server_message else ""
    return f"{endpoint} refuses {repository} ({status}): {reason}.{said}"


def _line(error: BaseException, token: str) -> str:
    return _shown(str(error) or type(error).__name__, token)


def _shown(text: str, token: str) -> str:
    """The first line, short, without the token."""
    first = next((line.strip() for line in text.replace(token, "***").splitlines() if line.strip()), "")
    return first if len(first) <= 300 else f"{first[:297]}..."


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of the library's own: what goes there has been listed."""
    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
