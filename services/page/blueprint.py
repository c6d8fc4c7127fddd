"""The companion's addresses: sign in, the eight views, and the few things that a person can do from a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, redirect, render_template, request, send_from_directory, url_for
from werkzeug.wrappers import Response as BaseResponse

from services.page import actions, catalogue
from services.page.drawing import bar
from services.page.views import day, devices, effort, events, models, night, now, settings, trends
from services.page.wearer import LANGUAGE_COOKIE, THEME_COOKIE, Wearer, language, read, theme, wearer
from services.store import accounts
from services.sync.auth import COOKIE, same_origin
from services.sync.context import service
from services.sync.operation import PUBLIC, SCOPES_ATTRIBUTE
from services.sync.problems import Problem

blueprint = Blueprint("page", __name__, template_folder="templates")
STATIC = Path(__file__).parent / "static"
VIEWS = ("now", "day", "night", "trends", "events", "devices", "models", "data", "settings")
YEAR_S = 365 * 86400
Handler = Callable[..., str | BaseResponse]


def page(rule: str, *, scopes: tuple[str, ...], methods: tuple[str, ...] = ("GET",)) -> Callable[[Handler], Handler]:
    """Register a page that tokens of `scopes` may open."""

    def register(function: Handler) -> Handler:
        setattr(function, SCOPES_ATTRIBUTE, scopes)
        blueprint.route(rule, methods=list(methods))(function)
        return function

    return register


def render(template: str, who: Wearer | None, **values: Any) -> str:
    """Render a template with what every page needs."""
    words = catalogue.translator(who.language if who else language())
    return render_template(
        template, t=words, who=who, lang=who.language if who else language(), theme=who.theme if who else theme(),
        languages=catalogue.LANGUAGES, views=VIEWS if who and who.scope == "companion" else ("events",),
        here=request.endpoint, show=who.wording if who else None, **values,
    )  # fmt: skip


@page("/static/<path:filename>", scopes=PUBLIC)
def static(filename: str) -> BaseResponse:
    """Give style and scripts: nobody's secret."""
    return send_from_directory(STATIC, filename)


@page("/login", scopes=PUBLIC)
def login() -> str:
    """Show the form."""
    return render("login.html", None, failed=False, next=_local(request.args.get("next")), said=_said())


@page("/login", scopes=PUBLIC, methods=("POST",))
def sign_in() -> str | BaseResponse:
    """Check name and secret, and start a session."""
    if not same_origin():
        raise Problem("forbidden", "this form was sent from another site; open the companion page itself")
    name, secret = request.form.get("name", ""), request.form.get("secret", "")
    store = service().store
    user_id = store.read(lambda conn: accounts.check_secret(conn, name, secret))
    if user_id is None:
        return render("login.html", None, failed=True, next=_local(request.form.get("next")), said=None)
    scope = "caregiver" if request.form.get("scope") == "caregiver" else "companion"
    pair = store.write(lambda conn: accounts.issue(conn, user_id, scope, "page"))
    answer = redirect(_local(request.form.get("next")) or url_for("page.show_now"))
    answer.set_cookie(
        COOKIE, pair.access_token, max_age=pair.expires_in, httponly=True, samesite="Strict", secure=request.is_secure
    )
    return answer


@page("/logout", scopes=("companion", "caregiver"), methods=("POST",))
def sign_out() -> BaseResponse:
    """End the session."""
    token = request.cookies.get(COOKIE, "")
    service().store.write(lambda conn: accounts.revoke_token(conn, token))
    answer = redirect(url_for("page.login"))
    answer.delete_cookie(COOKIE)
    return answer


@page("/choose", scopes=PUBLIC)
def choose() -> BaseResponse:
    """Keep the language and theme that were chosen, and go back."""
    answer = redirect(_local(request.args.get("next")) or url_for("page.login"))
    for cookie, value in ((LANGUAGE_COOKIE, request.args.get("lang")), (THEME_COOKIE, request.args.get("theme"))):
        if value is not None:
            answer.set_cookie(cookie, value[:8], max_age=YEAR_S, samesite="Lax")
    return answer


@page("/", scopes=("companion", "caregiver"))
def show_now() -> str | BaseResponse:
    """Show *Now*; a caregiver sees events only."""
    who = wearer()
    if who.scope == "caregiver":
        return redirect(url_for("page.show_events"))
    shown = read(lambda conn: {**now.view(conn, who), **trends.glance(conn, who)})
    return render("now.html", who, view=shown)


@page("/day", scopes=("companion",))
def show_day() -> str:
    """Show *Day*."""
    who = wearer()
    date = _date(who)
    shown, asked = read(lambda conn: (day.view(conn, who, date), effort.of_day(conn, who, date)))
    return render("day.html", who, view=shown, effort=asked)


@page("/night", scopes=("companion",))
def show_night() -> str:
    """Show *Night*."""
    who = wearer()
    date, cipher = _date(who), service().store.cipher
    return render("night.html", who, view=read(lambda conn: night.view(conn, who, date, cipher)))


@page("/trends", scopes=("companion",))
def show_trends() -> str:
    """Show *Trends*."""
    who = wearer()
    return render("trends.html", who, view=read(lambda conn: trends.view(conn, who)))


@page("/events", scopes=("companion", "caregiver"))
def show_events() -> str:
    """Show *Events*."""
    who = wearer()
    return render("events.html", who, view=read(lambda conn: events.view(conn, who, service().store.cipher)))


@page("/events/<event_id>", scopes=("companion", "caregiver"), methods=("POST",))
def act_on_event(event_id: str) -> BaseResponse:
    """Cancel, acknowledge or annotate an event."""
    who = wearer()
    actions.act_on_event(who, event_id, request.form.get("state", ""), request.form.get("note"))
    return redirect(url_for("page.show_events"))


@page("/devices", scopes=("companion",))
def show_devices() -> str:
    """Show *Devices*."""
    who = wearer()
    rows = read(lambda conn: devices.view(conn, who))
    return render("devices.html", who, devices=rows, said=_said(), code=request.args.get("code", ""))


@page("/pair", scopes=("companion",))
def pair() -> BaseResponse:
    """Go to *Devices* with the code filled in: the address that a watch shows."""
    return redirect(url_for("page.show_devices", code=request.args.get("code", "")[:16]))


@page("/devices", scopes=("companion",), methods=("POST",))
def act_on_device() -> BaseResponse:
    """Approve a watch by its code, revoke one, or ask one for its raw signal."""
    who = wearer()
    if code := request.form.get("code"):
        said = actions.pair(who, code)
    elif device_id := request.form.get("release"):
        said = devices.ask_raw(who, device_id)
    else:
        said = actions.revoke(who, request.form.get("revoke", ""))
    return redirect(url_for("page.show_devices", said=said))


@page("/models", scopes=("companion",))
def show_models() -> str:
    """Show *Models*."""
    return render("models.html", wearer(), cards=models.view(), bar=bar)


@page("/settings", scopes=("companion",))
def show_settings() -> str:
    """Show what the wearer chose."""
    who = wearer()
    return render("settings.html", who, view=read(lambda conn: settings.view(conn, who)), said=_said())


@page("/settings", scopes=("companion",), methods=("POST",))
def keep_settings() -> BaseResponse:
    """Keep what the wearer chose."""
    settings.save(wearer(), request.form)
    return redirect(url_for("page.show_settings", said="saved"))


@page("/data", scopes=("companion",))
def show_data() -> str:
    """Show *Data*."""
    who = wearer()
    return render("data.html", who, view=read(lambda conn: actions.data_view(conn, who)))


@page("/data/delete", scopes=("companion",), methods=("POST",))
def delete_everything() -> BaseResponse:
    """Delete the account and everything that was ever stored for it, once the word is typed."""
    if request.form.get("confirm", "").strip() != "delete":
        raise Problem("bad-request", "nothing was deleted: type the word `delete` into the field first")
    actions.delete_everything(wearer())
    answer = redirect(url_for("page.login", said="deleted"))
    answer.delete_cookie(COOKIE)
    return answer


@blueprint.after_request
def _origin(response: BaseResponse) -> BaseResponse:
    """Let forms say where they come from: at home, over plain HTTP, a browser has no other way to tell us."""
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response


@blueprint.errorhandler(Problem)
def refused(problem: Problem) -> BaseResponse | tuple[str, int]:
    """Show a refusal as a page; who is not signed in is sent to sign in, and comes back."""
    if problem.code == 401:
        return redirect(url_for("page.login", next=request.full_path.rstrip("?")))
    return render("refused.html", None, detail=problem.description), problem.code or 500


def mount(app: Flask) -> None:
    """Serve the page from `app`."""
    app.register_blueprint(blueprint)


def _date(who: Wearer) -> dt.date:
    wanted = request.args.get("date")
    if wanted is None:
        return who.today
    try:
        return dt.date.fromisoformat(wanted)
    except ValueError:
        raise Problem("bad-request", "`date` must be a day such as 2026-11-24; correct the address") from None


def _said() -> str | None:
    """Return the key of what the last action has to say; only ours, so that no address puts words on the page."""
    key = request.args.get("said", "")
    return key if f"said.{key}" in catalogue.messages() else None


def _local(target: str | None) -> str:
    """Return `target` if it is an address of ours, else "": nobody is sent to another site."""
    ours = target is not None and target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if ours and target is not None else ""
