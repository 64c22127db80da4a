"""The web process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = get_wsgi_application()

from portal.tenancy.roles import refuse_powerful_role  # noqa: E402 Django has to be set up first

refuse_powerful_role()
