"""``manage.py audit_verify``: is the audit log what it was?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.services.audit_chain import is_anchored, verify


class Command(BaseCommand):
    """Walks the chain of seals; ends with an error that names the first entry that is not right."""

    help = "Check the audit log's chain of hashes and print its head."

    def add_arguments(self, parser: CommandParser) -> None:
        """The head of an earlier run shows a log whose end was cut off or written anew."""
        parser.add_argument(
            "--expect", metavar="SEQUENCE:HASH", help="A head that an earlier run printed."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        found = verify()
        if not found.holds:
            raise CommandError(found.broken)
        if options["expect"]:
            self._compare(options["expect"])
        self.stdout.write(f"{found.sealed} entries hold. Head: {found.sealed}:{found.head}")

    def _compare(self, expected: str) -> None:
        sequence, _, head = expected.partition(":")
        if not sequence.isdecimal() or not head:
            raise CommandError("Write --expect as the SEQUENCE:HASH that an earlier run printed.")
        if not is_anchored(int(sequence), head):
            raise CommandError(
                f"Seal {sequence} is not the one that was printed: the log was cut off or written"
                " anew since then."
            )
