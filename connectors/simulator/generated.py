"""A large tenant from a few numbers, for benchmarks: machines, recommendations and who is exposed to what."""

from itertools import cycle, islice
from typing import Final
from uuid import UUID, uuid5

from connectors.simulator.seeds import InvalidSeed, as_object, put_machine
from connectors.simulator.store import Tenant
from connectors.simulator.vulnerability_seeds import put_managed_device, put_recommendation

_NAMES: Final = UUID("5d0f7f0e-6a3b-4b54-9c86-3a9a2f6d7b10")
_PRODUCTS: Final = (
    ("7-zip", "7-zip"),
    ("google", "chrome"),
    ("mozilla", "firefox"),
    ("adobe", "acrobat_reader_dc"),
    ("oracle", "jre"),
    ("videolan", "vlc_media_player"),
    ("microsoft", "edge_chromium-based"),
    ("rarlab", "winrar"),
    ("zoom", "zoom"),
    ("python", "python"),
)
_STEP: Final = 7919  # a prime, so that neighbouring recommendations expose different machines
_KNOWN: Final = {"machines", "recommendations", "exposures", "cves", "managed_devices"}


def generate(tenant: Tenant, wish: object) -> None:
    """Fill a tenant: ``{"machines", "recommendations", "exposures", "cves", "managed_devices"}``, all whole numbers.

    ``exposures`` are spread evenly over the recommendations, ``cves`` is how many each has; the first
    ``managed_devices`` machines are managed by Intune too. The same numbers make the same rows. Raises InvalidSeed.
    """
    given = as_object(wish, "wish to generate")
    if given.keys() - _KNOWN or not all(isinstance(value, int) and value >= 0 for value in given.values()):
        raise InvalidSeed(f"generate has some of {', '.join(sorted(_KNOWN))}, whole numbers")
    machines = [_machine(tenant, number) for number in range(given.get("machines", 0))]
    for machine in machines:
        put_machine(tenant, machine)
    for machine in machines[: given.get("managed_devices", 0)]:
        name = machine["computerDnsName"].partition(".")[0]
        put_managed_device(tenant, {"deviceName": name, "azureADDeviceId": machine["aadDeviceId"]})
    count = given.get("recommendations", 0)
    ids = [machine["id"] for machine in machines]
    for number in range(count):
        _recommend(tenant, number, ids, min(len(ids), given.get("exposures", 0) // count), given.get("cves", 3))


def _machine(tenant: Tenant, number: int) -> dict[str, str]:
    name = uuid5(_NAMES, f"{tenant.id}/{number}")
    return {
        "id": f"{name.hex}{number:08x}",
        "computerDnsName": f"pc-{number:05d}.generated.example",
        "aadDeviceId": str(name),
    }


def _recommend(tenant: Tenant, number: int, machines: list[str], exposed: int, cves: int) -> None:
    vendor, product = _PRODUCTS[number % len(_PRODUCTS)]
    branch = number // len(_PRODUCTS)
    start = number * _STEP % len(machines) if machines else 0
    put_recommendation(
        tenant,
        {
            "id": f"va-_-{vendor}-_-{product}_{branch}",
            "severityScore": 4.0 + number % 50 / 10,
            "exposureImpact": number % 30 / 10,
            "totalMachineCount": len(machines),
            "exposed": list(islice(cycle(machines), start, start + exposed)),
            "cves": [f"CVE-2024-{20_000 + number * cves + each}" for each in range(cves)],
        },
    )
