"""Hunts: queries to Microsoft and what they found, and the explorer's own name for them."""

import django.db.models.deletion
import django.db.models.functions.datetime
import portal.tenancy.models
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models

from portal.tenancy.operations import Isolate


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('investigations', '0003_evidence_waiting_for_recipients'),
        ('tenancy', '0003_tenant_by_slug'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Hunt',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('batch', models.UUIDField(editable=False, verbose_name='batch')),
                ('source', models.CharField(choices=[('advanced_hunting', 'Advanced hunting'), ('explorer', 'Explorer'), ('cluster', 'Email cluster')], max_length=20, verbose_name='asked from')),
                ('query', models.TextField(verbose_name='query')),
                ('timespan', models.CharField(blank=True, max_length=100, verbose_name='time span')),
                ('criteria', models.JSONField(null=True, verbose_name='criteria')),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed')], default='queued', max_length=10, verbose_name='state')),
                ('not_before', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='not before')),
                ('lease_until', models.DateTimeField(editable=False, null=True)),
                ('fence', models.PositiveIntegerField(default=0, editable=False)),
                ('failures', models.PositiveIntegerField(default=0, editable=False, verbose_name='failed attempts')),
                ('columns', models.JSONField(default=list, verbose_name='columns')),
                ('rows', models.JSONField(default=list, verbose_name='rows')),
                ('row_count', models.PositiveIntegerField(null=True, verbose_name='rows found')),
                ('error_code', models.CharField(blank=True, max_length=100, verbose_name='error code')),
                ('error', models.TextField(blank=True, verbose_name='error')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='asked')),
                ('started_at', models.DateTimeField(null=True, verbose_name='started')),
                ('ended_at', models.DateTimeField(null=True, verbose_name='ended')),
                ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='asked by')),
                ('evidence', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='investigations.evidence', verbose_name='evidence')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'hunt',
                'verbose_name_plural': 'hunting',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='MailSearch',
            fields=[
            ],
            options={
                'verbose_name': 'mail search',
                'verbose_name_plural': 'explorer',
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('hunting.hunt',),
        ),
        migrations.AddIndex(
            model_name='hunt',
            index=models.Index(fields=['tenant', 'batch'], name='hunts_of_batch'),
        ),
        migrations.AddIndex(
            model_name='hunt',
            index=models.Index(condition=models.Q(('state', 'queued')), fields=['not_before'], name='hunt_to_run'),
        ),
        migrations.AddIndex(
            model_name='hunt',
            index=models.Index(condition=models.Q(('state', 'running')), fields=['lease_until'], name='hunt_under_way'),
        ),
        migrations.AddIndex(
            model_name='hunt',
            index=models.Index(fields=['created_at'], name='hunt_by_age'),
        ),
        migrations.AddConstraint(
            model_name='hunt',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('queued', 'running'))), fields=('tenant', 'evidence'), name='one_look_up_at_a_time'),
        ),
        migrations.AddConstraint(
            model_name='hunt',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'done', 'failed'])), name='hunt_state_is_known'),
        ),
        Isolate("hunt"),
    ]
