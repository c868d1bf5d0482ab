"""`radvit review`: reports served on this machine alone, where a reader accepts, rejects and edits their findings."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, quote, unquote

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
from radvit.report.signed import SIGNED, changed_sentence, row, standing, tag, to_signed
from radvit.report.write import FINDINGS, PAGE, page_pictures

HOSTS = ["127.0.0.1", "localhost", "[::1]"]
MOST_BYTES = 65536  # of a form that is sent
POLICY = "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"  # the page itself says what it may load
FIELDS = ("action", "type", "side", "box", "note", "image")


@dataclass(frozen=True, slots=True)
class Opened:
    """One study with its review."""

    folder: Path
    report: Report
    review: Review

    def pictures(self) -> tuple[Picture, ...]:
        """The study's pictures, without marks where its page holds them so."""
        return page_pictures(self.folder, self.report)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the pages show and the forms change. output: a folder that infer.py wrote. token: in every form, so that no
    page of another site can send one. lock: held while a decision is written, so that two at once are both kept.
    """

    output: Path
    language: str = "en"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    lock: Lock = field(default_factory=Lock, compare=False, repr=False)

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

    def page(self, name: str, reader: str = "", error: str = "", typed: dict[str, str] | None = None) -> str:
        """The page of one study: its pictures, and a form for each finding.

        typed: the fields of a form that didn't fit, and its finding's number, so that nobody has to type them again.
        """
        one, w = self.opened(name), wording.words(self.language)
        report, typed = one.report, typed or {}
        images = {image.number: image for image in report.images}
        rows = [row(report, found, w) for found in reviewed(report, one.review)]
        number = next_number(report, one.review)
        new: dict[str, Any] = {"number": number, "action": "add", "corners": None}
        pictures = [(picture.image, images[picture.image].geometry) for picture in one.pictures()]
        new["tag"] = tag(number, None, pictures[0][1]) if pictures else None
        for form in (*rows, new):
            form["form"] = {key: form.get(key, "") for key in FIELDS}
            if str(form["number"]) == typed.get("number"):
                form["form"] |= {key: typed[key] for key in FIELDS if key in typed}
        return self._page(
            study={"name": name, "patient": report.patient},
            standing=standing(one.review, w),
            changed=changed_sentence(report, one.review, w),
            rows=rows,
            new=new,
            types=types_of(one),
            pictures=pictures,
            signed=(one.folder / SIGNED).is_file(),
            reader=reader,
            error=error,
        )

    def decide(self, name: str, number: int, form: dict[str, str]) -> None:
        """Keep a decision about a finding. Raises ConfigError where the form doesn't fit the report."""
        with self.lock:
            one = self.opened(name)
            entry = entry_of(number, form, one)
            write_review(one.folder, with_entry(one.review, one.report, entry))
            self.write_signed(self.opened(name))

    def sign(self, name: str, by: str) -> None:
        """Sign a study's review, and write report.signed.html. Raises ConfigError where something is undecided."""
        with self.lock:
            one = self.opened(name)
            write_review(one.folder, signed(one.review, one.report, by))
            self.write_signed(self.opened(name))

    def write_signed(self, one: Opened) -> None:
        """Write report.signed.html, where there is or was a signature: a later decision makes a draft of it again."""
        if one.review.signed is None:
            return
        draft = one.folder / f".{SIGNED}.part"
        draft.write_text(to_signed(one.report, one.review, one.pictures(), self.language), encoding="utf-8")
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


def entry_of(number: int, form: dict[str, str], one: Opened) -> Entry:
    """A form's decision; only what differs from what was first said of the finding is a change.

    Raises ConfigError for what is no decision, and where an accepted finding's fields were changed.
    """
    try:
        action = Action(form.get("action", ""))
    except ValueError:
        raise ConfigError("choose accepted, rejected or changed") from None
    given = Entry(number, action, form.get("by", "").strip(), now(), note=form.get("note", "").strip())
    if form.get("type") and form["type"] not in types_of(one):
        raise ConfigError(f"type {form['type'][:80]!r}; expected one of {', '.join(types_of(one))}")
    if action is Action.ADD:
        image = int(form["image"]) if form.get("image", "").isdecimal() else None
        box = box_of(form.get("box", ""))
        return replace(given, type=form.get("type") or None, side=form.get("side") or None, box_px=box, image=image)
    if action is Action.REJECT:
        return given
    added = tuple(entry for entry in one.review.entries if entry.action is Action.ADD)
    if action is Action.ACCEPT:
        if any(_changes(number, form, one, one.review)):
            raise ConfigError(f"finding {number}: its type, side or box was changed; choose changed, not accepted")
        return given
    kind, side, box = _changes(number, form, one, replace(one.review, entries=added))
    if kind is None and side is None and box is None:
        raise ConfigError(f"finding {number}: nothing was changed; accept it, or change its type, side or box")
    return replace(given, type=kind, side=side, box_px=box)


def _changes(
    number: int, form: dict[str, str], one: Opened, review: Review
) -> tuple[str | None, str | None, Box | None]:
    """What a form says other than a finding stands after a review: type, side and box, None for what is the same."""
    kind, side, text = form.get("type") or None, form.get("side") or None, form.get("box", "").strip()
    stands = next((found for found in reviewed(one.report, review) if found.number == number), None)
    if stands is None:
        return kind, side, box_of(text)
    same_box = text == row(one.report, stands, wording.words("en"))["box"]
    return (
        None if kind == stands.type else kind,
        None if side == stands.side else side,
        None if same_box else box_of(text),
    )


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
        name, reader = request.path_params["name"], unquote(request.cookies.get("reader", ""))
        return await run_in_threadpool(_answer, desk, name, reader, "")

    async def file(request: Request) -> Response:
        return await run_in_threadpool(_file, desk, request.path_params["name"], request.path_params["file"])

    async def icon(request: Request) -> Response:
        return Response(status_code=204)  # browsers ask for one by themselves, and call 404 an error

    async def change(request: Request) -> Response:
        name, number = request.path_params["name"], request.path_params.get("number")
        form = await _form(request)
        if not secrets.compare_digest(form.get("token", ""), desk.token):
            return PlainTextResponse("this form is not one of this session's pages: load the page again", 403)
        return await run_in_threadpool(_change, desk, name, number, form)

    routes = [
        Route("/", listing),
        Route("/favicon.ico", icon),
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
        return _answer(desk, name, by, str(error), 400, {**form, "number": str(number)})
    except RadvitError as error:
        return PlainTextResponse(str(error), 404)
    response = RedirectResponse(f"/study/{name}" + (f"#finding-{number}" if number else ""), 303)
    response.set_cookie("reader", quote(by[:200], safe=""), httponly=True, samesite="strict")
    return response


def _answer(
    desk: Desk, name: str, reader: str, error: str, status: int = 200, typed: dict[str, str] | None = None
) -> Response:
    try:
        return _html(desk.page(name, reader, error, typed), status)
    except DataError as broken:
        return PlainTextResponse(str(broken), 404)


def _file(desk: Desk, name: str, file: str) -> Response:
    """A picture or a page of a study; nothing else of its folder is given out."""
    try:
        one = desk.opened(name)
    except DataError as error:
        return PlainTextResponse(str(error), 404)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    for picture in one.pictures() if file.endswith(".jpg") else ():
        if file == f"image-{picture.image}.jpg":
            return Response(picture.jpeg, media_type="image/jpeg", headers=headers)
    if file not in (PAGE, SIGNED) or not (one.folder / file).is_file():
        return PlainTextResponse("no such file", 404)
    return FileResponse(one.folder / file, headers=headers)


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
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    return HTMLResponse(page, status, headers=headers)
