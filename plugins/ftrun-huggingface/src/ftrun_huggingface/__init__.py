"""Hub `huggingface`: the Hugging Face Hub, or a server of one's own that speaks its protocol."""

from typing import Any, Literal

import ftrun

FTRUN_API = "2.0"


class HuggingFace(ftrun.Hub):
    """The Hugging Face Hub, or the server that HF_ENDPOINT names; login by HF_TOKEN or `hf auth login`."""

    name: Literal["huggingface"]

    def build(self) -> Any:
        """An object that pushes. It reads the login only then."""
        from ftrun_huggingface.pushing import Pushing

        return Pushing()


@ftrun.hookimpl
def ftrun_hubs() -> list[type[ftrun.Hub]]:
    return [HuggingFace]
