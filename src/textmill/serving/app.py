"""The addresses of the server: predictions and explanations as JSON, and the page.

Without ``from __future__ import annotations``: FastAPI reads the types of functions that are made here.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from markupsafe import Markup
from pydantic import BaseModel, ValidationError
from starlette.middleware.trustedhost import TrustedHostMiddleware

from textmill.errors import UserError
from textmill.explain import explain
from textmill.prediction import Predictor, inputs_of
from textmill.serving import Limits
from textmill.serving.batching import LARGEST, Batcher, BusyError, Room
from textmill.serving.connections import Connections, busy_response
from textmill.serving.inputs import About, Answer, Explained, input_model, largest_body, request_model
from textmill.serving.page import STATIC, Page, read_form
from textmill.tasks.readers.row import shorten

TOLD = 10  # things wrong with one request that are told
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    # The page needs nothing from elsewhere; an explanation colours its tokens by style attributes.
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(predictors: Mapping[str, Predictor], limits: Limits, host: str = "127.0.0.1") -> FastAPI:
    """The application for the given models; one thread runs them, since each takes all cores.

    On a loopback ``host`` only requests that name it are answered, so that no web page elsewhere can have a
    browser ask in its name (DNS rebinding).
    """
    app = FastAPI(
        title="textmill",
        summary="Predictions of fine-tuned models, with what they looked at.",
        docs_url=None,  # they load scripts from elsewhere; /openapi.json is whole
        redoc_url=None,
    )
    pool = ThreadPoolExecutor(1, "model")
    room = Room()
    page = Page(predictors, limits)

    async def in_pool(run: Callable[..., Any], *arguments: Any) -> Any:
        """What ``run`` returns, from the models' thread; raises BusyError where too many requests wait."""
        with room.place():
            return await asyncio.get_running_loop().run_in_executor(pool, functools.partial(run, *arguments))

    @app.get("/health", tags=["server"])
    async def health() -> dict[str, str]:
        """Whether the server is up."""
        return {"status": "ok"}

    @app.get("/tasks", tags=["server"])
    async def tasks() -> list[About]:
        """What is served: families, labels, the fields of an input, and an example."""
        return [_about(name, predictor) for name, predictor in predictors.items()]

    for name, predictor in predictors.items():
        batcher = Batcher(functools.partial(predictor.predict, batch_size=LARGEST), pool, room)
        _add_task(app, name, predictor, batcher, in_pool, limits)

    @app.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        """To the page of the first task."""
        return RedirectResponse(f"/try/{next(iter(predictors))}")

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        """A file that the page loads; 404 for any other name."""
        if name not in STATIC:
            return JSONResponse({"detail": "Not Found"}, HTTPStatus.NOT_FOUND)
        kind, content = STATIC[name]
        return Response(content, media_type=kind)

    @app.get("/try/{name}", include_in_schema=False)
    async def ask(name: str) -> HTMLResponse:
        """The task's page with its empty form; 404 where there is no such task."""
        if name not in predictors:
            return HTMLResponse(page.render(next(iter(predictors)), error=f"There is no task {name!r}."), 404)
        return HTMLResponse(page.render(name))

    @app.post("/try/{name}", include_in_schema=False)
    async def answer(name: str, request: Request) -> HTMLResponse:
        """The page with the form as sent, the prediction and why; 422 with what is wrong with the input."""
        if name not in predictors:
            return HTMLResponse(page.render(next(iter(predictors)), error=f"There is no task {name!r}."), 404)
        predictor = predictors[name]
        form = None
        try:
            form = read_form(await request.body())
            item = page.item(name, form)
            prediction, explanation = await in_pool(_try_explain, predictor, item)
        except (UserError, ValidationError) as error:
            told = _words(error.errors()) if isinstance(error, ValidationError) else str(error)
            return HTMLResponse(page.render(name, form, error=told), HTTPStatus.UNPROCESSABLE_ENTITY)
        return HTMLResponse(page.render(name, form, item, prediction, explanation))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        for part in error.errors():
            if part["type"] == "json_invalid":
                reason = part.get("ctx", {}).get("error", part["msg"])
                told = f"not JSON at character {part['loc'][-1]}: {reason}"
                return JSONResponse({"detail": told}, HTTPStatus.BAD_REQUEST)
        return JSONResponse({"detail": _words(error.errors())}, HTTPStatus.UNPROCESSABLE_ENTITY)

    @app.exception_handler(UserError)
    async def mistaken(request: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> JSONResponse:
        return busy_response(error)

    @app.middleware("http")
    async def guard(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        """Every answer with the headers that say what a browser may load, and that it keeps nothing.

        A form that a page of another site sends is refused: its answer could not be read there, but the
        models would work for it.
        """
        response: Response
        if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "POST":
            told = "a page of another site asks; only this server's own may"
            response = JSONResponse({"detail": told}, HTTPStatus.FORBIDDEN)
        else:
            response = await call(request)
        response.headers.update(HEADERS)
        return response

    app.add_middleware(Connections, limit=largest_body(limits))
    if host in LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])
    return app


def _add_task(
    app: FastAPI,
    name: str,
    predictor: Predictor,
    batcher: Batcher,
    in_pool: Callable[..., Awaitable[Any]],
    limits: Limits,
) -> None:
    """The two addresses of a task, with the types of its family."""
    family = predictor.task.family if predictor.task else None
    many: Any = request_model(family, limits)
    one: Any = input_model(family, limits)

    async def predict(body: many) -> Answer:
        items = [_plain(item) for item in body.inputs]
        for number, item in enumerate(items, 1):  # before they are put together with other people's
            predictor.check(item, f"input {number}")
        return Answer(task=name, predictions=await batcher.submit(items))

    async def explained(body: one) -> Explained:
        item = _plain(body)
        predictor.check(item, "input 1")
        found, html = await in_pool(_explained, predictor, item)
        told: Any = found["prediction"]  # a second one might be of another text
        return Explained(task=name, prediction=told, explanation=found, html=html)

    failures: dict[int | str, dict[str, Any]] = {
        408: {"description": "The body did not come in time.", "model": Failure},
        413: {"description": "The body is too large.", "model": Failure},
        422: {"description": "Invalid input: detail says where and why.", "model": Failure},
        503: {"description": "Too many requests wait: try again.", "model": Failure},
    }
    about: dict[str, Any] = {"tags": [name], "responses": failures}
    app.post(f"/predict/{name}", summary=f"Predictions of {name}", **about)(predict)
    app.post(f"/explain/{name}", summary=f"A prediction of {name}, explained", **about)(explained)


class Failure(BaseModel):
    """Why a request could not be answered."""

    detail: str


def _about(name: str, predictor: Predictor) -> About:
    task = predictor.task
    return About(
        name=name,
        family=task.family if task else None,
        labels=list(task.labels) if task and task.labels else None,
        languages=list(task.languages) if task else [],
        inputs=list(inputs_of(task.family)) if task else ["text"],
        example=predictor.input_example()[0],
    )


def _plain(body: BaseModel) -> dict[str, Any]:
    return body.model_dump(exclude_none=True)


def _explained(predictor: Predictor, item: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """An explanation as data and as HTML."""
    found = explain(predictor, item)
    return found.data, found.html_fragment()


def _try_explain(predictor: Predictor, item: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The prediction, and its explanation as HTML, or why there is none."""
    try:
        found, html = _explained(predictor, item)
    except UserError as error:
        return predictor.predict([item])[0], Markup('<p class="soft">{}</p>').format(error)
    return found["prediction"], html


def _words(errors: Any) -> str:
    """pydantic's errors in one line each, the first of them, without the text that was sent."""
    lines = []
    for error in errors[:TOLD]:
        place = shorten(".".join(str(part) for part in error["loc"] if part != "body"), 100)
        told = error["msg"].removeprefix("Value error, ")
        if error["type"] == "string_pattern_mismatch":
            told = "has only white space"
        lines.append(f"{place}: {told}" if place else told)
    more = [f"and {len(errors) - TOLD:,} more"] if len(errors) > TOLD else []
    return "; ".join([*lines, *more])
