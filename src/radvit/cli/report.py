"""`radvit report ...`: whether reports say what their findings.json says, and the schema of that file."""

from __future__ import annotations

import argparse
from pathlib import Path

from radvit.cli.commands import Commands
from radvit.plural import counted


def add(commands: Commands) -> None:
    """The command line."""
    report = commands.add_parser("report", help="check the reports of a folder, print the schema of findings.json")
    kinds = report.add_subparsers(title="what is done", required=True, metavar="WHAT")
    words = "read every form of every report back, and compare it with findings.json"
    one = kinds.add_parser("check", help=words, description=f"{words.capitalize()}: docs/reports.md.")
    one.add_argument("folder", type=Path, metavar="DIR", help="an output folder of infer.py, or one study's folder")
    one.set_defaults(run=check)
    words = "print the JSON Schema of findings.json"
    two = kinds.add_parser("schema", help=words, description=f"{words.capitalize()}: docs/reports.md.")
    two.set_defaults(run=schema)


def check(arguments: argparse.Namespace) -> None:
    """Check every study, name what differs, and say how many do."""
    from radvit.errors import ConfigError, DataError, SomeInputsFailedError
    from radvit.report.recheck import folder_differences, study_folders

    folders = list(study_folders(arguments.folder))
    if not folders:
        raise ConfigError(f"{arguments.folder}: no reports; expected an output folder of infer.py")
    wrong = 0
    for folder in folders:
        try:
            found = folder_differences(folder)
        except DataError as error:
            found = [str(error)]
        wrong += bool(found)
        for what in found:
            print(f"{folder.name}: {what}")
    if wrong:
        raise SomeInputsFailedError(f"{wrong} of {counted(len(folders), 'report')} differ from findings.json")
    print(f"{counted(len(folders), 'report')}: every form says what findings.json says")


def schema(arguments: argparse.Namespace) -> None:
    """Print the schema."""
    from radvit.report.schema import schema_text

    print(schema_text(), end="")
