"""The Komet API: which company a token opens, what it may do, and the envelope around every answer."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from sandbox.komet import deletions, mixed_orders, prebooks, purchase_orders, reference, shipping
from sandbox.komet.company import Company
from sandbox.komet.fields import Refused
from sandbox.wire import Answer, Call, Json, parse

Handler = Callable[[Company, Json], Json]
METHODS: dict[str, tuple[str, Handler]] = {
    **prebooks.METHODS,
    **purchase_orders.METHODS,
    **mixed_orders.METHODS,
    **deletions.METHODS,
    **shipping.METHODS,
    **reference.METHODS,
}
BODY_LIMIT = 64 * 1024  # "Getting Started"


class Komet:
    """All companies, each opened by its vendor token ("Getting Started": the token selects the company)."""

    system = "komet"

    def __init__(self) -> None:
        self.companies: dict[str, Company] = {}

    def open(self, request: Request, body: bytes) -> Call:
        """Find method, fields and token: in the URL of a GET, in the JSON of a POST.

        A deletion may come as a POST without a body, everything in its URL.
        """
        method = request.url.path.removeprefix("/api/")
        problem = ""
        fields: Any = dict(request.query_params)
        in_url = request.method == "GET" or (method in deletions.METHODS and not body)
        if not in_url:
            try:
                fields = parse(body)
            except ValueError:
                problem = "The request is not valid JSON"
            if problem or not isinstance(fields, dict):
                fields, problem = {}, problem or "The request must be one JSON object"
            if len(body) > BODY_LIMIT:
                problem = "The request is larger than 64kb"
        token = str(fields.get("authenticationToken", ""))
        if company := self.companies.get(token):
            company.requests[method] += 1
        return Call(
            operation=method,
            token=token,
            work=lambda: self._work(request.method, method, token, fields, problem, in_url=in_url),
            refusal=refusal,
        )

    def _work(self, verb: str, method: str, token: str, fields: Json, problem: str, *, in_url: bool) -> Response:
        if method not in METHODS:
            return refusal(f"Method {method} does not exist", 404)
        expected, handler = METHODS[method]
        if verb != expected:
            return refusal(f"Method {method} takes {expected}", 405)
        company = self.companies.get(token)
        if problem:
            return refusal(problem)
        if company is None or not company.settings.token_valid:
            asked = [company] if company else list(self.companies.values())
            strict = any(each.settings.auth_failure == "http401" for each in asked)
            return refusal("Invalid authentication token", 401 if strict else 200)
        rules = company.settings
        if rules.daily_limit is not None and company.requests.total() > rules.daily_limit:
            status = 429 if rules.limit_failure == "http429" else 200
            return refusal("The daily limit of requests was exceeded", status)
        if rules.rights is not None and method not in rules.rights:
            status = 403 if rules.right_failure == "http403" else 200
            return refusal(f"The token has no permission for {method}", status)
        if method in deletions.METHODS and in_url != (rules.delete_style == "query"):
            return refusal("The item to delete is required" + (" in the URL" if not in_url else ""))
        company.approve_due()
        try:
            return Answer(handler(company, fields))
        except Refused as refused:
            return refusal(str(refused))
        except ValidationError as invalid:
            first = invalid.errors()[0]
            where = ".".join(str(step) for step in first["loc"])
            return refusal(f"{where}: {first['msg']}" if where else first["msg"])


def refusal(message: str, status: int = 200) -> Response:
    """Say no in Komet's envelope; the HTTP status stays 200 unless told otherwise."""
    return Answer({"status": "0", "message": message[:500]}, status)
