"""The write side: every request that may append facts. One flat file an area."""

from commands import auth, clients, credits, invoices, payments, workspace

routes = [
    *auth.routes,
    *invoices.routes,
    *payments.routes,
    *credits.routes,
    *clients.routes,
    *workspace.routes,
]
