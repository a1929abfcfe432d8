"""The one error for what this appliance does not offer. Raised when plugin code calls it, never when it is imported."""


class ServiceUnavailable(RuntimeError):
    """A model, service or provider that plugin code asked for is not configured. Never answered with made-up results."""


def unavailable(kind: str, name: str) -> ServiceUnavailable:
    """The error to raise for `kind` ("service", "model", "provider", "secret") and its name."""
    return ServiceUnavailable(f'This appliance has no {kind} "{name}" configured.')
