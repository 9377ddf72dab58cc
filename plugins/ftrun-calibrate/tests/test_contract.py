"""The plugin keeps ftrun's contract: one test for each property and command."""

from ftrun_devkit import check_plugin

test_contract = check_plugin("ftrun_calibrate")
