"""Security recommendations, the devices exposed to them, and the list of what is known to be exploited."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
import portal.tenancy.models
import uuid_utils.compat
from django.db import migrations, models

from portal.tenancy.operations import Isolate, LookUpFunction

TENANTS = """
CREATE FUNCTION tenants_with_recommendations() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT tenant_id FROM vulnerabilities_vulnerabilitysync ORDER BY tenant_id
$$
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('investigations', '0004_when_recipients_are_looked_up_again'),
        ('tenancy', '0003_tenant_by_slug'),
        ('secrets', '0002_tenants_with_data_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='KnownExploitedVulnerability',
            fields=[
                ('cve_id', models.CharField(max_length=30, primary_key=True, serialize=False, verbose_name='CVE')),
                ('vendor', models.TextField(blank=True, verbose_name='vendor')),
                ('product', models.TextField(blank=True, verbose_name='product')),
                ('name', models.TextField(blank=True, verbose_name='name')),
                ('added_on', models.DateField(verbose_name='added')),
                ('due_on', models.DateField(null=True, verbose_name='due by CISA')),
                ('is_used_by_ransomware', models.BooleanField(default=False, verbose_name='used by ransomware')),
                ('cwes', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None, verbose_name='CWEs')),
                ('removed_at', models.DateTimeField(null=True, verbose_name='removed from the list')),
            ],
            options={
                'verbose_name': 'known exploited vulnerability',
                'verbose_name_plural': 'known exploited vulnerabilities',
            },
        ),
        migrations.CreateModel(
            name='KnownExploitedFeed',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('url', models.TextField(blank=True, verbose_name='address')),
                ('etag', models.TextField(blank=True, editable=False)),
                ('state', models.CharField(choices=[('untried', 'Not read yet'), ('working', 'Working'), ('unreachable', 'Unreachable'), ('malformed', 'Refused: not readable'), ('shrunk', 'Refused: shrunk by half or more')], default='untried', max_length=20, verbose_name='state')),
                ('detail', models.TextField(blank=True, verbose_name='state, in words')),
                ('entry_count', models.PositiveIntegerField(default=0, verbose_name='entries')),
                ('refused_count', models.PositiveIntegerField(default=0, verbose_name='entries refused')),
                ('tried_at', models.DateTimeField(null=True, verbose_name='tried')),
                ('read_at', models.DateTimeField(null=True, verbose_name='read')),
            ],
            options={
                'verbose_name': 'known-exploited feed',
                'verbose_name_plural': 'known-exploited feed',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='one_known_exploited_feed')],
            },
        ),
        migrations.CreateModel(
            name='Recommendation',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('recommendation_id', models.CharField(max_length=500, verbose_name='recommendation id')),
                ('name', models.TextField(verbose_name='recommendation')),
                ('product_name', models.TextField(blank=True, verbose_name='product')),
                ('vendor', models.TextField(blank=True, verbose_name='vendor')),
                ('related_component', models.TextField(blank=True, verbose_name='related component')),
                ('recommended_version', models.TextField(blank=True, verbose_name='recommended version')),
                ('recommended_vendor', models.TextField(blank=True, verbose_name='recommended vendor')),
                ('recommended_program', models.TextField(blank=True, verbose_name='recommended program')),
                ('category', models.TextField(blank=True, verbose_name='category')),
                ('sub_category', models.TextField(blank=True, verbose_name='subcategory')),
                ('remediation_type', models.TextField(blank=True, verbose_name='remediation type')),
                ('status_at_source', models.TextField(blank=True, verbose_name='status in Defender')),
                ('status', models.CharField(choices=[('active', 'Active'), ('partial_exception', 'Partial exception'), ('full_exception', 'Full exception')], default='active', max_length=20, verbose_name='status')),
                ('weaknesses', models.PositiveIntegerField(default=0, verbose_name='weaknesses')),
                ('severity_score', models.FloatField(default=0, verbose_name='severity score')),
                ('exposure_impact', models.FloatField(default=0, verbose_name='exposure impact')),
                ('config_score_impact', models.FloatField(default=0, verbose_name='secure score impact')),
                ('has_public_exploit', models.BooleanField(default=False, verbose_name='public exploit')),
                ('has_active_alert', models.BooleanField(default=False, verbose_name='active alert')),
                ('associated_threats', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None, verbose_name='associated threats')),
                ('tags', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None, verbose_name='tags')),
                ('total_count', models.PositiveIntegerField(default=0, verbose_name='devices')),
                ('exposed_count', models.PositiveIntegerField(default=0, verbose_name='exposed devices')),
                ('exposed_critical_count', models.PositiveIntegerField(default=0, verbose_name='exposed critical devices')),
                ('no_user_impact_count', models.PositiveIntegerField(default=0, verbose_name='devices without user impact')),
                ('exposed_after_exceptions', models.PositiveIntegerField(default=0, verbose_name='exposed devices (after exceptions)')),
                ('cve_ids', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None, verbose_name='CVEs')),
                ('is_known_exploited', models.BooleanField(default=False, verbose_name='known exploited')),
                ('is_used_by_ransomware', models.BooleanField(default=False, verbose_name='used by ransomware')),
                ('known_exploited_due_on', models.DateField(null=True, verbose_name='due by CISA')),
                ('raw', models.JSONField(verbose_name='as received')),
                ('first_seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='first seen')),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='last seen')),
                ('changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='changed')),
                ('disappeared_at', models.DateTimeField(null=True, verbose_name='no longer listed since')),
                ('exposures_read_at', models.DateTimeField(null=True, verbose_name='devices read')),
                ('exposures_due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('cves_read_at', models.DateTimeField(null=True, verbose_name='CVEs read')),
                ('cves_due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'security recommendation',
                'verbose_name_plural': 'security recommendations',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ExposureDay',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField(verbose_name='day')),
                ('exposed_count', models.PositiveIntegerField(verbose_name='exposed devices')),
                ('total_count', models.PositiveIntegerField(verbose_name='devices')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
                ('recommendation', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='days', to='vulnerabilities.recommendation')),
            ],
            options={
                'verbose_name': 'day of exposure',
                'verbose_name_plural': 'days of exposure',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Exposure',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='exposed since')),
                ('device', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='exposures', to='investigations.device')),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
                ('recommendation', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='exposures', to='vulnerabilities.recommendation')),
            ],
            options={
                'verbose_name': 'exposed device',
                'verbose_name_plural': 'exposed devices',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='VulnerabilitySync',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('next_sync_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next sync')),
                ('started_at', models.DateTimeField(null=True, verbose_name='started')),
                ('read_at', models.DateTimeField(null=True, verbose_name='read')),
                ('shrunk_at', models.DateTimeField(null=True, verbose_name='list shrank')),
                ('detail', models.TextField(blank=True, verbose_name='what stopped it')),
                ('forgotten_before', models.DateTimeField(editable=False, null=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'vulnerability sync',
                'verbose_name_plural': 'vulnerability syncs',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='recommendation',
            index=models.Index(fields=['tenant', '-exposed_count', '-id'], name='recommendation_by_exposure'),
        ),
        migrations.AddIndex(
            model_name='recommendation',
            index=models.Index(fields=['recommendation_id'], name='recommendation_everywhere'),
        ),
        migrations.AddIndex(
            model_name='recommendation',
            index=django.contrib.postgres.indexes.GinIndex(fields=['cve_ids'], name='recommendation_by_cve'),
        ),
        migrations.AddConstraint(
            model_name='recommendation',
            constraint=models.UniqueConstraint(fields=('tenant', 'recommendation_id'), name='one_recommendation_of_an_id'),
        ),
        migrations.AddConstraint(
            model_name='exposureday',
            constraint=models.UniqueConstraint(fields=('tenant', 'recommendation', 'day'), name='one_count_a_day'),
        ),
        migrations.AddIndex(
            model_name='exposure',
            index=models.Index(fields=['tenant', 'device'], name='exposures_of_device'),
        ),
        migrations.AddConstraint(
            model_name='exposure',
            constraint=models.UniqueConstraint(fields=('tenant', 'recommendation', 'device'), name='one_exposure_per_device'),
        ),
        migrations.AddConstraint(
            model_name='vulnerabilitysync',
            constraint=models.UniqueConstraint(fields=('tenant',), name='one_vulnerability_sync'),
        ),
        Isolate("recommendation"),
        Isolate("exposure"),
        Isolate("exposureday"),
        Isolate("vulnerabilitysync"),
        LookUpFunction(
            "tenants_with_recommendations()",
            definition=TENANTS,
            reads={"vulnerabilities_vulnerabilitysync": "tenant_id"},
            walled=("vulnerabilities_vulnerabilitysync",),
        ),
    ]
