"""The write side: every request that may append facts. One flat file an area."""

from commands import (
    activity,
    api_keys,
    auth,
    bank_accounts,
    clients,
    contacts,
    credits,
    erasure,
    invoices,
    members,
    merges,
    payments,
    two_factor,
    workspace,
)

routes = [
    *auth.routes,
    *two_factor.routes,
    *invoices.routes,
    *payments.routes,
    *credits.routes,
    *clients.routes,
    *merges.routes,
    *erasure.routes,
    *contacts.routes,
    *bank_accounts.routes,
    *workspace.routes,
    *members.routes,
    *api_keys.routes,
    *activity.routes,
]
