"""A data key per tenant, wrapped by a master key."""

import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models

from portal.tenancy.operations import Isolate


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenancy', '0003_tenant_by_slug'),
    ]

    operations = [
        migrations.CreateModel(
            name='TenantDataKey',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField(verbose_name='version')),
                ('wrapped_key', models.BinaryField(verbose_name='wrapped key')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('retired_at', models.DateTimeField(null=True, verbose_name='retired')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'data key',
                'verbose_name_plural': 'data keys',
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'version'), name='one_data_key_per_version'), models.UniqueConstraint(condition=models.Q(('retired_at', None)), fields=('tenant',), name='one_sealing_data_key_per_tenant')],
            },
        ),
        Isolate("tenantdatakey"),
    ]
