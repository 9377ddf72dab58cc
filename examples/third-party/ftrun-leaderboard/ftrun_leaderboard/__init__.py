"""Command `leaderboard`: the finished runs of a folder, the best first."""

import ftrun

FTRUN_API = "2.0"


@ftrun.hookimpl
def ftrun_commands() -> list[ftrun.Command]:
    target = "ftrun_leaderboard.command:leaderboard"
    return [ftrun.Command("leaderboard", "List the finished runs of a folder, the best first.", target)]
