"""A connection keeps what its last check found and the state of a consent that was asked for; its health has names."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0004_certificates'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='checked_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='checked'),
        ),
        migrations.AddField(
            model_name='connection',
            name='findings',
            field=models.JSONField(db_default=[], default=list, editable=False, verbose_name='what the check found'),
        ),
        migrations.AddField(
            model_name='connection',
            name='consent_state_hash',
            field=models.CharField(db_default='', default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='connection',
            name='consent_state_ends_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='connection',
            name='health',
            field=models.CharField(choices=[('untried', 'Not tried yet'), ('working', 'Working'), ('certificate_expires', 'Certificate expires soon'), ('permissions_missing', 'Permissions missing'), ('consent_missing', 'Consent missing'), ('credential_wrong', 'Credential wrong'), ('credential_expired', 'Credential expired'), ('tenant_unknown', 'Tenant unknown'), ('wrong_tenant', 'Wrong tenant'), ('licence_missing', 'Licence missing'), ('blocked', 'Blocked by conditional access'), ('refused', 'Refused'), ('unreachable', 'Unreachable')], default='untried', editable=False, max_length=20, verbose_name='health'),
        ),
    ]
