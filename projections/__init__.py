"""The read side: table, fold, view and routes of each read model. One flat file an area."""

from projections import (
    audit,
    auth,
    bank_accounts,
    client_figures,
    client_ledger,
    clients,
    contacts,
    credits,
    health,
    invoice_search,
    invoices,
    merges,
    payment_summary,
    payments,
    receivables,
    workspace,
)

projectors = (
    invoices.projector,
    payments.projector,
    credits.projector,
    clients.projector,
    client_ledger.projector,
    merges.projector,
    contacts.projector,
    bank_accounts.projector,
    audit.projector,
)
routes = [
    *auth.routes,
    *invoices.routes,
    *invoice_search.routes,
    *payments.routes,
    *payment_summary.routes,
    *credits.routes,
    *clients.routes,
    *client_figures.routes,
    *receivables.routes,
    *merges.routes,
    *contacts.routes,
    *bank_accounts.routes,
    *workspace.routes,
    *audit.routes,
    *health.routes,
]
