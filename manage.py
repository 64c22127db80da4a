#!/usr/bin/env python
"""Quell's command line: `python manage.py help` lists what it can do."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import portal.celery  # noqa: F401 commands ring the workers' bells through it; it needs the line above

    execute_from_command_line(sys.argv)
