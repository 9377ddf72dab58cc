"""Finding and loading plugins: by entry point, one by one, each failure kept with its cause.

entrypoints what is installed, read from its metadata
load       installed plugins, and a project's own file of parts
contract   what a plugin's module has to be
apiversion which API a plugin was written for
catalogue  parts by role and name, who offers them, who clashes
selection  FTRUN_PLUGINS and FTRUN_STRICT_PLUGINS
heavy      what must not be imported with a plugin
localparts a file of parts without a distribution, and whether it may run; `neighbours`, what it imports from its folder
building   calling a part's build(); `built`, the checks of what it returns
"""
