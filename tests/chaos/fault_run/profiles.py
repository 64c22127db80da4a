"""What each kind of run is made of: how much work, how long, which faults and how many."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

Fault = Mapping[str, Any]

QUICK: Final = {
    "ACTION_LEASE_SECONDS": "4",
    "ACTION_QUIET_SECONDS": "3",
    "ACTION_DEADLINE_SECONDS": "1",
    "ACTION_POLL_SECONDS": "1",
    "SWEEP_SECONDS": "0.5",
    "SEAL_SECONDS": "10",
    "SYNC_SECONDS": "86400",
}
"""A life of an action in seconds instead of minutes; the rules between the times are those of production."""

RECOVERY: Final = {**QUICK, "ACTION_LEASE_SECONDS": "5", "ACTION_QUIET_SECONDS": "5"}
"""Row R5 names these two."""

MIX: Final = {
    "isolate_device": 30,
    "run_antivirus_scan": 18,
    "restrict_code_execution": 12,
    "stop_and_quarantine_file": 18,
    "collect_investigation_package": 5,
    "soft_delete_email": 7,
    "move_to_junk": 7,
    "offboard_device": 1,
    "hard_delete_email": 1,
    "delete_file": 1,
}
"""How often each type is ordered. The last three are never sent twice by the machine."""

CALM: Final[tuple[Fault, ...]] = ()
STORM: Final[tuple[Fault, ...]] = (
    {"kind": "throttle", "share": 0.02, "retry_after": "1"},
    {"kind": "throttle", "share": 0.015, "retry_after": "0.7"},
    {"kind": "throttle", "share": 0.015, "retry_after": "date", "seconds": 1},
    {"kind": "server_error", "share": 0.05},
    {"kind": "reset_after_accepting", "share": 0.10},
    {"kind": "stall", "share": 0.04, "seconds": 1.5},
    {"kind": "answer_late", "share": 0.04, "seconds": 1.5},
    {"kind": "hide", "share": 0.10, "seconds": 2},
    {"kind": "truncate", "share": 0.02, "method": "POST"},
    {"kind": "answer_twice", "share": 0.02},
    {"kind": "about_another", "share": 0.01, "method": "POST"},
    {"kind": "error_in_success", "share": 0.01, "method": "POST"},
    {"kind": "server_error", "share": 0.02, "method": "GET"},
    {"kind": "throttle", "share": 0.01, "method": "GET", "retry_after": "1"},
    {"kind": "truncate", "share": 0.02, "method": "GET"},
)
"""What goes wrong at the simulator, by chance: 5 % 429, 5 % 503, 10 % reset after accepting, 8 % late, and more."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of run. `strikes` is how many of each fall while `seconds` last, the time in which work is ordered.

    `patience` is how long nothing at all may change before what is still open counts as lost. `needs` are the
    processes, `limits` what the checker holds the run to.
    """

    name: str
    row: str
    actions: int
    tenants: int
    seconds: float
    strikes: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = STORM
    timing: Mapping[str, str] = field(default_factory=lambda: QUICK)
    mix: Mapping[str, int] = field(default_factory=lambda: MIX)
    needs: tuple[str, ...] = ("worker-1", "worker-2", "beat-1")
    lanes: int = 8
    patience: float = 40.0
    limits: Mapping[str, float] = field(default_factory=dict)

    def scaled(self, *, actions: int | None, tenants: int | None, minutes: float | None) -> "Profile":
        """Return the profile for other sizes: strikes grow and shrink with the time."""
        seconds = minutes * 60 if minutes else self.seconds
        strikes = {kind: max(1, round(count * seconds / self.seconds)) for kind, count in self.strikes.items()}
        return replace(
            self, actions=actions or self.actions, tenants=tenants or self.tenants, seconds=seconds, strikes=strikes
        )


PROFILES: Final[Mapping[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile(
            "short", "R3", actions=1500, tenants=20, seconds=42,
            strikes={
                "kill_lane": 84, "kill_worker": 6, "pause_lane": 35, "kill_broker": 2, "flush_broker": 1,
                "restart_database": 1, "cut_connections": 6, "expire_tokens": 3, "interfere": 5,
            },
        ),
        Profile(
            "long", "R1, R2", actions=20_000, tenants=50, seconds=3600, patience=120,
            strikes={
                "kill_lane": 440, "kill_worker": 80, "pause_lane": 120, "kill_broker": 16, "stop_broker": 6,
                "flush_broker": 6, "restart_database": 12, "cut_connections": 120, "roll_workers": 6,
                "expire_tokens": 60, "interfere": 100, "beat_off": 3, "beat_thrice": 3, "throttle_silently": 20,
            },
            limits={"attention_share": 0.005},
        ),
        Profile(
            "recovery", "R5", actions=600, tenants=20, seconds=60, timing=RECOVERY, faults=CALM,
            strikes={"kill_lane": 60, "kill_worker": 4}, limits={"recovery_p95": 15},
        ),
        Profile(
            "roll", "R10", actions=1200, tenants=20, seconds=120, faults=CALM, strikes={"roll_workers": 6},
            limits={"unknown_share": 0.01},
        ),
        Profile(
            "beat-off", "R12", actions=600, tenants=20, seconds=120, strikes={"beat_off": 1}, limits={"lateness": 60},
        ),
        Profile(
            "beat-thrice", "R12", actions=600, tenants=20, seconds=120, needs=("worker-1", "worker-2", "beat-1",
            "beat-2", "beat-3"), strikes={"kill_lane": 20}, limits={"lateness": 60},
        ),
    )
}  # fmt: skip

SCENES: Final[Mapping[str, str]] = {"double-click": "R11", "no-broker": "R6", "noisy": "R9"}
"""Runs about one thing, and the row they are for."""
