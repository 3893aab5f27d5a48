"""Commands about searches that are in the database: list, report, show, compare, export."""
