"""The pages and the door for webhooks, for an ASGI server."""

import gc
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control.settings")
pages = get_asgi_application()

from control.dashboard.access import source_of  # noqa: E402 - models are there once Django is set up
from control.webhooks.door import Door  # noqa: E402
from control.webhooks.intake import Intake  # noqa: E402

application = Door(pages, Intake(), source_of)

# What was loaded until here stays as long as the process. Without this, each full collection goes through all of it
# again, and for a tenth of a second nobody is answered.
gc.collect()
gc.freeze()
