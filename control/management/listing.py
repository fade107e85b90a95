"""`manage.py help`: Pierhead's own commands, each with its line; Django's are a word away, for whoever needs them."""

from __future__ import annotations

from django.core.management import ManagementUtility, get_commands, load_command_class

APP = "control"
EVERYTHING = "--all"


class Listing(ManagementUtility):
    """Runs commands as Django does, and lists them as this program's user thinks of them."""

    def main_help_text(self, commands_only: bool = False) -> str:
        if commands_only or EVERYTHING in self.argv:
            return str(super().main_help_text(commands_only))
        if self.settings_exception is not None:
            return f"No command works before this is repaired: {self.settings_exception}"
        name = self.prog_name
        lines = [
            f"Usage: {name} COMMAND [ARGUMENTS]   [--data DIR before or after it: the data folder]",
            "",
            *_ours(),
            "",
            f"{name} help COMMAND     its arguments",
            f"{name} help {EVERYTHING}       Django's commands too",
        ]
        return "\n".join(lines)


def run(argv: list[str]) -> None:
    Listing(argv).execute()


def _ours() -> list[str]:
    """Sorted by name. A command's line is the first sentence of its own help page."""
    names = sorted(name for name, app in get_commands().items() if app == APP)
    width = max(map(len, names), default=0)
    return [f"  {name:<{width}}   {load_command_class(APP, name).help}" for name in names]
