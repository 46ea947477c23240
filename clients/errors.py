"""One taxonomy of errors for both ERPs. Its question: may the request have arrived?

    ClientError
    ├── NotSent        surely not: nothing left this machine; the same write may go again
    │   ├── NoBudget   the day's requests are used up; `retry_after` says for how long
    │   └── NoTurn     others who keep the same pace go first; `retry_after` says for how long
    ├── Unanswered     perhaps: whoever sent a create must look before it sends again
    └── Refused        yes, and the other side said no; `kind` says what kind of no

The text of an error never holds a token: the HTTP core builds it from the method's name, not from the URL.
"""

from enum import StrEnum


class RefusalKind(StrEnum):
    """What kind of no it was: decides who must act and whether time heals it."""

    #: The token itself is not accepted: nothing of this connection can go on.
    TOKEN = "token"  # noqa: S105 - a kind, not a secret
    #: This method is not allowed for the token.
    RIGHT = "right"
    #: Too many requests: wait `retry_after`.
    LIMIT = "limit"
    UNKNOWN_PRODUCT = "unknown_product"
    #: A customer, carrier, box type or location that the other side does not know.
    UNKNOWN_REFERENCE = "unknown_reference"
    #: A field was refused: too long, missing, not allowed.
    INVALID = "invalid"
    #: The thing is not there, or not there any more.
    GONE = "gone"
    #: What was to be made stands there already.
    EXISTS = "exists"
    #: The thing is in a state that forbids the call for good.
    CONFLICT = "conflict"
    #: A no that we do not understand: safe to try again, but not for ever.
    OTHER = "other"


class ClientError(Exception):
    """A call to Axerrio or Komet that did not end as asked.

    Attributes:
        system: `komet` or `axerrio`.
        operation: the method's name, such as `prebook.create`.
        detail: one sentence without secrets; the other side's own words where it said any.
    """

    def __init__(self, system: str, operation: str, detail: str) -> None:
        self.system = system
        self.operation = operation
        self.detail = detail
        super().__init__(f"{system} {operation}: {detail}")


class NotSent(ClientError):  # noqa: N818 - it says what happened
    """Nothing left this machine: no name, no connection, no TLS, no time left before the first byte."""


class NoBudget(NotSent):
    """The request budget of the Komet company is used up.

    Attributes:
        retry_after: seconds until some of it is free again.
    """

    def __init__(self, system: str, operation: str, detail: str, retry_after: float) -> None:
        super().__init__(system, operation, detail)
        self.retry_after = retry_after


class NoTurn(NotSent):
    """Its turn comes later than anybody may wait with a thread in hand.

    Attributes:
        retry_after: seconds until its turn would have come.
    """

    def __init__(self, system: str, operation: str, detail: str, retry_after: float) -> None:
        super().__init__(system, operation, detail)
        self.retry_after = retry_after


class Unanswered(ClientError):  # noqa: N818
    """The request may have arrived, and no usable answer came: time-out, reset, 5xx, HTML, broken JSON.

    Attributes:
        retry_after: seconds the other side asked us to wait, if it did.
    """

    def __init__(self, system: str, operation: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(system, operation, detail)
        self.retry_after = retry_after


class Refused(ClientError):  # noqa: N818
    """The other side answered with a no.

    Attributes:
        kind: what kind of no.
        retry_after: seconds the other side asked us to wait, if it did.
        code: the other side's own word for the kind, such as `already-exists` or `HTTP 429`; empty where it gave none.
    """

    def __init__(
        self,
        system: str,
        operation: str,
        detail: str,
        kind: RefusalKind,
        retry_after: float | None = None,
        code: str = "",
    ) -> None:
        super().__init__(system, operation, detail)
        self.kind = kind
        self.retry_after = retry_after
        self.code = code

    def meant_as(self, kind: RefusalKind) -> "Refused":
        """The same words, understood as another kind of no."""
        return Refused(self.system, self.operation, self.detail, kind, self.retry_after, self.code)
