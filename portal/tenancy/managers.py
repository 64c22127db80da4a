"""The first wall: managers whose every query is held to the open scope, checked when the query runs."""

from typing import Any, TypeVar

from django.db import models
from django.db.models.sql.compiler import SQLCompiler

from portal.tenancy.scope import current_scope

Row = TypeVar("Row", bound=models.Model, covariant=True)


class InScope(models.Func):
    """SQL condition "this row's tenant is in the open scope", filled in when the query is compiled.

    So class bodies, forms and the schema generator may build querysets without a scope; running one raises NoScope.
    """

    output_field = models.BooleanField()
    conditional = True

    def as_sql(self, compiler: SQLCompiler, connection: Any, *_: Any, **__: Any) -> tuple[str, tuple[Any, ...]]:
        """Return `tenant_id = …` for one tenant, which picks that tenant's index, else `= ANY (…)`."""
        column, parameters = compiler.compile(self.get_source_expressions()[0])
        tenant_ids = sorted(current_scope().tenant_ids)
        if len(tenant_ids) == 1:
            return f"{column} = %s", (*parameters, tenant_ids[0])
        return f"{column} = ANY (%s)", (*parameters, tenant_ids)


class TenantManager(models.Manager[Row]):
    """Rows of the tenants in scope only; raises NoScope when a query runs outside one."""

    tenant_column = "tenant_id"

    def get_queryset(self) -> models.QuerySet[Row]:
        """Return the model's rows, held to the open scope."""
        return super().get_queryset().filter(InScope(models.F(self.tenant_column)))

    def none(self) -> models.QuerySet[Row]:
        """Return no rows, which needs no scope."""
        return super().get_queryset().none()


class TenantsInScope(TenantManager[Row]):
    """The tenants in scope themselves."""

    tenant_column = "id"
