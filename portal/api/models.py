"""IdempotentAnswer: what a POST answered, so that sending it again changes nothing."""

from typing import ClassVar

from django.db import models

from portal.access.models import User
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantModel


class IdempotentAnswer(TenantModel):
    """The stored answer to one Idempotency-Key of one user. Refusals are not stored: they changed nothing."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[TenantManager["IdempotentAnswer"]] = TenantManager()

    class Meta:
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "user", "key"), name="one_answer_per_key"),)

    def __str__(self) -> str:
        return self.key
