"""The write side: every request that may append facts. One flat file an area."""

from commands import invoices

routes = [*invoices.routes]
