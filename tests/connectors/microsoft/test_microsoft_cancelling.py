"""Machine actions asked to stop: which, when, and in whose words a no comes back."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from connectors.microsoft.connector import Microsoft
from connectors.protocol import ActionRequest, Refused, RemoteState
from tests.connectors.microsoft.conftest import Simulator

pytestmark = pytest.mark.process


@pytest.fixture
def microsoft(simulator: Simulator) -> Microsoft:
    simulator.seed(action_seconds=30)
    return Microsoft(simulator.settings, deadline_seconds=3)


def accepted(microsoft: Microsoft) -> ActionRequest:
    """An isolation that Defender has accepted."""
    asked = ActionRequest(
        uuid4(), "isolate_device", "a" * 40, {"isolation_type": "Full"}, "INC-1", sent_at=datetime.now(UTC)
    )
    return replace(asked, remote_id=microsoft.send(asked, before_sending=lambda: None).remote_id)


def test_an_accepted_action_is_stopped_and_the_look_up_says_so(microsoft: Microsoft, simulator: Simulator) -> None:
    action = accepted(microsoft)

    microsoft.cancel(replace(action, comment="not this one"))

    assert microsoft.look_up([action]).found[action.action_id].state is RemoteState.CANCELLED
    assert simulator.accepted()[-1]["body"] == {"Comment": f"not this one [{action.action_id}]"}


def test_a_second_time_changes_nothing_and_says_how_it_ended(microsoft: Microsoft) -> None:
    action = accepted(microsoft)
    microsoft.cancel(action)

    with pytest.raises(Refused, match="Cancelled and cannot be cancelled"):
        microsoft.cancel(action)
    assert microsoft.look_up([action]).found[action.action_id].state is RemoteState.CANCELLED


def test_what_is_over_stays_as_it_is(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(action_seconds=0)
    action = accepted(microsoft)

    with pytest.raises(Refused, match="Succeeded and cannot be cancelled"):
        microsoft.cancel(action)


def test_an_unknown_action_is_refused(microsoft: Microsoft) -> None:
    with pytest.raises(Refused, match="404"):
        microsoft.cancel(replace(accepted(microsoft), remote_id=str(uuid4())))


def test_what_was_never_accepted_or_cannot_be_stopped_is_refused_at_home(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    action = accepted(microsoft)
    before = len(simulator.accepted())

    with pytest.raises(Refused, match="has not accepted"):
        microsoft.cancel(replace(action, remote_id=""))
    with pytest.raises(Refused, match="cannot cancel soft_delete_email"):
        microsoft.cancel(replace(action, type="soft_delete_email"))
    assert len(simulator.accepted()) == before
    assert {"isolate_device", "delete_file", "offboard_device"} <= Microsoft.cancellable_types <= Microsoft.action_types
