"""What goes wrong at the door."""


class ScopeError(RuntimeError):
    """A mistake in our own code about which tenants a piece of work is for; never shown to a person."""


class NoScope(ScopeError):
    """Tenant data was asked for outside `acting_for` and `viewing`."""


class EmptyScope(ScopeError):
    """A scope of no tenants was asked for; an empty set never means all."""


class WiderScope(ScopeError):
    """An inner scope asked for tenants that its outer scope does not hold."""
