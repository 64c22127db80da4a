"""What may be sent when: the rules of approvals in plain Python, knowing nothing of Quell's code or database.

The machine in `approvals` tells this world what happened and asks it, at every claim, what was allowed at that instant.
"""

from dataclasses import dataclass, field
from datetime import datetime

MAY_DECIDE = {"approver", "tenant_admin"}
MAY_REQUEST = MAY_DECIDE | {"analyst", "break_glass"}
DEFAULTS = {
    "isolate_device": 1,
    "offboard_device": 2,
    "run_antivirus_scan": 1,
    "release_from_isolation": 0,
}
DESTRUCTIVE = {"isolate_device", "offboard_device"}
GROUPS = {
    "isolate_device": "isolation",
    "release_from_isolation": "isolation",
    "offboard_device": "offboard",
    "run_antivirus_scan": "scan",
}
OUT = {"sending", "accepted", "unknown"}
OPEN = OUT | {"pending_approval", "approved", "needs_attention"}


@dataclass
class Glass:
    """A break-glass use."""

    person: str
    is_open: bool = True
    is_reviewed: bool = False
    is_overdue: bool = False


@dataclass
class Answer:
    """A decision, with the version of the action it was about, and whether its emergency was open then."""

    person: str
    answer: str
    version: int
    glass: Glass | None = None
    is_in_time: bool = True


@dataclass(eq=False)
class Action:
    """An action. `version` counts edits that changed its fingerprint too, `is_broken` tells of one that did not.

    `is_forged` when its state was last written past everything, and so without a line in the history.
    """

    type: str
    device: int
    requester: str
    asked: int
    order: int
    state: str
    version: int = 0
    is_broken: bool = False
    has_lapsed: bool = False
    is_forged: bool = False
    answers: list[Answer] = field(default_factory=list)


@dataclass
class World:
    """One tenant."""

    roles: dict[str, set[str]]
    disabled: set[str] = field(default_factory=set)
    rules: dict[str, int] = field(default_factory=dict)
    freezes: set[str] = field(default_factory=set)
    protected: set[int] = field(default_factory=set)
    caps: dict[str, int] = field(default_factory=dict)
    used: dict[tuple[str, datetime], int] = field(default_factory=dict)
    glasses: list[Glass] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)

    def holds(self, person: str, wanted: set[str]) -> bool:
        """Whether the person holds one of the roles now."""
        return person not in self.disabled and bool(self.roles[person] & wanted)

    def counted(self, action: Action) -> int:
        """How many approvals count now."""
        return len(
            {
                given.person
                for given in action.answers
                if given.answer == "approve"
                and given.glass is None
                and given.version == action.version
                and given.person != action.requester
                and self.holds(given.person, MAY_DECIDE)
            }
        )

    def is_shielded(self, action: Action) -> bool:
        """Whether it would harm a device that is protected now."""
        return action.type in DESTRUCTIVE and action.device in self.protected

    def needed(self, action: Action) -> int:
        """How many approvals it needs now."""
        return max(action.asked, self.rules.get(action.type, 0), 2 if self.is_shielded(action) else 0)

    def is_emergency(self, action: Action) -> bool:
        """Whether somebody approved exactly this in an emergency of their own, and still holds the role."""
        return any(
            given.answer == "approve"
            and given.glass is not None
            and given.glass.person == given.person
            and given.is_in_time
            and given.version == action.version
            and self.holds(given.person, {"break_glass"})
            for given in action.answers
        )

    def is_approved(self, action: Action) -> bool:
        """Whether it has all the approvals it needs now."""
        if action.asked == 0 and not self.is_shielded(action):
            return True
        if any(given.answer == "reject" for given in action.answers):
            return False
        if self.counted(action) >= self.needed(action):
            return True
        return self.is_emergency(action) and not self.is_shielded(action)

    def is_frozen(self, action: Action) -> bool:
        """Whether a freeze holds it back."""
        return bool(self.freezes & {"", action.type})

    def has_room(self, action: Action, hour: datetime) -> bool:
        """Whether its limit per hour lets it go: there is room, or two people stand behind it."""
        cap = self.caps.get(action.type, 20 if action.type == "isolate_device" else 5)
        if action.type not in DESTRUCTIVE and action.type not in self.caps:
            return True
        return self.used.get((action.type, hour), 0) < cap or self.counted(action) >= 2

    def is_behind(self, action: Action) -> bool:
        """Whether something of its kind on its device is out, or older and still to go."""
        return any(
            other is not action
            and other.device == action.device
            and GROUPS[other.type] == GROUPS[action.type]
            and (other.state in OUT or (other.state == "approved" and other.order < action.order))
            for other in self.actions
        )

    def may_go(self, action: Action, hour: datetime) -> bool:
        """Whether the action may be claimed at this instant."""
        return (
            action.state == "approved"
            and not action.has_lapsed
            and self.holds(action.requester, MAY_REQUEST if action.asked else MAY_DECIDE)
            and self.is_approved(action)
            and not self.is_frozen(action)
            and self.has_room(action, hour)
            and not self.is_behind(action)
        )

    def open_glass(self, person: str) -> Glass | None:
        """The person's emergency that is open now."""
        return next((glass for glass in self.glasses if glass.person == person and glass.is_open), None)
