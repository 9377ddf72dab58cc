"""The plugin keeps ftrun's contract: one test for each property and part."""

from ftrun_devkit import check_plugin

test_contract = check_plugin("ftrun_metrics", options={"top-k": {"k": 2}})  # of three classes
