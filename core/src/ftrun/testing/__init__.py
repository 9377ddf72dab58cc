"""For those who write plugins: a suite that says whether a plugin keeps ftrun's contract, and tiny parts to run.

    from ftrun.testing import check_plugin

    test_contract = check_plugin("ftrun_mynet")

Under pytest this is one test for each part and property; `ftrun check-plugin ftrun-mynet` is the same on the command
line. `tiny_run(tmp_path, optimizer="my-optimizer")` trains a tiny net for two epochs, in about a second.
"""

from ftrun.testing.run import TinyRun, tiny_run, tiny_spec
from ftrun.testing.subject import ContractError
from ftrun.testing.suite import Check, check_plugin, checks_of

__all__ = ["Check", "ContractError", "TinyRun", "check_plugin", "checks_of", "tiny_run", "tiny_spec"]
