"""The marks of hooks: on what a plugin or an observer implements, and on what ftrun specifies."""

import pluggy

PROJECT = "ftrun"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
