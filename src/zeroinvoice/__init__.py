"""ZeroInvoice: an invoice service whose only truth is a journal of business facts."""
