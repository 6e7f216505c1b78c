"""``manage.py ensure_admin``: the first login of a fresh Sluice."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.services.people import ensure_platform_admin


class Command(BaseCommand):
    """Makes the platform administrator where there is none; otherwise changes nothing."""

    help = "Make the first platform administrator, if there is none."

    def add_arguments(self, parser: CommandParser) -> None:
        """The password comes by environment: arguments are seen by everybody on the machine."""
        parser.add_argument("--username", required=True)
        parser.add_argument(
            "--password-env", required=True, help="Name of the variable that holds the password."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run; the password is never printed."""
        password = os.environ.get(options["password_env"], "")
        if not password:
            raise CommandError(f"The environment variable {options['password_env']} is not set.")
        user = ensure_platform_admin(options["username"], password)
        if user is None:
            self.stdout.write("There is a platform administrator already; nothing was changed.")
        else:
            self.stdout.write(f"Platform administrator {user} was made.")
