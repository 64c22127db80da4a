"""`python -m tests.chaos.fault_run.checker FOLDER`: says what came of a run, and exits with 1 for any violation.

Reads the run's PostgreSQL (as its superuser), the simulator's log of accepted calls, and the history; it imports
nothing of Quell and nothing that made the run.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]

ENDED: Final = frozenset({"succeeded", "failed", "timed_out", "cancelled", "rejected", "expired"})
WAITING_FOR_PEOPLE: Final = frozenset({"pending_approval", "needs_attention"})
NEVER_TWICE: Final = frozenset({"offboard_device", "hard_delete_email", "delete_file"})

ACTIONS: Final = """
SELECT a.id::text, a.tenant_id::text, a.type, a.state, a.required_approvals, a.requested_by_id::text AS asker,
       a.parameters_sha256 AS sha, a.attempt, a.fence, a.created_at, a.ended_at, a.error_code, a.detail
FROM actions_remediationaction a
"""
DECISIONS: Final = """
SELECT d.action_id::text AS action, d.user_id::text AS person, d.answer, d.parameters_sha256 AS sha, d.decided_at AS at
FROM actions_decision d
"""
EVENTS: Final = """
SELECT e.object_id::text AS action, e.seq, e.at, e.data ->> 'before' AS before, e.data ->> 'after' AS after
FROM audit_auditevent e WHERE e.object_type = 'remediation action' AND e.data ? 'after' ORDER BY e.tenant_id, e.seq
"""
MOVES: Final = "SELECT action_id::text AS action, before, after, at FROM witness.moves ORDER BY at"
CAPS: Final = "SELECT tenant_id::text AS tenant, action_type AS type, cap FROM safeguards_hourlycap"


@dataclass(slots=True)
class Evidence:
    """All that is known about a run."""

    about: Row
    history: list[Row]
    accepted: dict[str, list[Row]]
    requests: list[Row]
    actions: dict[str, Row]
    decisions: dict[str, list[Row]]
    events: dict[str, list[Row]]
    moves: dict[str, list[Row]]
    caps: dict[tuple[str, str], int]


@dataclass(slots=True)
class Verdict:
    """What was found. A violation has a kind, by which the guard table knows it."""

    violations: list[tuple[str, str]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def blame(self, kind: str, words: str) -> None:
        """Add a violation."""
        self.violations.append((kind, words))


def gather(folder: Path) -> Evidence:
    """Read everything."""
    about = json.loads((folder / "run.json").read_text())
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    requests = [json.loads(line) for line in Path(about["accepted_log"]).read_text().splitlines()]
    accepted: dict[str, list[Row]] = defaultdict(list)
    for entry in requests:
        if entry["accepted"] and entry["external_id"]:
            accepted[entry["external_id"]].append(entry)
    with psycopg.connect(about["database_url"], row_factory=dict_row) as connection:
        actions = {row["id"]: row for row in connection.execute(ACTIONS)}
        decisions = _grouped(connection.execute(DECISIONS))
        events, moves = _grouped(connection.execute(EVENTS)), _grouped(connection.execute(MOVES))
        caps = {(row["tenant"], row["type"]): row["cap"] for row in connection.execute(CAPS)}
    return Evidence(about, history, accepted, requests, actions, decisions, events, moves, caps)


def judge(evidence: Evidence) -> Verdict:
    """Hold the run against every promise."""
    verdict = Verdict()
    for look in (_lost, _twice, _true_ends, _leave, _audit, _caps, _doubles, _attention, _recovery, _expectations):
        look(evidence, verdict)
    return verdict


def _lost(evidence: Evidence, verdict: Verdict) -> None:
    """Every action that was acknowledged is there; each has ended, or waits for people."""
    acknowledged = {
        action for line in evidence.history if line["kind"] == "ok" for action in line["data"].get("ids", [])
    }
    for action in sorted(acknowledged - evidence.actions.keys()):
        verdict.blame("lost", f"{action} was acknowledged and is not in the database")
    for row in evidence.actions.values():
        if row["state"] not in ENDED | WAITING_FOR_PEOPLE and not _is_held(evidence, row):
            verdict.blame("lost", f"{_named(row)} is {row['state']} still: {row['detail']}")
    verdict.figures["lost"] = sum(kind == "lost" for kind, _ in verdict.violations)


def _is_held(evidence: Evidence, row: Row) -> bool:
    """Whether an approved action has to stay where it is: no leave any more, its limit or the vendor's quota full."""
    if row["state"] != "approved":
        return False
    if evidence.about.get("has_backlog"):
        return True
    cap = evidence.caps.get(_kin(row), 1_000_000_000)
    is_full = bool(_sent_in(evidence, row) >= cap)
    return is_full or not _had_leave(evidence, row, moment=float("inf"))


def _sent_in(evidence: Evidence, row: Row) -> int:
    same = [other for other in evidence.actions.values() if _kin(other) == _kin(row)]
    return sum(len(evidence.accepted.get(other["id"], ())) > 0 for other in same)


def _kin(row: Row) -> tuple[str, str]:
    return row["tenant_id"], row["type"]


def _twice(evidence: Evidence, verdict: Verdict) -> None:
    """Microsoft has accepted no action more than once."""
    for action, entries in evidence.accepted.items():
        if action in evidence.actions and len(entries) > 1:
            times = ", ".join(entry["at"] for entry in entries)
            verdict.blame("twice", f"{_named(evidence.actions[action])} was accepted {len(entries)} times: {times}")
    verdict.figures["twice"] = sum(kind == "twice" for kind, _ in verdict.violations)


def _true_ends(evidence: Evidence, verdict: Verdict) -> None:
    """What reads as done was accepted, and what reads as refused or never sent was not."""
    for row in evidence.actions.values():
        is_accepted = bool(evidence.accepted.get(row["id"]))
        if row["state"] == "succeeded" and not is_accepted:
            verdict.blame("untrue", f"{_named(row)} reads as done and was never accepted")
        if row["state"] in ("failed", "expired", "cancelled", "rejected") and is_accepted:
            verdict.blame("untrue", f"{_named(row)} reads as {row['state']} and was accepted: {row['detail']}")


def _leave(evidence: Evidence, verdict: Verdict) -> None:
    """Nothing was sent without the approvals it needs, of people who held their role at that moment."""
    for row in evidence.actions.values():
        for move in evidence.moves.get(row["id"], []):
            if move["after"] == "sending" and not _had_leave(evidence, row, moment=move["at"].timestamp()):
                verdict.blame("without leave", f"{_named(row)} was sent without the approvals it needs")
                break


def _had_leave(evidence: Evidence, row: Row, *, moment: float) -> bool:
    if row["required_approvals"] == 0:
        return True
    answers = evidence.decisions.get(row["id"], [])
    if any(answer["answer"] == "reject" and answer["at"].timestamp() < moment for answer in answers):
        return False
    people = {
        answer["person"]
        for answer in answers
        if answer["answer"] == "approve"
        and answer["sha"] == row["sha"]
        and answer["person"] != row["asker"]
        and answer["at"].timestamp() <= moment
        and not _had_lost_role(evidence, answer["person"], moment)
    }
    return len(people) >= int(row["required_approvals"])


def _had_lost_role(evidence: Evidence, person: str, moment: float) -> bool:
    return any(
        line["what"] == "revoke" and line["kind"] == "ok" and line["data"]["person"] == person and line["at"] < moment
        for line in evidence.history
    )


def _audit(evidence: Evidence, verdict: Verdict) -> None:
    """For every move that the database itself has seen there is one event, with the same before and after (L1)."""
    moves = Counter(_steps(evidence.moves))
    events = Counter(_steps(evidence.events))
    for step in (moves - events).elements():
        verdict.blame("audit", f"no event tells that {step[0]} went from {step[1]} to {step[2]}")
    for step in (events - moves).elements():
        verdict.blame("audit", f"an event tells that {step[0]} went from {step[1]} to {step[2]}, and it did not")
    verdict.figures["state changes"] = moves.total()
    verdict.figures["audit events"] = events.total()


def _steps(rows: dict[str, list[Row]]) -> Iterator[tuple[str, str, str]]:
    for action, steps in rows.items():
        for step in steps:
            yield action, step["before"] or "", step["after"]


def _caps(evidence: Evidence, verdict: Verdict) -> None:
    """No more of a type were accepted for a tenant in one clock hour than its limit, as Quell counts the hours."""
    sent: Counter[tuple[str, str, str]] = Counter()
    for row in evidence.actions.values():
        claims = [move["at"] for move in evidence.moves.get(row["id"], []) if move["after"] == "sending"]
        approvers = sum(answer["answer"] == "approve" for answer in evidence.decisions.get(row["id"], []))
        if evidence.accepted.get(row["id"]) and claims and approvers < 2:
            sent[row["tenant_id"], row["type"], f"{claims[-1]:%Y-%m-%d %H}"] += 1
    for (tenant, kind, hour), count in sent.items():
        cap = evidence.caps.get((tenant, kind))
        if cap is not None and count > cap:
            verdict.blame("over the limit", f"{count} × {kind} were sent at {hour} for tenant {tenant}, limit {cap}")


def _doubles(evidence: Evidence, verdict: Verdict) -> None:
    """One action at a time for the same target and parameters: two who ask at once get the same."""
    lives: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in evidence.actions.values():
        lives[row["tenant_id"], row["sha"]].append(row)
    for rows in lives.values():
        rows.sort(key=lambda row: row["created_at"])
        for earlier, later in zip(rows, rows[1:], strict=False):
            if earlier["ended_at"] is None or later["created_at"] < earlier["ended_at"]:
                verdict.blame("doubled", f"{_named(earlier)} was open when {later['id']} was made, the same again")


def _attention(evidence: Evidence, verdict: Verdict) -> None:
    """How many a person has to look at."""
    waiting = [row for row in evidence.actions.values() if row["state"] == "needs_attention"]
    sent = [row for row in evidence.actions.values() if row["attempt"]]
    doubtful = {action for action, moves in evidence.moves.items() if any(move["after"] == "unknown" for move in moves)}
    figures = verdict.figures
    figures["actions"] = len(evidence.actions)
    figures["sent"] = len(sent)
    figures["states"] = dict(Counter(row["state"] for row in evidence.actions.values()).most_common())
    figures["needs attention"] = len(waiting)
    figures["needs attention, may be sent again"] = sum(row["type"] not in NEVER_TWICE for row in waiting)
    figures["attention_share"] = len(waiting) / max(1, len(sent))
    figures["through unknown"] = len(doubtful)
    figures["unknown_share"] = len(doubtful) / max(1, len(sent))
    figures["sent again"] = sum(row["attempt"] > 1 for row in sent)


def _recovery(evidence: Evidence, verdict: Verdict) -> None:
    """From a kill to the end of each action that the killed process held (seconds), and other waits."""
    seconds: list[float] = []
    found: list[float] = []
    for line in evidence.history:
        if line["who"] == "nemesis" and line["kind"] == "ok" and line["what"].startswith("kill_"):
            for action in line["data"].get("held", []):
                row = evidence.actions.get(action, {})
                if row.get("ended_at") is not None:
                    seconds.append(max(0.0, row["ended_at"].timestamp() - line["at"]))
                    found += seconds[-1:] if row["attempt"] == 1 else []
    verdict.figures["recovery"] = {"held": len(seconds), **_spread(seconds)}
    verdict.figures["recovery of what was not sent again"] = {"held": len(found), **_spread(found)}
    verdict.figures["recovery_p95"] = verdict.figures["recovery"].get("p95", 0.0)
    calm = next((line["at"] for line in evidence.history if line["what"] == "calm"), None)
    ends = [row["ended_at"].timestamp() for row in evidence.actions.values() if row["ended_at"]]
    verdict.figures["lateness"] = round(max(0.0, max(ends, default=0.0) - calm), 1) if calm else 0.0


def _spread(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    place = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1) for name, part in place.items()}


def _expectations(evidence: Evidence, verdict: Verdict) -> None:
    """The run's own limits, on figures, and what it noted as broken while it ran."""
    for name, most in evidence.about["limits"].items():
        if verdict.figures.get(name, 0.0) > most:
            verdict.blame("slow" if name in ("recovery_p95", "lateness") else "too many", f"{name} over {most}")
    for line in evidence.history:
        if line["what"] == "broken":
            verdict.blame(line["data"]["kind"], line["data"]["words"])


def _named(row: Row) -> str:
    return f"{row['type']} {row['id']}"


def _grouped(rows: Any) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["action"]].append(row)
    return found


def report(evidence: Evidence, verdict: Verdict) -> str:
    """Return the verdict in words."""
    about, figures = evidence.about, verdict.figures
    struck = Counter(
        line["what"]
        for line in evidence.history
        if line["who"] == "nemesis" and line["kind"] in ("ok", "info") and line["data"].get("struck", True)
    )
    faults: list[Row] = next((line["data"]["faults"] for line in evidence.history if line["what"] == "faults"), [])
    hit: Counter[str] = Counter()
    for fault in faults:
        hit[f"{fault['kind']} {fault['method'] or ''}".strip()] += fault["struck"]
    seconds = next((line["data"]["seconds"] for line in evidence.history if line["what"] == "end"), 0)
    lines = [
        f"{about['profile']} ({about['row']}), seed {about['seed']}, {seconds} s",
        f"  actions {figures['actions']}, sent {figures['sent']}, requests at the simulator {len(evidence.requests)}",
        f"  states {_listed(figures['states'])}",
        f"  strikes {_listed(struck)}",
        f"  faults {_listed(hit)}",
        f"  lost {figures['lost']}, twice {figures['twice']}, needs attention {figures['needs attention']}"
        f" ({figures['attention_share']:.2%}; of those that may be sent again"
        f" {figures['needs attention, may be sent again']})",
        f"  through unknown {figures['through unknown']} ({figures['unknown_share']:.1%}),"
        f" sent again {figures['sent again']}",
        f"  state changes {figures['state changes']}, audit events {figures['audit events']}",
        f"  kill to end {_listed(figures['recovery'])} s;"
        f" not sent again {_listed(figures['recovery of what was not sent again'])} s",
        f"  last end {figures['lateness']} s after the last order",
    ]
    lines += [f"  {line['what']} {_listed(line['data'])}" for line in evidence.history if line["who"] == "figure"]
    kinds = Counter(kind for kind, _ in verdict.violations)
    lines += [f"VIOLATION {kind}: {words}" for kind, words in verdict.violations[:25]]
    lines.append(f"RED: {_listed(kinds)}" if kinds else "GREEN: no violation")
    return "\n".join(lines)


def _listed(counts: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def main() -> int:
    """Judge the run in the folder named on the command line, print and keep the report, return the exit code."""
    folder = Path(sys.argv[1])
    evidence = gather(folder)
    verdict = judge(evidence)
    words = report(evidence, verdict)
    (folder / "report.txt").write_text(words + "\n")
    told = {"violations": verdict.violations, "figures": verdict.figures}
    (folder / "verdict.json").write_text(json.dumps(told, indent=1, default=str))
    sys.stdout.write(words + "\n")
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
