"""The forms of a time span that Microsoft takes, and no others."""

from datetime import UTC, datetime

import pytest

from portal.access.exceptions import BadRequest
from remediation.hunting.timespans import between, check_timespan

DAY = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "P7D",
        "PT1H30M",
        "2026-11-01T00:00:00Z",
        "2026-11-01T00:00:00Z/2026-11-02T00:00:00Z",
        "P7D/2026-11-02T00:00:00Z",
        "2026-11-01T00:00:00Z/P1D",
    ],
)
def test_what_microsoft_takes_is_taken(text: str) -> None:
    assert check_timespan(f" {text} ") == text


@pytest.mark.parametrize("text", ["P", "PT", "7d", "P7D/P7D", "yesterday", "P1D/", "P7D/2026-11-02/P1D", "P7D\x00"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="P7D"):
        check_timespan(text)


def test_without_a_time_span_it_is_thirty_days() -> None:
    assert check_timespan("") == between(None, None) == "P30D"


def test_times_of_a_form_become_a_time_span() -> None:
    assert between(DAY, DAY.replace(day=2)) == "2026-11-01T00:00:00Z/2026-11-02T00:00:00Z"
    assert between(DAY, None) == "2026-11-01T00:00:00Z"
    assert between(None, DAY) == "P30D/2026-11-01T00:00:00Z"
    for span in (between(DAY, None), between(None, DAY)):
        assert check_timespan(span) == span
    with pytest.raises(BadRequest, match="before"):
        between(DAY.replace(day=2), DAY)
