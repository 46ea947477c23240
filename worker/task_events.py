"""What is told of a task while a worker has it: in words for people, as Flower shows them."""

from typing import Any

from celery.worker.request import Request


class PlainRequest(Request):  # type: ignore[misc]
    """Celery's request, whose events say in a sentence what came of the task."""

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - its name is given
        """Celery would tell the `repr` of a result, and of an error its `repr` and the traceback, which the log has."""
        if "traceback" in fields:
            error = str(fields["exception"]).partition("(")[0]
            fields |= {"exception": error, "traceback": None, "result": told(error)}
        elif "result" in fields:
            fields["result"] = unquoted(fields["result"])
        super().send_event(type, **fields)


def told(error: str) -> str:
    """What is said of a task that failed."""
    return f"It failed ({error}) and is tried again; the worker's log says where."


def unquoted(result: str) -> str:
    """The words of which this is Celery's `repr`."""
    return result.removeprefix("'").removesuffix("'").replace("\\'", "'")
