"""Stores which devices one recommendation exposes, by difference: rows that stay the same are not touched."""

from collections.abc import Mapping, Set
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from connectors.storable import as_storable
from investigations.models import Device
from investigations.payloads import DevicePayload, read_machine
from investigations.storing import store_devices
from investigations.turns import take_turn
from remediation.vulnerabilities.models import Recommendation
from remediation.vulnerabilities.recommendations.payloads import Row

_LONGEST: Final = 100
"""Texts of a reference are cut to so many characters; the device list has them whole."""

_KNOWN: Final = """
    SELECT device_id::text FROM vulnerabilities_exposure
    WHERE tenant_id = %(tenant)s AND recommendation_id = %(recommendation)s
"""
_ADD: Final = """
    INSERT INTO vulnerabilities_exposure (id, tenant_id, recommendation_id, device_id)
    SELECT gen_random_uuid(), %(tenant)s, %(recommendation)s, unnest(string_to_array(%(devices)s, ',')::uuid[])
    ON CONFLICT (tenant_id, recommendation_id, device_id) DO NOTHING
"""
_TAKE_AWAY: Final = """
    DELETE FROM vulnerabilities_exposure
    WHERE tenant_id = %(tenant)s AND recommendation_id = %(recommendation)s
      AND device_id = ANY (string_to_array(%(devices)s, ',')::uuid[])
"""


class DeviceDirectory:
    """A tenant's devices by what Microsoft calls their machines, read once for many lists. Used inside `acting_for`."""

    def __init__(self, tenant_id: UUID) -> None:
        self._tenant_id = tenant_id
        self._ids = self._read(Device.objects.filter(tenant_id=tenant_id))

    def ids_of(self, references: Mapping[str, Row]) -> set[str]:
        """Return the ids of the devices that these machines are; machines that nobody knew become devices."""
        if unknown := references.keys() - self._ids.keys():
            take_turn(self._tenant_id)
            self._find(unknown)  # the device list may have described one meanwhile, better than a reference does
            unknown -= self._ids.keys()
            store_devices(self._tenant_id, [_as_device(name, references[name]) for name in sorted(unknown)])
            self._find(unknown)
        return {self._ids[name] for name in references}

    def _find(self, machine_ids: Set[str]) -> None:
        self._ids |= self._read(Device.objects.filter(tenant_id=self._tenant_id, machine_id__in=machine_ids))

    @staticmethod
    def _read(devices: "QuerySet[Device]") -> dict[str, str]:
        return {name: str(key) for key, name in devices.values_list("pk", "machine_id").iterator()}


def store_exposures(recommendation: Recommendation, device_ids: Set[str], *, is_whole: bool) -> None:
    """Store that these devices are exposed, and no others where the list `is_whole`. Runs inside `acting_for`."""
    named = {"tenant": recommendation.tenant_id, "recommendation": recommendation.pk}
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, named)
        known = {name for (name,) in cursor.fetchall()}
        if fresh := device_ids - known:
            cursor.execute(_ADD, {**named, "devices": ",".join(sorted(fresh))})
        if is_whole and (gone := known - device_ids):
            cursor.execute(_TAKE_AWAY, {**named, "devices": ",".join(gone)})


def _as_device(machine_id: str, reference: Row) -> DevicePayload:
    """Return what a reference tells of its machine; the next reading of the device list tells the rest."""
    told = ("computerDnsName", "osPlatform", "rbacGroupName")
    texts = {name: as_storable(str(reference[name]))[:_LONGEST] for name in told if reference.get(name)}
    return read_machine({"id": machine_id, **texts})
