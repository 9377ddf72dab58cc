"""The plugin keeps ftrun's contract: one test for each property and part."""

from ftrun_devkit import check_plugin

test_contract = check_plugin("ftrun_goal", options={"goal": {"at_most": 0.0}})
test_contract_of_one_that_ends_at_once = check_plugin("ftrun_goal", options={"goal": {"at_most": 1e9}})
