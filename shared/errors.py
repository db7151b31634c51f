"""Every error Usher raises on purpose.

    UsherError
    ├── Refused                  the caller asked for something it cannot have; trying again changes nothing
    │   ├── Invalid              the request itself is wrong, a field or its form
    │   │   ├── KeyReused        an idempotency key that came with another request before
    │   │   └── BadWebhook       a webhook that its sender did not sign, or signed too long ago
    │   ├── Unauthenticated      nobody is logged in, or the session ended
    │   ├── Forbidden            somebody is logged in and may not do this
    │   ├── NotFound             no such thing, or not one this principal may know of
    │   ├── Conflict             the thing is in a state that does not allow it
    │   │   ├── SeatsFull        every screen this right allows is in use
    │   │   ├── InFlight         a request with the same idempotency key is not answered yet
    │   │   ├── Insufficient     an account holds less than what is to be taken from it
    │   │   ├── HoldClosed       an amount that was set aside is captured, voided or expired
    │   │   └── PriceChanged     an offer says something else by now than what the buyer saw
    │   ├── Declined             the payer's bank does not pay
    │   ├── Gone                 it was here and will not come back
    │   ├── TooLarge             more bytes than the limit
    │   ├── Unsupported          a media type this route does not take
    │   ├── WrongVersion         a version of the protocol that is not spoken here
    │   ├── ChecksumMismatch     the bytes that came are not the bytes announced
    │   ├── Locked               another request is writing the same thing now
    │   └── TooMany              a rate limit, with the seconds to wait
    ├── Retryable                something outside failed for now; a queue tries again
    │   ├── StoreUnavailable     the bucket did not answer
    │   ├── Unavailable          a database, Redis or another process did not answer
    │   │   └── ProviderUnavailable  a payment provider did not answer; what was asked of it may have happened
    │   ├── EncodeFailed         an attempt at a chunk gave no result; another may
    │   ├── NoRoom               work in progress takes all the room of this machine's disk
    │   ├── CardBusy             no encoder session of this machine's card came free
    │   └── Stopped              the work was told to stop before it was done
    └── Final                    something failed for good; a queue gives up and says why
        ├── MasterRejected       the upload is not a video or sound the farm accepts
        ├── Unbalanced           a movement of money that does not add up; nothing is booked
        └── Misconfigured        a setting is missing or wrong; the process does not start

Each carries what a person needs to act (`str(error)`) and ids, never an HTTP code: `gateway/control/problems.py`
maps classes to codes. Words for people are in `str(error)`; `code` is stable and for machines.
"""

from __future__ import annotations


class UsherError(Exception):
    """The root; `code` names the case for machines, `details` holds ids and numbers."""

    code = "error"

    def __init__(self, words: str = "", /, *, code: str | None = None, **details: object) -> None:
        super().__init__(words or (type(self).__doc__ or "").strip().splitlines()[0])
        self.code = code or type(self).code
        self.details = details


class Refused(UsherError):
    """The caller asked for something it cannot have."""

    code = "refused"


class Invalid(Refused):
    """The request is wrong; the words say which field and what form is expected."""

    code = "invalid"


class KeyReused(Invalid):
    """This idempotency key came with another request before."""

    code = "key-reused"


class BadWebhook(Invalid):
    """This webhook does not carry a signature of its sender, or an old one."""

    code = "bad-webhook"


class Unauthenticated(Refused):
    """Log in first."""

    code = "unauthenticated"


class Forbidden(Refused):
    """This account may not do that."""

    code = "forbidden"


class NotFound(Refused):
    """There is no such thing here."""

    code = "not-found"


class Conflict(Refused):
    """The thing is in a state that does not allow this."""

    code = "conflict"


class SeatsFull(Conflict):
    """Every screen this right allows is in use; `details["sessions"]` lists them."""

    code = "seats-full"


class InFlight(Conflict):
    """A request with this idempotency key is not answered yet; ask again in a moment."""

    code = "in-flight"


class Insufficient(Conflict):
    """There is not enough on this account."""

    code = "insufficient"


class HoldClosed(Conflict):
    """What was set aside is not open any more; `details["state"]` says what became of it."""

    code = "hold-closed"


class PriceChanged(Conflict):
    """The price changed meanwhile; `details["offer"]` is what is offered now."""

    code = "price-changed"


class Declined(Refused):
    """The payment was declined; nothing was taken."""

    code = "declined"


class Gone(Refused):
    """It was here and will not come back."""

    code = "gone"


class TooLarge(Refused):
    """More bytes than the limit allows."""

    code = "too-large"


class Unsupported(Refused):
    """This media type is not taken here."""

    code = "unsupported"


class WrongVersion(Refused):
    """This version of the protocol is not spoken here."""

    code = "wrong-version"


class ChecksumMismatch(Refused):
    """The bytes that came are not the bytes announced."""

    code = "checksum-mismatch"


class Locked(Refused):
    """Another request is writing this now."""

    code = "locked"


class TooMany(Refused):
    """Too many requests; wait `retry_after_s`."""

    code = "too-many"

    def __init__(self, words: str = "", /, *, retry_after_s: int = 1, **details: object) -> None:
        super().__init__(words or "Too many requests; wait a moment.", code=None, **details)
        self.retry_after_s = retry_after_s


class Retryable(UsherError):
    """Something outside failed for now."""

    code = "retryable"


class StoreUnavailable(Retryable):
    """The bucket did not answer."""

    code = "store-unavailable"


class Unavailable(Retryable):
    """A part this needs did not answer; try again in a moment."""

    code = "unavailable"


class ProviderUnavailable(Unavailable):
    """The payment provider did not answer; nothing is lost, try again in a moment."""

    code = "provider-unavailable"


class EncodeFailed(Retryable):
    """The encoder ended without a result."""

    code = "encode-failed"


class NoRoom(Retryable):
    """The machine has no room for it now; what is in work gives some back."""

    code = "scratch-full"


class CardBusy(Retryable):
    """The card encodes as much as it can; another machine, or the same a little later, may take the chunk."""

    code = "card-busy"


class Stopped(Retryable):
    """The work was told to stop."""

    code = "stopped"


class Final(UsherError):
    """Something failed for good."""

    code = "final"


class MasterRejected(Final):
    """The upload is not a video or sound the farm accepts."""

    code = "master-rejected"


class Unbalanced(Final):
    """A movement of money does not add up; nothing of it is booked."""

    code = "unbalanced"


class Misconfigured(Final):
    """A setting is missing or wrong."""

    code = "misconfigured"
