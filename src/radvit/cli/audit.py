"""`radvit audit`: whether the audit log is whole, and what it says."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radvit.cli.commands import Commands
from radvit.errors import SomeInputsFailedError
from radvit.plural import counted

if TYPE_CHECKING:
    from radvit.audit import AuditLog

_COLUMNS = ("n", "time", "user", "event")
_CHAIN = ("previous", "hash")


def add(top: Commands) -> None:
    """The command line."""
    audit = top.add_parser("audit", help="verify and show the audit log")
    commands = audit.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], words: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words)
        where = "else RADVIT_AUDIT_LOG, else .radvit/audit.jsonl"
        one.add_argument("log", type=Path, nargs="?", metavar="LOG", help=where)
        one.add_argument("--key", type=Path, metavar="FILE", help="else RADVIT_AUDIT_KEY, else beside the log")
        one.set_defaults(run=run)
        return one

    verify = command("verify", audit_verify, "find any line that was changed, cut or moved")
    verify.add_argument("--head", metavar="HASH", help="what `radvit audit head` printed once, kept elsewhere")
    command("head", audit_head, "print the hash of the last line, to be kept elsewhere")
    show = command("show", audit_show, "print lines as a table")
    show.add_argument("--event", help="such as deid.file")
    show.add_argument("--patient", metavar="P-...", help="a pseudonym")
    show.add_argument("--last", type=int, default=20, metavar="N", help="at most so many, the latest (20); 0 for all")


def audit_verify(arguments: argparse.Namespace) -> None:
    """Find any line that was changed, cut or moved."""
    found = opened_log(arguments).examine(arguments.head)
    for fault in found.faults:
        print(fault, file=sys.stderr)
    if found.faults:
        raise SomeInputsFailedError("the audit log isn't as it was written: its faults are named above")
    if found.interrupted:
        left = found.interrupted
        lines, rest = counted(left.lines, "line"), counted(left.bytes, "byte")
        words = f"a write was interrupted: {lines} never came, {rest} of one left"
        print(f"{words}; the next entry will say so", file=sys.stderr)
    print(f"{counted(found.reached.lines, 'line')}, whole, head {found.reached.hash}")


def audit_head(arguments: argparse.Namespace) -> None:
    """Print the hash of the last line."""
    print(opened_log(arguments).head().hash)


def audit_show(arguments: argparse.Namespace) -> None:
    """Print the lines that were asked for."""
    from radvit.terminal import table

    log = opened_log(arguments)
    wanted = {name: getattr(arguments, name) for name in ("event", "patient") if getattr(arguments, name) is not None}
    chosen = (record for record in log.records() if all(record.get(name) == wanted[name] for name in wanted))
    records = deque(chosen, maxlen=arguments.last if arguments.last > 0 else None)
    rows = [(*cells(record), details(record)) for record in records]
    faults = log.verify()
    table([(*_COLUMNS, "details"), *rows], words=("time", "user", "event", "details"))
    if faults:
        print("this log isn't as it was written; run: radvit audit verify", file=sys.stderr)


def cells(record: Mapping[str, Any]) -> list[str]:
    """What every line says; the time to whole seconds."""
    return [str(record["n"]), f"{record['time'][:19]}Z", record["user"], record["event"]]


def details(record: Mapping[str, Any]) -> str:
    """A line's own fields as text."""
    own = {name: value for name, value in record.items() if name not in (*_COLUMNS, *_CHAIN)}
    return "  ".join(f"{name}={compact(value)}" for name, value in own.items())


def compact(value: Any) -> str:
    """A field as short text: of a list inside of an object its length, `actions=X:20,Z:5`."""
    match value:
        case dict():
            return ",".join(f"{name}:{len(v) if isinstance(v, list | dict) else v}" for name, v in value.items())
        case list():
            return ",".join(map(compact, value))
        case _:
            return str(value)


def opened_log(arguments: argparse.Namespace) -> AuditLog:
    """The log that a command names."""
    from radvit.audit import known_log

    return known_log(arguments.log, arguments.key)
