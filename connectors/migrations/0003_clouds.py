"""A connection says in which cloud its tenant lives, where Exchange is, and what the tenant has that others lack."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0002_own_credentials'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='capabilities',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, db_default=[], default=list, help_text='What Microsoft does not offer every tenant, by name.', size=None, verbose_name='what this tenant has'),
        ),
        migrations.AddField(
            model_name='connection',
            name='cloud',
            field=models.CharField(choices=[('global', 'Global'), ('gcc', 'US Government (GCC)'), ('gcc_high', 'US Government (GCC High)'), ('dod', 'US Government (DoD)'), ('china', 'China (21Vianet)')], db_default='global', default='global', help_text='Where the tenant lives. Choosing another fills in its addresses.', max_length=20, verbose_name='cloud'),
        ),
        migrations.AddField(
            model_name='connection',
            name='exchange_url',
            field=models.URLField(db_default='https://outlook.office365.com', default='https://outlook.office365.com', verbose_name='Exchange address'),
        ),
    ]
