"""When a list from outside has lost so much that it is not believed at once."""


def shrinks_by_half(before: int, now: int) -> bool:
    """Return whether a list that had `before` entries is left with half of them or fewer; an empty one cannot shrink.

    One rule for the feed of known exploited vulnerabilities, recommendations and managed devices. What then happens to
    the list is the caller's: a feed is refused until somebody accepts it, the others are believed by a second reading.
    """
    return before > 0 and now * 2 <= before
