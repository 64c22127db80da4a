"""Rules, legal holds, receipts of purges, and whose turn it is."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models

from portal.tenancy.operations import Isolate


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenancy', '0003_tenant_by_slug'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='LegalHold',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('covers', models.CharField(choices=[('tenant', 'Whole tenant'), ('activity', 'Remediation activity'), ('action', 'Remediation action'), ('investigation', 'Investigation')], max_length=20, verbose_name='covers')),
                ('object_id', models.UUIDField(null=True, verbose_name='row')),
                ('target', models.TextField(verbose_name='what is held')),
                ('reason', models.TextField(verbose_name='reason')),
                ('placed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='placed')),
                ('lift_asked_at', models.DateTimeField(null=True, verbose_name='asked')),
                ('lift_reason', models.TextField(blank=True, verbose_name='why it may be lifted')),
                ('lifted_at', models.DateTimeField(null=True, verbose_name='lifted')),
                ('lift_asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='asked to lift it')),
                ('lifted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='lifted by')),
                ('placed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='placed by')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'legal hold',
                'verbose_name_plural': 'legal holds',
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(condition=models.Q(('lifted_at', None)), fields=('tenant', 'covers', 'object_id'), name='one_hold_in_force', nulls_distinct=False), models.CheckConstraint(condition=models.Q(models.Q(('covers', 'tenant'), ('object_id', None)), models.Q(models.Q(('covers', 'tenant'), _negated=True), ('object_id__isnull', False)), _connector='OR'), name='holds_name_what_they_cover'), models.CheckConstraint(condition=models.Q(('lifted_by', None), models.Q(('lift_asked_by__isnull', False), models.Q(('lifted_by', models.F('lift_asked_by')), _negated=True)), _connector='OR'), name='lifting_a_hold_takes_two_people')],
            },
        ),
        migrations.CreateModel(
            name='Purge',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=40, verbose_name='kind')),
                ('run', models.UUIDField(verbose_name='run')),
                ('days', models.PositiveIntegerField(verbose_name='kept for days')),
                ('cutoff', models.DateTimeField(verbose_name='older than')),
                ('row_count', models.PositiveIntegerField(verbose_name='rows')),
                ('part_counts', models.JSONField(default=dict, verbose_name='with them')),
                ('first_id', models.UUIDField(verbose_name='first row')),
                ('last_id', models.UUIDField(verbose_name='last row')),
                ('sha256', models.CharField(max_length=64)),
                ('row_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, editable=False, size=None)),
                ('purged_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='purged')),
                ('filed_at', models.DateTimeField(null=True, verbose_name='receipt filed')),
                ('returned_count', models.PositiveIntegerField(default=0, verbose_name='rows that came back')),
                ('returned_at', models.DateTimeField(null=True, verbose_name='came back')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'purge',
                'verbose_name_plural': 'purges',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['tenant', 'kind', '-id'], name='purge_by_kind'), models.Index(condition=models.Q(('filed_at', None)), fields=['tenant'], name='purge_to_file'), models.Index(condition=models.Q(('returned_at__isnull', False)), fields=['tenant', 'returned_at'], name='purge_returned')],
            },
        ),
        migrations.CreateModel(
            name='PurgeTurn',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('next_at', models.DateTimeField()),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'turn to purge',
                'verbose_name_plural': 'turns to purge',
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant',), name='one_turn_to_purge')],
            },
        ),
        migrations.CreateModel(
            name='RetentionRule',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=40, verbose_name='kind')),
                ('days', models.PositiveIntegerField(verbose_name='days')),
                ('reason', models.TextField(verbose_name='reason')),
                ('changed_by', models.CharField(max_length=254, verbose_name='changed by')),
                ('changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='changed')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'retention rule',
                'verbose_name_plural': 'retention rules',
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'kind'), name='one_retention_rule_per_kind')],
            },
        ),
        Isolate("retentionrule"),
        Isolate("legalhold"),
        Isolate("purge"),
        Isolate("purgeturn"),
    ]
