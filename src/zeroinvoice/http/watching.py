"""Watching: the pulse of this process, for the routes that tell how the service is."""

from litestar.di import NamedDependency

from zeroinvoice.readside.pulse import Pulse

Watching = NamedDependency[Pulse]
