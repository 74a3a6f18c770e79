"""The write side: every request that may append facts. One flat file an area."""

from commands import auth, clients, invoices, payments, workspace

routes = [*auth.routes, *invoices.routes, *payments.routes, *clients.routes, *workspace.routes]
