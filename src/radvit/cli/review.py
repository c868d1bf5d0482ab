"""`radvit review ...`: readers' decisions about a batch of reports."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from radvit.cli.commands import Commands
from radvit.plural import counted

log = logging.getLogger(__name__)


def add(commands: Commands) -> None:
    """The command line."""
    words = "serve a batch of reports on this machine, to accept, reject, edit and sign their findings"
    one = commands.add_parser("review", help=words, description=f"{words.capitalize()}: docs/review.md.")
    one.add_argument("folder", type=Path, metavar="DIR", help="an output folder of infer.py")
    one.add_argument("--port", type=int, default=8321, help="on 127.0.0.1 (default: %(default)s)")
    one.add_argument("--language", choices=("en", "zh"), help="of the pages (default: that of the reports)")
    one.add_argument("--export", type=Path, metavar="FILE", help="write signed reviews as COCO, serve nothing")
    one.set_defaults(run=review)


def review(arguments: argparse.Namespace) -> None:
    """Serve until interrupted, or export."""
    from radvit.errors import ConfigError
    from radvit.report.recheck import study_folders
    from radvit.run.reviewing import Desk, application, export

    if next(study_folders(arguments.folder), None) is None:
        raise ConfigError(f"{arguments.folder}: no reports; expected an output folder of infer.py")
    if arguments.export:
        truth, done, all_ = export(arguments.folder)
        if not done:
            raise ConfigError(f"{arguments.folder}: none of {counted(all_, 'study', 'studies')} has a signed review")
        arguments.export.write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        boxes = counted(len(truth["annotations"]), "box", "boxes")
        print(f"wrote {arguments.export}: {boxes} on {counted(len(truth['images']), 'image')}; {done} of {all_} signed")
        return
    import uvicorn

    desk = Desk(arguments.folder, arguments.language or language_of(arguments.folder))
    print(f"reviewing {arguments.folder} at http://127.0.0.1:{arguments.port}/ (Ctrl+C ends it)", flush=True)
    uvicorn.run(application(desk), host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)


def language_of(folder: Path) -> str:
    """The language that a folder's reports are in, English where that isn't told."""
    try:
        return str(json.loads((folder / "setting.json").read_text(encoding="utf-8"))["language"])
    except (OSError, ValueError, KeyError, TypeError):
        return "en"
