"""`python -m benchmarks.quota`: 500 tenants drain at once, using what Microsoft allows them and no more.

Quotas are cut to a tenth on both sides, so that all tenants together ask for no more than this machine can send: what
is measured is how much of the allowance is used, not how fast a machine is. The judge is the simulator, which counts
each tenant's calls in Microsoft's windows and answers 429 to every one that is too many.
"""

import json
import time
from collections import Counter
from typing import Final
from uuid import UUID

from benchmarks import house
from portal.demo.processes import Fleet, Premises, wait_until

TENANTS: Final = 500
PERCENT: Final = 10
A_MINUTE: Final = 100 * PERCENT // 100
"""What one tenant may send in a minute, of one kind of action."""

MINUTES: Final = 3
DATABASE: Final = "quell_quota_bench"
TIMING: Final = {
    "ACTION_LEASE_SECONDS": "120",
    "ACTION_QUIET_SECONDS": "30",
    "ACTION_DEADLINE_SECONDS": "30",
    "ACTION_POLL_SECONDS": "30",
    "SYNC_SECONDS": "86400",
    "MICROSOFT_QUOTA_PERCENT": str(PERCENT),
}


def main() -> None:
    """Measure and print."""
    premises = house.build(DATABASE, broker=13, timing=TIMING)
    from benchmarks.filling import fill
    from remediation.actions.bells import ring

    with Fleet(premises) as fleet:
        fleet.start("simulator")
        wait_until(premises.ca_file.exists, "The simulator")
        wait_until((premises.simulator_folder / "simulator.json").exists, "The simulator")
        share = A_MINUTE * (MINUTES + 1)
        tenant_ids = fill(premises, tenants=TENANTS, actions=TENANTS * share, quota_percent=PERCENT)
        house.count_rows(DATABASE)
        house.silence(premises)
        fleet.start("worker", "beat")
        for tenant_id in tenant_ids:
            ring("drain", tenant_id)
        log = premises.simulator_folder / "accepted.log"
        wait_until(lambda: log.stat().st_size > 0, "The first call")
        time.sleep(60.0 * MINUTES)
    _report(premises, tenant_ids)


def _report(premises: Premises, tenant_ids: list[UUID]) -> None:
    """Read the simulator's log: what it took, what it turned away, and from whom."""
    taken: Counter[str] = Counter()
    turned_away = calls = 0
    for line in (premises.simulator_folder / "accepted.log").read_text().splitlines():
        entry = json.loads(line)
        calls += 1
        turned_away += entry["status"] == 429
        taken[entry["tenant"]] += bool(entry["accepted"])
    allowed = A_MINUTE * MINUTES
    shares = sorted(min(count / allowed, 1.0) for count in taken.values())
    print(f"tenants                    {len(tenant_ids):8d}      each allowed {A_MINUTE} a minute, {MINUTES} minutes")
    print(f"of their quotas used       {sum(shares) / len(tenant_ids):8.1%}      (at least 95 %)")
    print(f"the tenant that got least  {shares[0] if len(shares) == len(tenant_ids) else 0.0:8.1%}")
    print(f"calls turned away with 429 {turned_away / calls:8.3%}      ({turned_away} of {calls}; below 0.1 %)")


if __name__ == "__main__":
    main()
