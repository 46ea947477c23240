"""Refusals as `application/problem+json` (RFC 9457)."""

from http import HTTPStatus

from pydantic import ValidationError
from starlette.responses import Response

from sandbox.wire import Answer, Json


class Problem(Exception):  # noqa: N818 - an answer, not an error
    """The request is refused with this status, code and detail."""

    def __init__(self, status: int, code: str, detail: str, errors: list[Json] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.errors = errors or []

    def answer(self) -> Response:
        """The response."""
        content = {
            "type": f"urn:axerrio:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
            "code": self.code,
            "errors": self.errors,
        }
        headers = {"WWW-Authenticate": "Bearer"} if self.status == HTTPStatus.UNAUTHORIZED else None
        return Answer(content, self.status, headers, "application/problem+json")


def invalid(error: ValidationError) -> Problem:
    """A body that is not as agreed: 422 `validation`, each fault with its JSON pointer."""
    errors = [
        {
            "pointer": "".join(f"/{step}" for step in fault["loc"]),
            "code": fault["type"],
            "message": fault["msg"],
        }
        for fault in error.errors()
    ]
    return Problem(422, "validation", "The body is not valid", errors)


def missing(what: str) -> Problem:
    """404 `does-not-exist`."""
    return Problem(404, "does-not-exist", f"{what} does not exist")
