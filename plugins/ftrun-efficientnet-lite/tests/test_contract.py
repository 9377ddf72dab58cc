"""The plugin keeps ftrun's contract: one test for each property and part, and at each commit for the smallest net."""

import pytest

from ftrun_devkit import check_plugin

test_contract = check_plugin("ftrun_efficientnet_lite", input={"size": 32}, parts=["efficientnet-lite0"])
test_contract_of_larger_ones = pytest.mark.slow(
    check_plugin("ftrun_efficientnet_lite", input={"size": 32}, parts=["efficientnet-lite1", "efficientnet-lite2"])
)
