"""Which page answers which address."""

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path


def health(_request: HttpRequest) -> HttpResponse:
    """200 when this process can serve pages, which are made from the database alone; else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return HttpResponse("the database does not answer\n", status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")


urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health),
    path("", include("control.dashboard.urls")),
]
