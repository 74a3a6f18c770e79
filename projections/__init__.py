"""The read side: table, fold, view and routes of each read model. One flat file an area."""

from projections import invoices

projectors = (invoices.projector,)
routes = [*invoices.routes]
