"""What can go wrong with a delivery. No message holds an address, a secret or the receiver's own words."""


class DeliveryError(Exception):
    """A message did not surely arrive. `http_status` and `retry_after` (seconds) are what the receiver answered."""

    def __init__(self, words: str, *, http_status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.http_status = http_status
        self.retry_after = retry_after


class Undeliverable(DeliveryError):
    """It did not arrive, and trying again is no use until a person changes something."""


class NotDelivered(DeliveryError):
    """It did not arrive; a later try may do better."""


class InDoubt(DeliveryError):
    """It may have arrived; sent again, it carries the same id, by which the receiver can drop the second one."""
