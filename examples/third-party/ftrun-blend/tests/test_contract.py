"""The plugin keeps ftrun's contract: one test for each property and part."""

from ftrun_devkit import check_plugin

test_contract = check_plugin("ftrun_blend")
test_contract_of_a_weight_for_each_sample = check_plugin("ftrun_blend", options={"blend": {"each": "sample"}})
