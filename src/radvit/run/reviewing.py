"""`radvit review`: reports served on this machine alone, where a reader accepts, rejects and edits their findings."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from radvit import pages
from radvit.errors import ConfigError, DataError, RadvitError
from radvit.origin import now
from radvit.report import wording
from radvit.report.build import Report
from radvit.report.html import Picture
from radvit.report.json_read import from_dict
from radvit.report.overlay import decoded, jpeg
from radvit.report.recheck import study_folders
from radvit.report.review import (
    Action,
    Box,
    Entry,
    Review,
    coco,
    digest,
    next_number,
    read_review,
    reviewed,
    signed,
    with_entry,
    write_review,
)
from radvit.report.signed import SIGNED, changed_sentence, row, standing, to_signed
from radvit.report.write import FINDINGS, PAGE, picture_name, picture_order

HOSTS = ["127.0.0.1", "localhost", "[::1]"]
MOST_BYTES = 65536  # of a form that is sent
POLICY = (
    "default-src 'none'; img-src 'self'; style-src '{}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """One study with its review."""

    folder: Path
    report: Report
    review: Review


@dataclass(frozen=True, slots=True)
class Desk:
    """What the pages show and the forms change. output: a folder that infer.py wrote. token: in every form, so that no
    page of another site can send one.
    """

    output: Path
    language: str = "en"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def opened(self, name: str) -> Opened:
        """A study by its folder's name. Raises DataError where there is none, or it can't be read."""
        for folder in study_folders(self.output):
            if folder.name == name:
                return opened(folder)
        raise DataError(f"no study {name[:80]!r} in {self.output}")

    def listing(self) -> str:
        """The page of all studies, the most suspicious first."""
        w, rows = wording.words(self.language), []
        for folder in study_folders(self.output):
            try:
                one = opened(folder)
            except DataError as error:
                rows.append((2.0, {"name": folder.name, "patient": folder.name, "state": str(error)}))
                continue
            best = max((item.finding.score for item in one.report.findings), default=0.0)
            decided = len(one.review.decided())
            state = f"{decided} / {len(one.report.findings)}"
            if one.review.signed is not None and one.review.is_signed:
                state = standing(one.review, w)
            told = {"name": folder.name, "patient": one.report.patient or folder.name, "state": state}
            told["date"] = w.or_unknown(one.report.study_date)
            told["impression"] = w.table.get(f"band.{one.report.impression.value}", "")
            rows.append((best, {**told, "count": str(len(one.report.findings))}))
        rows.sort(key=lambda pair: -pair[0])
        return self._page(studies=[{"date": "", "count": "", "impression": "", **told} for _, told in rows])

    def page(self, name: str, reader: str = "", error: str = "") -> str:
        """The page of one study: its pictures, and a form for each finding."""
        one, w = self.opened(name), wording.words(self.language)
        report = one.report
        return self._page(
            study={"name": name, "patient": report.patient},
            standing=standing(one.review, w),
            changed=changed_sentence(report, one.review, w),
            rows=[row(report, found, w) for found in reviewed(report, one.review)],
            types=types_of(one),
            next_number=next_number(report, one.review),
            pictures=pictures_of(one),
            signed=(one.folder / SIGNED).is_file(),
            reader=reader,
            error=error,
        )

    def decide(self, name: str, number: int, form: dict[str, str]) -> None:
        """Keep a decision about a finding. Raises ConfigError where the form doesn't fit the report."""
        one = self.opened(name)
        entry = entry_of(number, form, one)
        write_review(one.folder, with_entry(one.review, one.report, entry))
        self.write_signed(self.opened(name))

    def sign(self, name: str, by: str) -> None:
        """Sign a study's review, and write report.signed.html. Raises ConfigError where something is undecided."""
        one = self.opened(name)
        write_review(one.folder, signed(one.review, one.report, by))
        self.write_signed(self.opened(name))

    def write_signed(self, one: Opened) -> None:
        """Write report.signed.html, where there is or was a signature: a later decision makes a draft of it again."""
        if one.review.signed is None:
            return
        shown = tuple(
            Picture(number, jpeg(decoded((one.folder / file).read_bytes()))) for file, number in pictures_of(one)
        )
        draft = one.folder / f".{SIGNED}.part"
        draft.write_text(to_signed(one.report, one.review, shown, self.language), encoding="utf-8")
        draft.replace(one.folder / SIGNED)

    def _page(self, **values: Any) -> str:
        given = {"study": None, "studies": [], "error": "", "reader": "", "signed": False, **values}
        return pages.load("radvit.report", "review").render(w=wording.words(self.language), token=self.token, **given)


def opened(folder: Path) -> Opened:
    """A study's folder with its review. Raises DataError where either can't be read."""
    try:
        data = (folder / FINDINGS).read_bytes()
        report = from_dict(json.loads(data))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder / FINDINGS}: can't be read ({type(error).__name__})") from error
    return Opened(folder, report, read_review(folder, digest(data)))


def types_of(one: Opened) -> list[str]:
    """What a finding may be called: what the model looks for, and what readers called one before."""
    used = (found.type for found in reviewed(one.report, one.review))
    return list(dict.fromkeys([*one.report.looked_for, *used])) or ["lesion"]


def pictures_of(one: Opened) -> list[tuple[str, int]]:
    """Names of a study's pictures, with the number of the image that each shows."""
    named = [(picture_name(place), number) for place, number in enumerate(picture_order(one.report), start=1)]
    return [(name, number) for name, number in named if (one.folder / name).is_file()]


def entry_of(number: int, form: dict[str, str], one: Opened) -> Entry:
    """A form's decision; only what differs from what stands is a change. Raises ConfigError for what is no decision."""
    try:
        action = Action(form.get("action", ""))
    except ValueError:
        raise ConfigError("choose accepted, rejected or changed") from None
    given = Entry(number, action, form.get("by", "").strip(), now(), note=form.get("note", "").strip())
    if action not in (Action.EDIT, Action.ADD):
        return given
    stands = next((found for found in reviewed(one.report, one.review) if found.number == number), None)
    kind, side, box = form.get("type") or None, form.get("side") or None, box_of(form.get("box", ""))
    shown = row(one.report, stands, wording.words("en")) if stands else {}
    same_box = form.get("box", "").strip() == shown.get("box")
    if action is Action.EDIT and stands is not None:
        kind = None if kind == stands.type else kind
        side = None if side == stands.side else side
        box = None if same_box else box
        if kind is None and side is None and box is None:
            raise ConfigError(f"finding {number}: nothing was changed; accept it, or change its type, side or box")
    image = int(form["image"]) if action is Action.ADD and form.get("image", "").isdigit() else None
    return replace(given, type=kind, side=side, box_px=box, image=image)


def box_of(text: str) -> Box | None:
    """Four numbers as a box, None where there is nothing. Raises ConfigError for anything else."""
    if not text.strip():
        return None
    try:
        x1, y1, x2, y2 = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ConfigError(f"box {text[:80]!r}; expected four numbers: left, top, right, bottom") from None
    return x1, y1, x2, y2


def export(output: Path) -> tuple[dict[str, Any], int, int]:
    """Signed reviews below a folder as COCO truth; how many were signed, and how many studies there are."""
    studies = [opened(folder) for folder in study_folders(output)]
    done = [(one.report, one.review) for one in studies if one.review.is_signed]
    return coco(done), len(done), len(studies)


def application(desk: Desk) -> Starlette:
    """The pages and forms over HTTP."""

    async def listing(request: Request) -> Response:
        return _html(await run_in_threadpool(desk.listing))

    async def study(request: Request) -> Response:
        name, reader = request.path_params["name"], request.cookies.get("reader", "")
        return await run_in_threadpool(_answer, desk, name, reader, "")

    async def file(request: Request) -> Response:
        return await run_in_threadpool(_file, desk, request.path_params["name"], request.path_params["file"])

    async def change(request: Request) -> Response:
        name, number = request.path_params["name"], request.path_params.get("number")
        form = await _form(request)
        if not secrets.compare_digest(form.get("token", ""), desk.token):
            return PlainTextResponse("this form is not one of this session's pages: load the page again", 403)
        return await run_in_threadpool(_change, desk, name, number, form)

    routes = [
        Route("/", listing),
        Route("/study/{name}", study),
        Route("/study/{name}/sign", change, methods=["POST"]),
        Route("/study/{name}/findings/{number:int}", change, methods=["POST"]),
        Route("/study/{name}/{file}", file),
    ]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)])


def _change(desk: Desk, name: str, number: int | None, form: dict[str, str]) -> Response:
    """Do what a form asks, and show the study again."""
    by = form.get("by", "").strip()
    try:
        if number is None:
            desk.sign(name, by)
        else:
            desk.decide(name, number, form)
    except ConfigError as error:
        return _answer(desk, name, by, str(error), 400)
    except RadvitError as error:
        return PlainTextResponse(str(error), 404)
    response = RedirectResponse(f"/study/{name}" + (f"#finding-{number}" if number else ""), 303)
    response.set_cookie("reader", by.encode("ascii", "ignore").decode()[:200], httponly=True, samesite="strict")
    return response


def _answer(desk: Desk, name: str, reader: str, error: str, status: int = 200) -> Response:
    try:
        return _html(desk.page(name, reader, error), status)
    except DataError as broken:
        return PlainTextResponse(str(broken), 404)


def _file(desk: Desk, name: str, file: str) -> Response:
    """A picture or a page of a study; nothing else of its folder is given out."""
    try:
        one = desk.opened(name)
    except DataError as error:
        return PlainTextResponse(str(error), 404)
    known = {*(picture for picture, _ in pictures_of(one)), PAGE, SIGNED}
    if file not in known or not (one.folder / file).is_file():
        return PlainTextResponse("no such file", 404)
    return FileResponse(one.folder / file, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, the last one of each name; nothing of one that is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def _html(page: str, status: int = 200) -> HTMLResponse:
    policy = POLICY.format(pages.load("radvit.report", "review").style_hash)
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    return HTMLResponse(page, status, headers=headers)
