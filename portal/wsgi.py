"""The web process."""

import os

from django.core.wsgi import get_wsgi_application

from portal.slow_clients import cut_off_slow_clients

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = cut_off_slow_clients(get_wsgi_application())

import portal.celery  # noqa: E402, F401 the web rings the workers' bells through it
from portal.starting import refuse_unsafe_start  # noqa: E402 Django has to be set up first

refuse_unsafe_start()
